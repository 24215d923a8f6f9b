"""Markdown: tables, lists and code, out of text that may hold anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# What a bar in a cell is written as, within code too.
BAR = r"\|"


def plain(value: object) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = " ".join(str(value).split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#" else letter for letter in text)


def code(value: object) -> str:
    """Text as code, on one line; the fence is longer than any run of backticks in it."""
    text = " ".join(str(value).split())
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    padding = " " if "`" in text else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def bullets(points: Iterable[str]) -> str:
    """A list, one line a point."""
    return "\n".join(f"- {' '.join(point.split())}" for point in points)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |" for cells in lines)
