"""A source read as ELECTRA models: anything a person would point at, in any container and scheme."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from electra_convert.errors import UsageError
from electra_convert.formats.locate import Location, locate
from electra_convert.schemes.google import GOOGLE
from electra_convert.schemes.models import Checkpoint, Model, Scheme
from electra_convert.schemes.transformers import TRANSFORMERS
from electra_convert.tensors.spec import Source

__all__ = ["SCHEMES", "Checkpoint", "Model", "open_checkpoint"]

# Those that names are held against, in this order.
SCHEMES: tuple[Scheme, ...] = (GOOGLE, TRANSFORMERS)


@contextmanager
def open_checkpoint(path: Path, generator: Path | None = None) -> Iterator[Checkpoint]:
    """Open what a person pointed at, and find the models in it.

    Args:
        path: anything locate.locate understands.
        generator: a folder with the generator that belongs to a discriminator at path.

    Yields:
        The checkpoint; its tensors can be read until the context ends.

    Raises:
        SourceError: there is no checkpoint, or it is not ELECTRA's.
        NamesError: tensors are missing, have a wrong shape, or cannot be told apart.
        CorruptFileError: a file is damaged.
    """
    locations = locate(path)
    if generator is not None:
        locations += _generator_locations(locations, generator)
    opened: dict[Location, Source] = {}
    with ExitStack() as stack:

        def open_source(location: Location) -> Source:
            if location not in opened:
                opened[location] = location.open()
                stack.callback(opened[location].close)
            return opened[location]

        yield _scheme_of(locations[0], open_source(locations[0])).read(path, locations, open_source)


def _scheme_of(location: Location, source: Source) -> Scheme:
    """The first scheme that recognises the names; where none does, the container's own, which says what they are."""
    possible = [scheme for scheme in SCHEMES if location.container in scheme.containers]
    return next((scheme for scheme in possible if scheme.recognises(source.tensors)), possible[0])


def _generator_locations(locations: tuple[Location, ...], generator: Path) -> tuple[Location, ...]:
    found = locate(generator)
    containers = {location.container for location in (*locations, *found)}
    if len(locations) != 1 or len(found) != 1 or "tensorflow" in containers:
        raise UsageError(
            "--generator goes with a SOURCE that is one transformers model; it names the folder of the other",
            "A TensorFlow checkpoint or a pair folder already holds both.",
        )
    return found
