"""electra-convert verify, and its report in words and in JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import (
    as_text,
    print_json,
    print_messages,
    print_result,
    progress_bar,
    table,
    wants_colour,
    wrapped,
)
from electra_convert.cli.reproduction import show_reproduction
from electra_convert.cli.shared import SOURCE_IS, config_options, exclude_option, output_options, prepare_hub
from electra_convert.cli.values import PATH, SOURCE

if TYPE_CHECKING:
    from electra_convert.verification.compare import OutputsParity
    from electra_convert.verification.report import ModelParity, ParityReport
    from electra_convert.verification.weights import WeightsParity

_ROWS = 30  # rows of a table of weights
_COLOURS = {"same": "green", "different": "red", "unproven": "yellow"}
GUIDE = Guide(
    arguments={
        "REFERENCE": SOURCE_IS,
        "CANDIDATE": "What is held to it: anything that REFERENCE may be, or an .onnx file. Left out, REFERENCE is a "
        "model that was converted, and the conversion is repeated.",
    },
    groups={
        "What is compared": "weights-only text tolerance",
        "Of one model alone": "source",
        "What the reference's weights do not tell": "hparams config",
        "Output": "html save json quiet",
    },
    examples=(
        "electra-convert verify data/models/my-run my-electra",
        "electra-convert verify data/models/my-run my-electra --save --html report.html",
        "electra-convert verify hf://OWNER/REPO",
    ),
    page="docs/verification.md",
)
# What --golden FILE CANDIDATE and REFERENCE CANDIDATE have, and one model alone has not.
_OF_TWO = "weights_only text inputs tolerance task labels html overwrite save hparams config exclude".split()


@click.command(
    "verify", cls=GuidedCommand, guide=GUIDE, short_help="Find out whether two checkpoints are the same model."
)
@click.argument("reference", type=SOURCE)
@click.argument("candidate", type=SOURCE, required=False)
@click.option("--weights-only", is_flag=True, help="Compare weights and configurations, and run nothing.")
@click.option(
    "--text",
    multiple=True,
    metavar="TEXT",
    help="A sentence to run both models on as well. May be given several times.",
)
@click.option(
    "--inputs",
    type=PATH,
    metavar="FILE",
    help="An .npz file to run both models on as well: input_ids and, optionally, input_mask and segment_ids.",
)
@click.option(
    "--golden",
    type=PATH,
    metavar="FILE",
    help="An .npz file of outputs the reference once computed, instead of running it. REFERENCE may be left out.",
)
@click.option(
    "--tolerance",
    type=float,
    metavar="X",
    help="The largest absolute difference that passes. By default, 1e-4, or four times the reference's own rounding "
    "error where that is more.",
)
@click.option(
    "--task",
    metavar="NAME[=KIND]",
    help="Of a checkpoint that Google's code fine-tuned for several tasks: the one to compare, and what it is, as "
    "convert takes it. By default, the one that CANDIDATE was converted from; all where it is a folder a task.",
)
@click.option(
    "--labels",
    metavar="FILE|A,B,...",
    help="What the classes of REFERENCE are called. By default, as in Google's code for its tasks.",
)
@click.option(
    "--source",
    type=SOURCE,
    metavar="PATH",
    help="What the one model was converted from. By default, it is fetched from where its conversion.json says.",
)
@click.option("--html", type=PATH, metavar="FILE", help="Also write the report as a web page that needs no network.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --html if it exists.")
@click.option("--save", is_flag=True, help="Write parity.json beside each model of CANDIDATE.")
@config_options
@exclude_option
@output_options
def command(
    reference: str | Path,
    candidate: str | Path | None,
    weights_only: bool,
    text: tuple[str, ...],
    inputs: Path | None,
    golden: Path | None,
    tolerance: float | None,
    task: str | None,
    labels: str | None,
    source: str | Path | None,
    html: Path | None,
    overwrite: bool,
    save: bool,
    hparams: str | None,
    config: Path | None,
    exclude: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Find out whether CANDIDATE is the same model as REFERENCE: all weights, the configuration, and the outputs.

    A TensorFlow checkpoint is run through Google's graph in
    TensorFlow, a transformers model in PyTorch, an ONNX model by
    onnxruntime. The exit status is 0 if they are the same model, and
    1 if they are not, or if one of them cannot be run.

    Of one model that was converted, the conversion is repeated from
    what its conversion.json says: 0 if every file of weights,
    configuration and tokenizer is the same to the byte.

    --hparams, --config, --labels and --exclude are about the reference.
    """
    from electra_convert.errors import UsageError
    from electra_convert.pages import check_page
    from electra_convert.schemes.layouts import read_task
    from electra_convert.verification.sides import find_place
    from electra_convert.verification.verify import Checks, run_verification

    if candidate is None and golden is None:
        given = click.get_current_context().params
        if named := [name for name in _OF_TWO if given[name]]:
            option = f"--{named[0].replace('_', '-')}"
            raise UsageError(f"there is nothing to compare with, as {option} does", "Give REFERENCE and CANDIDATE.")
        prepare_hub(quiet or as_json)
        sys.exit(0 if show_reproduction(reference, source, as_json, quiet) else 1)
    if source is not None:
        raise UsageError("--source is of one model alone, whose conversion is repeated", "Leave CANDIDATE out.")
    if candidate is None and not (hparams is None and config is None and labels is None and not exclude):
        raise UsageError("--hparams, --config, --labels and --exclude are of the reference, and there is none")
    if overwrite and html is None:
        raise UsageError("--overwrite replaces the file of --html, and there is none")
    if html is not None:
        check_page(html, overwrite)
    checks = Checks(weights_only, text, inputs, golden, tolerance, read_task(task))
    prepare_hub(quiet or as_json)
    known = None if candidate is None else find_place(reference, hparams, config, labels, exclude)
    with progress_bar("Comparing weights", quiet or as_json) as progress:
        report = run_verification(known, find_place(candidate or reference), checks, save, progress)
    if html is not None:
        report.to_html(html, overwrite)
    written = [*report.saved, *([] if html is None else [html])]
    if as_json:
        print_json({**parity_fields(report), "written": list(map(str, written))})
    elif quiet:
        print_result(verdict_text(report))
    else:
        print_result(parity_text(report))
        print_messages([*(f"Wrote {path}" for path in written), *report.notes], [])
    sys.exit(0 if report.passed else 1)


