"""How fast pretrain is, as a multiple of the electra-pytorch package and as a share of the machine's matrix products.

    pip install --no-deps electra-pytorch==0.1.2
    python benchmarks/pretrain_speed.py [--runs 5] [--steps 5] [--size small] [--batch 16] [--precision float32]
                                        [--vocabulary 30522] [--compile] [--no-peer]

ELECTRA of a size with Google's defaults (generator 0.25, length 128) on random tokens, trained by
this package's own loop, masking, clipping and optimiser included; by the electra-pytorch wrapper around the same two
transformers models with torch's AdamW; and matrix products of 2048 x 2048, in turn, the best of several runs each.
Seconds of processors are told too, which others on a shared machine change less.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch

from electra_convert.config.hparams import Hparams
from electra_convert.config.sources import Findings
from electra_convert.pretraining.batches import Batches, weights_seed
from electra_convert.pretraining.corpus.cache import Inputs
from electra_convert.pretraining.dropout import ATTENTION
from electra_convert.pretraining.loop import train
from electra_convert.pretraining.model import initialise, make_networks
from electra_convert.pretraining.optimizer import make_optimizer
from electra_convert.pretraining.options import PretrainOptions, training_settings
from electra_convert.pretraining.tables import use_table
from electra_convert.pretraining.train_state import TrainState
from electra_convert.schemes.layouts import LAYOUTS

IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
LENGTH = 128
# The first id that is no special piece.
FIRST = 104
PRODUCT = 2048


class RandomCorpus:
    """Sequences of random tokens.

    Args:
        vocabulary: how many ids there are.
        length: of a sequence.
        padding: the share of tokens that are padding; sequences are of any length from 1 - 2 * padding of it up.
    """

    def __init__(self, vocabulary: int, length: int = LENGTH, padding: float = 0.0) -> None:
        self._vocabulary, self._length, self._padding = vocabulary, length, padding

    def __len__(self) -> int:
        return 1 << 20

    def read(self, indices: np.ndarray) -> Inputs:
        """The sequences of some numbers."""
        random = np.random.default_rng(int(indices[0]))
        ids = random.integers(FIRST, self._vocabulary, (len(indices), self._length))
        least = round((1 - 2 * self._padding) * self._length)
        lengths = random.integers(least, self._length, len(indices), endpoint=True)[:, None]
        columns = np.arange(self._length)
        ids[:, 0] = IDS["[CLS]"]
        ids[columns == lengths - 1] = IDS["[SEP]"]
        present = columns < lengths
        return Inputs(np.where(present, ids, IDS["[PAD]"]), present, np.zeros_like(ids))


def flops_a_step(networks: dict, batch: int, length: int = LENGTH) -> float:
    """Multiplications and additions of the matrix products of a step: forward once, backward twice.

    A weight multiplies every token, but the generator's head only those that are predicted; embeddings are looked up.
    """
    tokens, predictions = batch * length, batch * int(0.155 * length)
    total = 0.0
    for role, network in networks.items():
        config = network.config
        inside = sum(
            parameter.numel()
            for name, parameter in network.named_parameters()
            if parameter.ndim == 2 and "embeddings." not in name and "lm_head" not in name
            and "generator_predictions" not in name
        )  # fmt: skip
        attention = 2 * config.num_hidden_layers * config.hidden_size * length
        total += 2 * tokens * (inside + attention)
        if role == "generator":
            total += 2 * predictions * config.embedding_size * (config.vocab_size + config.hidden_size)
    return 3 * total


def beginning(hparams: Hparams, accelerator: object, compiled: bool) -> TrainState:
    """The state that pretrain begins with, its weights drawn."""
    configs = {role: hparams.expected(role, False) for role in ("discriminator", "generator")}
    own_dropout = accelerator.device.type == "cpu" and not compiled
    networks = make_networks(configs, LAYOUTS["default"], ATTENTION if own_dropout else "sdpa")
    initialise(networks, weights_seed(0))
    for network in networks.values():
        network.to(accelerator.device)
        if not compiled:
            use_table(network)
    named = dict(torch.nn.ModuleDict(networks).named_parameters())
    optimizer = make_optimizer(named, training_settings(hparams).weight_decay_rate)
    return TrainState(networks, optimizer, LAYOUTS["default"], Findings({}, None, {}, ()))


def hooks_of(report: Callable[[int, list, float], None]) -> SimpleNamespace:
    """Hooks of the loop that save and evaluate nothing."""
    return SimpleNamespace(report=report, evaluated=lambda *_: None, save=lambda *_: None)


def own_rate(options: argparse.Namespace, accelerator: object) -> tuple[Callable[[], float], float]:
    """A function that trains some steps and tells how many a second; and the work in one."""
    schedule = {"num_train_steps": options.steps, "save_checkpoints_steps": 1 << 30}
    sizes = {"model_size": options.size, "vocab_size": options.vocabulary, "train_batch_size": options.batch}
    hparams = Hparams({**sizes, **schedule}, "benchmark")
    settings = training_settings(hparams)
    state = beginning(hparams, accelerator, options.compile)
    batches = Batches(RandomCorpus(options.vocabulary), IDS, settings, 0, 0.0)
    rates: list[float] = []
    hooks = hooks_of(lambda _step, _losses, rate: rates.append(rate / (options.batch * LENGTH)))
    asked = PretrainOptions(log_steps=options.steps, compile=options.compile)

    def rate() -> float:
        train(replace(state), batches, settings, asked, accelerator, hooks)
        return rates.pop()

    return rate, flops_a_step(state.networks, options.batch)


class Logits(torch.nn.Module):
    """What electra-pytorch wants of a model: logits, and nothing else."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """The logits of some ids."""
        return self.network(ids).logits


def peer_rate(options: argparse.Namespace, device: torch.device) -> Callable[[], float]:
    """The same for the electra-pytorch package, as its README has it."""
    import transformers
    from electra_pytorch import Electra as Wrapper

    hparams = Hparams({"model_size": options.size, "vocab_size": options.vocabulary}, "benchmark")
    generator, discriminator = (
        architecture(transformers.ElectraConfig(**hparams.expected(role, False)))
        for role, architecture in (
            ("generator", transformers.ElectraForMaskedLM),
            ("discriminator", transformers.ElectraForPreTraining),
        )
    )
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.tie_weights()
    wrapper = Wrapper(
        Logits(generator), Logits(discriminator), num_tokens=options.vocabulary, mask_token_id=IDS["[MASK]"],
        pad_token_id=0, mask_ignore_token_ids=[IDS["[CLS]"], IDS["[SEP]"]],
    ).to(device).train()  # fmt: skip
    optimizer = torch.optim.AdamW(wrapper.parameters(), lr=1e-4)
    corpus = RandomCorpus(options.vocabulary)

    def rate() -> float:
        start = time.perf_counter()
        for step in range(options.steps):
            ids = torch.from_numpy(corpus.read(np.arange(step, step + options.batch)).input_ids).to(device)
            wrapper(ids).loss.backward()
            torch.nn.utils.clip_grad_norm_(wrapper.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return options.steps / (time.perf_counter() - start)

    return rate


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Multiplications and additions a second of square matrix products."""
    size = PRODUCT if device.type == "cpu" else 4 * PRODUCT
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        one @ other
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--size", default="small", choices=["small", "base", "large"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--vocabulary", type=int, default=30522)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()

    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision="bf16" if options.precision == "bfloat16" else "no")
    own, flops = own_rate(options, accelerator)
    peer = (lambda: 0.0) if options.no_peer else peer_rate(options, accelerator.device)
    own(), peer()
    owns, peers, products, used = [], [], [], []
    for _ in range(options.runs):
        peers.append(peer())
        before = time.process_time()
        owns.append(own())
        used.append((time.process_time() - before) / options.steps)
        products.append(product_rate(accelerator.device, getattr(torch, options.precision)))
    best, other, product = max(owns), max(peers), max(products)
    print(f"{platform.processor() or platform.machine()}, {accelerator.device}, torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads, {options.size}, batch {options.batch}, {options.precision}")
    print(f"pretrain         {best:8.3f} steps/s, {best * options.batch * LENGTH:12,.0f} tokens/s, ", end="")
    print(f"{min(used):.2f} s of processors a step")
    if other:
        print(f"electra-pytorch  {other:8.3f} steps/s: pretrain is {best / other:.2f} times as fast")
    print(f"matrix products  {product / 1e9:8.0f} GFLOP/s: a step of {flops / 1e9:.0f} GFLOP ", end="")
    print(f"reaches {best * flops / product:.0%} of that")


if __name__ == "__main__":
    main()
