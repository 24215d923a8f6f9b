"""A file of scored rows that is cut off anywhere and gone on with: the same bytes, or a refusal."""

from __future__ import annotations

import json
import random
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from electra_convert.demo.tasks import Asked
from electra_convert.errors import CorpusError, OutputError, TextError
from electra_convert.scoring.asking import Said
from electra_convert.scoring.partial import partial_file
from electra_convert.scoring.rows import Columns, opened_rows
from electra_convert.scoring.score import Totals, score_rows

BEGUN = {"model": "a", "text_column": None}


class Chunked:
    """Scores that tell with which others a text was scored, as the last digits of a network's do."""

    names = ("score", "word")

    def scores(self, asked: list[Asked]) -> list[Said | TextError]:
        return [
            TextError("it is bad") if one.text == "bad" else Said({"score": len(asked) / 7, "word": one.text}, False)
            for one in asked
        ]


class Told:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def faulty(self, reason: str) -> None:
        self.reasons.append(reason)

    def done(self, _: Totals) -> None:
        pass


def score(source: Path, output: Path, told: Told | None = None, begun=BEGUN, resume=False, overwrite=False) -> Totals:
    with (
        opened_rows(source, Columns(), Chunked.names) as given,
        partial_file(output, begun, resume=resume, overwrite=overwrite, again=True) as sink,
    ):
        return score_rows(given, Chunked(), sink, told or Told())


@contextmanager
def ctrl_c():
    with pytest.raises(KeyboardInterrupt) as caught:
        yield caught


@pytest.fixture(params=["lines.txt", "rows.csv", "rows.jsonl"])
def source(request, tmp_path: Path) -> Path:
    """Some hundreds of rows: empty ones, and of tables ones with line breaks in them."""
    drawn = random.Random(1)
    texts = [" ".join("ab" * drawn.randrange(9) for _ in range(drawn.randrange(4))) for _ in range(400)]
    path = tmp_path / request.param
    made = {
        "lines.txt": lambda: "\n".join(texts),
        "rows.csv": lambda: "id,text\r\n" + "".join(f'{n},"{text}\n""é"""\r\n' for n, text in enumerate(texts)),
        "rows.jsonl": lambda: "".join(f'{{"text": "{text}é", "n": {n}}}\n' for n, text in enumerate(texts)),
    }[request.param]()
    path.write_bytes(made.encode())
    return path


