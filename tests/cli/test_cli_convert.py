"""Where convert writes: what it refuses to write to or to destroy, and what is left when it is stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import checkpoints
from support.checkpoints import SIZES
from support.command_line import run, run_program

KERNEL = "electra/encoder/layer_0/attention/self/query/kernel"
DATA = "model.ckpt-1000.data-00000-of-00001"
MAIN = "from electra_convert.cli import main; main()"
# What happens at the first read of weights once the output has been begun.
AT_FIRST_READ = """
import os, signal, sys, time
from pathlib import Path
from electra_convert.cli import main
from electra_convert.formats.files import ReadFile
place, read = Path(sys.argv[3]).parent, ReadFile.read_into
def stopped(self, view, offset):
    if list(place.glob(".*.partial")):
        {event}
    read(self, view, offset)
ReadFile.read_into = stopped
main()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for the output alone, so that anything left beside it shows."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def damage(source: Path) -> Path:
    """Flip a byte of a weight."""
    content = bytearray((source / DATA).read_bytes())
    content[content.index(checkpoints.variables("default", SIZES["projected"], slots=False)[KERNEL].tobytes())] ^= 1
    (source / DATA).write_bytes(content)
    return source


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Where it may be written


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_an_output_that_exists_is_refused(written, place, kind):
    source, out = written(), place / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(place if kind == "link" else "nowhere")
    assert "out already exists" in run("convert", source, out).refusal()
    if kind != "folder":
        assert "out is not a folder" in run("convert", source, out, "--overwrite").refusal()
        assert out.is_symlink() or out.read_text() == "mine"
    assert list(place.iterdir()) == [out]


def test_an_output_inside_the_source_is_refused(written):
    source = written()
    before = contents(source)
    assert "lies inside the source" in run("convert", source, source / "out").refusal()
    assert "lies inside the source" in run("convert", source, source / "a" / "b", "--overwrite").refusal()
    assert contents(source) == before


@pytest.mark.parametrize("part", ["", "model.ckpt-1000", "model.ckpt-1000.index", "checkpoint"])
def test_a_source_inside_the_output_is_refused(written, tmp_path, part):
    source = written()
    (source / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000"\n')
    before = contents(source)
    for out in (source, tmp_path):
        assert "holds the source" in run("convert", source / part, out, "--overwrite").refusal()
    assert contents(source) == before


def test_what_a_checkpoint_file_leads_to_is_not_replaced_either(written, tmp_path):
    source = written()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "checkpoint").write_text(f'model_checkpoint_path: "{source}/model.ckpt-1000"\n')
    before = contents(source)
    assert "holds the source" in run("convert", tmp_path / "state", source, "--overwrite").refusal()
    assert contents(source) == before


@pytest.mark.parametrize("option", ["--generator", "--vocab", "--config", "--hparams"])
def test_what_an_option_names_is_not_replaced_either(written, tmp_path, option):
    source = written()
    assert run("convert", source, tmp_path / "pair").code == 0
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "pair" / "generator").rename(kept / "generator")
    named = {
        "--generator": kept / "generator",
        "--vocab": kept / "generator" / "vocab.txt",
        "--config": kept / "generator" / "config.json",
        "--hparams": kept / "hparams.json",
    }[option]
    (source / "hparams.json").rename(kept / "hparams.json")
    before = contents(kept)
    one = tmp_path / "pair" / "discriminator"
    assert "kept holds" in run("convert", one, kept, "--overwrite", option, named).refusal()
    assert contents(kept) == before


def test_overwrite_replaces_all_that_was_there(written, place):
    source, out = written(), place / "out"
    (out / "old").mkdir(parents=True)
    assert run("convert", source, out, "--overwrite", "--model", "generator").code == 0
    assert not (out / "old").exists()
    assert (out / "model.safetensors").is_file()
    assert list(place.iterdir()) == [out]


def test_overwrite_keeps_the_old_output_when_the_conversion_fails(written, place):
    out = place / "out"
    out.mkdir()
    (out / "precious").write_text("mine")
    assert KERNEL in run("convert", damage(written()), out, "--overwrite").refusal()
    assert (out / "precious").read_text() == "mine"
    assert list(place.iterdir()) == [out]


def test_folders_made_for_the_output_go_when_the_conversion_fails(written, place):
    assert KERNEL in run("convert", damage(written()), place / "a" / "b" / "out").refusal()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/out", "file/out", "loop", "loop/out"])
def test_an_output_that_cannot_be_is_refused(written, place, name):
    (place / "file").touch()
    (place / "loop").symlink_to("loop")
    source = written()
    run("convert", source, place / name).refusal()
    run("convert", source, place / name, "--overwrite").refusal()
    assert {path.name for path in place.iterdir()} == {"file", "loop"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nothing can be written to")
def test_a_read_only_place_is_refused(written):
    assert "/proc/somewhere cannot be made" in run("convert", written(), "/proc/somewhere/out").refusal()


def test_a_full_disk_leaves_nothing(written, place):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); "
    ran = run_program(limited + MAIN, "convert", written(), place / "out")
    assert f"{place}/out/discriminator/model.safetensors cannot be written: File too large" in ran.refusal()
    assert list(place.iterdir()) == []


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(written, place):
    source = written()
    ran = run("convert", source, place / "out", "--dry-run")
    assert (ran.code, list(place.iterdir())) == (0, [])
    assert "Would write" in ran.out
    assert "discriminator/model.safetensors" in ran.out
    assert "already exists" in run("convert", source, place, "--dry-run").refusal()


# Interruption


def test_what_a_killed_run_leaves_is_removed_by_the_next(written, place):
    source = written()
    killed = run_program(
        AT_FIRST_READ.format(event="os.kill(os.getpid(), signal.SIGKILL)"), "convert", source, place / "out"
    )
    assert killed.code == -signal.SIGKILL
    assert [path.suffix for path in place.iterdir()] == [".partial"]
    assert run("convert", source, place / "out").code == 0
    assert [path.name for path in place.iterdir()] == ["out"]


def test_a_run_does_not_remove_what_another_is_writing(written, place):
    source = written()
    again = "place.joinpath('ran').exists() or place.joinpath('ran').touch() or time.sleep(5)"
    program = AT_FIRST_READ.format(event=again)
    with running(program, "convert", source, place / "out"):
        wait_for(place / "ran")
        assert run("convert", source, place / "out").code == 0
        assert len(list(place.glob(".out.*.partial"))) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_ctrl_c_leaves_nothing_and_says_so(written, place, overwrite):
    source = written()
    before = []
    if overwrite:
        assert run("convert", source, place / "out").code == 0
        before = [place / "out"]
    program = AT_FIRST_READ.format(event="place.parent.joinpath('begun').touch(); time.sleep(0.5)")
    arguments = ["convert", source, place / "out", *(["--overwrite"] if overwrite else [])]
    with running(program, *arguments) as process:
        wait_for(place.parent / "begun")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
    assert (process.returncode, out, err) == (130, "", "Error: interrupted\n")
    assert list(place.iterdir()) == before


@contextmanager
def running(program: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A program at work, which does not outlive the test."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
