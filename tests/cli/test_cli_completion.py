"""Tab in real shells: commands, options, choices, and paths, which the shell completes itself."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path

import pytest

# Quiet shells: no files of the user's, nothing but a prompt to wait for.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='> '; bind 'set bell-style none'"),
    "zsh": (["zsh", "-f", "-i"], "PS1='> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u"),
    "fish": (
        ["fish", "--no-config", "-i"],
        "function fish_prompt; echo -n '> '; end; set -g fish_autosuggestion_enabled 0",
    ),
}
LOAD = {
    "bash": 'eval "$(_ELECTRA_CONVERT_COMPLETE=bash_source electra-convert)"',
    "zsh": 'eval "$(_ELECTRA_CONVERT_COMPLETE=zsh_source electra-convert)"',
    "fish": "_ELECTRA_CONVERT_COMPLETE=fish_source electra-convert | source",
}


class Shell:
    """A shell at a terminal of its own."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def type(self, keys: str, until: str, seconds: float = 30) -> str:
        """Press keys, and read the screen until something stands there."""
        os.write(self._terminal, keys.encode())
        seen, end = "", time.monotonic() + seconds
        while not re.search(until, seen):
            left = end - time.monotonic()
            assert left > 0, f"{until!r} is not in {seen!r}"
            if select.select([self._terminal], [], [], left)[0]:
                seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self._terminal, 4096).decode(errors="replace"))
        return seen


@contextmanager
def started(name: str, folder: Path) -> Iterator[Shell]:
    command, prepare = SHELLS[name]
    ours, theirs = pty.openpty()
    environment = {
        **{key: os.environ[key] for key in ("PYTHONPATH", "LANG") if key in os.environ},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "TERM": "xterm",
    }
    terminal = partial(os.login_tty, theirs)  # what fish insists on
    with subprocess.Popen(command, cwd=folder, env=environment, pass_fds=[theirs], preexec_fn=terminal) as process:
        os.close(theirs)
        try:
            shell = Shell(ours)
            shell.type(f"{prepare}\n{LOAD[name]}\necho rea''dy\n", "ready")
            yield shell
        finally:
            process.kill()
            os.close(ours)


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Shell]]:
    """Starts a shell once: pytest would start one anew for each of a parametrised fixture's values."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "checkpoints" / "my run").mkdir(parents=True)
    (folder / "checkpoints" / "my run" / "vocabulary.txt").touch()
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(started(name, folder)))


@pytest.fixture
def shell(request, shells: Callable[[str], Shell]) -> Shell:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    return shells(request.param)


# What is typed, and what Tab adds to it.
COMPLETED = [
    ("insp", "ect"),
    ("inspect chec", "kpoints/"),
    ("convert checkpoints/my", r"\\? run/"),
    ("verify a chec", "kpoints/"),
    ("convert a b --vocab checkpoints/my\\ run/voc", r"abulary\.txt"),
    ("convert a b --hparams chec", "kpoints/"),
    ("convert a b --max-sh", "ard-size"),
    ("convert a b --to saf", "etensors"),
    ("convert a b --help-", "all"),
]
CASES = [(shell, *case) for shell in SHELLS for case in COMPLETED]
# fish completes no ~ for programs that leave paths to it.
CASES += [(shell, "demo ~/chec", "kpoints/") for shell in ("bash", "zsh")]


@pytest.mark.parametrize(("shell", "typed", "added"), CASES, indirect=["shell"])
def test_tab_completes(shell, typed, added):
    shell.type("\x15echo emp''ty\n", "empty")
    shell.type(f"electra-convert {typed}\t", f"{typed.split()[0]}.*{added}")
