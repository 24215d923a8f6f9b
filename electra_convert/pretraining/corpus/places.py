"""Where a corpus may be (files and folders, data sets of the Hub, texts from Python), brought to where it is read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from electra_convert.errors import CorpusError, UsageError, unwritable
from electra_convert.hub.datasets import Datasets, is_dataset
from electra_convert.hub.download import as_source
from electra_convert.pretraining.corpus.files import Column, CorpusFile, corpus_files
from electra_convert.pretraining.corpus.parquet import require_column
from electra_convert.pretraining.corpus.texts import Texts, are_texts

Place = str | Path | Texts
_HUB_COLUMN = "text"


def as_places(corpus: str | Path | Iterable[str | Path]) -> list[Place]:
    """What a Python caller calls a corpus, as places: one place, a list of them, or documents."""
    if isinstance(corpus, str | Path):
        return [as_source(corpus)]
    if not isinstance(corpus, Iterable):
        raise UsageError(
            f"corpus is {corpus!r}, expected files, folders, an hf://datasets address, or documents to iterate over",
            "Give a path, a list of paths, or anything that gives texts.",
        )
    if are_texts(corpus):
        return [Texts(corpus)]
    if not (places := [as_source(place) for place in corpus]):
        raise CorpusError("the corpus is an empty list", "Give files, folders or texts.")
    return list(places)


class Listener(Protocol):
    """Who is told what is downloaded."""

    def noticed(self, line: str) -> None:
        """Something that a reader may want to know."""


@contextmanager
def brought(
    places: Sequence[Place], column: Column | None, scratch: Path, listener: Listener
) -> Iterator[tuple[CorpusFile, ...]]:
    """Bring a corpus to where it can be read, for as long as the context lasts.

    Args:
        places: files, folders, addresses of data sets, and texts.
        column: which column of files and data sets holds the text; None for text and TFRecords, and for the column of
            a data set that is called so.
        scratch: a folder in which texts may be written down meanwhile.
        listener: told how large data sets are, before they are downloaded.

    Raises:
        CorpusError: a place is not there, is not what it must be, or has no such column.
        HubError: a data set cannot be downloaded.
        UsageError: texts have no columns.
    """
    if column is not None and any(isinstance(place, Texts) for place in places):
        raise UsageError(
            f"--text-column is {column!r}, but the corpus is texts, which have no columns",
            "Leave it out; of rows, give the texts themselves.",
        )
    with _written(places, scratch) as local:
        files: list[CorpusFile] = []
        for place in local:
            files += [place] if isinstance(place, CorpusFile) else _files_at(place, column, listener)
        yield tuple(dict.fromkeys(files))


def _files_at(place: str | Path, column: Column | None, listener: Listener) -> Sequence[CorpusFile]:
    if isinstance(place, Path):
        return corpus_files([place], column)
    if not is_dataset(place):
        raise UsageError(
            f"{place} is no corpus", "A corpus on the Hub is a data set: hf://datasets/OWNER/NAME[/CONFIG/SPLIT]."
        )
    return _downloaded(place, _HUB_COLUMN if column is None else column, listener)


def _downloaded(source: str, column: Column, listener: Listener) -> list[CorpusFile]:
    datasets = Datasets(listener.noticed)
    split = datasets.find(source)
    listener.noticed(split.description)
    # Of many gigabytes, the first file tells already whether there is such a column.
    names = list(split.sizes)
    [first] = datasets.download(split, names[:1])
    require_column(first, column)
    return [CorpusFile(path, "Parquet", column) for path in datasets.download(split, names)]


@contextmanager
def _written(places: Sequence[Place], scratch: Path) -> Iterator[list[str | Path | CorpusFile]]:
    """The places, with files in place of the texts among them."""
    if not any(isinstance(place, Texts) for place in places):
        yield [place for place in places if not isinstance(place, Texts)]
        return
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".texts-", dir=scratch)
    except OSError as error:
        raise unwritable(scratch, error) from error
    with folder as there:
        local: list[str | Path | CorpusFile] = []
        for number, place in enumerate(places):
            if isinstance(place, Texts):
                path = Path(there) / f"{number}.txt"
                place.write(path)
                local.append(CorpusFile(path, "text"))
            else:
                local.append(place)
        yield local
