"""Texts from Python, whatever gives them, written down as a text file that a corpus can be read from again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from electra_convert.errors import CorpusError, unwritable
from electra_convert.pretraining.corpus.documents import lines_of_document

_LONGEST_NAME = 4096
_FROM_ROWS = 'Give the texts themselves, such as (row["text"] for row in rows).'
_ONCE = "Give documents with something in them; what an iterator gives can be had once."


class Texts:
    """Documents from Python; those of an iterator can be had once.

    Args:
        documents: a text each.
    """

    def __init__(self, documents: Iterable[object]) -> None:
        self._documents = documents

    def write(self, path: Path) -> None:
        """Write them down, one after the other, as text in which blank lines end documents.

        Raises:
            CorpusError: one of them is no text, or there is none in any.
            OutputError: they cannot be written.
        """
        filled = False
        with path.open("w", encoding="utf-8-sig", newline="\n") as file:
            for number, document in enumerate(self._documents, start=1):
                lines = [f"{line}\n" for line in lines_of_document(_checked(number, document))]
                filled = filled or any(map(str.strip, lines))
                # What gives the documents may fail in the same way, and is to be heard itself.
                try:
                    file.writelines(lines)
                except OSError as error:
                    raise unwritable(path, error) from error
        if not filled:
            raise CorpusError("no document of the corpus has any text", _ONCE)


def _checked(number: int, document: object) -> str:
    if not isinstance(document, str):
        raise CorpusError(f"document {number} of the corpus is a {type(document).__name__}, not a text", _FROM_ROWS)
    try:
        document.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"document {number} of the corpus has half of a surrogate pair", "Mend it.") from error
    return document


def are_texts(corpus: Iterable[object]) -> bool:
    """Whether an iterable holds documents, and not the names of files and folders.

    A list or a tuple is of names where one of them is a Path, exists, or is an address; of documents where one has a
    space in it. Anything else holds documents.
    """
    if not isinstance(corpus, list | tuple):
        return True
    if any(isinstance(item, Path) or (isinstance(item, str) and _is_place(item)) for item in corpus):
        return False
    return any(not isinstance(item, str) or any(map(str.isspace, item)) for item in corpus)


def _is_place(item: str) -> bool:
    if not item or len(item) > _LONGEST_NAME or "\0" in item:
        return False
    try:
        return item.startswith(("hf:", "http:", "https:")) or Path(item).exists()
    except OSError:
        return False
