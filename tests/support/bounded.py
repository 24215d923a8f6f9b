"""Programs whose memory and time are measured: in a process of their own, by themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from support.command_line import Ran, run_program

# The largest memory of a process is told by the system since it was started, and not by the resource module, which
# counts that of the process it was started from too.
_MEASURED = """
import atexit, json, pathlib, sys, time
def tell():
    peak = pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    pathlib.Path(sys.argv[1]).write_text(json.dumps([int(peak) << 10, time.process_time()]))
atexit.register(tell)
"""
COMMAND = "from electra_convert.cli import main; main(sys.argv[2:], prog_name='electra-convert')"


@dataclass(frozen=True)
class Measured:
    """A program that has run: what it said, its largest memory in bytes, and how long processors worked for it."""

    ran: Ran
    memory: int
    seconds: float


def measured(program: str, place: Path, *arguments: str | Path) -> Measured:
    """Run a program, whose own arguments are sys.argv[2:], and measure it, by way of a file at a place."""
    ran = run_program(_MEASURED + program, place, *arguments, timeout=240)
    memory, seconds = json.loads(place.read_text())
    return Measured(ran, memory, seconds)
