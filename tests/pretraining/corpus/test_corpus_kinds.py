"""What a file is, by its name and its first lines; a table is never trained on as text."""

from __future__ import annotations

import gzip
import io
import sys

import pyarrow
import pyarrow.parquet
import pytest
from conftest import FIXTURES

from electra_convert.errors import CorpusError, MissingPackageError, UsageError
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import corpus_files, parse_column

CSV = 'id,text\n1,"The birds sing."\n2,"The cat\nsleeps."\n3,"The dog runs."\n'
JSON = '{"id": 1, "content": "The birds sing."}\n{"id": 2, "content": "The cat sleeps."}\n'
SENTENCES = "1\tThe birds sing.\n2\tThe cat sleeps.\n3\tThe dog runs.\n"
HEADED = "label\tsentence\n0\tThe birds sing.\n1\tThe cat sleeps.\n"
ZSTD = pyarrow.Codec("zstd").compress(b"The birds sing.\n", asbytes=True)
PROSE = "Dogs, cats, birds.\n\nThe birds sing, the dogs bark, the cats sleep.\nIt is spring.\n"


def parquet(**columns) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def not_unicode() -> bytes:
    """Strings by their type, and bytes by what they hold."""
    texts = pyarrow.array([b"\xff\xfe"]).view(pyarrow.string())
    return parquet(text=texts)


@pytest.fixture
def place(tmp_path):
    """Writes a file, and gives the files of the corpus that it is."""

    def write(name, content, column=None):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return corpus_files([tmp_path / name], column)

    return write


@pytest.mark.parametrize(
    ("name", "content", "kind", "hint"),
    [
        ("docs.csv", CSV, "CSV", "--text-column text. Its columns are id, text"),
        ("docs.CSV.gz", gzip.compress(CSV.encode(), mtime=0), "CSV", "--text-column text"),
        ("docs.txt", CSV, "CSV", "--text-column text"),
        ("docs.txt", CSV.replace(",", ";"), "CSV", "--text-column text"),
        ("one_column.csv", "text\nThe birds sing.\n", "CSV", "--text-column text"),
        ("docs.tsv", HEADED, "TSV", "--text-column sentence. Its columns are label, sentence"),
        ("docs", HEADED, "TSV", "--text-column sentence"),
        ("eng_news_2020_1M-sentences.txt", SENTENCES, "TSV", "--text-column 2. Columns are counted from 1"),
        ("docs.jsonl", JSON, "JSON lines", "--text-column content. Its columns are id, content"),
        ("docs.json", JSON, "JSON lines", "--text-column content"),
        ("docs.ndjson.gz", gzip.compress(JSON.encode(), mtime=0), "JSON lines", "--text-column content"),
        ("docs.txt", JSON, "JSON lines", "--text-column content"),
        ("docs", f'{{"text": "{"long " * 20_000}"}}\n', "JSON lines", "--text-column text"),
        ("docs.parquet", parquet(text=["The birds sing."]), "Parquet", "--text-column text"),
        ("0000", parquet(text=["The birds sing."]), "Parquet", "--text-column text"),
    ],
)
def test_a_table_that_is_given_as_text_is_refused_with_the_option(place, name, content, kind, hint):
    with pytest.raises(CorpusError, match=f"is {kind}, not text") as raised:
        place(name, content)
    assert hint in raised.value.hint


@pytest.mark.parametrize("name", ["prose.txt", "prose", "prose.md", "prose.txt.gz"])
@pytest.mark.parametrize(
    "content", [PROSE, "12\tis a number\nThis is none\n", "a,b\n", "{curly} braces\n", "one,two\nand\nso,on\n"]
)
def test_prose_is_text_whatever_signs_it_has(place, name, content):
    packed = gzip.compress(content.encode()) if name.endswith(".gz") else content
    [file] = place(name, packed)
    assert (file.kind, file.column) == ("text", None)


def test_a_column_of_prose_is_refused(place):
    with pytest.raises(CorpusError, match=r"prose\.txt has no columns, .* --text-column is 'text'"):
        place("prose.txt", PROSE, "text")


@pytest.mark.parametrize("given", ["0", "", 0, -1])
def test_a_column_that_there_cannot_be_is_refused(given):
    with pytest.raises(UsageError, match="expected a name, or a number from 1 up"):
        parse_column(given)


