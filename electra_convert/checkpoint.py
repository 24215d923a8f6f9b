"""A source read as ELECTRA models: anything a person would point at, in any container and scheme."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from electra_convert.errors import NotElectraError, UsageError, arguments_for_options
from electra_convert.formats.json_objects import read_object
from electra_convert.formats.locate import Location, locate
from electra_convert.formats.names import DETECTOR_FILE, DETECTOR_RECORD
from electra_convert.hub.download import as_source, local_source
from electra_convert.schemes.bert import BERT_NAMES
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.flax import FLAX
from electra_convert.schemes.foreign import family_of_folder
from electra_convert.schemes.google import GOOGLE
from electra_convert.schemes.keras import KERAS
from electra_convert.schemes.layouts import Choice
from electra_convert.schemes.models import Checkpoint, Model, Scheme
from electra_convert.schemes.training_programs import TRAINING_PROGRAMS
from electra_convert.schemes.transformers import TRANSFORMERS
from electra_convert.tensors.spec import Source

__all__ = ["SCHEMES", "Checkpoint", "Model", "open_checkpoint", "open_path"]

# Those that names are held against, in this order.
SCHEMES: tuple[Scheme, ...] = (KERAS, GOOGLE, FLAX, TRAINING_PROGRAMS, BERT_NAMES, TRANSFORMERS)


@contextmanager
def open_checkpoint(
    source: str | Path,
    generator: str | Path | None = None,
    *,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> Iterator[Checkpoint]:
    """Open a source and find the models in it: which they are, and every tensor under transformers' names.

    Only indices are read; a tensor's values are read when they are asked for, and not after the context has ended.

    >>> with open_checkpoint("fixtures/default") as checkpoint:
    ...     model = checkpoint.models["generator"]
    ...     weight = model.weights["electra.embeddings.word_embeddings.weight"]
    ...     print(checkpoint.format, checkpoint.step, model.parameters)
    ...     print(weight.tensor.name, weight.shape, weight.tensor.dtype)
    tensorflow 4000 80252
    electra/embeddings/word_embeddings (1500, 32) float32

    Args:
        source: anything that convert takes.
        generator: a folder with the generator that belongs to a discriminator at source.
        revision: of a source on the Hub: a branch, a tag or a commit, in place of @REVISION in its address.
        token: of a source on the Hub: the account's, by default what huggingface_hub finds.
        subfolder: of a source on the Hub: the folder within the repository.

    Yields:
        The checkpoint. Its models are in `models` by role; each maps the names of parameters, all with the electra.
        prefix, to weights: `weight.tensor` in the source's orientation with the op that turns it to transformers'.

    Raises:
        SourceError: there is no checkpoint.
        NamesError: tensors are missing, have a wrong shape, cannot be told apart, or are not ELECTRA's.
        CorruptFileError: a file is damaged.
        HubError: it cannot be downloaded.
    """
    with ExitStack() as opened:
        with arguments_for_options():
            path = local_source(as_source(source, revision, token, subfolder), token=token)
            other = None if generator is None else local_source(generator, token=token)
            checkpoint = opened.enter_context(open_path(path, other))
        yield checkpoint


@contextmanager
def open_path(
    path: Path, generator: Path | None = None, choice: Choice | None = None, exclude: Sequence[str] = ()
) -> Iterator[Checkpoint]:
    """Open what is here already, as open_checkpoint does; of a fine-tuned checkpoint with the head of one task, and
    without what a user excludes."""
    locations = locate(path)
    for location in locations:
        _refuse_any_architecture(location.folder)
    if generator is not None:
        locations += _generator_locations(locations, generator)
    _require_one_family(path, locations)
    opened: dict[Location, Source] = {}
    with ExitStack() as stack:

        def open_source(location: Location) -> Source:
            if location not in opened:
                opened[location] = location.open()
                stack.callback(opened[location].close)
            return opened[location]

        scheme = _scheme_of(locations[0], open_source(locations[0]))
        if choice is None:
            yield scheme.read(path, locations, open_source).excluding(exclude)
        elif scheme.read_task is None:
            raise UsageError(
                f"--task goes with a fine-tuned checkpoint of google-research/electra; {path} is of {scheme.name}",
                "A model folder holds one head; leave --task out.",
            )
        else:
            yield scheme.read_task(choice, path, locations, open_source).excluding(exclude)


def _refuse_any_architecture(folder: Path) -> None:
    """An encoder with its head in a file beside it is no ELECTRA that any scheme knows."""
    path = folder / DETECTOR_RECORD
    if not path.is_file():
        return
    encoder = read_object(path).get("encoder")
    raise NotElectraError(
        f"{folder} holds a {encoder} with a discriminator's head beside it ({DETECTOR_FILE}), as pretrain "
        "--discriminator leaves it; no layout of google-research/electra holds such a model",
        "transformers loads the encoder as it is, and electra-convert demo runs both.",
    )


def _require_one_family(path: Path, locations: Sequence[Location]) -> None:
    """Refuse a pair of which one model goes by ELECTRA's names and one by another's."""
    families = [family_of_folder(location.folder) for location in locations]
    if len(set(families)) > 1:
        named = zip(locations, families, strict=True)
        told = " and ".join(f"{family.model_type}'s ({location.folder.name})" for location, family in named)
        raise UsageError(
            f"{path}: one model goes by {told} names; a pair has one family's",
            "Convert both to the same names first.",
        )


def _scheme_of(location: Location, source: Source) -> Scheme:
    """The first scheme that recognises the names; where none does, the most general, which says what they are."""
    families = (ELECTRA, family_of_folder(location.folder))
    possible = [scheme for scheme in SCHEMES if location.container in scheme.containers and scheme.family in families]
    return next((scheme for scheme in possible if scheme.recognises(source.tensors)), possible[-1])


def _generator_locations(locations: tuple[Location, ...], generator: Path) -> tuple[Location, ...]:
    found = locate(generator)
    containers = {location.container for location in (*locations, *found)}
    if len(locations) != 1 or len(found) != 1 or "tensorflow" in containers:
        raise UsageError(
            "--generator goes with a SOURCE that is one transformers model; it names the folder of the other",
            "A TensorFlow checkpoint or a pair folder already holds both.",
        )
    return found
