"""How many lines a second `score` writes: against a transformers pipeline, and against batches in memory."""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from electra_convert import convert

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


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of processors; the latter are the same on a busy machine, if one thread computes."""

    clock: float
    processors: float

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.clock - other.clock, self.processors - other.processors)


def now() -> Taken:
    """Of this process and those it has waited for."""
    used = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Taken(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))


def pipeline_seconds(model: Path, lines: list[str], batch: int) -> tuple[Taken, list[float]]:
    """transformers' pipeline over a generator of lines, as its documentation has it; and what it says."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(model), batch_size=batch, device="cpu")
    list(classify(line for line in lines[: 2 * batch]))
    start = now()
    said = [answer["score"] for answer in classify(line for line in lines)]
    return now() - start, said


def score_seconds(model: Path, lines: list[str], place: Path, *options: str) -> tuple[Taken, list[float]]:
    """The whole command in a process of its own, less what it takes for one line; and what it says."""
    taken = []
    for some in (lines[:1], lines):
        (place / "lines.txt").write_text("".join(f"{line}\n" for line in some))
        command = [sys.executable, "-m", "electra_convert", "score", str(model), str(place / "lines.txt")]
        start = now()
        subprocess.run([*command, "-q", "-o", str(place / "out.jsonl"), "--overwrite", *options], check=True)
        taken.append(now() - start)
    said = [json.loads(line)["predicted_probability"] for line in (place / "out.jsonl").open()]
    return taken[1] - taken[0], said


def memory_seconds(model: Path, lines: list[str]) -> Taken:
    """All lines at once, in memory: what batches of one length take, and nothing else."""
    from electra_convert import open_model

    opened = open_model(model)
    opened.classify(lines[:64])
    start = now()
    opened.classify(lines)
    return now() - start


def furthest(ours: list[float], theirs: list[float]) -> float:
    """By how much a probability differs at most."""
    return max(abs(one - other) for one, other in zip(ours, theirs, strict=True))


def main() -> None:
    """Measure all of them in turn, and require that they say the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16, help="of the pipeline")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of each; by default as many as there are cores")
    given = parser.parse_args()
    lines = lines_of(given.lines)
    threads = [] if given.threads is None else ["--threads", str(given.threads)]
    if given.threads is not None:
        import torch

        torch.set_num_threads(given.threads)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        model = place / "small"
        make_small(model)
        convert(model, model, to="onnx", quantize="int8")
        engines = {
            "score": (model, ()),
            "score, onnx": (model, ("--engine", "onnx")),
            "score, onnx int8": (model / "onnx" / "model_quantized.onnx", ("--engine", "onnx")),
        }
        for _ in range(given.runs):
            single, expected = pipeline_seconds(model, lines, 1)
            batched, theirs = pipeline_seconds(model, lines, given.batch)
            taken = {"pipeline one by one": single, f"pipeline in batches of {given.batch}": batched}
            differ = {}
            for name, (path, options) in engines.items():
                taken[name], ours = score_seconds(path, lines, place, *options, *threads)
                differ[name] = furthest(ours, expected)
            taken["in memory"] = memory_seconds(model, lines)
            assert max(furthest(theirs, expected), differ["score"], differ["score, onnx"]) < 1e-5, differ
            for name, one in taken.items():
                speeds = f"{given.lines / one.clock:.0f} a second, {given.lines / one.processors:.0f} of processors"
                ratios = ", ".join(f"{other.processors / one.processors:.2f}" for other in (single, batched))
                print(f"{name}: {speeds}; by those {ratios} times as fast as the pipelines", flush=True)
            print(f"probabilities differ by at most {max(differ.values()):.1e} with int8\n", flush=True)


if __name__ == "__main__":
    main()
