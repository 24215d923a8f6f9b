"""A source read as ELECTRA models: open_checkpoint; the container and the scheme it had are left behind here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from electra_convert.errors import UsageError
from electra_convert.formats.locate import Location, locate
from electra_convert.schemes.google import read_google
from electra_convert.schemes.models import Checkpoint, Model
from electra_convert.schemes.transformers import read_state_dicts
from electra_convert.tensors.spec import Source

__all__ = ["Checkpoint", "Model", "open_checkpoint"]


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
    read = read_google if locations[0].container == "tensorflow" else read_state_dicts
    with ExitStack() as opened:

        def open_source(location: Location) -> Source:
            source = location.open()
            opened.callback(source.close)
            return source

        yield read(path, locations, open_source)


def _generator_locations(locations: tuple[Location, ...], generator: Path) -> tuple[Location, ...]:
    found = locate(generator)
    containers = {location.container for location in (*locations, *found)}
    if len(locations) != 1 or len(found) != 1 or "tensorflow" in containers:
        raise UsageError(
            "--generator goes with a SOURCE that is one transformers model; it names the folder of the other",
            "A TensorFlow checkpoint or a pair folder already holds both.",
        )
    return found
