"""What large vocabularies cost: the softmax in blocks against one held whole, and steps exact and sampled.

    OMP_NUM_THREADS=1 python benchmarks/vocabulary_speed.py [--runs 5] [--vocabulary 1000000] [--candidates 8192]
                                                            [--batch 32] [--accumulate 4] [--steps 3]

First, losses, samples and gradients of some rows, by vocabulary_softmax and by torch's log_softmax over all logits at
once, in turn. Then steps of ELECTRA-Small at --vocabulary, its softmax exact; sampled, with replacements drawn from
the full distribution; and both from the candidates. Seconds are of processors, the best of several.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from accelerate import Accelerator
from pretrain_speed import IDS, RandomCorpus, beginning, hooks_of

from electra_convert.config.hparams import Hparams
from electra_convert.pretraining.batches import Batches
from electra_convert.pretraining.loop import train
from electra_convert.pretraining.options import PretrainOptions, training_settings
from electra_convert.pretraining.sampling import Drawing
from electra_convert.pretraining.vocabulary_softmax import VocabularySoftmax

WIDTH = 128
# Rows and vocabulary: what a batch of 16 and one of 32 predict.
SIZES = ((304, 30522), (608, 119547))
SAMPLED = {
    "exact": {},
    "sampled, replacements from all": {},
    "sampled, replacements from the candidates": {"sampled_replacements": "candidates"},
}

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def in_blocks(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, *rest: torch.Tensor) -> None:
    """Losses, samples and gradients as pretrain computes them."""
    targets, uniforms = rest
    softmax = VocabularySoftmax(hidden, weight, bias, targets, Drawing(), in_place=True)
    softmax.sampled(uniforms)
    softmax.losses.sum().backward()


def whole(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, *rest: torch.Tensor) -> None:
    """The same from the logarithms of all probabilities."""
    targets, uniforms = rest
    logarithms = torch.nn.functional.linear(hidden, weight, bias).log_softmax(dim=1)
    with torch.no_grad():
        heights = logarithms.exp().cumsum(dim=1)
        torch.searchsorted(heights, (uniforms * heights[:, -1]).unsqueeze(1), right=True)
    torch.nn.functional.nll_loss(logarithms, targets, reduction="sum").backward()


def seconds_of(compute: Callable[..., None], parts: Parts) -> float:
    """Seconds of processors of one computation."""
    start = time.process_time()
    compute(*parts)
    used = time.process_time() - start
    for part in parts[:3]:
        part.grad = None
    return used


def compare_softmax(rows: int, vocabulary: int, runs: int) -> None:
    """Measure the softmax alone, and print."""
    hidden = torch.randn(rows, WIDTH, requires_grad=True)
    weight = (torch.randn(vocabulary, WIDTH) / 20).requires_grad_()
    bias = torch.zeros(vocabulary, requires_grad=True)
    parts = (hidden, weight, bias, torch.randint(vocabulary, (rows,)), torch.rand(rows))
    found = [[seconds_of(compute, parts) for compute in (in_blocks, whole)] for _ in range(runs + 1)]
    ours, theirs = map(min, zip(*found[1:], strict=True))
    print(f"softmax, {rows} rows, {vocabulary:,} pieces: in blocks {ours:.3f} s, whole {theirs:.3f} s, ", end="")
    print(f"{theirs / ours:.2f} times as fast", flush=True)


def time_steps(options: argparse.Namespace) -> None:
    """Measure steps of one model, and print."""
    schedule = {"num_train_steps": options.steps, "save_checkpoints_steps": 1 << 30}
    base = {"vocab_size": options.vocabulary, "train_batch_size": options.batch, **schedule}
    accelerator = Accelerator(cpu=True)
    state = beginning(Hparams(base, "benchmark"), accelerator, compiled=False)
    exactly = 0.0
    for name, more in SAMPLED.items():
        sampled = {} if name == "exact" else {"sampled_softmax": options.candidates, **more}
        settings = training_settings(Hparams({**base, **sampled}, "benchmark"))
        corpus = RandomCorpus(options.vocabulary)
        batches = Batches(corpus, IDS, settings, 0, 0.0, vocabulary=options.vocabulary)
        ends = [time.process_time()]
        hooks = hooks_of(lambda *_, ends=ends: ends.append(time.process_time()))
        state.step = 0
        asked = PretrainOptions(log_steps=1, accumulate=options.accumulate)
        train(state, batches, settings, asked, accelerator, hooks)
        used = min(end - start for start, end in pairwise(ends))
        exactly = exactly or used
        print(f"step, {options.vocabulary:,} pieces, {name}: {used:.2f} s, ", end="")
        print(f"{exactly / used:.2f} times as fast", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"runs": 5, "vocabulary": 1_000_000, "candidates": 8192, "batch": 32, "accumulate": 4, "steps": 3}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for rows, vocabulary in SIZES:
        compare_softmax(rows, vocabulary, options.runs)
    time_steps(options)


if __name__ == "__main__":
    main()
