"""A scored text as every display wants it: stretches, each with what is said of it; no colours and no layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Literal

from electra_convert.demo.evaluation import Evaluation, Outcome, Truth, outcome
from electra_convert.demo.filling import Filling
from electra_convert.demo.scoring import ScoredText, Token

Unit = Literal["token", "word"]
# Steps of the colour scale, whatever the display makes of them.
LEVELS = 5


@dataclass(frozen=True)
class Judged:
    """A scored text, with what is known of it.

    Attributes:
        scored: what the discriminator says.
        truth: which tokens were replaced, where that is known.
        before: what stood in the place of a replaced token, by its number, where the generator put it in.
    """

    scored: ScoredText
    truth: Truth | None = None
    before: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All that one run has to show.

    Attributes:
        model: the name of what was opened.
        threshold: a token is called replaced where its probability is higher.
        unit: what is shown: tokens, or whole words.
        judged: the texts.
        evaluation: figures over all texts, where the truth is known.
    """

    model: str
    threshold: float
    unit: Unit
    judged: tuple[Judged, ...]
    evaluation: Evaluation | None


@dataclass(frozen=True)
class Mark:
    """A token or a word, as it is shown.

    Attributes:
        name: the piece as the vocabulary writes it, with what stands there if it is [UNK]; or the word.
        start: where it begins in the text, in characters (code points).
        end: where it ends.
        probability: that it was replaced.
        called: whether the discriminator calls it replaced.
        outcome: what became of it, where the truth is known.
        before: what stood there, where the generator put something else in.
    """

    name: str
    start: int
    end: int
    probability: float
    called: bool
    outcome: Outcome | None
    before: str | None


@dataclass(frozen=True)
class Segment:
    """A stretch of the text: several marks where they come of one character, none between words."""

    text: str
    marks: tuple[Mark, ...]

    @property
    def strongest(self) -> Mark:
        """The mark that the stretch is coloured by."""
        return max(self.marks, key=lambda mark: mark.probability)


def level(probability: float) -> int:
    """The step of the colour scale: 0 for the least likely, LEVELS - 1 for the likeliest replaced."""
    return min(int(probability * LEVELS), LEVELS - 1)


def marks(judged: Judged, unit: Unit, threshold: float) -> tuple[Mark, ...]:
    """List what is shown of a text.

    Args:
        judged: the text.
        unit: tokens or words.
        threshold: a token is called replaced where its probability is higher.

    Returns:
        The marks in the order of the text.
    """
    tokens = list(enumerate(judged.scored.tokens))
    groups = [[one] for one in tokens] if unit == "token" else _by_word(tokens)
    return tuple(_mark(judged, group, unit, threshold) for group in groups)


def _by_word(tokens: Sequence[tuple[int, Token]]) -> list[list[tuple[int, Token]]]:
    return [list(group) for _, group in groupby(tokens, key=lambda numbered: numbered[1].word)]


def _mark(judged: Judged, group: Sequence[tuple[int, Token]], unit: Unit, threshold: float) -> Mark:
    tokens = [token for _, token in group]
    start, end = min(token.start for token in tokens), max(token.end for token in tokens)
    called = (probability := max(token.probability for token in tokens)) > threshold
    result = None
    if judged.truth is not None:
        result = outcome(called, any(judged.truth.replaced[index] for index, _ in group))
    before = [judged.before[index] for index, _ in group if index in judged.before]
    text = judged.scored.text[start:end]
    name = text if unit == "word" else f"[UNK] {text}" if tokens[0].piece == "[UNK]" else tokens[0].piece
    return Mark(name, start, end, probability, called, result, " ".join(before) or None)


def segments(text: str, shown: Sequence[Mark]) -> tuple[Segment, ...]:
    """Cut a text along its marks.

    Args:
        text: the text.
        shown: its marks, in the order of the text.

    Returns:
        Stretches that make up the whole text.
    """
    return tuple(_cut(text, shown))


def _cut(text: str, shown: Sequence[Mark]) -> Iterator[Segment]:
    done = 0
    pending: list[Mark] = []
    begin = 0
    for mark in shown:
        if pending and mark.start >= done:
            yield Segment(text[begin:done], tuple(pending))
            pending = []
        if not pending:
            if mark.start > done:
                yield Segment(text[done : mark.start], ())
            begin = mark.start
        pending.append(mark)
        done = max(done, mark.end)
    if pending:
        yield Segment(text[begin:done], tuple(pending))
    if done < len(text):
        yield Segment(text[done:], ())


def report_fields(report: Report) -> dict[str, Any]:
    """What `demo --json` prints."""
    fields: dict[str, Any] = {
        "model": report.model,
        "threshold": report.threshold,
        "texts": [_text_fields(judged, report.threshold) for judged in report.judged],
    }
    return fields if report.evaluation is None else {**fields, "evaluation": vars(report.evaluation)}


def _text_fields(judged: Judged, threshold: float) -> dict[str, Any]:
    text = judged.scored.text
    tokens = zip(judged.scored.tokens, marks(judged, "token", threshold), strict=True)
    return {
        "text": text,
        "windows": judged.scored.windows,
        "tokens": [{"piece": token.piece, **_mark_fields(mark, text)} for token, mark in tokens],
        "words": [_mark_fields(mark, text) for mark in marks(judged, "word", threshold)],
    }


def _mark_fields(mark: Mark, text: str) -> dict[str, Any]:
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


def filling_fields(model: str, texts: Sequence[str], fillings: Sequence[Sequence[Filling]]) -> dict[str, Any]:
    """What `demo --fill --json` prints."""
    return {
        "model": model,
        "texts": [
            {"text": text, "masks": [asdict(filling) for filling in found]}
            for text, found in zip(texts, fillings, strict=True)
        ],
    }
