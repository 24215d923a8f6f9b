"""electra-convert score as a user meets it: numbers that are demo's, pipes, kills, and what it refuses."""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run
from support.fine_tuned import TUNED, VOCABULARY

from electra_convert import open_model, score_stream
from electra_convert.errors import TextError

pytestmark = pytest.mark.slow
MODEL = FIXTURES / "default"
COMMAND = [sys.executable, "-m", "electra_convert", "score", str(MODEL), "--vocab", str(VOCABULARY)]
WORDS = (FIXTURES / "corpus" / "english.txt").read_text().split()


def score(model: Path, *arguments) -> list[str]:
    ran = run("score", model, *arguments, "--vocab", VOCABULARY)
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out.splitlines()


def lines_of(count: int) -> list[str]:
    """Lines of mixed length, empty ones and one that takes several windows among them."""
    drawn = random.Random(1)
    return [" ".join(drawn.choices(WORDS, k=drawn.choice([0, 1, 3, 8, 20]))) for _ in range(count - 1)] + [
        " ".join(drawn.choices(WORDS, k=300))
    ]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in lines_of(120)))
    return path


def close(one: object, other: object) -> bool:
    return one == pytest.approx(other, rel=1e-5, abs=1e-6)


def test_the_numbers_are_those_of_demo(lines):
    texts = lines.read_text().splitlines()
    shown = iter(json.loads(run("demo", MODEL, "--file", lines, "--json", "--vocab", VOCABULARY).out)["texts"])
    ran = run("score", MODEL, lines, "--tokens", "--vocab", VOCABULARY)
    assert (ran.code, ran.err) == (0, "Note: 1 text is longer than the model's input.\n")
    scored = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["text"] for one in scored] == texts
    for one in scored:
        if not one["text"].strip():
            assert {one[key] for key in one if key != "text"} == {None}
            continue
        expected = next(shown)
        for kind in ("tokens", "words"):
            for found, wanted in zip(one[f"replaced_{kind}"], expected[kind], strict=True):
                assert {**wanted, "probability": 0, "replaced": 0} == {**found, "probability": 0, "replaced": 0}
                assert close(found["probability"], wanted["probability"])
        numbers = [token["probability"] for token in expected["tokens"]]
        assert close(one["replaced_mean"], sum(numbers) / len(numbers))
        assert close(one["replaced_max"], max(numbers))
        highest = max(one["replaced_words"], key=lambda word: word["probability"])
        assert one["replaced_word"] == highest["text"]


@pytest.mark.parametrize(("task", "more"), [("sst", []), ("chunk", []), ("squad_answerable", ["--question", "a"])])
def test_a_fine_tuned_model_says_what_it_says_in_demo(tmp_path, task, more):
    (tmp_path / "a.txt").write_text("range group token\nmain\n")
    shown = json.loads(run("demo", TUNED / task, "range group token", *more, "--json", "--vocab", VOCABULARY).out)
    (expected,) = shown["texts"]
    first, _ = map(json.loads, score(TUNED / task, tmp_path / "a.txt", *more))
    said = {key.removeprefix("predicted_"): value for key, value in first.items() if key != "text"}
    assert said.keys() == expected.keys() - {"text", "windows", "question"}
    for key, value in said.items():
        if isinstance(value, float):
            assert close(value, expected[key])
        elif isinstance(value, str):
            assert value == expected[key]


