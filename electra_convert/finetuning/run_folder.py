"""The folder of a run: its place, finetuning.json, checkpoints that are whole, and what each seed came to."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert.errors import TrainingError
from electra_convert.finetuning.options import FinetuneOptions
from electra_convert.finetuning.preparation import Preparation
from electra_convert.finetuning.starting import Start
from electra_convert.formats.json_objects import decode_object
from electra_convert.output import check_target, replace_file, require_run_place
from electra_convert.tokenizer.vocabulary import read_small
from electra_convert.version import __version__

RECORD, EVALUATION, PREDICTIONS = "finetuning.json", "evaluation.json", "predictions-{split}.jsonl"
CHECKPOINTS, MODEL = "checkpoints", "model"
_NAME = re.compile(r"checkpoint-(\d{1,18})")
# What the Trainer writes last into a checkpoint.
_LAST_FILE = "trainer_state.json"


def require_place(output: Path, read: Sequence[str | Path | None], options: FinetuneOptions) -> None:
    """Refuse an output that holds something else than the options say, or anything that the run reads.

    Raises:
        OutputError: says what is in the way.
    """
    local = [place for place in read if isinstance(place, Path)]
    if local:
        check_target(output, local[0], True, local[1:])
    require_run_place(output, RECORD, "fine-tuning run", options.resume, options.overwrite)


def described(preparation: Preparation, start: Start, options: FinetuneOptions) -> dict[str, Any]:
    """What a run is: the same run has the same, and no places on a machine."""
    return {
        "tool": {"name": "electra_convert", "version": __version__},
        "finetuned_for": preparation.task.name,
        "base": dict(start.base),
        "data": preparation.data.described,
        "labels": [str(label) for label in preparation.task.config.get("label2id", ())],
        "recipe": preparation.recipe.described,
        "seed": options.seed,
        "seeds": options.seeds,
        "google_head": options.google_head,
    }


def require_same(output: Path, now: Mapping[str, Any]) -> None:
    """Refuse to resume a run with other settings: it would not end where the run would have ended.

    Raises:
        TrainingError: names what differs.
    """
    path = output / RECORD
    before = decode_object(read_small(path), str(path))
    flat_before, flat_now = (_flat(one) for one in (before, json.loads(json.dumps(now))))
    for key in sorted({*flat_before, *flat_now}):
        settled = key.startswith(("schema", "tool")) or key.endswith(".origin")
        if settled or flat_before.get(key) == flat_now.get(key):
            continue
        what = (
            f"{key} was {json.dumps(flat_before.get(key))} when the run began, and is {json.dumps(flat_now.get(key))}"
        )
        if key.endswith(".sha256"):
            what = (
                f"{flat_now.get(key.replace('sha256', 'name'))} held other examples when the run began than it does"
            )
        raise TrainingError(f"{what} now", "Resume it as it began, or start another run.")


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in record.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def last_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint in a folder of them that was written to its end; those that were not are removed."""
    found = {int(match[1]): path for path in _entries(folder) if (match := _NAME.fullmatch(path.name))}
    for step in sorted(found, reverse=True):
        if _is_whole(found[step]):
            return found[step]
        shutil.rmtree(found[step], ignore_errors=True)
    return None


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_whole(folder: Path) -> bool:
    try:
        return isinstance(json.loads((folder / _LAST_FILE).read_bytes()), dict)
    except (OSError, ValueError):
        return False


def step_of(checkpoint: Path | None) -> int:
    """The step of a checkpoint, 0 for none."""
    return 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all."""
    replace_file(path, (json.dumps({"schema": 1, **fields}, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read one."""
    return decode_object(read_small(path), str(path))


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines, whole or not at all."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    replace_file(path, text.encode("utf-8", "surrogatepass"))
