"""pretrain: what is asked for is looked at, and a session begun; every decision about it is made elsewhere.

Importing it imports no framework: PyTorch is imported once a run begins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from electra_convert.errors import MissingPackageError, TrainingError
from electra_convert.frameworks import (
    import_accelerate,
    import_matplotlib_figure,
    import_torch,
    import_transformers,
)
from electra_convert.pretraining.options import PretrainOptions, make_pretrain_options
from electra_convert.pretraining.progress import Reporter, Silent
from electra_convert.pretraining.run_folder import require_place
from electra_convert.pretraining.run_record import Pretraining

_TRANSFORMERS = 5
# What gloo and NCCL say where another process has ended.
_PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")


def pretrain(
    corpus: str | Path | Sequence[str | Path],
    output: str | Path,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401
) -> Pretraining:
    """Pretrain an ELECTRA generator and discriminator.

    Args:
        corpus: text files, folders of them, or TFRecords of google-research/electra.
        output: the folder of the run, with its checkpoints, reports and models.
        reporter: told how the run goes.
        options: the fields of options.PretrainOptions, such as vocab="vocab.txt", and hparams with options of their
            own, such as steps=1000; paths may be text, hparams a dictionary.

    Returns:
        What was left behind.

    Raises:
        ElectraConvertError: the message says why; a run that had begun can be resumed from its last checkpoint.
    """
    places = [corpus] if isinstance(corpus, str | Path) else corpus
    made = make_pretrain_options(options)
    return run_pretraining([Path(place) for place in places], Path(output), made, reporter or Silent())


def run_pretraining(
    places: Sequence[Path], output: Path, options: PretrainOptions, reporter: Reporter
) -> Pretraining:
    """Pretrain, with the options already in one place.

    Args:
        places: the corpus.
        output: the folder of the run.
        options: what was asked for.
        reporter: told how the run goes.

    Returns:
        What was left behind.

    Raises:
        ElectraConvertError: as pretrain.
    """
    # The other processes of a run come when the first may already have made its folder.
    rank = int(os.environ.get("RANK", "0"))
    if not rank:
        require_place(places, output, options)
    import_torch("to pretrain")
    _require_recent(import_transformers("to pretrain").__version__)
    import_accelerate("to pretrain")
    # Used at the very end, which is no time to learn that it is missing.
    import_matplotlib_figure("to draw the curves of a run")
    from electra_convert.pretraining.session import run_session

    try:
        return run_session(places, output, options, reporter)
    except RuntimeError as error:
        told = _told(error, rank, options.compile)
        if told is None:
            raise
        raise told from error


def _require_recent(transformers_version: str) -> None:
    """transformers 4 knows only its own ways to compute ELECTRA's attention."""
    if int(transformers_version.partition(".")[0]) < _TRANSFORMERS:
        raise MissingPackageError(
            f"transformers {transformers_version} is too old to pretrain with; {_TRANSFORMERS} is needed",
            "pip install -U 'electra-convert[pretrain]'",
        )


def _told(error: RuntimeError, rank: int, compiled: bool) -> TrainingError | None:
    """What a user can do something about among torch's errors; None for the others."""
    said, kind = str(error), type(error)
    line = said.strip().partition("\n")[0]
    if kind.__name__ == "OutOfMemoryError" or "can't allocate memory" in said:
        return TrainingError(
            f"memory ran out: {line}",
            "Compute each batch in parts with --accumulate, or give a smaller --batch-size or --max-length.",
        )
    if rank and any(sign in said for sign in _PEER_GONE):
        return TrainingError(f"process {rank} ends because another has", "What that one says tells why.")
    if compiled and kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        return TrainingError(
            f"torch.compile failed: {line}", "Leave --compile out; on a processor it needs a C++ compiler."
        )
    return None