def test_a_table_keeps_its_columns_and_takes_the_second_text_from_one(tmp_path):
    rows = [["id", "label", "one", "two"], ["7", "x", 'range "group", token', "group range"], ["8", "y", "", "a"]]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    output = tmp_path / "b.csv"
    ran = run(
        "score", TUNED / "mnli", tmp_path / "a.csv", "--text-column", "one", "--pair-column", "two", "-o", output,
        "--vocab", VOCABULARY,
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith(f"Note: Wrote {output}: 2 rows, ")
    with output.open(newline="") as file:
        found = list(csv.reader(file))
    assert [row[:4] for row in found] == rows
    assert found[0][4:] == ["predicted_label", "predicted_probability", "predicted_classes"]
    (said,) = open_model(TUNED / "mnli", vocab=VOCABULARY).classify(rows[1][2], rows[1][3])
    assert found[1][4] == said.classes[0].label
    assert close(float(found[1][5]), said.classes[0].probability)
    assert found[2][4:] == ["", "", ""]


def test_a_line_that_comes_through_a_pipe_is_answered_before_the_next():
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        for text in ("Return the list.", "", "Return the banana."):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait() == 0


def test_a_reader_that_leaves_is_no_error_to_tell(lines):
    shell = f"{' '.join(COMMAND)} {lines} | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def started(lines: Path, output: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen([*COMMAND, str(lines), "-o", str(output), *more], stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, size: int) -> None:
    end = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_at_a_random_point_and_resumed_it_writes_the_same_bytes(tmp_path):
    lines, output = tmp_path / "lines.txt", tmp_path / "out.jsonl"
    lines.write_text("".join(f"{line}\n" for line in lines_of(600)))
    assert started(lines, tmp_path / "whole.jsonl", "-q").communicate() == (None, "")
    whole = (tmp_path / "whole.jsonl").read_bytes()
    drawn = random.Random(3)
    process = started(lines, output, "--resume")
    wait_for(tmp_path / "out.jsonl.partial", drawn.randrange(1, len(whole) // 2))
    process.kill()
    process.communicate()
    partial = tmp_path / "out.jsonl.partial"
    with partial.open("r+b") as file:  # as a file system that lost its end
        file.truncate(drawn.randrange(partial.stat().st_size))
    ended = started(lines, output, "--resume")
    assert " of them before, " in ended.communicate()[1]
    assert ended.returncode == 0
    assert output.read_bytes() == whole
    assert not partial.exists()


def test_ctrl_c_keeps_what_is_there_and_says_how_to_go_on(tmp_path):
    lines, output = tmp_path / "lines.txt", tmp_path / "out.jsonl"
    lines.write_text("".join(f"{line}\n" for line in lines_of(20000)))
    process = started(lines, output)
    wait_for(tmp_path / "out.jsonl.partial", 1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert told == (
        f"Error: interrupted\nHint: What was scored is kept in {output}.partial; the same command with --resume goes "
        "on with it.\n"
    )


def test_another_model_does_not_go_on_with_an_output(tmp_path, lines):
    output = tmp_path / "out.jsonl"
    score(MODEL, lines, "-o", output, "-q")
    output.replace(tmp_path / "out.jsonl.partial")
    (tmp_path / "out.jsonl.partial.json").write_text('{"model": "other"}')
    refusal = run("score", MODEL, lines, "-o", output, "--resume", "--vocab", VOCABULARY).refusal()
    assert "was begun with another model" in refusal


def test_a_faulty_row_is_told_by_its_line_and_the_others_are_scored(tmp_path):
    rows = [{"text": "Return."}, {"text": 5}, {"text": "x" * 100_001}, {"text": "Return."}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ran = run("score", MODEL, tmp_path / "a.jsonl", "--vocab", VOCABULARY)
    assert ran.code == 0
    first, second = ran.err.splitlines()
    assert first == f"Warning: {tmp_path}/a.jsonl, line 2: its text is a int, expected a text; it gets no scores."
    assert second.startswith(
        f"Warning: {tmp_path}/a.jsonl, line 3: the text has 100,001 characters, expected at most"
    )
    found = [json.loads(line)["replaced_max"] for line in ran.out.splitlines()]
    assert found[0] == found[3] is not None
    assert found[1:3] == [None, None]


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (MODEL, ["a.txt", "--resume"], "--resume does nothing without --output"),
        (
            MODEL,
            ["a.txt", "-o", "x", "--resume", "--overwrite"],
            "--overwrite begins it anew",
        ),
        (MODEL, ["a.txt", "-o", "x.csv"], "x.csv is called as if it were CSV, and text comes out as JSON lines"),
        (MODEL, ["a.txt", "-o", "x.jsonl.gz"], "is called as if it were packed"),
        (MODEL, ["a.txt", "-o", "x.jsonl.zstd"], "is called as if it were packed"),
        (MODEL, ["a.txt", "--question", "b"], "--question is for a model fine-tuned to answer questions"),
        (MODEL, ["a.txt", "--pair-column", "b"], "--pair-column is for a model that takes two texts"),
        (MODEL, ["a.txt", "--text-column", "0"], "--text-column is '0', expected a name"),
        (TUNED / "sst", ["a.txt", "--tokens"], "--tokens is for a discriminator"),
        (TUNED / "squad_answerable", ["a.txt"], "and there is no question"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, monkeypatch, model, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a\n")
    assert said in run("score", model, *arguments, "--vocab", VOCABULARY).refusal(2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(("given", "said"), [("no.txt", "no.txt does not exist"), (".", ". is a folder")])
def test_an_input_that_is_no_file_is_refused(tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    assert said in run("score", MODEL, given, "--vocab", VOCABULARY).refusal()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.partial", "a.jsonl.partial.json"])
def test_the_input_is_not_written_over(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text('{"text": "a"}\n')
    arguments = ["-o", "a.jsonl", "--overwrite"]
    ran = run("score", MODEL, name, *arguments, "--vocab", VOCABULARY)
    assert f"{name} is the input, and would be written over" in ran.refusal(2)
    with Path(name).open() as opened:
        ran = subprocess.run([*COMMAND, *arguments], stdin=opened, capture_output=True, text=True, check=False)
    assert f"{name} is the input, and would be written over" in ran.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: '{"text": "a"}\n'}


# From Python


def test_a_stream_gives_one_after_the_other_what_a_list_gives():
    model = open_model(MODEL, vocab=VOCABULARY)
    texts = [line for line in lines_of(60) if line]
    asked: list[str] = []

    def each():
        for text in texts:
            asked.append(text)
            yield text
            yield ""

    stream = score_stream(model, each(), ahead=10)
    first = next(stream)
    assert len(asked) == 5
    scored = [first, *stream]
    assert [one.text for one in scored[::2]] == texts
    assert {one.tokens for one in scored[1::2]} == {()}
    for one, other in zip(scored[::2], model.score(texts), strict=True):
        assert [token.piece for token in one.tokens] == [token.piece for token in other.tokens]
        assert close([t.probability for t in one.tokens], [t.probability for t in other.tokens])
    with pytest.raises(TextError, match="text 12: the text has 100,001 characters"):
        list(model.score_stream([*["a"] * 11, "x" * 100_001], ahead=4))
