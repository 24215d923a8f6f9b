"""pretrain: what is asked for is looked at, and a session begun; every decision about it is made elsewhere.

Importing it imports no framework: PyTorch is imported once a run begins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from electra_convert.frameworks import import_accelerate, import_torch, import_transformers
from electra_convert.pretraining.options import PretrainOptions, make_pretrain_options
from electra_convert.pretraining.place import require_place
from electra_convert.pretraining.records import Pretraining
from electra_convert.pretraining.reporting import Reporter, Silent


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
    if int(os.environ.get("RANK", "0")) == 0:
        require_place(places, output, options)
    import_torch("to pretrain")
    import_transformers("to pretrain")
    import_accelerate("to pretrain")
    from electra_convert.pretraining.session import run_session

    return run_session(places, output, options, reporter)
