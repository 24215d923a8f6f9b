"""The data of a run: what is trained on, what is held against it, and what they are called; knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.passages import read_questions
from electra_convert.finetuning.data.sentences import read_sentences
from electra_convert.finetuning.data.tables import DataFile, data_files
from electra_convert.finetuning.data.texts import read_texts
from electra_convert.finetuning.options import FinetuneOptions, TaskName
from electra_convert.hub.datasets import is_dataset
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import parse_column
from electra_convert.pretraining.corpus.places import Listener, brought

Example = TypeVar("Example")
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Data(Generic[Example]):
    """Examples by the split they are of.

    Attributes:
        train: what is trained on.
        dev: what is evaluated on after every pass; empty for none.
        test: what is evaluated on at the end.
        names: what each split was called when it was given.
    """

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    names: dict[str, str]

    def of(self, split: str) -> list[Example]:
        """The examples of a split."""
        examples: list[Example] = getattr(self, split)
        return examples

    def with_examples(self, **splits: list[Any]) -> Data[Any]:
        """The same with other examples in place of some."""
        return replace(self, **splits)  # type: ignore[arg-type]

    @property
    def described(self) -> dict[str, dict[str, Any]]:
        """As JSON: no places on a machine."""
        return {
            split: {"name": name, "examples": len(self.of(split)), "sha256": _fingerprint(self.of(split))}
            for split, name in self.names.items()
        }


def _fingerprint(examples: Sequence[Any]) -> str:
    """The SHA-256 of what examples say, wherever their file lies."""
    digest = sha256()
    for example in examples:
        said = replace(example, where="") if is_dataclass(example) and not isinstance(example, type) else example
        digest.update(repr(said).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def read_data(task: TaskName, train: str | Path, options: FinetuneOptions, listener: Listener) -> Data[Any]:
    """Read all data of a run; of fill-mask an example is a line.

    Raises:
        CorpusError: a file is not there, empty, or not what the task needs; says which line.
        UsageError: nothing says which column holds what.
    """
    places = {"train": train, "dev": options.dev, "test": options.test}
    given = {split: place for split, place in places.items() if place is not None}
    found = {split: _read(task, place, options, listener) for split, place in given.items()}
    return Data(
        found["train"],
        found.get("dev", []),
        found.get("test", []),
        {split: str(place) if is_dataset(place) else Path(place).name for split, place in given.items()},
    )


def _read(task: TaskName, place: str | Path, options: FinetuneOptions, listener: Listener) -> list[Any]:
    if task == "fill-mask":
        found: list[Any] = _lines(place, options, listener)
    else:
        found = [one for file in data_files(place, listener) for one in _examples(task, file, options)]
    if not found:
        raise CorpusError(f"{place} holds no examples of {task}", "Give a file that does.")
    return found


def _examples(task: TaskName, file: DataFile, options: FinetuneOptions) -> Iterator[Any]:
    if task == "token-classification":
        return read_sentences(file, options.text_column, options.label_column)
    if task == "text-classification":
        return read_texts(file, options.text_column, options.pair_column, options.label_column)
    return read_questions(file)


def _lines(place: str | Path, options: FinetuneOptions, listener: Listener) -> list[str]:
    column = parse_column(options.text_column)
    with TemporaryDirectory() as scratch, brought([place], column, Path(scratch), listener) as files:
        return [line for line in lines_of_corpus(files) if line]
