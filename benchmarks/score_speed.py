"""How many lines a second `score` writes: against a transformers pipeline, and against batches in memory."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

VOCABULARY = Path(__file__).parent.parent / "fixtures" / "vocab.txt"
CORPUS = VOCABULARY.parent / "corpus" / "english.txt"
WORDS = (2, 3, 4, 5, 8, 10, 15, 25)


def make_small(folder: Path) -> None:
    """A classifier of ELECTRA-Small's size with random weights; transformers' default configuration is Small's."""
    from transformers import ElectraConfig, ElectraForSequenceClassification, ElectraTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = ElectraConfig()
    pieces = VOCABULARY.read_text().split()
    pieces += [f"[unused{number}]" for number in range(config.vocab_size - len(pieces))]
    ElectraForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    ElectraTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)


def lines_of(count: int) -> list[str]:
    """Short lines of mixed length, the same every time."""
    words, drawn = CORPUS.read_text().split(), random.Random(1)
    return [" ".join(drawn.choices(words, k=drawn.choice(WORDS))) for _ in range(count)]


def pipeline_seconds(model: Path, lines: list[str], batch: int) -> tuple[float, list[float]]:
    """transformers' pipeline over a generator of lines, as its documentation has it; and what it says."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(model), batch_size=batch, device="cpu")
    list(classify(line for line in lines[: 2 * batch]))
    start = time.perf_counter()
    said = [answer["score"] for answer in classify(line for line in lines)]
    return time.perf_counter() - start, said


def score_seconds(model: Path, lines: list[str], place: Path) -> tuple[float, list[float]]:
    """The whole command in a process of its own, less what it takes for one line; and what it says."""
    taken = []
    for some in (lines[:1], lines):
        (place / "lines.txt").write_text("".join(f"{line}\n" for line in some))
        command = [sys.executable, "-m", "electra_convert", "score", str(model), str(place / "lines.txt")]
        start = time.perf_counter()
        subprocess.run([*command, "-q", "-o", str(place / "out.jsonl"), "--overwrite"], check=True)
        taken.append(time.perf_counter() - start)
    said = [json.loads(line)["predicted_probability"] for line in (place / "out.jsonl").open()]
    return taken[1] - taken[0], said


def memory_seconds(model: Path, lines: list[str]) -> float:
    """All lines at once, in memory: what batches of one length take, and nothing else."""
    from electra_convert import open_model

    opened = open_model(model)
    opened.classify(lines[:64])
    start = time.perf_counter()
    opened.classify(lines)
    return time.perf_counter() - start


def main() -> None:
    """Measure all of them in turn, and require that they say the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16, help="of the pipeline")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    lines = lines_of(given.lines)
    with TemporaryDirectory() as place:
        model = Path(place) / "small"
        make_small(model)
        for _ in range(given.runs):
            single, _ = pipeline_seconds(model, lines, 1)
            batched, theirs = pipeline_seconds(model, lines, given.batch)
            scored, ours = score_seconds(model, lines, Path(place))
            memory = memory_seconds(model, lines)
            assert max(abs(one - other) for one, other in zip(ours, theirs, strict=True)) < 1e-4
            speeds = [given.lines / seconds for seconds in (scored, memory, batched, single)]
            names = ("score", "in memory", f"pipeline in batches of {given.batch}", "pipeline one by one")
            told = [f"{name} {speed:.0f}" for name, speed in zip(names, speeds, strict=True)]
            ratios = [f"{speeds[0] / speed:.1f}" for speed in speeds[2:]]
            print(f"lines a second: {', '.join(told)}; ratios {' and '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
