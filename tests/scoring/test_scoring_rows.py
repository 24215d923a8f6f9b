"""Rows of every kind, each out again as it stands with its scores behind it; and rows gathered to be scored."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
from pathlib import Path

import pytest

from electra_convert.errors import CorpusError, ElectraConvertError
from electra_convert.scoring.chunks import chunks, chunks_as_they_come
from electra_convert.scoring.rows import Columns, Row, opened_rows

NAMES = ("score", "word")
SCORES = {"score": 0.5, "word": 'a "b"'}


def came_out(path: Path, text=None, pair=None) -> tuple[str, list[object]]:
    """All that comes out where every row has the same scores, and the texts that were found."""
    with opened_rows(path, Columns(text, pair), NAMES) as given:
        rows = list(given.rows)
        return "".join(given.record(row, SCORES) for row in rows), [row.text for row in rows if not row.whole]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_lines_come_out_as_objects_empty_ones_and_one_without_an_end_too(tmp_path):
    out, texts = came_out(written(tmp_path / "a.txt", "Ünë\r\n\n  a\tb"))
    assert [json.loads(line) for line in out.splitlines()] == [{"text": text, **SCORES} for text in texts]
    assert texts == ["Ünë", "", "  a\tb"]


def test_an_object_keeps_its_numbers_and_escapes_to_the_letter(tmp_path):
    lines = [
        '{"n": 1.10, "text": "a\\u00e9", "big": 12345678901234567890123 }',
        "",
        '  {"text":"b"}',
        '{ "text" : null}',
    ]
    out, texts = came_out(written(tmp_path / "a.jsonl", "\n".join(lines) + "\n"))
    scored = out.splitlines()
    assert texts == ["aé", "b", None]
    assert scored[0].startswith(lines[0].removesuffix(" }"))
    assert scored[1] == ""
    assert [json.loads(one) for one in scored if one] == [{**json.loads(one), **SCORES} for one in lines if one]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_a_table_keeps_its_columns_to_the_letter(tmp_path, name, delimiter):
    rows = [["id", "text"], ["1", f'a "{delimiter}"\nb'], ["2", "c"]]
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter).writerows(rows)
    content = made.getvalue().replace("2", "\r\n2")  # a blank line
    out, texts = came_out(written(tmp_path / name, content))
    assert texts == [text for _, text in rows[1:]]
    found = list(csv.reader(io.StringIO(out, newline=""), delimiter=delimiter))
    assert found == [[*rows[0], *NAMES], [*rows[1], "0.5", 'a "b"'], [], [*rows[2], "0.5", 'a "b"']]
    # Without what was added, the input is left.
    assert (
        out.replace(f"{delimiter}{delimiter.join(NAMES)}\r\n", "\r\n").replace(
            f'{delimiter}0.5{delimiter}"a ""b"""\r\n', "\r\n"
        )
        == content
    )


def test_a_row_of_empty_cells_is_one_of_the_table(tmp_path):
    out, texts = came_out(written(tmp_path / "a.csv", "id,text\n,\n"))
    assert (out.splitlines()[1], texts) == (',,0.5,"a ""b"""', [""])


def test_a_table_without_a_header_has_columns_by_number_and_quotation_marks_are_letters(tmp_path):
    out, texts = came_out(written(tmp_path / "a.tsv", '1\t"a\n2\tb" c\n'), 2)
    assert texts == ['"a', 'b" c']
    assert out == '1\t"a\t0.5\ta "b"\n2\tb" c\t0.5\ta "b"\n'


def test_parquet_comes_out_as_objects_with_dates_and_no_nan(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from datetime import date

    from pyarrow import parquet

    columns = {"text": ["a", None], "when": [date(2026, 1, 2), None], "x": [float("nan"), 1.5], "b": [b"\1", b""]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    out, _ = came_out(tmp_path / "a.parquet")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"text": "a", "when": "2026-01-02", "x": None, "b": "01", **SCORES},
        {"text": None, "when": None, "x": 1.5, "b": "", **SCORES},
    ]


def test_what_gzip_packed_is_read_as_it_is(tmp_path):
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    content = b'{"text": "a"}\n{"text": "b"}\n'
    assert came_out(written(plain, content)) == came_out(written(packed, gzip.compress(content)))


