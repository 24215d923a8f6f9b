"""Programs run in forks of one process that has imported all they need; huggingface_hub, which makes its settings of
the environment when it is imported, makes them when the program imports it."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module, reload
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from support.command_line import Ran

TESTS = Path(__file__).parent.parent.parent
PRELOADED = """
    electra_convert.cli.convert electra_convert.cli.card electra_convert.cli.inspect electra_convert.cli.upload
    electra_convert.conversion.convert electra_convert.conversion.inspect electra_convert.hub.download
    electra_convert.hub.upload httpcore2 httpx2 jinja2 rich.console tokenizers tqdm.auto typing_extensions yaml
    huggingface_hub.constants huggingface_hub.errors huggingface_hub.file_download huggingface_hub.hf_api
    huggingface_hub.repocard huggingface_hub.utils
""".split()


class Programs:
    """The process that is forked."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self.process, self.place = process, place

    def run(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Ran:
        """Run a program with an environment of its own, and wait for it."""
        out, err = self.place / "out", self.place / "err"
        asked = [program, list(arguments), dict(environment), str(out), str(err)]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(asked)}\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return Ran(code, out.read_text(), err.read_text())


@contextmanager
def programs() -> Iterator[Programs]:
    """Start it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    with (
        tempfile.TemporaryDirectory() as place,
        subprocess.Popen(
            [sys.executable, "-m", "support.fake_hub.programs"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            yield Programs(process, Path(place))
        finally:
            process.kill()


class Put(MetaPathFinder, Loader):
    """A package that was imported and put by, and is imported once more with settings of the environment it is in."""

    def __init__(self, package: str) -> None:
        self.package = package
        names = [name for name in sys.modules if name.partition(".")[0] == package]
        self.modules = {name: sys.modules.pop(name) for name in names}

    def find_spec(self, name: str, _: object = None, __: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name == self.package else None

    def create_module(self, _: ModuleSpec) -> ModuleType:
        return self.modules[self.package]

    def exec_module(self, _: ModuleType) -> None:
        sys.modules.update(self.modules)
        constants = self.modules[f"{self.package}.constants"]
        before = dict(vars(constants))
        reload(constants)
        for module in self.modules.values():
            for name in before.keys() & vars(module).keys():
                if not name.startswith("__") and vars(module)[name] is before[name]:
                    setattr(module, name, getattr(constants, name))
        # The functions of the package are methods of one client, which has its settings since it was made.
        self.modules[f"{self.package}.hf_api"].api.__init__()


def serve() -> None:
    for name in PRELOADED:
        with suppress(ImportError):
            import_module(name)
    sys.meta_path.insert(0, Put("huggingface_hub"))
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def run(program: str, arguments: list[str], environment: dict[str, str], out: str, err: str) -> None:
    """What python -c does, without what is imported already."""
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    signal.alarm(240)
    warnings.filterwarnings("error", category=ResourceWarning)
    sys.argv = ["-c", *arguments]
    code: object = 0
    try:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - told as Python would, and by the code
        traceback.print_exc()
        code = 1
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve()
