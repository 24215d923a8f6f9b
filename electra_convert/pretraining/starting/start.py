"""The checkpoint that a run takes its first weights from, or the two of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.checkpoint import Checkpoint, Model, open_path
from electra_convert.errors import TrainingError, UsageError, VocabularyError
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer import read_vocabulary_of_folder
from electra_convert.tokenizer.vocabulary import first_difference

# Sizes that a discriminator and its generator have in common, in words.
_SHARED_SIZES = {"vocabulary": "word embeddings", "positions": "positions", "types": "token types"}


@dataclass(frozen=True)
class Start:
    """What a run takes its first weights from.

    Attributes:
        checkpoint: its models; what a run's models have beyond these is new.
        is_own: whether it is a checkpoint of the run itself, which has all that the run has.
        is_afresh: whether the optimiser begins anew, since no slots are of models such as these.
        told: what was taken from where and what is new, one sentence each.
    """

    checkpoint: Checkpoint
    is_own: bool = False
    is_afresh: bool = False
    told: tuple[str, ...] = ()

    def changed(self, models: Mapping[Role, Model], line: str) -> Start:
        """The same with models for which no slots are left, and what is said of them."""
        bare = {role: replace(model, slots={}) for role, model in models.items()}
        checkpoint = replace(self.checkpoint, models=bare, step=None, step_tensor=None)
        return replace(self, checkpoint=checkpoint, is_afresh=True, told=(*self.told, line))

    @property
    def rows(self) -> int:
        """How many rows its word embeddings have."""
        return next(iter(self.checkpoint.models.values())).sizes.vocabulary


@contextmanager
def opened(saved: Path | None, options: PretrainOptions) -> Iterator[Start | None]:
    """Open what a run starts from.

    Args:
        saved: the last checkpoint of the run itself, None where there is none.
        options: what was asked for.

    Yields:
        The last checkpoint, or else what the options name; None where they name nothing.

    Raises:
        ElectraConvertError: it cannot be read, or two sources do not go together.
    """
    with ExitStack() as stack:
        source = options.init_from if saved is None else saved
        if source is None:
            yield None
            return
        checkpoint = stack.enter_context(open_path(source))
        if saved is None and options.init_generator is not None:
            yield joined(checkpoint, stack.enter_context(open_path(options.init_generator)))
        else:
            yield Start(checkpoint, is_own=saved is not None)


# Two sources


def joined(first: Checkpoint, second: Checkpoint) -> Start:
    """Take the discriminator, or the encoder, of one source and the generator of another.

    Returns:
        Both models, with their slots where both are of the same step.

    Raises:
        UsageError: one of them is no transformers folder, or the first holds a generator too.
        TrainingError: the second holds no generator, or they are of different sizes.
        VocabularyError: they have different vocabularies.
    """
    for one in (first, second):
        one.require_mapped()
        if not one.scheme.described:
            raise UsageError(
                f"--init-generator joins two folders of transformers models, but {one.path} is of {one.format}",
                f"Convert it first: electra-convert convert {one.path} FOLDER.",
            )
    if "generator" in first.models:
        raise UsageError(
            f"{first.path} holds a generator already, and --init-generator names that of {second.path}",
            "Give the folder of a discriminator alone as --init-from, or leave --init-generator out.",
        )
    if "generator" not in second.models:
        head = second.models["discriminator"].head.architecture()
        raise TrainingError(
            f"{second.path} holds no generator (ElectraForMaskedLM) but a discriminator's {head}",
            "Give the folder of a generator as --init-generator; without it a new one is made.",
        )
    discriminator, generator = first.models["discriminator"], second.models["generator"]
    _require_one_vocabulary(discriminator, generator)
    goes_on = "full" == first.slot_state == second.slot_state and first.step == second.step
    models: dict[Role, Model] = {"discriminator": discriminator, "generator": generator}
    line = f"The discriminator is that of {called(first)}, the generator that of {called(second)}."
    if discriminator.head not in PRETRAINING.values():
        line = f"The generator is that of {called(second)}."
    name = f"{Path(called(first)).name} and {Path(called(second)).name}"
    warnings = (*first.warnings, *second.warnings)
    start = Start(replace(first, name=name, models=models, warnings=warnings))
    return replace(start, told=(line,)) if goes_on else start.changed(models, line)


def called(checkpoint: Checkpoint) -> str:
    """What a reader knows a checkpoint by: its path, or its repository where it lies in the cache of the Hub."""
    cached = re.search(r"/models--([^/]+)/snapshots/[^/]+(/.+)?$", str(checkpoint.path))
    return str(checkpoint.path) if cached is None else f"hf://{cached[1].replace('--', '/', 1)}{cached[2] or ''}"


def _require_one_vocabulary(discriminator: Model, generator: Model) -> None:
    for size, words in _SHARED_SIZES.items():
        one, other = getattr(discriminator.sizes, size), getattr(generator.sizes, size)
        if one != other:
            raise TrainingError(
                f"{discriminator.folder} has {one} {words}, but {generator.folder} has {other}; a discriminator and "
                "its generator have as many",
                "They are not of one run; without --init-generator a new generator is made.",
            )
    one, other = (read_vocabulary_of_folder(model.folder) for model in (discriminator, generator))
    if one is None or other is None or one.pieces == other.pieces:
        return
    told = first_difference(one, other) or f"{len(one)} pieces and {len(other)}"
    raise VocabularyError(
        f"{one.path} and {other.path} are different vocabularies: {told}",
        "A discriminator judges the very tokens that its generator puts in; take two models with one vocabulary.",
    )
