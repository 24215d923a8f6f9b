"""Rows gathered to be scored together: the same ones whenever a file is read, those that are there of a pipe."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from electra_convert.errors import ElectraConvertError
from electra_convert.scoring.rows import Row

# The first are few, so that something is seen at once; of the most, many have the same length.
_FIRST, _MOST = 16, 1024
# Letters of rows that are held at once; one row may have more.
_LETTERS = 1 << 18
# Seconds that a row that came through a pipe waits for others.
_PAUSE = 0.05


def _size(row: Row) -> int:
    # What is scored is held beside what comes out.
    return len(row.begin) + (len(row.text) if isinstance(row.text, str) else 0)


def chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Gather rows; which ones follows from the rows alone. What stands before an error comes before it."""
    held: list[Row] = []
    letters, most = 0, _FIRST
    try:
        for row in rows:
            held.append(row)
            letters += _size(row)
            if len(held) == most or letters > _LETTERS:
                yield held
                held, letters, most = [], 0, min(2 * most, _MOST)
    except ElectraConvertError:
        if held:
            yield held
        raise
    if held:
        yield held


def chunks_as_they_come(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Gather rows that may come late: those that came since the last were taken, without waiting for more."""
    gathered = _Gathered(rows)
    threading.Thread(target=gathered.gather, daemon=True).start()
    while held := gathered.take():
        yield held
    if gathered.error is not None:
        raise gathered.error


class _Gathered:
    """Rows read by one thread and taken by another."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._changed = threading.Condition()
        self._held: list[Row] = []
        self._letters = 0
        self._ended = False
        self.error: Exception | None = None

    @property
    def _full(self) -> bool:
        return len(self._held) >= _MOST or self._letters > _LETTERS

    def gather(self) -> None:
        """Read all rows, as fast as they are taken."""
        try:
            for row in self._rows:
                with self._changed:
                    self._changed.wait_for(lambda: not self._full)
                    self._held.append(row)
                    self._letters += _size(row)
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - raised where the rows are taken
            self.error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self) -> list[Row]:
        """What is there, as soon as something is; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._ended)
            self._changed.wait_for(lambda: self._full or self._ended, timeout=_PAUSE)
            taken, self._held, self._letters = self._held, [], 0
            self._changed.notify_all()
        return taken
