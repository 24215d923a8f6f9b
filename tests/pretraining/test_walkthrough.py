"""What the documents about pretraining tell a reader to type runs, in its order, and prints what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from support.command_line import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
# Runs of more steps than these go on from a checkpoint, and make few of them.
LONGEST = 2000


@pytest.fixture
def folder(tmp_path, monkeypatch, one_thread):
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def blocks(document: str) -> list[tuple[str, str]]:
    text = (ROOT / "docs" / document).read_text()
    return re.findall(r"^```(sh|python|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shortened(arguments: list[str]) -> list[str]:
    """A hundredth of the steps, of a few sequences each; an option that is given twice counts the second time."""
    given = dict(pairwise(arguments))
    steps = int(given.get("--steps", 100))
    if arguments[0] != "pretrain" or steps > LONGEST:
        return arguments
    batch = min(4, int(given.get("--batch-size", 4)))
    return [*arguments, "--steps", f"{max(2, steps // 100)}", "--warmup-steps", "1", "--batch-size", f"{batch}"]


def followed_shortly(document: str) -> str:
    """What a reader is told who makes few steps; frameworks are imported once, in this process."""
    printed = ""
    for language, text in blocks(document):
        if language == "python":
            exec(text, {})
        for line in text.splitlines() if language == "sh" else ():
            program, *arguments = shlex.split(line)
            assert program == "electra-convert"
            ran = run(*shortened(arguments))
            assert ran.code == 0, (line, ran.err)
            printed += ran.out
    return printed


def followed(document: str, folder: Path) -> str:
    """What a reader is told who types what is written; the tutorial's steps teach as little of less."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = ""
    for language, text in blocks(document):
        text = text.replace("--hparams hparams.json", "--hparams hparams.json --batch-size 1")
        command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        if language != "text":
            environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (text, done.stderr)
            printed += done.stdout
    return printed


def require_told(printed: str, step: int, folder: Path) -> None:
    assert f"Trained to step {step}." in printed
    assert "\nSame model: discriminator and generator\n" in printed
    assert all(f"  {word}\n" in printed for word in ("Los", "pájaros", "están", "cantando", "hablando"))
    assert (folder / "spanish-tf" / f"model.ckpt-{step}.index").is_file()
    assert (folder / "continued" / "tensorflow" / "model.ckpt-4002.index").is_file()


@pytest.mark.usefixtures("shared_reference")
def test_the_walk_through_runs_in_fewer_steps(folder):
    require_told(followed_shortly("pretraining.md"), 2, folder)


@pytest.mark.long
def test_the_walk_through_runs_from_end_to_end(folder):
    require_told(followed("pretraining.md", folder), 100, folder)


def test_the_recipes_run_in_fewer_steps(folder):
    """Of what a demo prints, the tokens are the same after however few steps."""
    printed = unmarked(followed_shortly("pretraining-recipes.md"))
    for line in shown():
        assert unmarked(line) in printed


@pytest.mark.long
def test_the_recipes_print_what_they_show(folder):
    """Marks, the endings that a generator offers for a time, and which words look rare, as the text says."""
    printed = followed("pretraining-recipes.md", folder)
    for line in shown():
        assert line in printed.splitlines()
    assert re.findall(r"^  0\.\d+  \w+([aio]s)$", printed, re.MULTILINE) == [*["as"] * 3, *["is"] * 3, *["os"] * 3]
    replaced = {word: float(chance) for chance, word in re.findall(r"^  (\d\.\d+) .* (\w+)$", printed, re.MULTILINE)}
    assert replaced["hablando"] > 1.5 * replaced["cantando"]
    assert replaced["cocina"] < 1.5 * replaced["cantando"]
    assert re.search(r"step 200\.\nOptimiser slots: full\.", printed)


def shown() -> list[str]:
    """The lines that the recipes show of their demos: texts, with what looks replaced in brackets."""
    texts = [text for language, text in blocks("pretraining-recipes.md") if language == "text"]
    lines = [line for text in texts if not text.startswith(("electra-convert", "hf")) for line in text.splitlines()]
    assert len(lines) >= 8
    return lines


def unmarked(text: str) -> str:
    return text.replace("[[", "").replace("]]", "")
