"""electra-convert demo as a user meets it: sentences, lines, options that go together, and what is refused."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import urllib.request
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.browser import served
from support.command_line import run, run_program

from electra_convert.cli.demo import Opener
from electra_convert.cli.printing import wants_colour
from electra_convert.demo.web.server import listen

pytestmark = pytest.mark.slow
TEXT = "Return the value of the purple attribute"
ANSI = "\x1b["


def demo(*arguments) -> list[str]:
    ran = run("demo", *arguments)
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out.splitlines()


def test_a_sentence_is_shown_with_a_table_of_its_tokens(golden_pair):
    lines = demo(golden_pair, TEXT)
    assert lines[:2] == [TEXT, ""]
    assert [line.split()[-1] for line in lines[2:]] == "return the value of the p ##ur ##ple attribute".split()
    assert all(len(line.split()[0]) == len("0.123") for line in lines[2:])


def test_words_merge_pieces(golden_pair):
    assert [line.split()[-1] for line in demo(golden_pair, TEXT, "--words")[2:]] == TEXT.split()


def test_a_threshold_decides_what_is_called_replaced(golden_pair):
    assert demo(golden_pair, TEXT, "--words", "--no-table", "--threshold", "0") == [
        "[[Return]] [[the]] [[value]] [[of]] [[the]] [[purple]] [[attribute]]"
    ]
    assert demo(golden_pair, TEXT, "--no-table", "--threshold", "1") == [TEXT]


def test_a_tensorflow_checkpoint_gives_what_its_conversion_gives(golden_pair):
    assert demo(FIXTURES / "default", TEXT, "--vocab", FIXTURES / "vocab.txt") == demo(golden_pair, TEXT)


def test_sentences_lines_of_a_file_and_of_standard_input_are_the_same(golden_pair, tmp_path, monkeypatch):
    texts = ["the value", "of it", "日本 \u05e9\u05dc\u05d5\u05dd"]
    file = tmp_path / "lines.txt"
    file.write_text("\n\n".join(texts))
    expected = demo(golden_pair, *texts)
    assert demo(golden_pair, "--file", file) == expected
    for options in ([], ["--file", "-"]):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(file.read_bytes())))
        assert demo(golden_pair, *options) == expected


def test_what_was_edited_is_marked(golden_pair):
    lines = demo(golden_pair, "the purple value", "--original", "the value", "--words")
    assert lines[0] in {"the ((purple)) value", "the [[purple]] value"}
    assert lines[3].split()[2:] in (["original", "miss", "purple"], ["replaced", "hit", "purple"])
    assert lines[-1].startswith("  Replaced: 1 of 3 words.")


def test_corruption_is_shown_and_evaluated_and_the_same_again(golden_pair, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("Return the value of the named attribute of object.\n" * 3)
    lines = demo(golden_pair, "--file", file, "--corrupt", "30%", "--seed", "5")
    assert [line.split()[0] for line in lines[-4:]] == ["accuracy", "precision", "recall", "auc"]
    assert any(", was " in line for line in lines)
    assert demo(golden_pair, "--file", file, "--corrupt", "0.3", "--seed", "5") == lines
    assert demo(golden_pair, "--file", file, "--corrupt", "0.3", "--seed", "6") != lines


def test_json_is_one_object(golden_pair):
    report = json.loads("\n".join(demo(golden_pair, TEXT, "the", "--corrupt", "100%", "--json")))
    assert report.keys() == {"schema", "model", "threshold", "texts", "evaluation"}
    assert [text.keys() for text in report["texts"]] == [{"text", "windows", "tokens", "words"}] * 2
    assert report["evaluation"]["tokens"] == 10


def test_masks_are_filled_by_the_generator_of_a_pair_and_by_a_lone_one(golden_pair):
    lines = demo(golden_pair, "the [MASK] of", "--fill", "3")
    assert lines[:3] == ["the [MASK] of", "", "  mask 1, characters 4 to 10"]
    assert len(lines) == 6
    assert demo(golden_pair / "generator", "the [MASK] of", "--fill", "3") == lines
    masks = json.loads("\n".join(demo(golden_pair, "the [MASK] of", "--fill", "3", "--json")))["texts"][0]["masks"]
    assert [candidate["piece"] for candidate in masks[0]["candidates"]] == [line.split()[1] for line in lines[3:]]


def test_a_long_text_says_that_it_was_windowed(golden_pair):
    ran = run("demo", golden_pair, "value " * 300, "--no-table")
    assert ran.code == 0
    assert "scored in 4 windows that overlap." in ran.err
    assert run("demo", golden_pair, "value " * 300, "--no-table", "-q").err == ""


def on_a_terminal(*arguments: str | Path, **environment: str) -> str:
    main, other = pty.openpty()
    command = [sys.executable, "-m", "electra_convert", "demo", *map(str, arguments)]
    with subprocess.Popen(command, stdout=other, stdin=other, env={**os.environ, "TERM": "xterm", **environment}):
        os.close(other)
        output = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:
                break
            output += part
    os.close(main)
    return output.decode()


def test_colours_are_for_terminals(golden_pair):
    text = "hello the value"
    assert ANSI in on_a_terminal(golden_pair, text)
    assert ANSI not in "".join(demo(golden_pair, text))


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_those_who_want_them(monkeypatch, terminal, environment, wanted):
    monkeypatch.setattr("electra_convert.cli.printing.on_terminal", lambda _: terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour() == wanted


def test_a_page_is_written_once_and_again_only_when_told(golden_pair, tmp_path):
    page = tmp_path / "page.html"
    ran = run("demo", golden_pair, TEXT, "--html", page)
    assert (ran.code, ran.err) == (0, f"Note: Wrote {page}\n")
    assert page.read_text().startswith("<!doctype html>")
    assert str(tmp_path) not in page.read_text()
    assert "already exists" in run("demo", golden_pair, "the", "--html", page).refusal()
    demo(golden_pair, "another", "--html", page, "--overwrite", "-q")
    assert "another" in page.read_text()
    assert list(tmp_path.iterdir()) == [page]
    for options in ((), ("--overwrite",)):
        assert "is not a file" in run("demo", golden_pair, "the", "--html", tmp_path, *options).refusal()


def closing(redirections: str, *arguments, **environment) -> subprocess.CompletedProcess[bytes]:
    """Run a demo from a shell that closes or redirects its standard streams."""
    command = [sys.executable, "-m", "electra_convert", "demo", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirections}', "sh", *command],
        capture_output=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_page_is_saved_also_when_the_reader_of_the_lines_leaves(golden_pair, tmp_path, options):
    page, file = tmp_path / "page.html", tmp_path / "lines.txt"
    file.write_text("the value of it\n" * 600 + "attribute\n")
    # Unbuffered, Python takes a write that is cut short for a whole one.
    done = closing("| head -c 1", golden_pair, "--file", file, "--html", page, *options, PYTHONUNBUFFERED="")
    assert (len(done.stdout), done.stderr) == (1, b"")
    assert page.read_text().count("<section") == 601


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_page_is_saved_also_when_the_lines_cannot_be_printed_and_that_is_said(golden_pair, tmp_path, unbuffered):
    page = tmp_path / "page.html"
    done = closing("> /dev/full", golden_pair, "the", "value", "--html", page, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr == b"Error: the result cannot be printed: No space left on device\n"
    assert page.read_text().count("<section") == 2


def test_a_folder_whose_name_is_no_utf_8_has_one_that_can_be_shown():
    assert Opener(Path(os.fsdecode(b"caf\xe9")), {}, True).name == "caf\ufffd"


# Standard streams


def test_a_closed_standard_output_is_no_bug(golden_pair):
    done = closing(">&-", golden_pair, "the value")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_closed_standard_error_is_no_bug(golden_pair):
    done = closing("2>&-", golden_pair, "the value", "--no-table")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the value" in done.stdout


def test_a_closed_standard_input_holds_no_sentence(golden_pair):
    done = closing("<&-", golden_pair)
    assert done.returncode == 2
    assert b"there is no sentence" in done.stderr


def test_what_the_encoding_of_a_terminal_lacks_is_escaped(golden_pair):
    done = closing("", golden_pair, "caf\u00e9 \u65e5 the", "--no-table", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.replace(b"[", b"").replace(b"]", b"") == b"caf\xe9 \\u65e5 the\n"


@pytest.mark.parametrize("place", ["nowhere/page.html", "."])
def test_a_page_that_cannot_be_written_is_refused_before_any_work(golden_pair, tmp_path, place):
    said = run("demo", tmp_path / "no_model", "the", "--html", tmp_path / place, "--overwrite").refusal()
    assert "is not a f" in said


# Refusals


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([""], "the text is empty"),
        (["  \t "], "the text is empty"),
        (["\x01\x02"], "nothing in it"),
        (["x" * 1_000_000], "1,000,000 characters"),
        (["the", "", "a"], "sentence 2: the text is empty"),
        (["[MASK]"], "special tokens alone"),
        (["the", "[MASK] [SEP]"], "sentence 2: the text has nothing to score"),
        (["the value", "--fill", "3"], "no [MASK]"),
    ],
    ids=["empty", "spaces", "control", "megabyte", "second", "mask_alone", "masks_alone", "no_mask"],
)
def test_a_text_that_cannot_be_scored_is_refused(golden_pair, arguments, said):
    assert said in run("demo", golden_pair, *arguments).refusal().replace("\\", "")


def test_a_megabyte_of_lines_is_scored(golden_pair, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text(f"value {'ж' * 2_000}\n" * 250)
    ran = run("demo", golden_pair, "--file", file, "--no-table", "-q")
    assert (ran.code, ran.out.count("value")) == (0, 250)


def test_a_file_that_is_no_text_is_refused(golden_pair, tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin").write_bytes(b"the\ncaf\xe9\n")
    assert "holds no text" in run("demo", golden_pair, "--file", tmp_path / "empty").refusal()
    assert "line 2: not UTF-8" in run("demo", golden_pair, "--file", tmp_path / "latin").refusal()
    assert "No such file" in run("demo", golden_pair, "--file", tmp_path / "nothing").refusal()


def test_half_a_character_from_the_shell_is_refused(golden_pair):
    program = "from electra_convert.cli import main; main()"
    done = subprocess.run(
        [sys.executable.encode(), b"-c", program.encode(), b"demo", bytes(golden_pair), b"caf\xe9"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"character 4 of the text is half of one (U+DCE9)" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["a", "--file", "x"],
        ["--original", "a"],
        ["a", "b", "--original", "a"],
        ["a", "--original", "a", "--corrupt", "15%"],
        ["a", "--fill", "3", "--corrupt", "15%"],
        ["a", "--fill", "3", "--html", "x"],
        ["a", "--fill", "3", "--words"],
        ["a", "--fill", "3", "--no-table"],
        ["a", "--fill", "3", "--threshold", "0.5"],
        ["--web", "--no-table"],
        ["a", "b", "--web"],
        ["--web", "--json"],
        ["--web", "--html", "x"],
        ["a", "--corrupt", "0"],
        ["a", "--corrupt", "150%"],
        ["a", "--corrupt", "nan"],
        ["a", "--corrupt", "some"],
        ["a", "--threshold", "1.5"],
        ["a", "--threshold", "nan"],
        ["a", "--port", "70000"],
        ["a", "--port", "0"],
        ["a", "--seed", "0"],
        ["a", "--generator", "."],
        ["a", "--overwrite"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(tmp_path, options):
    ran = run("demo", tmp_path, *options)
    assert (ran.code, ran.out) == (2, "")


def test_a_generator_where_a_discriminator_is_needed_is_said_with_what_to_do(golden_pair):
    said = run("demo", golden_pair / "generator", TEXT).refusal()
    assert "holds a generator and no discriminator" in said
    assert "--fill" in said


def test_corruption_without_a_generator_is_said_with_what_to_do(golden_pair):
    said = run("demo", golden_pair / "discriminator", TEXT, "--corrupt", "15%").refusal()
    assert "holds a discriminator and no generator" in said
    assert "--generator" in said
    demo(golden_pair / "discriminator", TEXT, "--corrupt", "15%", "--generator", golden_pair / "generator")


def test_a_share_of_the_tokens_that_is_none_is_told_what_one_is(golden_pair):
    for share in ("15", "0%", "101%"):
        ran = run("demo", golden_pair, TEXT, "--corrupt", share)
        assert f"'{share}' is no share of the tokens: expected more than 0% and at most 100%" in ran.err


def test_bars_are_of_characters_that_the_terminal_has(golden_pair):
    shown = on_a_terminal(golden_pair, TEXT, "--threshold", "0", PYTHONIOENCODING="latin-1")
    assert "#" in shown
    assert "\\u25" not in shown


def test_a_port_in_use_is_said(golden_pair):
    with listen(0) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is in use" in run("demo", golden_pair, "--web", "--port", port).refusal()


@pytest.mark.parametrize(
    "host", ["https://hub.example.org", "hub.example.org:80", "a/b", "*", "*example.org", "a..b", ""]
)
def test_a_host_that_is_no_name_is_told_what_one_is(golden_pair, host):
    ran = run("demo", golden_pair, "--web", "--allow-host", host)
    assert ran.code == 2
    assert "is not the name of a host: expected a name such as hub.example.org" in ran.err


def test_a_page_over_ssh_tells_how_it_is_reached_and_goes_by_the_name_of_its_run(golden_copy, monkeypatch, tmp_path):
    (tmp_path / "korean-news").mkdir()
    model = golden_copy().rename(tmp_path / "korean-news" / "model")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 2222")
    monkeypatch.setenv("USER", "ann")
    with served(model, "--allow-host", "Hub.Example.org") as (address, process):
        request = urllib.request.Request(
            f"{address}api/settings", b"{}", {"Content-Type": "application/json", "Host": "hub.example.org"}
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["model"] == "korean-news"
        told = process.stderr.readline() + process.stderr.readline()
    port = address.rpartition(":")[2].strip("/")
    assert (
        "Note: only this machine, and what comes through hub.example.org, can reach the page; Ctrl-C ends it.\n"
        in told
    )
    assert f"run there: ssh -p 2222 -N -L {port}:127.0.0.1:{port} ann@192.0.2.1\n" in told


def test_a_missing_package_says_what_to_install(golden_pair):
    blocked = """
import sys
blocked = sys.argv.pop(1)
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == blocked:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
from electra_convert.cli import main
main()
"""
    said = run_program(blocked, "uvicorn", "demo", golden_pair, "--web", timeout=60).refusal()
    assert "pip install 'electra-convert[demo]'" in said
    said = run_program(blocked, "torch", "demo", golden_pair, TEXT).refusal()
    assert "pip install 'electra-convert[torch]'" in said
