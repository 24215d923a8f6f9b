"""inspect and upload of many models: a line each, in JSON, or as CSV; the plan between the two."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.cli.printing import (
    as_text,
    one_line,
    print_json,
    print_message,
    print_result,
    progress_bar,
    table,
)
from electra_convert.cli.shared import prepare_hub
from electra_convert.errors import counted

if TYPE_CHECKING:
    from electra_convert.hub.account.carry_out import Outcome
    from electra_convert.hub.account.plan import Plan, Step
    from electra_convert.hub.account.row import Action, ModelRow
    from electra_convert.hub.account.survey import Survey
    from electra_convert.hub.plan import UploadOptions

_STATES = {
    "done": "sent",
    "there": "sent before",
    "planned": "would be sent",
    "closed": "proposed before and closed there, so left alone",
}
_ACTIONS: tuple[Action, ...] = ("nothing", "convert", "by hand", "leave", "look")


def is_many(source: str | Path) -> bool:
    """Whether an account, or a folder of models, was pointed at."""
    from electra_convert.hub.account.survey import holds_many
    from electra_convert.hub.download import account_of

    return account_of(source) is not None or (isinstance(source, Path) and holds_many(source))


def inspect_many(source: str | Path, as_json: bool, as_csv: bool, plan: Path | None, quiet: bool) -> None:
    """Look at all of them, print what was found, and write the plan if one is asked for."""
    from electra_convert.hub.account.plan import check_plan, plan_of, write_plan
    from electra_convert.hub.account.survey import survey

    def tell(text: str) -> None:
        if not quiet:
            print_message("Note", text)

    if plan is not None:
        check_plan(source, plan)
    alone = as_json or as_csv
    prepare_hub(quiet or alone)
    with progress_bar("Looking", quiet or alone, "models") as progress:
        found = survey(source, tell, lambda done, total, _: progress(done, total) if progress else None)
    if plan is not None:
        made = plan_of(found)
        write_plan(made, plan)
        tell(f"Wrote {plan}: {counted(len(made.convert), 'model')} to convert, {len(made.leave)} left alone.")
    if as_json:
        print_json(survey_fields(found))
    else:
        print_result(survey_csv(found) if as_csv else survey_text(found))


def upload_planned(path: Path, options: UploadOptions, as_json: bool, quiet: bool) -> None:
    """Carry out a plan, tell what became of each repository, and end with 1 where one failed."""
    from electra_convert.hub.account.carry_out import carry_out
    from electra_convert.hub.account.plan import read_plan

    def tell(text: str) -> None:
        if not quiet:
            print_message("Note", text)

    prepare_hub(quiet or as_json)
    plan = read_plan(path)
    steps = {step.repo: step for step in plan.convert}

    def told(_: int, __: int, one: Outcome) -> None:
        if not as_json:
            print_result(as_text(_outcome_lines(one, steps[one.repo], options.create_pr)))

    outcomes = carry_out(plan, path, options, tell, told)
    if as_json:
        repositories = [_outcome_fields(one) for one in outcomes]
        print_json({"plan": str(path), "repositories": repositories, "left": [vars(left) for left in plan.leave]})
    else:
        print_result(summary_text(plan, outcomes))
    if any(one.has_failed for one in outcomes):
        sys.exit(1)


def summary_text(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """What upload --plan prints at its end: what is left alone and why, what failed and why, and how many of each."""
    left_alone = [f"{left.repo}: left alone: {'; '.join(left.why)}" for left in plan.leave]
    failed = [(one.repo, one.error) for one in outcomes if one.error is not None]
    told = [f"{repo} failed: {error.message}. {error.hint or ''}".strip() for repo, error in failed]
    number = Counter("failed" if one.has_failed else _STATES[one.state] for one in outcomes)
    parts = [*(f"{count} {state}" for state, count in number.items()), f"{len(plan.leave)} left alone"]
    return as_text([*left_alone, *told, f"{', '.join(parts)}."])


def _outcome_lines(one: Outcome, step: Step, create_pr: bool) -> list[str]:
    lines = [f"{one.repo}: {'failed' if one.has_failed else _STATES[one.state]}{f', {one.url}' if one.url else ''}"]
    if one.state == "planned":
        lines.append(f"  {'a pull request' if create_pr else 'a commit to main'} with {', '.join(step.files)}")
        lines += [f"  since {why}" for why in step.why]
    return lines


def _outcome_fields(one: Outcome) -> dict[str, Any]:
    error = None if one.error is None else {"message": one.error.message, "hint": one.error.hint}
    return {"repo": one.repo, "state": one.state, "url": one.url, "error": error}


def survey_text(survey: Survey) -> str:
    """What inspect prints of many models: a line each, and what should be done with them."""
    rows = survey.rows
    read, size = sum(row.read for row in rows), sum(row.size for row in rows)
    seen = f", {_megabytes(read)} of {_megabytes(size)} read" if read else f", {_megabytes(size)}"
    lines = [f"{survey.source}: {counted(len(rows), 'model')}{seen}.", ""]
    lines += table([("model", "loads by", "is", "tokenizer", "proof", "to do"), *map(_cells, rows)])
    told = [(row.name, "; ".join((*filter(None, (row.error,)), *row.why))) for row in rows]
    lines += ["", *(f"{name}: {why}" for name, why in told if why)]
    number = Counter(row.action for row in rows)
    lines += ["", ", ".join(f"{action}: {number[action]}" for action in _ACTIONS if number[action]) + "."]
    return as_text(lines)


def survey_fields(survey: Survey) -> dict[str, Any]:
    """What `inspect --json` prints of many models."""
    return {"source": survey.source, "models": [asdict(row) for row in survey.rows]}


def survey_csv(survey: Survey) -> str:
    """What `inspect --csv` prints: a line of names, and one for each model."""
    written = StringIO()
    rows = [_flat(row) for row in survey.rows]
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().rstrip("\n")


def _cells(row: ModelRow) -> tuple[str, ...]:
    if not row.models:
        return (row.name, "-", "-", "-", "-", row.action)
    loads = row.loads or f"nothing ({row.containers[0]})"
    classes = " and ".join(row.models.values()) + (", fine-tuned" if row.fine_tuned else "")
    return (row.name, loads, classes, _tokenizer(row), row.proof, row.action)


def _tokenizer(row: ModelRow) -> str:
    found = row.tokenizer
    if not found.files:
        return "none"
    limit = "no limit" if found.max_length is None else f"up to {found.max_length:g}"
    useless = f", {found.useless:,} useless" if found.useless else ""
    return f"{found.kind or 'ElectraTokenizer'}, {limit}{useless}"


def _flat(row: ModelRow) -> dict[str, object]:
    found = row.tokenizer
    fields = {
        "name": row.name,
        "commit": row.commit,
        "action": row.action,
        "why": "; ".join(row.why),
        "error": row.error,
        "loads": row.loads,
        "containers": _joined(row.containers),
        "roles": _joined(tuple(row.models)),
        "classes": _joined(tuple(row.models.values())),
        "fine_tuned": str(row.fine_tuned).lower(),
        "positions": row.positions,
        "tokenizer": found.kind,
        "model_max_length": found.max_length,
        "pieces": found.pieces,
        "useless_pieces": found.useless,
        "proof": row.proof,
        "size": row.size,
        "read": row.read,
    }
    return {name: _cell(value) if isinstance(value, str) else value for name, value in fields.items()}


def _cell(text: str) -> str:
    """A text in one line, and none that a spreadsheet computes: some of it is what strangers' files say."""
    return one_line(f"'{text}" if text.startswith(("=", "+", "-", "@")) else text)


def _joined(parts: Sequence[str]) -> str:
    return " ".join(parts)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
