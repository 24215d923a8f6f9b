"""Runs readers on mutated files, and says which did not end in a result or in an error of the package's own."""

from __future__ import annotations

import faulthandler
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from electra_convert.errors import ElectraConvertError
from support.fuzzing.readers import Reader

# Seconds of a processor, so that a busy machine makes no hang; what waits for something else ends the process.
LONGEST = 10
LONGEST_WAIT = 600
_REARMED = 100
# On top of what the frameworks themselves take.
MOST_MEMORY = 700 << 20


@dataclass(frozen=True)
class Failure:
    """An input that ended in something else; it can be made again from the reader's name, the seed and the number."""

    reader: str
    number: int
    what: str
    data: bytes


class HangError(BaseException):
    """No Exception, so that no reader takes it for an error of the file."""


@dataclass
class Tally:
    """What became of the inputs of a reader: read, refused, failed; and what the worst of them took."""

    read: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    memory: int = 0
    memory_before: int = 0


def fuzz(reader: Reader, folder: Path, count: int, seed: int, tally: Tally, first: int = 0) -> Iterator[Failure]:
    """Run a reader on so many inputs in a folder of its own, and yield those that fail.

    Before, it reads the whole files, which must be no error; then the system measures its memory.
    """
    files = reader.prepare(folder)
    changed = ""
    reader.read(folder)
    _reset_peak()
    tally.memory_before = _peak()
    for number in range(first, first + count):
        if number % _REARMED == 0:
            faulthandler.dump_traceback_later(LONGEST_WAIT, exit=True)
        random = Random(f"{seed} {reader.name} {number}")
        name = random.choice(list(files))
        original, mutation = files[name]
        data = mutation(random, original)
        if changed not in ("", name):
            (folder / changed).write_bytes(files[changed][0])
        changed = name
        (folder / name).write_bytes(data)
        started = time.process_time()
        what = _outcome(reader, folder, tally)
        took = time.process_time() - started
        tally.seconds += took
        tally.slowest = max(tally.slowest, took)
        if what:
            tally.failed += 1
            yield Failure(reader.name, number, what, data)
    faulthandler.cancel_dump_traceback_later()


def _outcome(reader: Reader, folder: Path, tally: Tally) -> str:
    """What went wrong; nothing where all is well."""
    try:
        with _watched(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(folder)
            tally.read += 1
    except ElectraConvertError as error:
        tally.refused += 1
        if not error.message:
            return "an error without a message"
    except HangError:
        return f"a hang of more than {LONGEST} seconds"
    except RecursionError as error:
        return f"RecursionError: {error}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - any other is what is looked for, panics of Rust's too
        return "".join(traceback.format_exception(error)[-6:])
    taken = _peak() - tally.memory_before
    tally.memory = max(tally.memory, taken)
    if taken <= MOST_MEMORY:
        return ""
    _reset_peak()
    return f"{taken >> 20} MB of memory"


@contextmanager
def _watched() -> Iterator[None]:
    def end(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _reset_peak() -> None:
    """Have the system measure the largest memory of this process anew; that takes far longer than most readers."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The largest memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
