"""How long verify takes, against importing what it cannot do without, and how much memory.

    python benchmarks/verify_speed.py [--sizes small,large] [--runs 3] [--folder DIR]

Makes a checkpoint of each size as convert_speed.py does, converts it, and runs `electra-convert verify` on both
models, whole processes, page cache warm; in turn with `import tensorflow, transformers` in one process. Prints the
best of several runs, their ratio, and the most memory that verify and the TensorFlow process it starts held together.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from convert_speed import make_checkpoint

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
IMPORTS = [sys.executable, "-c", "import tensorflow, transformers"]


def family(process: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{process}/task/{process}/children")
    if not children.exists():
        return []
    return [process, *(member for child in children.read_text().split() for member in family(int(child)))]


def resident(process: int) -> int:
    """The memory that is a process's own, in bytes; pages of mapped files are not."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    except OSError:
        return 0
    return int(fields.get("RssAnon", "0 kB").split()[0]) * 1024


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; its wall time in seconds, and the most memory of all its processes in gigabytes."""
    start = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, peak / 1e9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="small,large")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, best of {options.runs}")
    print(f"{'size':8}{'verify s':>10}{'imports s':>11}{'ratio':>8}{'GB':>8}{'weights only s':>16}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for size in options.sizes.split(","):
            source, output = Path(name, size), Path(name, f"{size}_converted")
            source.mkdir()
            make_checkpoint(source, size)
            tool = [sys.executable, "-m", "electra_convert"]
            subprocess.run([*tool, "convert", source, output, "--quiet"], check=True, stdout=subprocess.DEVNULL)
            sides = [str(source), str(output)]
            whole, imports, weights = [], [], []
            for _ in range(options.runs):
                whole.append(measure([*tool, "verify", *sides]))
                imports.append(measure(IMPORTS)[0])
                weights.append(measure([*tool, "verify", *sides, "--weights-only"])[0])
            seconds, memory = min(run[0] for run in whole), max(run[1] for run in whole)
            ratio = seconds / min(imports)
            print(
                f"{size:8}{seconds:10.1f}{min(imports):11.1f}{ratio:8.2f}{memory:8.1f}{min(weights):16.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
