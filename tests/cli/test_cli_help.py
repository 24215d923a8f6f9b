"""The face of the command line: help for everything, one JSON object, results and messages kept apart."""

from __future__ import annotations

import json
import os
import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest
from conftest import FIXTURES
from support.command_line import run, run_program

from electra_convert.cli import COMMANDS, main
from electra_convert.cli.guide import long_name
from electra_convert.cli.mistakes import Terminated
from electra_convert.version import __version__

ROOT = Path(__file__).parent.parent.parent


def command(name: str) -> click.Command:
    return import_module(f"electra_convert.cli.{name}").command


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_had_by_either_option(name, option):
    ran = run(*[name] if name else [], option)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: electra-convert {name}".rstrip())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_every_argument_is_spoken_of(name):
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith((".", ")")), parameter.help
        else:
            metavar = parameter.make_metavar(click.Context(command(name))).replace("[", "").replace("]", "")
            assert command(name).guide.arguments[metavar].endswith((".", "]."))


def test_the_commands_listed_are_those_there_are():
    assert list(COMMANDS) == main.list_commands(click.Context(main))
    listed = run("-h").out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert not [line for line in listed if line.endswith("...")], "a summary is cut short"


@pytest.mark.parametrize("document", sorted(["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]))
def test_every_command_and_option_a_document_names_exists(document):
    text = (ROOT / document).read_text()
    for name, rest in re.findall(r"electra-convert (\w+)([^\n`]*)", text):
        assert name in COMMANDS, name
        known = {
            option for parameter in command(name).params for option in [*parameter.opts, *parameter.secondary_opts]
        }
        assert set(re.findall(r"(?<= )--[\w-]+", rest)) <= known | {"--help"}


def test_the_readme_names_every_command():
    assert set(COMMANDS) <= set(re.findall(r"electra-convert (\w+)", (ROOT / "README.md").read_text()))


def test_the_version_is_told():
    ran = run("--version")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"electra-convert, version {__version__}\n"


def test_the_module_runs_as_the_command():
    ran = run_program("import runpy; runpy.run_module('electra_convert', run_name='__main__')", "--version")
    assert (ran.code, ran.out.split()[-1]) == (0, __version__)


# Results on standard output, messages on standard error


def test_converting_prints_one_json_object_and_nothing_else(written, tmp_path):
    ran = run("convert", written(hparams=False), tmp_path / "out", "--json")
    report = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert report.keys() == {
        "schema", "source", "output", "format", "to", "model_type", "variant", "step", "models", "files", "notices",
        "warnings", "dry_run",
    }  # fmt: skip
    assert report["schema"] == 1
    assert report["files"] == {
        str(path.relative_to(tmp_path / "out")): path.stat().st_size
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert "guesses" in report["warnings"][0]
    assert all(model.keys() == {"config", "parameters"} for model in report["models"].values())


def test_a_dry_run_promises_the_files_that_are_then_written(written, tmp_path):
    source = written(slots=True)
    promised = json.loads(run("convert", source, tmp_path / "out", "--optimizer", "--dry-run", "--json").out)
    made = json.loads(run("convert", source, tmp_path / "out", "--optimizer", "--json").out)
    assert promised["files"].keys() == made["files"].keys()
    assert {**promised, "files": 0, "dry_run": 0} == {**made, "files": 0, "dry_run": 0}


def test_notes_and_warnings_go_to_standard_error_and_away_with_quiet(written, tmp_path):
    source = written(hparams=False, slots=True)
    loud = run("convert", source, tmp_path / "loud")
    quiet = run("convert", source, tmp_path / "quiet", "-q")
    assert {line.partition(":")[0] for line in loud.err.splitlines()} == {"Note", "Warning"}
    assert (quiet.out, quiet.err) == (f"{tmp_path / 'quiet'}\n", "")


def test_an_error_is_told_even_when_quiet_or_in_json(tmp_path):
    for option in ("-q", "--json"):
        assert "nothing does not exist" in run("convert", tmp_path / "nothing", tmp_path / "out", option).refusal()


def test_a_traceback_is_had_for_the_asking(tmp_path):
    environment = {**os.environ, "ELECTRA_CONVERT_DEBUG": "1"}
    program = "from electra_convert.cli import main; main()"
    ran = run_program(program, "inspect", tmp_path / "nothing", env=environment)
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "SourceError" in ran.err


@pytest.mark.parametrize("debug", ["0", "1"])
def test_no_text_of_a_file_is_more_than_a_line_or_steers_the_terminal(tmp_path, debug):
    environment = {**os.environ, "ELECTRA_CONVERT_DEBUG": debug}
    program = "from electra_convert.cli import main; main()"
    evil = tmp_path / "a\x1b[31m\nError: b\u202e"
    evil.mkdir()
    (evil / "config.json").write_text('{"\\u001b[2J\\nHint: c": 1, "\\u001b[2J\\nHint: c": 2}')
    (evil / "model.safetensors").write_bytes(b"x")
    ran = run_program(program, "inspect", evil, env=environment)
    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    assert not any(line.startswith(("Error: b", "Hint: c")) for line in ran.err.splitlines())
    assert ("Traceback" in ran.err) is (debug == "1")
    assert r"a\x1b[31m\nError: b\u202e" in ran.err


def test_a_bug_is_one_line_and_asks_to_be_reported(monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("electra_convert.conversion.inspect.run_inspection", broken)
    ran = run("inspect", FIXTURES / "default")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[0] == r"Error: unexpected ZeroDivisionError: a\nb"
    assert "ELECTRA_CONVERT_DEBUG=1" in ran.err.splitlines()[1]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 1, "Error: out of memory\n"),
        (KeyboardInterrupt(), 130, "Error: interrupted\n"),
        (Terminated(), 1, "Error: interrupted\n"),
        (PermissionError(13, "Permission denied", "/a/b"), 1, "Error: /a/b: Permission denied\n"),
    ],
)
def test_what_is_no_bug_is_not_called_one(monkeypatch, error, code, said):
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("electra_convert.conversion.inspect.run_inspection", broken)
    assert run("inspect", "anything").refusal(code) == said


# What is shown, and what only --help-all shows


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_about_ten_options_in_groups_and_help_all_every_one(name):
    shown, everything = (
        set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", run(name, option).out, re.MULTILINE))
        for option in ("--help", "--help-all")
    )
    every = {
        f"--{long_name(one)}"
        for one in command(name).get_params(click.Context(command(name)))
        if isinstance(one, click.Option)
    }
    assert shown <= everything
    assert everything | {"--help-all"} == every
    assert 6 <= len(shown) <= 14, shown


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_by_itself_keeps_both_names_of_its_help(name):
    context = command(name).make_context(name, [], resilient_parsing=True)
    assert command(name).get_help_option_names(context) == ["-h", "--help"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_guide_names_options_that_there_are_and_shows_examples_that_parse(name):
    guide, known = command(name).guide, {long_name(one) for one in command(name).params}
    assert set(" ".join(guide.groups.values()).split()) <= known
    assert (ROOT / guide.page).is_file()
    for example in guide.examples:
        words = shlex.split(example)
        assert words[:2] == ["electra-convert", name]
        command(name).make_context(name, words[2:])
        assert len(example) <= 78
        assert example in run(name, "-h").out


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_help_fits_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in COMMANDS:
        told = run(name, "--help-all").out.partition("Examples:")[0].splitlines()
        # What cannot be broken, such as the names of an option's choices, may stick out.
        assert not [line for line in told if len(line) > max(columns, 60)]