def parity_fields(report: ParityReport) -> dict[str, Any]:
    """What `verify --json` prints."""
    from electra_convert.verification.record import report_fields

    fields = report_fields(report)
    for side in (report.reference, report.candidate):
        fields["reference" if side is report.reference else "candidate"]["path"] = side.path
    return fields


def verdict_text(report: ParityReport) -> str:
    """The verdict in a line; coloured on a terminal."""
    text = report.title
    if report.passed:
        text += f": {' and '.join(report.models)}"
    return click.style(text, fg=_COLOURS[report.verdict], bold=True) if wants_colour() else text


def parity_text(report: ParityReport) -> str:
    """What `verify` prints: the verdict and why, then what was compared."""
    why = report.grounds if report.passed else report.reasons
    sides = [
        f"Reference: {report.reference.path} ({report.reference.format})",
        f"Candidate: {report.candidate.path} ({report.candidate.format})",
    ]
    if report.batches:
        sides += ["Inputs:", *table([batch.cells for batch in report.batches])]
    models = [line for role, model in report.models.items() for line in ("", role, *_model_lines(model))]
    told = [line for reason in why for line in wrapped(reason, "  ")]
    return "\n".join([verdict_text(report), *told, "", as_text([*sides, *models])])


def _model_lines(model: ModelParity) -> list[str]:
    lines = []
    if model.weights is not None:
        lines += _weights_lines(model.weights)
    if model.settings:
        # Those that are not equal are among the reasons.
        equal = sum(setting.state == "equal" for setting in model.settings)
        lines.append(f"  Configuration: {equal} of {len(model.settings)} values equal")
    if model.int8 is not None:
        lines += wrapped(f"Weights of 8 bits, against the reference: {model.int8}", "  ")
    return lines if model.outputs is None else lines + _outputs_lines(model.outputs)


def _weights_lines(weights: WeightsParity) -> list[str]:
    from electra_convert.verification.report import SHOWN, differing_rows

    dtypes = sorted(set(weights.rounded.values()))
    how = f"after rounding to {', '.join(dtypes)}" if dtypes else "bit for bit"
    lines = [f"  Weights: {weights.equal} of {len(weights.tensors)} equal {how}"]
    rows = differing_rows(weights)
    if len(rows) <= SHOWN:  # the reason has named them
        return lines
    rest = [f"    and {len(rows) - _ROWS} rows more (--json lists them all)"] if rows[_ROWS:] else []
    return [*lines, *(f"  {line}" for line in table(rows[:_ROWS])), *rest]


def _outputs_lines(outputs: OutputsParity) -> list[str]:
    from electra_convert.verification.compare import STAGE_HEADER

    rows = [(*stage.cells[:-1], "" if stage.passed else stage.cells[-1]) for stage in outputs.stages]
    lines = [f"  Reference run: {outputs.reference}", f"  Candidate run: {outputs.candidate}"]
    lines += [f"  {line}" for line in table([("", *STAGE_HEADER[1:]), *rows])]
    lines.append(f"  * the largest distance from the {outputs.exact}'s run in float64")
    lines += [f"  {line}" for line in outputs.remarks]
    if outputs.not_covered:
        lines += ["  What this comparison cannot see:", *(f"    {line}" for line in outputs.not_covered)]
    return lines
