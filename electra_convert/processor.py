"""How programs share a processor, and what that processor could do for them; imports no framework."""

from __future__ import annotations

import os
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# What Linux lets a container compute of each period, in microseconds.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Instructions that multiply in bfloat16, as Linux names them.
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def share_processor() -> None:
    """Have threads that wait sleep; to be called before PyTorch is imported, without effect afterwards.

    By default OpenMP's threads spin while they wait. Of two runs with a thread for each core, one spins where the
    other could compute, and each is half as fast as it could be.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def keep_no_kernels() -> None:
    """Have oneDNN make its kernels for each batch; to be called before PyTorch is imported, as share_processor.

    By default it keeps a thousand. Batches of texts differ in length and number, each of these sizes has kernels of
    its own, and a long run comes to hold a hundred megabytes that it hardly uses again.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")


def cores_at_once(quota: Path = _QUOTA) -> int:
    """How many threads of this process can run at once, a container's limit included."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text().split()
        return min(cores, max(1, round(int(most) / int(period))))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return cores


def multiplies_in_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor has instructions for it; False where the system does not tell."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return False
    flags = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return not _BFLOAT16.isdisjoint(next(flags, "").split())
