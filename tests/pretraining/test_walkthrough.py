"""What docs/pretraining.md tells a reader to type runs, in its order, in one folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / "docs" / "pretraining.md").read_text(), re.M | re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch, one_thread):
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def require_told(printed: str, step: int, folder: Path) -> None:
    assert f"Trained to step {step}." in printed
    assert "\nSame model: discriminator and generator\n" in printed
    assert all(f"  {word}\n" in printed for word in ("Los", "pájaros", "están", "cantando", "hablando"))
    assert (folder / "spanish-tf" / f"model.ckpt-{step}.index").is_file()
    assert (folder / "continued" / "tensorflow" / "model.ckpt-4002.index").is_file()


@pytest.mark.usefixtures("shared_reference")
def test_the_walk_through_runs_in_fewer_steps(folder):
    printed = ""
    for language, text in BLOCKS:
        if language == "python":
            exec(text, {})
        for command in text.splitlines() if language == "sh" else ():
            shorter = command.replace("--steps 100 ", "--steps 4 ").replace("--warmup-steps 20 ", "--warmup-steps 2 ")
            program, *arguments = shlex.split(shorter)
            assert program == "electra-convert"
            ran = run(*arguments)
            assert ran.code == 0, (command, ran.err)
            printed += ran.out
    require_told(printed, 4, folder)


@pytest.mark.long
def test_the_walk_through_runs_from_end_to_end(folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = ""
    for language, text in BLOCKS:
        command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (text, done.stderr)
        printed += done.stdout
    require_told(printed, 100, folder)
