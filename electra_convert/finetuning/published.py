"""The model of a run as it is handed on: in its place, with a record of how it was made, and a card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert.errors import MissingPackageError
from electra_convert.finetuning.evaluation import doubts
from electra_convert.finetuning.run_folder import EVALUATION, MODEL, PREDICTIONS, write_json
from electra_convert.finetuning.seeds import SeedRun, results
from electra_convert.formats.names import CARD_FILE, TRAINING_FILE
from electra_convert.hub.card.metadata import Metadata
from electra_convert.hub.card.writing import write_cards
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.reports import CURVES
from electra_convert.verification.record import hash_files


def publish(runs: Sequence[SeedRun], main: str, output: Path, record: Mapping[str, Any], reporter: Reporter) -> None:
    """Put the model that is kept into its place, write training.json and its card, and say what all seeds came to.

    Args:
        runs: of all seeds, done.
        main: the metric they are compared by.
        output: the run's folder.
        record: what the run is.
        reporter: told where the model has learned nothing, or no card can be written.
    """
    kept, result = results(runs, main)
    for line in doubts(result["metrics"]):
        reporter.noticed(line)
    if kept.folder != output:
        _moved(kept.folder, output)
    folder = output / MODEL
    for name in (TRAINING_FILE, CARD_FILE):
        (folder / name).unlink(missing_ok=True)
    evaluation = {key: value for key, value in result.items() if key not in ("schema", "filled")}
    write_json(
        folder / TRAINING_FILE,
        {**record, "evaluation": evaluation, "files": hash_files(folder)},
    )
    try:
        write_cards(folder, None, _metadata(record), dry_run=False)
    except MissingPackageError as error:
        reporter.noticed(f"No card was written: {error.message}.")
    write_json(output / EVALUATION, {key: value for key, value in result.items() if key != "schema"})


def _moved(folder: Path, output: Path) -> None:
    """What the seed that is kept has made; a run that was interrupted here finds the rest where it was."""
    if (folder / MODEL).is_dir():
        shutil.rmtree(output / MODEL, ignore_errors=True)
        (folder / MODEL).rename(output / MODEL)
    for name in (CURVES, *(PREDICTIONS.format(split=split) for split in ("dev", "test"))):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, output / name)


def _metadata(record: Mapping[str, Any]) -> Metadata:
    """The model it was made from, where that is on the Hub."""
    name = str(record["base"]["name"])
    if not name.startswith("hf://"):
        return Metadata()
    return Metadata(base_model="/".join(name.removeprefix("hf://").split("@")[0].split("/")[:2]))
