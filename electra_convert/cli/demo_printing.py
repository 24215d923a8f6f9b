"""Scored texts printed as they come, for as long as somebody reads them; scores nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from shutil import get_terminal_size
from typing import Any

from electra_convert.cli.printing import on_terminal, print_json, print_message, print_result, wants_colour
from electra_convert.demo.evaluation import Evaluation, Mark, Unit
from electra_convert.demo.filling import Filling
from electra_convert.demo.scoring import ScoredText
from electra_convert.demo.terminal import evaluation_lines, filling_lines, outcome_line, sentence_line, table_lines
from electra_convert.errors import OutputError

_COLUMNS = 80  # of what is no terminal: the same lines wherever they go


class Patience:
    """Prints for as long as somebody reads.

    Args:
        patient: whether a reader that leaves, or a full disk, is kept until close, because more than print is to be
            done.
    """

    def __init__(self, patient: bool) -> None:
        self._patient = patient
        self._failure: OSError | OutputError | None = None

    def print(self, print_it: Callable[[], None]) -> None:
        """Print something, unless nobody reads any more."""
        if self._failure is not None:
            return
        try:
            print_it()
        except (BrokenPipeError, OutputError) as error:
            if not self._patient:
                raise
            self._failure = error

    def close(self) -> None:
        """Say what went wrong in printing.

        Raises:
            BrokenPipeError: the reader left.
            OutputError: standard output could not be written.
        """
        if self._failure is not None:
            raise self._failure


class Printer(Patience):
    """Prints scored texts.

    Args:
        unit: what is shown: tokens, or whole words.
        threshold: what is called replaced has a higher probability.
        table: whether the numbers of every token are shown.
        quiet: whether no notes are.
        patient: as of Patience.
    """

    def __init__(self, unit: Unit, threshold: float, *, table: bool, quiet: bool, patient: bool) -> None:
        super().__init__(patient)
        self._unit = unit
        self._threshold = threshold
        self._table = table
        self._quiet = quiet
        self._printed = 0

    def text(self, scored: ScoredText) -> None:
        """Print one text."""
        colour = wants_colour()
        text = scored.marked(self._unit, self._threshold)
        lines = [sentence_line(text, colour)]
        if self._table:
            before = [""] if self._printed else []
            lines = [*before, *lines, "", *table_lines(text, smooth_bars(colour), columns())]
        if text.labelled:
            lines += [*([""] if self._table else []), outcome_line(text)]
        self.print(lambda: print_result("\n".join(lines)))
        self._printed += 1
        if text.windows > 1 and not self._quiet:
            print_message("Note", f"longer than the model's input: scored in {text.windows} windows that overlap.")

    def evaluation(self, evaluation: Evaluation) -> None:
        """Print the figures over all texts."""
        lines = ["", *evaluation_lines(evaluation, self._threshold)]
        self.print(lambda: print_result("\n".join(lines)))

    def whole(self, model: str, texts: Sequence[ScoredText], evaluation: Evaluation | None) -> None:
        """Print all of it as one JSON object."""
        fields: dict[str, Any] = {
            "model": model,
            "threshold": self._threshold,
            "texts": [text_fields(text, self._threshold) for text in texts],
        }
        if evaluation is not None:
            fields["evaluation"] = asdict(evaluation)
        self.print(lambda: print_json(fields))


def columns() -> int:
    """How many cells a line has."""
    return get_terminal_size().columns if on_terminal(sys.stdout) else _COLUMNS


def smooth_bars(colour: bool) -> bool:
    """Whether bars may be drawn with block characters."""
    return colour and _has_blocks(sys.stdout.encoding)


def _has_blocks(encoding: str) -> bool:
    try:
        return bool("█▏".encode(encoding))
    except UnicodeEncodeError:
        return False


def text_fields(scored: ScoredText, threshold: float) -> dict[str, Any]:
    """What `demo --json` says of a text."""
    tokens = zip(scored.tokens, scored.marked("token", threshold).marks, strict=True)
    return {
        "text": scored.text,
        "windows": scored.windows,
        "tokens": [{"piece": token.piece, **_mark_fields(mark, scored.text)} for token, mark in tokens],
        "words": [_mark_fields(mark, scored.text) for mark in scored.marked("word", threshold).marks],
    }


def _mark_fields(mark: Mark, text: str) -> Mapping[str, Any]:
    fields = {
        "text": text[mark.start : mark.end],
        "start": mark.start,
        "end": mark.end,
        "probability": mark.probability,
        "replaced": mark.called,
        "outcome": mark.outcome,
        "before": mark.before,
    }
    return {key: value for key, value in fields.items() if value is not None}


def print_fillings(model: str, texts: Sequence[str], fillings: Sequence[Sequence[Filling]], as_json: bool) -> None:
    """Print what the generator would put at the masks of some texts."""
    found = list(zip(texts, fillings, strict=True))
    if as_json:
        filled = [{"text": text, "masks": [asdict(mask) for mask in masks]} for text, masks in found]
        print_json({"model": model, "texts": filled})
    else:
        print_result("\n\n".join("\n".join(filling_lines(text, masks)) for text, masks in found))