def test_a_file_that_was_cut_off_anywhere_is_gone_on_with_to_the_same_bytes(source, tmp_path):
    score(source, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    drawn = random.Random(2)
    for number, length in enumerate(
        [0, 1, len(whole) - 1, len(whole), *(drawn.randrange(len(whole)) for _ in range(25))]
    ):
        output = tmp_path / f"out{number}"
        output.with_name(f"{output.name}.partial").write_bytes(whole[:length])
        output.with_name(f"{output.name}.partial.json").write_text(json.dumps(BEGUN))
        score(source, output, resume=True)
        assert output.read_bytes() == whole
        assert sorted(path.name for path in tmp_path.glob(f"out{number}*")) == [output.name]


def test_an_interrupted_file_keeps_what_is_there_and_says_how_to_go_on(source, tmp_path):
    output = tmp_path / "out"

    class Interrupted(Told):
        def done(self, totals: Totals) -> None:
            if totals.rows > 100:
                raise KeyboardInterrupt

    score(source, tmp_path / "whole")
    with ctrl_c() as caught:
        score(source, output, Interrupted())
    assert caught.value.__notes__ == [
        f"What was scored is kept in {output}.partial; the same command with --resume goes on with it."
    ]
    assert not output.exists()
    kept = (tmp_path / "out.partial").read_bytes()
    assert kept
    assert (tmp_path / "whole").read_bytes().startswith(kept)
    with pytest.raises(OutputError, match=r"out.partial is there of a run that did not end") as refused:
        score(source, output)
    assert "--resume" in refused.value.hint
    assert score(source, output, resume=True).resumed > 100
    assert output.read_bytes() == (tmp_path / "whole").read_bytes()


def cut_off(source: Path, output: Path) -> None:
    score(source, output)
    output.with_name(f"{output.name}.partial").write_bytes(output.read_bytes()[:-5])
    output.with_name(f"{output.name}.partial.json").write_text(json.dumps(BEGUN))
    output.unlink()


def test_another_input_or_model_is_refused_and_nothing_is_lost(source, tmp_path):
    output = tmp_path / "out"
    cut_off(source, output)
    before = (tmp_path / "out.partial").read_bytes()
    with pytest.raises(OutputError, match=r"out.partial was begun with another model and another text column"):
        score(source, output, begun={"model": "b", "text_column": "c"}, resume=True)
    content = source.read_bytes()
    source.write_bytes(content.replace(b"ab", b"ba", 1))
    with pytest.raises(OutputError, match=r"line \d+ is not what stands there in .*out.partial"):
        score(source, output, resume=True)
    source.write_bytes(content[: len(content) // 2].rpartition(b"\n")[0] + b"\n")
    if source.suffix != ".csv":  # where that is the middle of a row
        with pytest.raises(OutputError, match=r"has more than these \d+ rows"):
            score(source, output, resume=True)
    (tmp_path / "out.partial.json").write_text("[")
    with pytest.raises(OutputError, match=r"out.partial.json, .*, is missing or damaged"):
        score(source, output, resume=True)
    assert (tmp_path / "out.partial").read_bytes() == before


def test_a_whole_file_is_not_replaced_unless_it_is_said(source, tmp_path):
    output = tmp_path / "out"
    output.write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="out already exists"):
            score(source, output, resume=resume)
    assert output.read_text() == "mine"
    score(source, output, overwrite=True)
    assert output.read_text() != "mine"


def test_a_row_that_cannot_be_read_ends_it_and_once_mended_it_goes_on(tmp_path):
    source, output = tmp_path / "a.jsonl", tmp_path / "out"
    lines = [f'{{"text": "a{number}"}}\n' for number in range(100)]
    source.write_text("".join([*lines[:60], '{"text"\n', *lines[61:]]))
    with pytest.raises(CorpusError, match=r"a.jsonl, line 61 is not JSON") as caught:
        score(source, output)
    assert caught.value.hint.endswith("with --resume goes on with it.")
    assert len((tmp_path / "out.partial").read_text().splitlines()) == 60
    source.write_text("".join(lines))
    score(source, output, resume=True)
    score(source, tmp_path / "whole")
    assert output.read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_full_disk_is_told_and_what_was_written_is_gone_on_with(source, tmp_path):
    score(source, tmp_path / "whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"out.partial cannot be written: File too large"):
            score(source, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    score(source, tmp_path / "out", resume=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_where_nothing_was_scored_nothing_is_left(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": 1}\n')
    with pytest.raises(CorpusError, match="has no 'text'"):
        score(tmp_path / "a.jsonl", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_two_runs_do_not_write_the_same_file(source, tmp_path):
    with partial_file(tmp_path / "out", BEGUN, resume=False, overwrite=False, again=True) as sink:
        sink.write("a\n")
        with pytest.raises(OutputError, match="out is being written by another run"):
            score(source, tmp_path / "out", resume=True)


def test_a_text_that_no_model_is_given_has_no_scores_and_is_told_by_its_line(tmp_path):
    (tmp_path / "a.txt").write_text("a\nbad\n\nb\n")
    told = Told()
    totals = score(tmp_path / "a.txt", tmp_path / "out", told)
    assert (totals.rows, totals.faulty) == (4, 1)
    assert told.reasons == [f"{tmp_path}/a.txt, line 2: it is bad"]
    found = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [one["word"] for one in found] == ["a", None, None, "b"]
