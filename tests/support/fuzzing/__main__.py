"""Fuzzes every reader, or those that are named: python -m support.fuzzing --count 1000000 --seed 1 [READER ...]."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from support.fuzzing.readers import READERS, share
from support.fuzzing.running import Tally, fuzz

# More than any reader may take, so that a bomb ends here and not in the machine's memory.
_ADDRESSES = 16 << 30


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print a line for each failure and each reader; the status is 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", choices=[[], *(reader.name for reader in READERS)], metavar="READER")
    parser.add_argument("--count", type=int, default=100_000, help="inputs over all readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input, to make one again")
    parser.add_argument("--keep", type=Path, help="a folder for inputs that fail")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    chosen = [reader for reader in READERS if not arguments.readers or reader.name in arguments.readers]
    total = Tally()
    for reader in chosen:
        count = share(reader, chosen, arguments.count)
        tally, began = Tally(), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz_") as folder:
            for failure in fuzz(reader, Path(folder), count, arguments.seed, tally, arguments.first):
                _print(f"FAILED {failure.reader} number {failure.number}: {failure.what}")
                if arguments.keep and tally.failed <= 20:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    (arguments.keep / f"{failure.reader}_{failure.number}").write_bytes(failure.data)
        _print(
            f"{reader.name:24} {count:8} inputs: {tally.read} read, {tally.refused} refused, {tally.failed} failed; "
            f"slowest {tally.slowest:.1f} s, most memory {tally.memory >> 20} MB, "
            f"{time.monotonic() - began:.0f} s"
        )
        for key in ("read", "refused", "failed"):
            setattr(total, key, getattr(total, key) + getattr(tally, key))
        total.slowest, total.memory = max(total.slowest, tally.slowest), max(total.memory, tally.memory)
    inputs = total.read + total.refused + total.failed
    _print(
        f"{inputs} inputs, seed {arguments.seed}: {total.read} read, {total.refused} refused, {total.failed} failed; "
        f"slowest {total.slowest:.1f} s, most memory {total.memory >> 20} MB on top"
    )
    return int(total.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
