"""What a model says of some texts, as the scores that come out for each: plain values under names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from electra_convert.demo.model import LoadedModel
from electra_convert.demo.scoring import ScoredText
from electra_convert.demo.tasks import TASKS, Answer, Asked
from electra_convert.errors import TextError, UsageError

# float32 has hardly seven digits, of which the order of additions decides the last.
_DIGITS = 6
# What an answer repeats of what was asked, and what is told in a note.
_NOT_SCORES = frozenset({"text", "pair", "question", "windows", "unread_tokens"})


@dataclass(frozen=True)
class Said:
    """What is said of a text.

    Attributes:
        scores: by their names.
        long: whether it is longer than what the model takes at once.
    """

    scores: Mapping[str, object]
    long: bool


class Scorer(Protocol):
    """What gives texts their scores."""

    names: tuple[str, ...]

    def scores(self, asked: Sequence[Asked]) -> list[Said | TextError]:
        """The scores of each, or why it has none."""


def scorer_of(model: LoadedModel, tokens: bool, question: str | None, paired: bool) -> Scorer:
    """What a model gives texts: how likely they were replaced, or what it was fine-tuned for.

    Args:
        model: a discriminator, or a fine-tuned model.
        tokens: whether each token and word is told, too.
        question: what is asked of every text.
        paired: whether something goes with each text: a second text, or a question.

    Raises:
        UsageError: the model has no use for one of these, or lacks one.
    """
    task = TASKS[model.head.name] if model.head.is_of_a_task else None
    this = task.fine_tuned if task else f"a {model.role}"
    other = task.other if task else None
    if tokens and task:
        raise UsageError(f"--tokens is for a discriminator, and {model.source} is {this}")
    if paired and other is None:
        raise UsageError(f"--pair-column is for a model that takes two texts, and {model.source} is {this}")
    if question is not None and not (other and other.required):
        raise UsageError(f"--question is for a model fine-tuned to answer questions, and {model.source} is {this}")
    if question is not None and paired:
        raise UsageError("--question and --pair-column are both given: one of them says what is asked")
    if other and other.required and question is None and not paired:
        raise UsageError(
            f"{model.source} is {this}, and there is no {other.noun}",
            "Ask one of every text with --question TEXT, or name the column of questions with --pair-column.",
        )
    return Answerer(model, question) if task else Detector(model, tokens)


class Detector:
    """A discriminator: how likely the tokens of a text were replaced.

    Args:
        model: computes it.
        tokens: whether each token and word is told, too.
    """

    def __init__(self, model: LoadedModel, tokens: bool) -> None:
        self._model, self._tokens = model, tokens
        every = ("replaced_tokens", "replaced_words") if tokens else ()
        self.names = ("replaced_mean", "replaced_max", "replaced_word", *every)

    def scores(self, asked: Sequence[Asked]) -> list[Said | TextError]:
        """The mean over the tokens, the highest, the word that has it, and where wanted all of them."""
        encoded = []
        failed: dict[int, TextError] = {}
        for place, one in enumerate(asked):
            try:
                encoded.append(self._model.encode_to_score(one.text))
            except TextError as error:
                failed[place] = error
        scored = iter(self._model.score_encoded(encoded))
        return [failed.get(place) or self._said(next(scored)) for place in range(len(asked))]

    def _said(self, scored: ScoredText) -> Said:
        probabilities = [token.probability for token in scored.tokens]
        likeliest = max(scored.words, key=lambda word: word.probability)
        values: list[object] = [sum(probabilities) / len(probabilities), likeliest.probability, likeliest.text]
        if self._tokens:
            keys = ("text", "start", "end", "probability")
            values.append([{key: getattr(token, key) for key in ("piece", *keys)} for token in scored.tokens])
            values.append([{key: getattr(word, key) for key in keys} for word in scored.words])
        return Said(dict(zip(self.names, map(_rounded, values), strict=True)), scored.windows > 1)


class Answerer:
    """A fine-tuned model: what it answers, under the names of `demo --json` with predicted_ before them.

    Args:
        model: computes it.
        question: what is asked of every text, where that is no column.
    """

    def __init__(self, model: LoadedModel, question: str | None) -> None:
        self._model, self._question = model, question
        # What it answers has the same names for every text.
        other = TASKS[model.head.name].other
        tried = Asked("a", "a" if other and other.required else None)
        self.names = tuple(self._said(model.ask([tried])[0]).scores)

    def scores(self, asked: Sequence[Asked]) -> list[Said | TextError]:
        """What is answered to each."""
        if self._question is not None:
            asked = [Asked(one.text, self._question) for one in asked]
        return self._asked(asked)

    def _asked(self, asked: Sequence[Asked]) -> list[Said | TextError]:
        """All at once; where one of them cannot be asked, which is known before anything is computed, by halves."""
        if not asked:
            return []
        try:
            return [self._said(answer) for answer in self._model.ask(asked)]
        except TextError as error:
            if len(asked) == 1:
                return [error]
        half = len(asked) // 2
        return self._asked(asked[:half]) + self._asked(asked[half:])

    @staticmethod
    def _said(answer: Answer) -> Said:
        fields = {f"predicted_{key}": value for key, value in answer.fields().items() if key not in _NOT_SCORES}
        return Said({name: _rounded(value) for name, value in fields.items()}, answer.note is not None)


def _rounded(value: object) -> Any:  # noqa: ANN401 - as deep as it was
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value
