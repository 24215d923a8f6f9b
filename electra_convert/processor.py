"""How programs share a processor, and what that processor could do for them; imports no framework."""

from __future__ import annotations

import os
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Instructions that multiply in bfloat16, as Linux names them.
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def share_processor() -> None:
    """Have threads that wait sleep; to be called before PyTorch is imported, without effect afterwards.

    By default OpenMP's threads spin while they wait. Of two runs with a thread for each core, one spins where the
    other could compute, and each is half as fast as it could be.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def multiplies_in_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor has instructions for it; False where the system does not tell."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return False
    flags = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return not _BFLOAT16.isdisjoint(next(flags, "").split())
