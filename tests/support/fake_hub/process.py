"""The fake Hub as tests ask it, and commands run against it, each in a process of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command_line import Ran
from support.fake_hub.programs import TESTS, Programs

ALICE = "hf_AliceWritesWithThisToken1234567890"
BOB = "hf_BobIsAnotherAccountAltogether09876"
READER = "hf_AliceMayOnlyReadWithThisOne1234567"
COMMAND = "from electra_convert.cli import main; main()"


@dataclass
class FakeHub:
    """A running Hub, and a home for those who speak to it."""

    base: str
    home: Path
    programs: Programs
    xet: bool = False

    def environment(self, **more: str | None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "ELECTRA_"))}
        own = {
            "HF_ENDPOINT": self.base,
            "HF_HOME": str(self.home),
            "HF_TOKEN": ALICE,
            "HF_HUB_DISABLE_XET": None if self.xet else "1",
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
            "PYTHONWARNINGS": "error::ResourceWarning",
            "NO_PROXY": "127.0.0.1",
        }
        return {**kept, **{name: value for name, value in {**own, **more}.items() if value is not None}}

    def run(self, *arguments: str | Path, **environment: str | None) -> Ran:
        """Run a command of ours in a process of its own."""
        return self.python(COMMAND, *arguments, **environment)

    def run_without_waiting(self, *arguments: str | Path, **environment: str | None) -> Ran:
        """The same, with every wait between two tries left out."""
        return self.python(f"import time; time.sleep = lambda _: None; {COMMAND}", *arguments, **environment)

    def python(self, program: str, *arguments: str | Path, **environment: str | None) -> Ran:
        return self.programs.run(program, [str(argument) for argument in arguments], self.environment(**environment))

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Run a command of ours, and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def order(self, kind: str, method: str, path: str, times: int = 1, **more: Any) -> None:
        """Have requests fail: status, raw (body), edit, reset (receiving), cut (sending), lose, race, ..."""
        self._control("fault", {"kind": kind, "method": method, "path": path, "times": times, **more})

    def put(self, name: str, files: Mapping[str, str | bytes], private: bool = False, ref: str = "main") -> None:
        """Commit small files to a branch of a repository (datasets/OWNER/NAME for a data set), made where missing."""
        content = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
        encoded = {path: base64.b64encode(data).decode() for path, data in content.items()}
        self._control("put", {"name": name, "files": encoded, "private": private, "ref": ref})

    def put_large(self, name: str, files: Mapping[str, Path | dict[str, Any]]) -> None:
        """Commit large files to main, of which the Hub keeps what is not zero (sparse_of)."""
        described = {path: sparse_of(one) if isinstance(one, Path) else one for path, one in files.items()}
        self._control("put", {"name": name, "files": {}, "sparse": described})

    def set_status(self, name: str, number: int, status: str) -> None:
        """Close or merge a pull request."""
        self._control("status", {"name": name, "number": number, "status": status})

    @property
    def record(self) -> list[dict[str, Any]]:
        return self._control("record")

    @property
    def repositories(self) -> dict[str, Any]:
        return self._control("repositories")

    def requests(self, method: str, part: str = "") -> list[str]:
        return [one["path"] for one in self.record if one["method"] == method and part in one["path"]]

    def _control(self, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.base}/_control/{what}", data)) as answer:
            return json.load(answer)

    def reset(self, xet: Path) -> None:
        """Forget all that the Hub holds, and keep Xet's store in another folder."""
        self._control("reset", str(xet))


def sparse_of(path: Path, block: int = 1 << 14) -> dict[str, Any]:
    """A large file as the Hub is told of it: its size, its hash, and its blocks that are not all zeros."""
    digest, blocks = hashlib.sha256(), {}
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size, block):
            content = file.read(block)
            digest.update(content)
            if content.strip(b"\0"):
                blocks[str(start)] = base64.b64encode(content).decode()
    return {"size": path.stat().st_size, "sha256": digest.hexdigest(), "blocks": blocks}


@contextmanager
def fake_hub_server() -> Iterator[str]:
    """Start a Hub, and give its address."""
    command = [sys.executable, "-m", "support.fake_hub.server"]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str]) -> Ran:
    """Press Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out, err)


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def commits(hub: FakeHub, name: str) -> list[dict[str, Any]]:
    """The commits of a repository, the oldest first."""
    return hub.repositories[name]["commits"]


def writes(hub: FakeHub) -> list[str]:
    """Requests that change something on the Hub, or send a file to it."""
    return [
        f"{one['method']} {one['path']}"
        for one in hub.record
        if one["method"] not in {"GET", "HEAD"} and "/validate-yaml" not in one["path"]
    ]
