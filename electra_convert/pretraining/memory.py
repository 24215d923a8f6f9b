"""The memory of a process, and how many sequences of a batch are computed together within a limit of it: tried out.

Steps of one sequence, then of more and more, are computed and thrown away, as long as what the ones before took says
that they fit.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from electra_convert.errors import TrainingError

if TYPE_CHECKING:
    import torch

# Left free for what comes later: saving, evaluation, the curves, and what a longer run scatters.
_KEPT_FREE = 0.05
# A step may take so much more than two smaller ones let expect.
_UNEXPECTED = 0.1
# By steps of this many sequences larger ones are estimated.
_FEW = 4
_STATM = Path("/proc/self/statm")


def resident(device: torch.device) -> int:
    """The bytes in use: of the process, or of the GPU that it computes on."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved(device)
    if _STATM.is_file():
        return int(_STATM.read_text().split()[1]) * mmap.PAGESIZE
    # Without a way to ask for what is used now, the most that ever was.
    return peak(device)


def most_within(limit: int, sizes: list[int], used: Callable[[int], int], now: int) -> int:
    """The largest part of a batch that stays within a limit.

    Args:
        limit: in bytes.
        sizes: the sequences of the parts to choose from, ascending.
        used: computes a step with parts of a size, and tells the bytes that it took at most.
        now: the bytes in use before any step.

    Raises:
        TrainingError: the smallest does not fit.

    >>> most_within(1000, [1, 2, 4, 8], lambda size: 100 + 200 * size, 100)
    4
    """
    allowed = limit * (1 - _KEPT_FREE)
    before, size, taken = (0, now), sizes[0], used(sizes[0])
    if taken > allowed:
        raise TrainingError(
            f"computing {sizes[0]} sequence{'s' * (sizes[0] > 1)} at a time takes {gigabytes(taken)}, too much for a "
            f"memory limit of {gigabytes(limit)}",
            "Give it more, or train a smaller model: fewer pieces, shorter sequences (--max-length), smaller sizes.",
        )
    for larger in sizes[1:]:
        slope = max(0.0, (taken - before[1]) / (size - before[0]))
        if taken + slope * (larger - size) * (1 + _UNEXPECTED) > allowed:
            break
        found = used(larger)
        if found > allowed:
            break
        before, size, taken = (size, taken), larger, found
    return size


def expected(sequences: int, used: Callable[[int], int]) -> int:
    """The bytes that a step of so many sequences takes at the most, by steps of fewer.

    Args:
        sequences: of the step.
        used: as most_within takes it.

    >>> expected(64, lambda size: 100 + 200 * size)
    12900
    """
    few = min(sequences, _FEW)
    # The first step of a process takes what later ones find there.
    one, found = used(1), used(few)
    return found + max(0, found - one) * (sequences - few) // max(1, few - 1)


def peak(device: torch.device) -> int:
    """The most bytes that were ever in use, as resident counts them."""
    if device.type == "cuda":
        return resident(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    # In bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def gigabytes(count: int) -> str:
    """A number of bytes as people read it."""
    return f"{count / 1e9:.2f} GB"
