"""score: rows read, scored some at a time, and written in their order; holds no more of them than these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from electra_convert.demo.tasks import Asked
from electra_convert.errors import CorpusError, TextError
from electra_convert.scoring.asking import Said, Scorer
from electra_convert.scoring.chunks import chunks, chunks_as_they_come
from electra_convert.scoring.rows import Input, Row


class Sink(Protocol):
    """Where scored rows go."""

    def has(self, chunk: Sequence[Row]) -> bool:
        """Whether these rows are there already."""

    def write(self, text: str) -> None:
        """Write rows."""


class Listener(Protocol):
    """Who is told how it goes."""

    def faulty(self, reason: str) -> None:
        """A row has no scores."""

    def done(self, totals: Totals) -> None:
        """Rows were written."""


@dataclass
class Totals:
    """What was done so far.

    Attributes:
        rows: how many there were, without headers and blank lines of tables.
        resumed: how many of them an earlier run had scored.
        faulty: how many of this run's got no scores, because they cannot be given to the model.
        long: how many of them are longer than what the model takes at once.
    """

    rows: int = 0
    resumed: int = 0
    faulty: int = 0
    long: int = 0


def score_rows(given: Input, scorer: Scorer, sink: Sink, listener: Listener) -> Totals:
    """Score all rows.

    Args:
        given: the rows.
        scorer: gives them scores.
        sink: where they go.
        listener: told of faulty rows, and of each bunch that was written.

    Returns:
        What was done.

    Raises:
        CorpusError: a row cannot be read; what stands before it was written.
        OutputError: the sink is full, or has other rows.
    """
    totals = Totals()
    for chunk in chunks_as_they_come(given.rows) if given.waits else chunks(given.rows):
        count = sum(not row.whole for row in chunk)
        totals.rows += count
        if sink.has(chunk):
            totals.resumed += count
        else:
            sink.write(_scored(given, scorer, chunk, totals, listener.faulty))
        listener.done(totals)
    return totals


def _scored(given: Input, scorer: Scorer, chunk: Sequence[Row], totals: Totals, faulty: Callable[[str], None]) -> str:
    """What comes out for some rows; those without a text, or with one that no model is given, have no values."""
    asked: dict[int, Asked] = {}
    failed: dict[int, str] = {}
    for place, row in enumerate(chunk):
        if row.whole:
            continue
        try:
            text, pair = row.checked()
        except CorpusError as error:
            failed[place] = error.message
            continue
        if text.strip():
            asked[place] = Asked(text, pair)
    # Rows that ask the same are told the same.
    distinct = list(dict.fromkeys(asked.values()))
    told = dict(zip(distinct, scorer.scores(distinct), strict=True))
    found: dict[int, Said] = {}
    for place, one in asked.items():
        said = told[one]
        if isinstance(said, TextError):
            failed[place] = f"{chunk[place].where}: {said.message}"
        else:
            found[place] = said
    for place in sorted(failed):
        faulty(failed[place])
    totals.faulty += len(failed)
    totals.long += sum(said.long for said in found.values())
    nothing = dict.fromkeys(scorer.names)
    return "".join(
        given.record(row, found[place].scores if place in found else nothing) for place, row in enumerate(chunk)
    )
