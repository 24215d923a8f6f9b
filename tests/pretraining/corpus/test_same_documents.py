"""A corpus is the same whatever it comes in: JSON lines, CSV, TSV, Parquet, packed or not, from Python, or text."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from conftest import FIXTURES
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_convert.pretraining.corpus.cache import open_corpus
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import CorpusFile, corpus_files
from electra_convert.pretraining.corpus.places import as_places, brought
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import read_word_pieces
from electra_convert.pretraining.progress import Silent
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

SIGNS = [
    "\n",
    "\r\n",
    "\n\n",
    "\r",
    '"',
    "'",
    ",",
    ";",
    "\t",
    "\\",
    "{",
    "}",
    " ",
    "\u2028",
    "\x85",
    "\x0b",
    "\ufeff",
]
DOCUMENTS = st.lists(
    st.one_of(
        st.lists(st.sampled_from([*SIGNS, "bird", "Vögel", "鳥"]), max_size=12).map("".join),
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20),
    ),
    max_size=6,
)


def text(documents: Sequence[str]) -> bytes:
    """The documents as a text file has them: a line break within one begins a line of it, a blank line ends it."""
    lines = [[line.strip() for line in document.split("\n") if line.strip()] for document in documents]
    return "".join("".join(f"{line}\n" for line in [*own, ""]) for own in lines).encode("utf-8-sig")


def json_lines(documents: Sequence[str]) -> bytes:
    rows = [
        json.dumps({"id": number, "text": one}, ensure_ascii=number % 2 == 0) for number, one in enumerate(documents)
    ]
    return "\n".join(rows).encode("utf-8-sig")


def table(delimiter: str, line_end: str) -> Callable[[Sequence[str]], bytes]:
    def written(documents: Sequence[str]) -> bytes:
        file = io.StringIO(newline="")
        writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end)
        writer.writerows([["id", "text", "url"], *([n, one, "https://a.b/?c"] for n, one in enumerate(documents))])
        return file.getvalue().encode("utf-8-sig")

    return written


def parquet(documents: Sequence[str]) -> bytes:
    rows = pyarrow.table(
        {"id": list(range(len(documents))), "text": pyarrow.array(list(documents), pyarrow.string())}
    )
    file = io.BytesIO()
    pyarrow.parquet.write_table(rows, file, row_group_size=2)
    return file.getvalue()


def zstd(content: bytes) -> bytes:
    return pyarrow.Codec("zstd").compress(content, asbytes=True)


CONTAINERS = {
    "docs.jsonl": json_lines,
    "docs.csv": table(",", "\r\n"),
    "semicolons.csv": table(";", "\n"),
    "docs.tsv": table("\t", "\n"),
    "docs.parquet": parquet,
}
PACKERS = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def lines_of(path: Path, content: bytes, column: str | None = "text") -> list[str]:
    path.write_bytes(content)
    return list(lines_of_corpus(corpus_files([path], column)))


@given(documents=DOCUMENTS, name=st.sampled_from(sorted(CONTAINERS)), packer=st.sampled_from(sorted(PACKERS)))
@settings(max_examples=150)
def test_rows_have_the_lines_of_the_same_documents_as_text(tmp_path_factory, documents, name, packer):
    folder = tmp_path_factory.mktemp("corpus")
    expected = lines_of(folder / "docs.txt", text([*documents, "the last"]), None)
    found = lines_of(folder / f"{name}{packer}", PACKERS[packer](CONTAINERS[name]([*documents, "the last"])))
    # A carriage return within a line is a space to any tokenizer, and may become one in a table.
    assert [line.replace("\r", " ") for line in found] == [line.replace("\r", " ") for line in expected]


@given(documents=DOCUMENTS)
@settings(max_examples=50)
def test_texts_from_python_have_the_same_lines(tmp_path_factory, documents):
    folder = tmp_path_factory.mktemp("corpus")
    documents = [*documents, "the last"]
    expected = lines_of(folder / "docs.txt", text(documents), None)
    with brought(as_places(iter(documents)), None, folder, Silent()) as files:
        assert list(lines_of_corpus(files)) == expected
    assert [path.name for path in folder.iterdir()] == ["docs.txt"]


@pytest.fixture(scope="module")
def documents() -> list[str]:
    lines = (FIXTURES / "corpus" / "english.txt").read_text().split("\n")
    return ["\r\n".join(lines[first : first + 7]) for first in range(0, 300, 7)]


@pytest.fixture(scope="module")
def how() -> Tokenisation:
    return Tokenisation(read_word_pieces(TokenizerOptions(vocab=FIXTURES / "vocab.txt"), None), 32, True)


def cached(files: Sequence[CorpusFile], how: Tokenisation, cache: Path) -> dict[str, bytes]:
    open_corpus(files, how, cache, None)
    [folder] = cache.iterdir()
    return {name: (folder / name).read_bytes() for name in ("tokens.bin", "examples.bin")}


@pytest.mark.parametrize("name", [f"{name}{packer}" for name in CONTAINERS for packer in PACKERS])
def test_the_cache_of_rows_has_the_bytes_of_that_of_text(tmp_path, documents, how, name):
    stem = name.removesuffix(".gz").removesuffix(".zst")
    (tmp_path / "docs.txt").write_bytes(text(documents))
    (tmp_path / name).write_bytes(PACKERS[name.removeprefix(stem)](CONTAINERS[stem](documents)))
    expected = cached(corpus_files([tmp_path / "docs.txt"]), how, tmp_path / "a")
    assert cached(corpus_files([tmp_path / name], "text"), how, tmp_path / "b") == expected


def test_the_cache_of_texts_from_python_is_that_of_text(tmp_path, documents, how):
    (tmp_path / "docs.txt").write_bytes(text(documents))
    expected = cached(corpus_files([tmp_path / "docs.txt"]), how, tmp_path / "a")
    with brought(as_places(documents), None, tmp_path / "scratch", Silent()) as files:
        assert cached(files, how, tmp_path / "b") == expected


def test_rows_that_do_not_end_documents_are_packed_as_lines_of_text(tmp_path, documents, how):
    together = Tokenisation(how.pieces, 32, False)
    (tmp_path / "docs.txt").write_bytes(text(documents))
    (tmp_path / "docs.jsonl").write_bytes(json_lines(documents))
    expected = cached(corpus_files([tmp_path / "docs.txt"]), together, tmp_path / "a")
    assert cached(corpus_files([tmp_path / "docs.jsonl"], "text"), together, tmp_path / "b") == expected


def test_sentences_with_numbers_are_read_without_them(tmp_path):
    sentences = ['"Hello," he said.', 'He said: "Hello"', "It's 5 o'clock; nothing, really", 'An "inch']
    content = "".join(f"{number}\t{sentence}\n" for number, sentence in enumerate(sentences, start=1)).encode()
    expected = lines_of(tmp_path / "docs.txt", text(sentences), None)
    for name in ("eng_news-sentences.txt", "sentences.tsv"):
        assert lines_of(tmp_path / name, content, 2) == expected


def test_a_table_without_header_is_read_by_the_number_of_its_column(tmp_path):
    content = b'1,"The birds, they sing.\nThe cat sleeps."\n2,"The ""dog"" runs."\n'
    expected = ["The birds, they sing.", "The cat sleeps.", "", 'The "dog" runs.', ""]
    assert lines_of(tmp_path / "docs.csv", content, 2) == expected


def test_null_is_an_empty_document_and_a_zero_byte_is_left_out(tmp_path):
    assert lines_of(tmp_path / "a.jsonl", b'{"text": null}\n{"text": "a\\u0000b"}\n') == ["", "ab", ""]
    assert lines_of(tmp_path / "a.parquet", parquet([None, "a\0b"])) == ["", "ab", ""]
