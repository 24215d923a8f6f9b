"""When a run is saved, or ends, between steps: on a signal, at a limit of time, and when it was saved long ago."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from electra_convert.errors import SavedRunInterrupt, UsageError

Pause = Literal["interrupted", "terminated", "out of time", "saved long ago"]
# Those after which the run does not go on.
ENDS: tuple[Pause, ...] = ("interrupted", "terminated", "out of time")
_PAUSES: tuple[Pause, ...] = (*ENDS, "saved long ago")
_SIGNALS: dict[int, Pause] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_SAVED_EVERY = 15 * 60.0  # seconds
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")


class Pauses:
    """Watches signals and clocks while it is entered; the first signal asks, the second does what it always does.

    Args:
        time_limit: in seconds, None for none.
        tell: is told at once that a signal was heard.
        clock: gives seconds, from anywhere.
    """

    def __init__(
        self, time_limit: float | None, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._tell = clock, tell
        self._saved = clock()
        self._ends = None if time_limit is None else clock() + time_limit
        self._heard: Pause | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.saved()
        # Only the main thread hears signals; one that is ignored, as of a job in the background, stays so.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._restore()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._heard = _SIGNALS[number]
        self._restore()
        # Whoever is told may have been in the middle of telling something else.
        with suppress(RuntimeError):
            self._tell(
                f"{signal.Signals(number).name} is heard: the step is finished and the run saved. Another ends it at "
                "once."
            )

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def due(self, accelerator: Any) -> Pause | None:  # noqa: ANN401 - accelerate.Accelerator
        """What is to be done now, the same in all processes; each must ask after each step."""
        wanted = [self._heard == "interrupted", self._heard == "terminated", *self._times_up(accelerator)]
        if accelerator.num_processes > 1:
            wanted = _of_all(wanted, accelerator)
        return next((pause for pause, one in zip(_PAUSES, wanted, strict=True) if one), None)

    def _times_up(self, accelerator: Any) -> list[bool]:  # noqa: ANN401
        """By the clock of the first process alone."""
        now = self._clock()
        if not accelerator.is_main_process:
            return [False, False]
        return [self._ends is not None and now >= self._ends, now >= self._saved + _SAVED_EVERY]

    def saved(self) -> None:
        """The run has been saved."""
        self._saved = self._clock()


def _of_all(wanted: list[bool], accelerator: Any) -> list[bool]:  # noqa: ANN401
    import torch

    counts = torch.tensor(wanted, dtype=torch.float32, device=accelerator.device)
    return [one > 0 for one in accelerator.reduce(counts, "sum").tolist()]


def deliver(pause: Pause) -> None:
    """Do with a signal that was heard what it would have done.

    Raises:
        SavedRunInterrupt: where that is not the end of the process.
    """
    for number, one in _SIGNALS.items():
        if one == pause:
            # Nothing follows where another process of the run has heard it, and this one ignores it.
            with suppress(KeyboardInterrupt):
                signal.raise_signal(number)
            raise SavedRunInterrupt(number)


def read_duration(text: str | float | None) -> float | None:
    """Read a time such as 90m, 2h or 1h30m in seconds; a number alone is in seconds.

    Raises:
        UsageError: it is none.

    >>> read_duration("1h30m")
    5400.0
    """
    if text is None:
        return None
    amounts = _AMOUNT.findall(str(text))
    seconds = sum(float(number) * _UNITS[unit] for number, unit in amounts)
    if not seconds or not re.fullmatch(f"(?:{_AMOUNT.pattern}\\s*)+", str(text).strip()):
        raise UsageError(f"--time-limit is {str(text)!r}, expected a time such as 90m or 2h")
    return seconds
