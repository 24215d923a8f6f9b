"""How long an ONNX model takes to write and to run, beside one that torch.onnx.export makes of the same weights.

    python benchmarks/onnx_speed.py [--sizes small,base] [--runs 3] [--folder DIR]

Makes a discriminator of each size with random weights by transformers. Then, in turn and as whole processes: convert
to safetensors, to ONNX, to ONNX with int8 weights as well (which it runs too, to measure them), and torch.onnx.export
(which needs onnx and onnxscript). Prints the best of several runs, the largest resident memory, the size of the file,
the time that onnxruntime takes on one thread for a row of 24 and of 128 tokens, and by how much its logits differ
from transformers'.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from convert_speed import SIZES, Run, measure

EXPORT = """
import sys, torch
from torch.export import Dim
from transformers import ElectraForPreTraining
source, target = sys.argv[1:]
model = ElectraForPreTraining.from_pretrained(source, attn_implementation="sdpa").eval()
ids, mask, types = (torch.full((2, 24), value) for value in (5, 1, 0))  # no tensor twice: it would be one input
names = ["input_ids", "attention_mask", "token_type_ids"]
sizes = {0: Dim("batch_size", min=1), 1: Dim("sequence_length", min=2, max=512)}
torch.onnx.export(
    model, kwargs=dict(zip(names, (ids, mask, types))), f=target, input_names=names,
    output_names=["logits"], dynamic_shapes=dict.fromkeys(names, sizes), opset_version=18, dynamo=True,
    external_data=False, verbose=False,
)
"""
LENGTHS = (24, 128)
_REPEATS = 20


def make_model(folder: Path, size: str) -> None:
    """Save a discriminator with random weights."""
    from transformers import ElectraConfig, ElectraForPreTraining

    embedding, hidden, layers, _ = SIZES[size]
    config = ElectraConfig(
        embedding_size=embedding,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
    )
    ElectraForPreTraining(config).save_pretrained(folder)


def rows() -> list[dict[str, Any]]:
    """A row of random tokens of each length."""
    made = []
    for length in LENGTHS:
        ids = np.random.default_rng(length).integers(1, 30000, (1, length))
        made.append({"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})
    return made


def expected(folder: Path) -> list[Any]:
    """The logits of transformers."""
    import torch
    from transformers import ElectraForPreTraining

    model = ElectraForPreTraining.from_pretrained(folder).eval()
    with torch.no_grad():
        return [
            model(**{name: torch.from_numpy(array) for name, array in row.items()}).logits.numpy() for row in rows()
        ]


def run_model(path: Path, logits: Sequence[Any]) -> tuple[list[float], float]:
    """The milliseconds that each row takes, the best of several times, and the largest difference from logits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    times, difference = [], 0.0
    for row, wanted in zip(rows(), logits, strict=True):
        taken = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            (found,) = session.run(None, row)
            taken.append(time.perf_counter() - start)
        times.append(1000 * min(taken))
        difference = max(difference, float(np.abs(found - wanted).max()))
    return times, difference


def judge(source: Path, models: Sequence[Path]) -> list[tuple[list[float], float]]:
    """What run_model says of each model, with the logits of transformers."""
    logits = expected(source)
    return [run_model(path, logits) for path in models]


def compare(folder: Path, size: str, runs: int) -> list[str]:
    """A line for each way to write one model; frameworks are imported in other processes, for the memory's sake."""
    source, exported = folder / size, folder / "exported"

    def converted(name: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "electra_convert", "convert", str(source), str(folder / name), *options]

    onnx = ("--overwrite", "--quiet", "--to", "onnx")
    ways = {
        "safetensors": (converted("s", *onnx[:3], "safetensors"), "s/model.safetensors"),
        "onnx": (converted("f", *onnx), "f/onnx/model.onnx"),
        "onnx, int8": (converted("i", *onnx, "--quantize", "int8"), "i/onnx/model_quantized.onnx"),
        "torch.onnx.export": ([sys.executable, "-c", EXPORT, str(source), str(exported)], exported.name),
    }
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        other.submit(make_model, source, size).result()
    taken: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, (command, _) in ways.items():
            taken[name].append(measure(command))
    files = {name: folder / file for name, (_, file) in ways.items()}
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        judged = other.submit(judge, source, list(files.values())[1:]).result()
    lines = []
    for (name, file), (times, difference) in zip(files.items(), [([], 0.0), *judged], strict=True):
        seconds, memory = min(run.seconds for run in taken[name]), max(run.megabytes for run in taken[name])
        told = f"{size:8}{name:20}{seconds:9.2f}{memory:9.0f}{file.stat().st_size / 1e6:9.1f}"
        lines.append(told + "".join(f"{time:9.1f}" for time in times) + (f"{difference:12.2g}" if times else ""))
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="small,base")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(
            f"{'size':8}{'written as':20}{'s':>9}{'RSS, MB':>9}{'MB':>9}{'24, ms':>9}{'128, ms':>9}{'difference':>12}"
        )
        for size in arguments.sizes.split(","):
            print("\n".join(compare(Path(folder), size, arguments.runs)), flush=True)


if __name__ == "__main__":
    main()
