"""Scored texts printed as they come, for as long as somebody reads them; scores nothing."""

from __future__ import annotations

import os
import sys
from shutil import get_terminal_size

from electra_convert.cli.printing import on_terminal, print_json, print_message, print_result
from electra_convert.demo.results import Judged, Report, report_fields
from electra_convert.demo.terminal import evaluation_lines, outcome_line, sentence_line, table_lines
from electra_convert.errors import OutputError

_COLUMNS = 80  # of what is no terminal: the same lines wherever they go


class Printer:
    """Prints the parts of a report.

    Args:
        report: whose threshold and unit are shown; its texts come one by one.
        table: whether the numbers of every token are shown.
        quiet: whether no notes are.
        patient: whether a reader that leaves, or a full disk, is kept until close, because more than print is to be
            done.
    """

    def __init__(self, report: Report, *, table: bool, quiet: bool, patient: bool) -> None:
        self._report = report
        self._table = table
        self._quiet = quiet
        self._patient = patient
        self._printed = 0
        self._failure: OSError | OutputError | None = None

    def text(self, judged: Judged) -> None:
        """Print one text."""
        terminal = on_terminal(sys.stdout)
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        lines = [sentence_line(judged, self._report, colour)]
        if self._table:
            before = [""] if self._printed else []
            smooth = colour and _has_blocks(sys.stdout.encoding)
            columns = get_terminal_size().columns if terminal else _COLUMNS
            lines = [*before, *lines, "", *table_lines(judged, self._report, smooth, columns)]
        if judged.truth is not None:
            lines += [*([""] if self._table else []), outcome_line(judged, self._report)]
        self._print("\n".join(lines))
        self._printed += 1
        if judged.scored.windows > 1 and not self._quiet:
            count = judged.scored.windows
            print_message("Note", f"longer than the model's input: scored in {count} windows that overlap.")

    def evaluation(self, report: Report) -> None:
        """Print the figures over all texts, where there are any."""
        if report.evaluation is not None:
            self._print("\n".join(["", *evaluation_lines(report.evaluation, report.threshold)]))

    def whole(self, report: Report) -> None:
        """Print all of it as JSON."""
        try:
            print_json(report_fields(report))
        except (BrokenPipeError, OutputError) as error:
            self._keep(error)

    def close(self) -> None:
        """Say what went wrong in printing.

        Raises:
            BrokenPipeError: the reader left.
            OutputError: standard output could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def _print(self, text: str) -> None:
        if self._failure is not None:
            return
        try:
            print_result(text)
        except (BrokenPipeError, OutputError) as error:
            self._keep(error)

    def _keep(self, error: OSError | OutputError) -> None:
        if not self._patient:
            raise error
        self._failure = error


def _has_blocks(encoding: str) -> bool:
    try:
        return bool("█▏".encode(encoding))
    except UnicodeEncodeError:
        return False
