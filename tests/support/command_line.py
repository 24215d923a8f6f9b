"""The command line as a user meets it: run in this process or in one of its own, and what it must say in refusing."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from electra_convert.cli import main


@dataclass(frozen=True)
class Ran:
    """A finished run: its exit status, and what it wrote to standard output and standard error."""

    code: int
    out: str
    err: str

    def refusal(self, code: int = 1) -> str:
        """The Error: line and the Hint: line, after making sure that there is nothing else."""
        kinds = [line.partition(": ")[0] for line in self.err.splitlines()]
        assert (self.code, self.out) == (code, ""), self
        assert kinds in (["Error"], ["Error", "Hint"]), self.err
        assert "unexpected" not in self.err.partition(" ")[2][:12], self.err
        return self.err

    def usage_error(self) -> str:
        """What is said of options that click itself refuses."""
        assert (self.code, self.out) == (2, ""), self
        return self.err


def run(*arguments: str | Path) -> Ran:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments], prog_name="electra-convert")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Ran(code, out.getvalue(), err.getvalue())


def run_program(program: str, *arguments: str | Path, **settings) -> Ran:
    """Run a Python program, which may prepare things and call main(), in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False, **settings
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def refused(source: Path, place: Path, *options: str | Path) -> str:
    """Run convert on what it must refuse: neither the output nor anything beside it may be left."""
    place.mkdir(exist_ok=True)
    said = run("convert", source, place / "out", *options).refusal()
    assert list(place.iterdir()) == []
    return said
