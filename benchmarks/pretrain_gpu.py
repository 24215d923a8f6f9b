"""How fast pretrain is on a GPU, over sizes, batches, compilation and padding, in eight minutes at most.

    python benchmarks/pretrain_gpu.py [--minutes 8] [--json FILE]
    python benchmarks/pretrain_gpu.py --tiny

ELECTRA-Small and Base with Google's defaults on random tokens, matrix products in bfloat16, by this package's own
loop with masking, clipping and optimiser: as it is, compiled, and compiled with CUDA graphs. --tiny measures tiny
models on any device, to see that the script works.

Each size and way has a process of its own, which has its share of the time that is left and is ended then; what it
has measured until then counts, and what failed or was not reached is told. Tokens a second are those that are not
padding. The multiplications and additions of all tokens, padding included, are told as a share of those in products
of two large matrices, measured ("products"), and of what the GPU's maker tells for bfloat16 ("peak").
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import torch
from pretrain_speed import IDS, LENGTH, RandomCorpus, beginning, flops_a_step, hooks_of, product_rate

from electra_convert.config.hparams import Hparams
from electra_convert.pretraining.batches import Batches
from electra_convert.pretraining.loop import train
from electra_convert.pretraining.options import PretrainOptions, training_settings

# Multiplications and additions a second in bfloat16, of matrices that are not sparse, as data sheets have them.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
WAYS = ("eager", "compiled", "graphs")
# The ends come first: those in between may not be reached, where compiling takes its time.
BATCHES = (1024, 128, 512, 256)
PADDED = 0.2
# Reports of so many steps each; the first ones are not counted, in which memory is found and code compiled.
STEPS, UNCOUNTED, COUNTED = 10, 2, 3
TINY = {"model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 2}, "vocab_size": 1000}


class Case(NamedTuple):
    """What is measured: so many sequences at once, and the share of their tokens that is padding."""

    batch: int
    padding: float


class Enough(Exception):  # noqa: N818 - no error
    """All that was wanted of a run is known."""


def cases(way: str, tiny: bool) -> list[Case]:
    """What a process measures, in its order."""
    full = [Case(batch, 0.0) for batch in ((8, 4) if tiny else BATCHES)]
    return [*full, Case(full[0].batch, PADDED)] if way == "eager" else full


def measure(size: str, way: str, case: Case, tiny: bool) -> dict[str, float]:
    """Tokens that are no padding a second, steps a second, and the work of one step."""
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision="bf16")
    schedule = {"num_train_steps": 1 << 20, "save_checkpoints_steps": 1 << 30}
    sizes = {"model_size": size, "train_batch_size": case.batch, **(TINY if tiny else {})}
    hparams = Hparams({**sizes, **schedule}, "benchmark")
    settings = training_settings(hparams)
    compiled = way != "eager"
    state = beginning(hparams, accelerator, compiled)
    vocabulary = hparams.expected("discriminator", False)["vocab_size"]
    batches = Batches(RandomCorpus(vocabulary, LENGTH, case.padding), IDS, settings, 0, 0.0, vocabulary=vocabulary)
    rates: list[float] = []
    ends = [0.0]

    def report(_step: int, _losses: list, rate: float) -> None:
        rates.append(rate)
        ends.append(time.perf_counter())
        if len(rates) == UNCOUNTED + COUNTED:
            raise Enough

    steps = 2 if tiny else STEPS
    asked = PretrainOptions(log_steps=steps, compile=compiled)
    try:
        train(state, batches, settings, asked, accelerator, hooks_of(report))
    except Enough:
        seconds = (ends[-1] - ends[UNCOUNTED]) / (COUNTED * steps)
    return {
        "tokens_per_second": sum(rates[UNCOUNTED:]) / COUNTED,
        "steps_per_second": 1 / seconds,
        "operations_per_second": flops_a_step(state.networks, case.batch) / seconds,
    }


def work(size: str, way: str, tiny: bool) -> None:
    """Measure all cases of a size and a way, and print each as a line of JSON."""
    if way == "graphs":
        from torch._inductor import config

        config.triton.cudagraphs = True
    for case in cases(way, tiny):
        row = {"size": size, "way": way, **case._asdict()}
        try:
            row |= measure(size, way, case, tiny)
        except Exception as error:  # noqa: BLE001 - the next case may succeed
            row["failed"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
        if torch.cuda.is_available():
            row["peak_gigabytes"] = torch.cuda.max_memory_allocated() / 1e9
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        torch.compiler.reset()
        print(json.dumps(row), flush=True)


def rows_of(size: str, way: str, tiny: bool, seconds: float) -> list[dict]:
    """What a process measures in some seconds, and what it did not come to."""
    command = [sys.executable, __file__, "--work", size, way, *(["--tiny"] if tiny else [])]
    with TemporaryFile() as printed:
        # Compilers that it has started are to end with it.
        process = subprocess.Popen(command, stdout=printed, start_new_session=True)
        try:
            why = f"the process ended with {process.wait(seconds)}"
        except subprocess.TimeoutExpired:
            why = "not reached in time"
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        printed.seek(0)
        lines = printed.read().decode().splitlines()
    # A line that was cut off, or somebody else's.
    whole = [line for line in lines if line.startswith("{") and line.endswith("}")]
    rows = [json.loads(line) for line in whole]
    missing = cases(way, tiny)[len(rows) :]
    return rows + [{"size": size, "way": way, **case._asdict(), "failed": why} for case in missing]


def told(row: dict, product: float, peak: float | None) -> str:
    """A row of the table."""
    what = f"{row['size']:6} {row['way']:9} {row['batch']:6} {row['padding']:8.0%} "
    if "failed" in row:
        return what + row["failed"]
    rate = row["operations_per_second"]
    share = f"{rate / peak:6.0%}" if peak else "     -"
    memory = f"{row['peak_gigabytes']:6.1f}" if "peak_gigabytes" in row else "     -"
    numbers = f"{row['tokens_per_second']:12,.0f} {row['steps_per_second']:8.2f} {rate / product:9.0%}"
    return f"{what}{numbers} {share} {memory}"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.tiny)
        return
    if not options.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU; --tiny works on any device")
    # Something is left to end a process and to print.
    end = time.monotonic() + 60 * options.minutes - 10
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    product = product_rate(device, torch.bfloat16)
    peak = next((rate for part, rate in PEAKS.items() if part in name), None)
    print(f"{name}, torch {torch.__version__}, length {LENGTH}, products {product / 1e12:.2f} TFLOP/s", flush=True)
    print("size   way        batch  padding     tokens/s  steps/s  products   peak     GB", flush=True)
    ways = WAYS[:1] if options.tiny and device.type == "cpu" else WAYS
    runs = [(size, way) for way in ways for size in ("small", "base")]
    rows: list[dict] = []
    for number, (size, way) in enumerate(runs):
        found = rows_of(size, way, options.tiny, (end - time.monotonic()) / (len(runs) - number))
        for row in found:
            print(told(row, product, peak), flush=True)
        rows += found
    summary = {"device": name, "torch": torch.__version__, "products": product, "peak": peak, "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(summary, indent=1))
    else:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