@pytest.mark.parametrize(
    ("name", "content", "column", "said", "hint"),
    [
        ("a.csv", CSV, "txt", r"a\.csv, line 1 has no 'txt' among its columns: id, text", "--text-column text?"),
        ("a.csv", "text,text\na,b\n", "text", "line 1 has 2 columns of the name text", "apart"),
        ("a.csv", CSV, 3, "line 1 has 2 columns, and --text-column is 3", "from 1"),
        ("a.csv", "id,text\n1,Dogs, cats\n", "text", "line 2 has 3 columns, the first row has 2", "quotation marks"),
        ("a.csv", 'id,text\n1,"a "b" c"\n', "text", "line 2 is no row of a table", "doubled"),
        ("a.csv", 'id,text\n1,"a\nb\n', "text", "line 2 is no row of a table", "quotation marks"),
        ("a.tsv", HEADED + '2\t"Hello" he said\n', "sentence", "line 4 is no row of a table", "quotation marks"),
        ("a.jsonl", JSON, "text", r"a\.jsonl, line 1 has no 'text' among its columns: id, content", "--text-column"),
        ("a.jsonl", '{"text": "a"}\n{"txt": "b"}\n', "text", "line 2 has no 'text'", "--text-column txt?"),
        ("a.jsonl", '{"text": ["a"]}\n', "text", "line 1: text is a list, expected a text", None),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "text", "line 2 is not JSON", "an object on each line"),
        ("a.json", '[\n{"text": "a"}]', "text", "line 1 is not JSON", "jq -c"),
        ("a.json", '[{"text": "a"}]', "text", "line 1 is a list, expected an object", "jq -c"),
        ("a.jsonl", '{"text": "\\ud800"}\n', "text", "line 1: text has half of a surrogate pair", "mend"),
        ("a.jsonl", "[" * 100_000, "text", "line 1 is not JSON", "jq"),
        ("a.parquet", parquet(text=[1, 2]), "text", "its column text is of int64, expected", "no column of strings"),
        ("a.parquet", parquet(text=[["a"]], url=["b"]), "text", "is of list", "Columns of strings are url"),
        ("a.parquet", parquet(txt=["a"]), "text", "has no 'text' among its columns: txt", "--text-column txt"),
        ("a.parquet", parquet(text=["a"])[:-9], "text", "cannot be read as Parquet", "again"),
        ("a.parquet", "text", "text", "cannot be read as Parquet", "again"),
        ("a.parquet", not_unicode(), "text", "cannot be read as Parquet after row 0: .*codec", "again"),
    ],
)  # fmt: skip
def test_a_damaged_table_is_named_with_its_row(place, name, content, column, said, hint):
    with pytest.raises(CorpusError, match=said) as raised:
        list(lines_of_corpus(place(name, content, column)))
    assert hint is None or hint in raised.value.hint


@pytest.mark.parametrize("name", ["docs.parquet", "docs.txt.zst"])
def test_what_is_not_installed_is_named_with_the_extra_that_has_it(place, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    content, column = (ZSTD, None) if name.endswith(".zst") else (parquet(text=["The birds sing."]), "text")
    with pytest.raises(MissingPackageError, match=f"pyarrow is needed to (read|unpack) {name}") as raised:
        list(lines_of_corpus(place(name, content, column)))
    assert raised.value.hint == "pip install 'electra-convert[corpora]'"


def test_records_have_no_columns(place):
    record = (FIXTURES / "pretraining" / "tfrecords" / "pretrain_data.tfrecord-0-of-1000").read_bytes()
    with pytest.raises(CorpusError, match="holds TFRecords, which have no column 'text'"):
        place("records", record, "text")


def test_a_row_that_a_missing_quotation_mark_makes_endless_is_refused(place, monkeypatch):
    monkeypatch.setattr("electra_convert.pretraining.corpus.rows.LONGEST_LINE", 1000)
    with pytest.raises(CorpusError, match="line 2 begins a row of more than") as raised:
        list(lines_of_corpus(place("a.csv", 'id,text\n1,"never closed\n' + "2,more\n" * 1000, "text")))
    assert "Is a quotation mark missing?" in raised.value.hint
