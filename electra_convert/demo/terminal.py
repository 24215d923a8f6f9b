"""A scored text as lines for a terminal: colours and brackets, and a table; prints nothing itself.

The text stands last in every line: wide characters and writing from right to left then move nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from electra_convert.demo.evaluation import Evaluation, Mark, MarkedText, Segment
from electra_convert.demo.filling import Filling

_SHORTEST, _LONGEST = 4, 20  # cells of a bar
# What stands beside the bar in a row: the number, the decision, the outcome where it is known, and a usual piece.
_BESIDE, _OUTCOME, _PIECE = 21, 13, 12
# Backgrounds of the 256 colours, from pale to strong; black on each can be read.
_BACKGROUNDS = (None, 230, 222, 215, 209)
# The same for kinds of tags, each of another hue.
_KINDS = (223, 153, 193, 225, 229, 159, 218, 189)
# Invisible, and yet part of how words of Persian and Indian scripts and joined emoji are written.
_JOINERS = "\u200c\u200d"
_FIGURES = ("accuracy", "precision", "recall", "auc")


def visible(text: str) -> str:
    """Escape what would break a line, steer a terminal or turn the direction of what follows."""
    return "".join(_visible(character) for character in text)


def marked(text: str, colour: bool) -> str:
    """Put what is found in [[ ]], and in the strongest colour."""
    return f"\x1b[38;5;16;48;5;{_BACKGROUNDS[-1]}m[[{text}]]\x1b[0m" if colour else f"[[{text}]]"


def coloured(text: str, number: int | None) -> str:
    """Give a text the background of a kind of tags; none where it has no number."""
    return text if number is None else f"\x1b[38;5;16;48;5;{_KINDS[number % len(_KINDS)]}m{text}\x1b[0m"


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() else ascii(character)[1:-1]


def sentence_line(text: MarkedText, colour: bool) -> str:
    """Show a text with what is called replaced in [[ ]], and what was replaced and missed in (( ))."""
    return "".join(_stretch(segment, colour) for segment in text.segments)


def _stretch(segment: Segment, colour: bool) -> str:
    text = visible(segment.text)
    if not segment.marks:
        return text
    if segment.called:
        text = f"[[{text}]]"
    elif segment.missed:
        text = f"(({text}))"
    background = _BACKGROUNDS[segment.strongest.level]
    return f"\x1b[38;5;16;48;5;{background}m{text}\x1b[0m" if colour and background else text


def table_lines(text: MarkedText, smooth: bool, columns: int = 80) -> list[str]:
    """Show every token or word of a text with its number, one line each.

    Bars are smooth where the terminal shows the characters for them, and short where its columns are few.
    """
    room = columns - _BESIDE - _PIECE - (_OUTCOME if text.labelled else 0)
    cells = max(_SHORTEST, min(_LONGEST, room))
    return [_row(mark, smooth, cells) for mark in text.marks]


def _row(mark: Mark, smooth: bool, cells: int) -> str:
    called = "replaced" if mark.called else "original"
    fate = "" if mark.outcome is None else f"{'' if mark.outcome == 'passed' else mark.outcome:<11}  "
    before = f", was {visible(mark.before)}" if mark.before is not None else ""
    drawn = bar(mark.probability, smooth, cells)
    return f"  {mark.probability:.3f}  {drawn}  {called}  {fate}{visible(mark.name)}{before}"


def bar(probability: float, smooth: bool, cells: int) -> str:
    """A bar of so many cells, with spaces where it ends."""
    return f"{_smooth_bar(probability, cells) if smooth else '#' * round(probability * cells):<{cells}}"


def bar_cells(columns: int) -> int:
    """How long bars are where a line has so many columns, and a number and a name beside the bar."""
    return max(_SHORTEST, min(_LONGEST, columns - _BESIDE - _PIECE))


def _smooth_bar(probability: float, cells: int) -> str:
    eighths = round(probability * cells * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def outcome_line(text: MarkedText) -> str:
    """Count what was noticed of what was replaced, where that is known."""
    counts = {kind: sum(mark.outcome == kind for mark in text.marks) for kind in ("hit", "miss", "false alarm")}
    replaced = counts["hit"] + counts["miss"]
    return (
        f"  Replaced: {replaced} of {len(text.marks)} {text.unit}s. Noticed: {counts['hit']}; missed, in (( )): "
        f"{counts['miss']}; false alarms: {counts['false alarm']}."
    )


def evaluation_lines(evaluation: Evaluation, threshold: float) -> list[str]:
    """Show the figures over all texts."""
    head = f"{evaluation.replaced:,} of {evaluation.tokens:,} tokens replaced, threshold {threshold:g}"
    figures = ((name, getattr(evaluation, name)) for name in _FIGURES)
    return [head, *(f"  {name:<10} {'-' if value is None else f'{value:.3f}'}" for name, value in figures)]


def filling_lines(text: str, fillings: Sequence[Filling]) -> list[str]:
    """Show what the generator would put at each mask of a text."""
    lines = [visible(text)]
    for number, filling in enumerate(fillings, start=1):
        lines += ["", f"  mask {number}, characters {filling.start} to {filling.end}"]
        lines += [f"  {candidate.probability:.3f}  {visible(candidate.piece)}" for candidate in filling.candidates]
    return lines
