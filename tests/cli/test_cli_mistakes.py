"""The mistakes that people make: each ends in one line, and a hint that mends it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from conftest import FIXTURES
from support.command_line import run, run_program

from electra_convert.schemes.heads import REPLACED_TOKEN_DETECTION

ROOT = FIXTURES.parent
USAGE = "It goes like this: electra-convert "


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("convrt a b", "No such command 'convrt'.", "Did you mean electra-convert convert?"),
        ("Verify a b", "No such command 'Verify'.", "Did you mean electra-convert verify?"),
        ("train corpus run", "No such command 'train'.", "Did you mean electra-convert pretrain?"),
        ("help", "No such command 'help'.", "electra-convert --help, or"),
        ("translate a b", "No such command 'translate'.", "The commands are convert, inspect,"),
        ("fixtures/default", "No such command", "A command comes first: electra-convert inspect fixtures/default"),
        ("hf://a/b", "No such command", "A command comes first: electra-convert inspect hf://a/b"),
        ("--json inspect a", "No such option '--json'.", "Options follow their command"),
        ("convert a b --optimiser", "No such option '--optimiser'.", "Did you mean --optimizer?"),
        ("convert a b --max_shard_size 2GB", "No such option '--max_shard_size'.", "Did you mean --max-shard-size?"),
        ("convert a b --Verify", "No such option '--Verify'.", "Did you mean --verify?"),
        ("convert a b --foo", "No such option '--foo'.", "electra-convert convert --help-all shows every option."),
        ("inspect a --foo", "No such option '--foo'.", "electra-convert inspect --help-all shows every option."),
        ("convert a b -vocab c", "No such option '-v'.", "Names of options have two dashes"),
        ("convert a b --vocab", "Option '--vocab' requires an argument.", "The vocabulary, or a tokenizer's folder."),
        ("convert", "Missing argument 'SOURCE'.", f"{USAGE}convert data/models/my-run my-electra"),
        ("convert a", "Missing argument 'OUTPUT'.", f"{USAGE}convert"),
        ("convert a b c", "Got unexpected extra argument (c)", f"{USAGE}convert"),
        ("convert a b --to pytorch", "'pytorch' is not one of", "Did you mean torch?"),
        ("convert a b --to safetensor", "'safetensor' is not one of", "Did you mean safetensors?"),
        ("convert a b --dtype fp16", "'fp16' is not one of", "Did you mean float16?"),
        ("pretrain a b --steps many", "'many' is not a valid integer.", "--steps INTEGER: The length of"),
        (
            "demo a the --threshold 150",
            "'150' is no probability: expected at least 0% and at most 100%",
            "--threshold",
        ),
        ("demo a the --threshold -10%", "'-10%' is no probability", "--threshold"),
        ("demo a the --corrupt 0%", "'0%' is no share of the tokens: expected more than 0%", "--corrupt"),
        ("upload fixtures/default me/mine", "fixtures/default is a folder", "upload me/mine fixtures/default"),
    ],
)
def test_wrong_usage_ends_in_a_line_and_a_hint(monkeypatch, typed, error, hint):
    monkeypatch.chdir(ROOT)
    told, suggested = run(*typed.split()).refusal(2).splitlines()
    assert error in told
    assert suggested.startswith("Hint: ")
    assert hint in suggested


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("inspect fixtures/defualt", "Did you mean fixtures/default?"),
        ("inspect fixtrues/default", "Did you mean fixtures/default?"),
        ("inspect fixtures/default/model.chkpt-4000", "These are there: fixtures/default/model.ckpt-4000"),
        ("convert fixtures/default {out} --vocab fixtures/vocab.text", "Did you mean fixtures/vocab.txt?"),
        ("convert fixtures/default {out} --hparams fixtures/default/hparam.json", "fixtures/default/hparams.json?"),
        ("convert fixtures/default {out} --config fixtures/default/hparams.jsn", "fixtures/default/hparams.json?"),
        pytest.param(
            "pretrain fixtures/corpse {out} --vocab fixtures/vocab.txt",
            "Did you mean fixtures/corpus?",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "pretrain fixtures/corpus {out} --vocab fixtures/vocabs.txt",
            "Did you mean fixtures/vocab.txt?",
            marks=pytest.mark.slow,
        ),
        ("verify fixtures/default fixtures/defaults", "Did you mean fixtures/default?"),
        ("verify fixtures/default --golden fixtures/default/gold.npz", "Did you mean fixtures/default/golden.npz?"),
    ],
)
def test_a_path_that_is_mistyped_is_offered_as_it_should_be(monkeypatch, tmp_path, typed, hint):
    monkeypatch.chdir(ROOT)
    assert hint in run(*typed.format(out=tmp_path / "out").split()).refusal()


def test_nothing_is_offered_where_nothing_is_near(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert "Did you mean" not in run("inspect", "xyzzy").refusal()
    assert "Did you mean" not in run("inspect", "fixtures/xyzzy").refusal()


@pytest.mark.parametrize("option", ["source", "--vocab", "--hparams"])
def test_the_home_folder_is_meant_also_in_quotes(monkeypatch, tmp_path, written, option):
    source = written()
    monkeypatch.setenv("HOME", str(source.parent))
    home = f"~/{source.name}"
    named = {
        "source": [home],
        "--vocab": [source, "--vocab", f"{home}/vocab.txt"],
        "--hparams": [source, "--hparams", f"{home}/hparams.json"],
    }[option]
    monkeypatch.chdir(tmp_path)
    ran = run("convert", named[0], "~/out", *named[1:], "-q")
    assert (ran.code, ran.out) == (0, f"{source.parent / 'out'}\n"), ran
    assert (source.parent / "out" / "discriminator" / "vocab.txt").is_file()


def test_a_user_that_does_not_exist_has_no_home():
    assert "~nobody_here/x does not exist" in run("inspect", "~nobody_here/x").refusal()


@pytest.mark.parametrize(
    ("command", "blocked", "extra"),
    [
        (["demo", FIXTURES / "default", "the"], "torch", "torch"),
        (["demo", FIXTURES / "default", "--web"], "torch", "demo"),
        (["demo", FIXTURES / "default", "--web"], "starlette", "demo"),
        (["pretrain", FIXTURES / "corpus", "OUT", "--vocab", FIXTURES / "vocab.txt"], "torch", "pretrain"),
        (["pretrain", FIXTURES / "corpus", "OUT", "--vocab", FIXTURES / "vocab.txt"], "matplotlib", "pretrain"),
        (["inspect", "hf://a/b"], "huggingface_hub", "hub"),
        (["upload", "a/b", FIXTURES / "default"], "huggingface_hub", "hub"),
    ],
)
def test_what_is_not_installed_is_named_at_once_with_the_extra_that_has_all_of_it(tmp_path, command, blocked, extra):
    program = f"import sys; sys.modules[{blocked!r}] = None\nfrom electra_convert.cli import main; main()"
    ran = run_program(program, *command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert f"Hint: pip install 'electra-convert[{extra}]'\n" in ran.refusal()


@pytest.mark.slow
def test_words_without_quotes_are_texts_of_their_own_which_is_said(monkeypatch):
    discriminator = SimpleNamespace(head=REPLACED_TOKEN_DETECTION)
    monkeypatch.setattr("electra_convert.cli.demo.Opener.open", lambda *_: discriminator)
    monkeypatch.setattr("electra_convert.cli.demo._scored", lambda *_: [])
    said = "Note: each argument is a text of its own; put quotes around a sentence with spaces.\n"
    assert run("demo", "model", "the", "quick", "fox").err == said
    assert run("demo", "model", "the quick fox").err == ""
    assert run("demo", "model", "a quick", "fox").err == ""
    assert run("demo", "model", "今日は晴れ。", "明日は雨。").err == ""
    assert run("demo", "model", "the", "quick", "-q").err == ""


@pytest.mark.slow
@pytest.mark.parametrize("share", ["50%", "0.5"])
def test_a_probability_may_be_given_in_hundredths(monkeypatch, share):
    asked = []
    monkeypatch.setattr("electra_convert.cli.demo._show", lambda _, request: asked.append(request.threshold))
    assert run("demo", "model", "the", "--threshold", share).code == 0
    assert asked == [0.5]
