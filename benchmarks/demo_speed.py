"""How long the first result of `demo` takes, against `import torch, transformers`; and a further sentence."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def first_output(arguments: list[str]) -> float:
    """Seconds until a process has written its first line."""
    start = time.perf_counter()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        taken = time.perf_counter() - start
        process.stdout.read()
    return taken


def main() -> None:
    """Run both in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="anything demo takes")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    demo = [
        sys.executable,
        "-m",
        "electra_convert",
        "demo",
        given.model,
        "The quick brown fox fake over the lazy dog",
    ]
    bare = [sys.executable, "-c", "import torch, transformers; print(1, flush=True)"]
    first_output(demo)
    times = [(first_output(demo), first_output(bare)) for _ in range(given.runs)]
    shown, imported = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"first result {shown:.2f} s, import torch, transformers {imported:.2f} s, ratio {shown / imported:.2f}")


if __name__ == "__main__":
    main()
