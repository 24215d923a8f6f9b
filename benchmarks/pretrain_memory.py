"""How much memory whole runs of pretrain take, and how long their steps, with small, large and huge vocabularies.

    python benchmarks/pretrain_memory.py [--vocabulary 1500 119547] [--batch 32] [--steps 4] [OPTION OF pretrain ...]

Each run is a process of its own: ELECTRA-Small on random words of 128 tokens a sequence, saved and evaluated in its
middle and at its end. Told are the highest resident memory of the process (ru_maxrss), the shortest time of a step as
the run reports it, what processors spent on the whole run, and how it splits its batches. What is not known here goes
to pretrain as it is, such as --memory-limit 2GB, --accumulate 4 or --hparams '{"sampled_softmax": 8192}'.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LENGTH = 128


def write_vocabulary(path: Path, size: int) -> None:
    """Pieces without a meaning, the most frequent first."""
    path.write_text("".join(f"{piece}\n" for piece in (*SPECIAL, *(f"w{row}" for row in range(size - len(SPECIAL))))))


def write_corpus(path: Path, size: int, sequences: int) -> None:
    """Words as frequent as Zipf has it, a line for each sequence."""
    words = size - len(SPECIAL)
    uniforms = np.random.default_rng(0).random((sequences, LENGTH - 2))
    rows = np.minimum(np.exp(uniforms * np.log(words + 1)).astype(np.int64) - 1, words - 1)
    path.write_text("\n\n".join(" ".join(f"w{row}" for row in line) for line in rows) + "\n")


def measured(arguments: list[str], error: Path) -> tuple[float, float, int]:
    """The highest resident memory of a command in GB, the seconds that processors spent on it, and its exit code."""
    with error.open("wb") as told:
        process = subprocess.Popen(arguments, stdout=told, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss * 1024 / 1e9, usage.ru_utime + usage.ru_stime, os.waitstatus_to_exitcode(status)


def run(size: int, options: argparse.Namespace, given: list[str], folder: Path) -> None:
    """Measure one run, and print a line."""
    held_out = options.batch
    sequences = options.batch * options.steps + held_out
    write_vocabulary(folder / "vocab.txt", size)
    write_corpus(folder / "corpus.txt", size, sequences)
    output = folder / "run"
    command = [sys.executable, "-m", "electra_convert", "pretrain", folder / "corpus.txt", output, "--overwrite"]
    command += ["--vocab", folder / "vocab.txt", "--cache", folder / "cache"]
    command += ["--batch-size", options.batch, "--steps", options.steps, "--warmup-steps", 1, "--log-steps", 1]
    command += ["--save-steps", max(1, options.steps // 2), "--held-out", held_out / sequences, *given]
    peak, spent, code = measured([str(part) for part in command], folder / "told.txt")
    told = (folder / "told.txt").read_text()
    if code:
        print(told)
        sys.exit(code)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    rates = [row["tokens_per_second"] for row in rows if row["kind"] == "train"]
    seconds = options.batch * LENGTH / max(rates)
    print(
        f"vocabulary {size:9,}: {peak:5.2f} GB, {seconds:6.2f} s a step, {spent:5.1f} s of CPU {' '.join(given)}",
        flush=True,
    )
    for line in told.splitlines():
        if "to stay below" in line:
            print(f"  {line}", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1500, 119547])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    options, given = parser.parse_known_args()
    for size in options.vocabulary:
        with tempfile.TemporaryDirectory() as folder:
            run(size, options, given, Path(folder))


if __name__ == "__main__":
    main()
