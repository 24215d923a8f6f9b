"""Runs the core's tests on every Python from 3.11 up that is at hand: pythons.py FOLDER, for their environments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDEST = (3, 11)
# What the tests themselves need, on top of the package without extras.
NEEDED = ("pytest", "pytest-xdist", "hypothesis", "selenium", "cramjam", "ml_dtypes", "safetensors", "h5py")
# Of no framework; what is about the machine, the documents and the web is of no Python.
TESTS = ("formats", "schemes", "config", "tensors", "tokenizer", "conversion", "test_portable.py", "test_output.py")


def main(folder: Path) -> int:
    """Tell what came of each; the status is 1 where one failed."""
    found = interpreters()
    told = {version: tested(path, folder / version) for version, path in found.items()}
    for version, line in told.items():
        sys.stdout.write(f"Python {version}: {line}\n")
    return int(not told or any(" passed" not in line or "failed" in line for line in told.values()))


def interpreters() -> dict[str, Path]:
    """The newest patch of each minor version, on the PATH or in pyenv, by its version."""
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    places += sorted((Path.home() / ".pyenv" / "versions").glob("*/bin"))
    paths = {path.resolve() for place in places for path in place.glob("python3.*") if path.name[9:].isdecimal()}
    versions = {version: path for path in paths if (version := version_of(path)) >= OLDEST}
    return {f"{major}.{minor}": versions[major, minor, patch] for major, minor, patch in sorted(versions)}


def version_of(path: Path) -> tuple[int, ...]:
    """Its version, nothing where it does not run."""
    ran = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return tuple(map(int, re.findall(r"\d+", ran.stdout)[:3]))


def tested(interpreter: Path, place: Path) -> str:
    """The last line of the tests on an interpreter, in an environment made anew."""
    shutil.rmtree(place, ignore_errors=True)
    python = place / "bin" / "python"
    subprocess.run([interpreter, "-m", "venv", place], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", ROOT, *NEEDED],
        check=True,
    )
    tests = [str(ROOT / "tests" / name) for name in TESTS]
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not long", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ran.stdout.splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    sys.stderr.write("".join(f"{line}\n" for line in failed or (lines[-20:] if ran.returncode else [])))
    return lines[-1] if lines else ran.stderr[-500:]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
