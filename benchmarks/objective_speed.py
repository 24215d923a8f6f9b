"""How fast Electra is around two modules, as a multiple of the electra-pytorch package around the same two.

    pip install --no-deps electra-pytorch==0.1.2
    python benchmarks/objective_speed.py [--runs 5] [--steps 3] [--batch 16] [--length 128] [--vocabulary 30522]
                                         [--compile]

Two pairs: ELECTRA-Small of transformers, whose masked places alone are projected to the vocabulary; and modules of
which nothing is known, a few layers of torch's own with the vocabulary's projection at the end, in both models. A
step is forward and backward; the two packages take turns, and the best of several runs of each counts. Beside the
ratio of times stands that of processor time, which others on a shared machine change less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn

from electra_convert import Electra

MASK, CLS, SEP = 103, 101, 102
WIDTH = 256


class Logits(nn.Module):
    """What electra-pytorch wants of a transformers model: logits, and nothing else."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """The logits of some ids."""
        return self.network(ids).logits


def small_pair(vocabulary: int) -> tuple[nn.Module, nn.Module]:
    """ELECTRA-Small and its generator, with embeddings in common."""
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    sizes = {"vocab_size": vocabulary, "embedding_size": 128}
    generator = ElectraForMaskedLM(
        ElectraConfig(**sizes, hidden_size=64, num_attention_heads=1, intermediate_size=256)
    )
    discriminator = ElectraForPreTraining(ElectraConfig(**sizes))
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.tie_weights()
    return generator, discriminator


def opaque(vocabulary: int, width: int) -> nn.Module:
    """Token ids to logits over the vocabulary, by layers of torch."""
    layer = nn.TransformerEncoderLayer(width, width // 64, 4 * width, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    return nn.Sequential(nn.Embedding(vocabulary, width), encoder, nn.Linear(width, vocabulary))


def steps_of(trainer: nn.Module, options: argparse.Namespace) -> Callable[[], tuple[float, float]]:
    """A function that computes losses and gradients of random tokens, and tells the seconds a step took, and those of
    processors."""
    device = next(trainer.parameters()).device
    ids = torch.randint(1000, options.vocabulary, (options.batch, options.length), device=device)
    ids[:, 0], ids[:, -1] = CLS, SEP

    def seconds() -> tuple[float, float]:
        start, used = time.perf_counter(), time.process_time()
        for _ in range(options.steps):
            trainer(ids).loss.backward()
            trainer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / options.steps, (time.process_time() - used) / options.steps

    return seconds


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 5), ("steps", 3), ("batch", 16), ("length", 128), ("vocabulary", 30522)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()

    from electra_pytorch import Electra as Reference

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    special = {"mask_token_id": MASK, "mask_ignore_token_ids": [CLS, SEP]}
    hidden = {"discr_dim": WIDTH, "discr_layer": 1}
    generator, discriminator = small_pair(options.vocabulary)
    modules = opaque(options.vocabulary, 64), opaque(options.vocabulary, WIDTH)
    pairs = {
        "ELECTRA-Small": (
            Electra(generator, discriminator, **special),
            Reference(Logits(generator), Logits(discriminator), **special),
        ),
        "opaque modules": (Electra(*modules, **special, **hidden), Reference(*modules, **special, **hidden)),
    }
    print(f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads, batch {options.batch}")
    for name, trainers in pairs.items():
        ready = [one.to(device).train() for one in trainers]
        timed = [steps_of(torch.compile(one) if options.compile else one, options) for one in ready]
        found: list[list[tuple[float, float]]] = [[], []]
        for _ in range(options.runs + 1):
            for seconds, measured in zip(timed, found, strict=True):
                measured.append(seconds())
        ours, theirs = (tuple(map(min, zip(*measured[1:], strict=True))) for measured in found)
        print(f"{name:15} Electra {ours[0]:7.3f} s a step, electra-pytorch {theirs[0]:7.3f}: ", end="")
        print(f"{theirs[0] / ours[0]:.2f} times as fast, {theirs[1] / ours[1]:.2f} times by processor time")


if __name__ == "__main__":
    main()
