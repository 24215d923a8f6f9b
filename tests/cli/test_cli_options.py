"""What convert is asked for: options that do not go together, models that are not there, and who reads the answer."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import refused, run

MAIN = "from electra_convert.cli import main; main()"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--optimizer", "--zero-optimizer"], "--optimizer carries slots over, --zero-optimizer makes new ones"),
        (["--dtype", "float16", "--to", "tf"], "--dtype float16 does not go with --to tf"),
        (["--max-shard-size", "1GB", "--to", "tf"], "--max-shard-size does not go with --to tf"),
        (["--prefix", "mine"], "--prefix goes with --to tf, not with --to safetensors"),
        (["--zero-optimizer"], "--zero-optimizer goes with --to tf"),
        (["--to", "tf", "--prefix", "a/b"], "--prefix 'a/b' is not a plain file name"),
        (["--to", "tf", "--prefix", ""], "--prefix '' is not a plain file name"),
        (["--max-shard-size", "much"], "'much' is not a size"),
        (["--max-shard-size", "0GB"], "'0GB' is not a size"),
        (["--max-shard-size", "-1"], "'-1' is not a size"),
        (["--generator", "."], "--generator goes with a SOURCE that is one transformers model"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(written, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(written())
    assert said in run("convert", ".", tmp_path / "out", *options).refusal(code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["convert"], "Missing argument 'SOURCE'"),
        (["convert", "a"], "Missing argument 'OUTPUT'"),
        (["convert", "a", "b", "c"], "unexpected extra argument"),
        (["convert", "a", "b", "--optimiser"], "No such option"),
        (["convert", "a", "b", "--model", "both of them"], "is not one of"),
        (["convert", "a", "b", "--to", "gguf"], "is not one of"),
        (["convert", "a", "b", "--vocab"], "requires an argument"),
        (["inspect"], "Missing argument 'SOURCE'"),
        (["transform"], "No such command 'transform'"),
    ],
)
def test_wrong_usage_is_told_with_status_2(arguments, said):
    assert said in run(*arguments).usage_error()


@pytest.mark.parametrize(
    "arguments", [["inspect", ""], ["convert", "", "out"], ["convert", "a", "out", "--generator", ""]]
)
def test_an_empty_source_is_not_the_folder_one_is_in(golden_copy, monkeypatch, arguments):
    """It is what a variable of the shell gives that was never set."""
    monkeypatch.chdir(golden_copy())
    assert "the source is an empty text" in run(*arguments).refusal(code=2)


@pytest.mark.parametrize(
    ("variant", "options", "said"),
    [
        ("uniform_generator", ["--model", "generator"], "holds no generator"),
        ("uniform_generator", ["--model", "both"], "holds no generator"),
        ("fine_tuned", ["--model", "generator"], "holds no generator"),
        ("two_tower_generator", ["--model", "generator"], "two-tower generator, which transformers has no class for"),
        ("two_tower_generator", ["--model", "both"], "two-tower generator, which transformers has no class for"),
        ("masked_lm", ["--model", "discriminator"], "holds no discriminator"),
        ("default", ["--optimizer"], "has no optimiser slots for --optimizer to carry over"),
    ],
)
def test_what_is_not_there_cannot_be_had(written, place, variant, options, said):
    assert said in refused(written(variant), place, *options)


def test_the_same_bytes_come_out_whatever_part_of_the_source_is_named(written, tmp_path):
    source = written()
    for number, part in enumerate(
        ["", "model.ckpt-1000", "model.ckpt-1000.index", "model.ckpt-1000.data-00000-of-00001"]
    ):
        assert run("convert", source / part, tmp_path / str(number)).code == 0
    for number in "123":
        compared = filecmp.dircmp(tmp_path / "0" / "discriminator", tmp_path / number / "discriminator")
        assert (compared.left_only, compared.right_only, compared.diff_files) == ([], [], [])


@pytest.mark.parametrize("option", [["--json"], []])
def test_a_reader_that_goes_away_is_no_bug(written, place, option):
    ends = os.pipe()
    os.close(ends[0])
    arguments = [sys.executable, "-c", MAIN, "convert", written(), place / "out", "-q", *option]
    done = subprocess.run(arguments, stdout=ends[1], stderr=subprocess.PIPE, text=True, check=False)
    os.close(ends[1])
    assert (done.returncode, done.stderr) == (1, "")
    assert (place / "out").is_dir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_result_that_cannot_be_printed_is_told_and_the_output_stands(written, place, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        arguments = [sys.executable, "-c", MAIN, "convert", written(), place / "out", "-q"]
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the result cannot be printed: No space left on device\nHint: ")
    assert (place / "out").is_dir()