@pytest.mark.parametrize(
    ("name", "content", "columns", "said"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text"\n', (), "a.jsonl, line 2 is not JSON"),
        ("a.jsonl", '{"body": "a"}\n', (), "line 1 has no 'text' among its columns: body"),
        ("a.jsonl", '{"text": "a", "word": 1}\n', (), "line 1 has word among its columns already"),
        ("a.csv", "text,score\na,b\n", (), "line 1 has score among its columns already"),
        ("a.csv", "text,b\na\n", (), "line 2 has 1 columns, the first row has 2"),
        ("a.csv", "text,text\na,b\n", (), "2 columns of the name text"),
        ("a.csv", "text,b\na,b\n", ("text", "c"), "no 'c' among its columns"),
        ("a.tsv", "a\tb\n", (3,), "has 2 columns, and --text-column is 3"),
        ("a.txt", b"a\n\xff\n", (), "a.txt, line 2: byte 0xff is not UTF-8"),
        ("a.txt", "a\nb\n", ("text",), "has no columns, as far as can be told"),
        ("a.txt", "a\nb\n", (None, "b"), "--pair-column is 'b', and .* has no columns"),
    ],
)
def test_what_cannot_be_read_is_told_by_file_and_line(tmp_path, name, content, columns, said):
    with pytest.raises(ElectraConvertError, match=said):
        came_out(written(tmp_path / name, content), *columns)


def test_a_value_that_is_no_text_is_told_by_its_line_and_a_missing_one_is_another(tmp_path):
    path = written(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": 5}\n{}\n')
    with opened_rows(path, Columns(), NAMES) as given:
        good, wrong, missing = given.rows
    assert good.checked() == ("a", None)
    with pytest.raises(CorpusError, match=r"line 2: its text is a int"):
        wrong.checked()
    with pytest.raises(CorpusError, match=r"line 3: there is no text"):
        missing.checked()


# Gathered


def rows(count: int, length: int = 4) -> list[Row]:
    return [Row(f"line {number}", "x" * length, "y" * length) for number in range(count)]


def test_chunks_follow_from_the_rows_are_few_at_first_and_bounded_in_letters():
    many = rows(5000)
    assert [len(chunk) for chunk in chunks(iter(many))][:8] == [16, 32, 64, 128, 256, 512, 1024, 1024]
    assert [row for chunk in chunks(iter(many)) for row in chunk] == many
    assert max(len(chunk) for chunk in chunks(iter(rows(50, 1 << 17)))) <= 2


@pytest.mark.parametrize("gather", [chunks, chunks_as_they_come])
def test_what_stands_before_a_faulty_row_comes_before_its_error(gather):
    def some():
        yield from rows(20)
        raise CorpusError("line 21")

    taken: list[Row] = []
    with pytest.raises(CorpusError, match="line 21"):
        taken.extend(row for chunk in gather(some()) for row in chunk)
    assert taken == rows(20)


def test_rows_of_a_pipe_are_taken_without_waiting_for_more():
    more = threading.Event()

    def late():
        yield from rows(3)
        assert more.wait(10)
        yield from rows(2000)

    coming = chunks_as_they_come(late())
    assert next(coming) == rows(3)
    more.set()
    rest = list(coming)
    assert [row for chunk in rest for row in chunk] == rows(2000)
    assert max(map(len, rest)) <= 1024


@pytest.mark.parametrize(
    ("content", "columns", "kind"),
    [
        (b"a\nb\n", Columns(), "text"),
        (b'{"text": "a"}\n', Columns(), "JSON lines"),
        (b"text;b\na;b\n", Columns("text"), "CSV"),
        (b"a\ttext\na\tb\n", Columns("text"), "TSV"),
    ],
)
def test_the_first_line_of_a_pipe_tells_what_it_is(content, columns, kind):
    read, write = os.pipe()
    os.write(write, content)
    with os.fdopen(read, "rb") as stream, opened_rows(stream, columns, NAMES) as given:
        assert (given.kind, given.waits) == (kind, True)
        assert next(given.rows).where.startswith("standard input, line 1")
        os.close(write)
        list(given.rows)


@pytest.mark.parametrize(("content", "said"), [(gzip.compress(b"a"), "packed by gzip"), (b"PAR1....", "is Parquet")])
def test_a_pipe_that_cannot_be_read_line_by_line_is_refused(content, said):
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    with (
        os.fdopen(read, "rb") as stream,
        pytest.raises(CorpusError, match=f"standard input .*{said}"),
        opened_rows(stream, Columns(), NAMES),
    ):
        pass
