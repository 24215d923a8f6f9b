"""A process in which every command has been imported, and forks of it that run one each, with a fault to come."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).parent.parent.parent
SHIM = Path(__file__).with_name("shim.c")
KILL = -1
PRELOADED = """
    electra_convert.cli.convert electra_convert.cli.card electra_convert.cli.verify electra_convert.cli.inspect
    electra_convert.conversion.convert electra_convert.conversion.inspect electra_convert.verification.verify
    electra_convert.hub.card.writing huggingface_hub jinja2 tokenizers yaml
""".split()


@dataclass(frozen=True)
class Fault:
    """What happens at which of the calls, counted from 1: KILL, or the number of an error, which may last."""

    at: int
    action: int
    lasting: bool = False


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, minus the signal that ended it, what it said, and how many calls it made."""

    code: int
    err: str
    calls: int


class Commands:
    """The process that is forked."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self._process, self._place = process, place

    def run(self, arguments: Sequence[str | Path], folder: Path, fault: Fault | None = None) -> Ended:
        """Run a command whose calls in a folder are counted, one of them faulty."""
        fault = fault or Fault(0, 0)
        err, calls = self._place / "err", self._place / "calls"
        calls.unlink(missing_ok=True)
        what = [fault.at, fault.action, fault.lasting]
        asked = [[str(one) for one in arguments], str(folder), what, str(err), str(calls)]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ended(code, err.read_text(), int(calls.read_text()) if calls.exists() else 0)


def compile_shim(place: Path) -> Path:
    """Make the library that is preloaded."""
    library = place / "shim.so"
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler is not None
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True)
    return library


@contextmanager
def commands(place: Path, *more: str) -> Iterator[Commands]:
    """Start it.

    Args:
        place: a folder for what it needs.
        more: modules to import beside those of the commands that need no framework.
    """
    library = compile_shim(place)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
        "LD_PRELOAD": str(library),
        "HF_HOME": str(place / "home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "support.faults.process", str(library), *more],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Commands(process, place)
        finally:
            process.kill()


def serve(library: str, *more: str) -> None:
    for name in (*PRELOADED, *more):
        with suppress(ImportError):
            import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(ctypes.CDLL(library), *json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def run(library: ctypes.CDLL, arguments: list[str], folder: str, what: list[int], err: str, calls: str) -> None:
    from electra_convert.cli import main

    for number, path in enumerate((os.devnull, os.devnull, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    at, action, lasting = what
    library.fault_arm(os.fsencode(folder), ctypes.c_long(at), int(action), int(lasting))
    code: object = 0
    try:
        main(arguments)
    except SystemExit as end:
        code = end.code or 0
    sys.stderr.flush()
    Path(calls).write_text(str(library.fault_count()))
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve(*sys.argv[1:])
