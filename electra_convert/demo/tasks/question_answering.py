"""Answers to a question, in the words of a passage, or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.network import BESIDE, Network, Values
from electra_convert.demo.running import Row, Runner, Runs, by_length
from electra_convert.demo.scoring import sigmoid
from electra_convert.demo.tasks.task import Answers, Asked, Field, Model, Other, Page, Task, asked_of, shortened
from electra_convert.demo.tasks.token_classification import windows_note
from electra_convert.demo.terminal import bar, marked, visible
from electra_convert.demo.text import EncodedText, Window, naming_text
from electra_convert.errors import TextError
from electra_convert.frameworks import import_torch
from electra_convert.schemes import heads

# configure_finetuning.py of google-research/electra: max_answer_length, in tokens, and qa_na_threshold.
LONGEST_ANSWER = 30
_UNANSWERED = -2.75
_ANSWERS = 5
_AROUND = 150  # characters of a passage that a terminal shows before and behind an answer
Ends = NDArray[np.float32]
Nones = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """An answer: where it stands in a passage, in characters (code points), and how likely it is."""

    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, repr=False)
class Reading:
    """What a model answers.

    Attributes:
        question: the question as it was given.
        passage: the passage as it was given.
        answers: the likeliest first; a probability is that of its start times that of its end.
        no_answer: how likely it is that the passage has none: what the head beside a model says, or where there is
            none beside it, how likely [CLS] is in an answer's place.
        answered: whether it is held to have one: by Google's threshold for that head, or where the likeliest is
            likelier than none.
        windows: in how many overlapping parts the model was given the passage.
    """

    page: ClassVar[Page] = Page(
        "Where is the answer?",
        "{model} was fine-tuned to find answers in a passage: it says where they are likeliest to begin and to end.",
        "question_answering.html",
    )
    question: str
    passage: str
    answers: tuple[Found, ...]
    no_answer: float
    answered: bool
    windows: int = 1

    @property
    def answer(self) -> Found | None:
        """The likeliest, or None where the passage is held to have none."""
        return self.answers[0] if self.answered else None

    @property
    def note(self) -> str | None:
        """That it was read in parts."""
        return windows_note(self.windows, "read")

    def fields(self) -> dict[str, Any]:
        """What `demo --json` says of it."""
        answers = [
            {"text": one.text, "start": one.start, "end": one.end, "probability": one.probability}
            for one in self.answers
        ]
        return {
            "question": self.question,
            "text": self.passage,
            "windows": self.windows,
            "answer": None if self.answer is None else self.answer.text,
            "answers": answers,
            "no_answer": self.no_answer,
        }

    @property
    def parts(self) -> tuple[str, str, str]:
        """The passage before the answer, the answer, and what is behind it; all of it before where there is none."""
        if self.answer is None:
            return self.passage, "", ""
        start, end = self.answer.start, self.answer.end
        return self.passage[:start], self.passage[start:end], self.passage[end:]

    def __repr__(self) -> str:
        told = "no answer" if self.answer is None else f"{self.answer.text!r} {self.answer.probability:.1%}"
        return f"<Reading {shortened(self.question)}: {told}>"

    def headline(self, colour: bool) -> str:
        """The question, and the passage around the answer in [[ ]]."""
        before, answer, behind = self.parts
        if not answer:
            before, behind = "", before
        start = f"…{before[-_AROUND:]}" if len(before) > _AROUND else before
        end = f"{behind[:_AROUND]}…" if len(behind) > _AROUND else behind
        found = marked(visible(answer), colour) if answer else ""
        return f"{visible(self.question)}\n{visible(start)}{found}{visible(end)}"

    def brief(self, colour: bool) -> str:
        """The answer alone."""
        if self.answer is None:
            return f"{self.no_answer:.3f}  no answer"
        return f"{self.answer.probability:.3f}  {marked(visible(self.answer.text), colour)}"

    def rows(self, smooth: bool, cells: int) -> list[str]:
        """The likeliest answers, and how likely none is: first of all where that is what is held."""
        told = [(one.probability, visible(one.text)) for one in self.answers]
        told.insert(len(told) if self.answered else 0, (self.no_answer, "(no answer in the passage)"))
        return [f"  {probability:.3f}  {bar(probability, smooth, cells)}  {text}" for probability, text in told]


@dataclass(frozen=True)
class _Candidate:
    """A span of pieces, what it scores, and its probability."""

    start: int
    end: int
    score: float
    probability: float


class Reads:
    """The method of models that read."""

    def answer(self: Model, questions: str | Iterable[str], passages: str | Iterable[str]) -> Answers[Reading]:
        """Answer questions, each in the words of its passage; of a model fine-tuned to read. Raises as classify."""
        return self.answers(QUESTION_ANSWERING, asked_of(passages, questions))


def compute(network: Network, hidden: Values) -> Values:
    """ElectraForQuestionAnswering of transformers: where answers begin and end, [batch, length, 2]."""
    return network.dense("qa_outputs", hidden)


def read(network: Network, hidden: Values, passage: Values) -> tuple[Ends, Nones | None]:
    """Where answers begin and end, and that there are none, as Google's code has it.

    finetune/qa/qa_tasks.py, QATask.get_prediction_module with joint_prediction false: an answer lies in the passage;
    [CLS] stands for none.

    Args:
        network: computes both.
        hidden: the hidden states, [batch, length, hidden].
        passage: 1 at every token of the passage, 0 elsewhere, [batch, length].

    Returns:
        [batch, length, 2], 1000 less at every token that is of no passage; and the logits that there is no answer,
        [batch], where something beside the model computes them.
    """
    passage[:, 0] = 1
    ends = compute(network, hidden) + 1000.0 * (passage - 1)[..., None]
    none = without_answer(network, hidden, ends[..., 0])
    return np.asarray(ends.cpu().numpy()), None if none is None else np.asarray(none.cpu().numpy())


def without_answer(network: Network, hidden: Values, start: Values) -> Values | None:
    """qa_tasks.py with answerable_classifier: from [CLS] alone, or with what the start is expected to be."""
    first, last = f"{BESIDE}.dense_2", f"{BESIDE}.dense_3"
    if first not in network:
        return None
    seen = hidden[:, 0]
    if last not in network:
        return network.dense(first, seen).squeeze(-1)
    expected = (start.softmax(-1)[..., None] * hidden).sum(1)
    both = import_torch("to read").cat([seen, expected], -1)
    return network.dense(last, network.gelu(network.dense(first, both))).squeeze(-1)


def answer(runner: Runner, asked: Sequence[Asked]) -> list[Reading]:
    """Find the likeliest answers to questions, each in its passage.

    finetune/qa/qa_metrics.py of google-research/electra, SpanBasedQAScorer: the start and the end lie in the passage,
    in this order, at most 30 tokens apart; of several windows, each start counts in the one with the most around it,
    and the likeliest answer has the highest sum of both logits.

    Raises:
        TextError: there is no question, or it leaves no room for the passage.
    """
    laid = [_laid(runner, one) for one in asked]
    outputs = _outputs(runner, [row for _, _, _, rows in laid for row in rows])
    readings = []
    for one, (question, passage, windows, _) in zip(asked, laid, strict=True):
        found: list[_Candidate] = []
        nones: list[tuple[float, float | None]] = []
        for window in windows:
            ends, none = next(outputs)
            logs = _log_softmax(ends)
            begin = question + 2 - window.start  # [CLS] and the [SEP] behind the question
            found += _candidates(ends, logs, window, begin)
            nones.append((float(np.exp(logs[0].sum())), none))
        readings.append(_reading(one, passage, found, nones))
    return readings


def _laid(runner: Runner, asked: Asked) -> tuple[int, EncodedText, tuple[Window, ...], list[Row]]:
    """How many pieces the question has, the passage, its windows, and what the model is given for each."""
    if asked.other is None:
        raise TextError("there is no question", "Ask one: --question TEXT; the text is the passage.")
    with naming_text("the question"):
        question = runner.encode(asked.other).pieces
    with naming_text("the passage"):
        passage = runner.encode(asked.text)
    if len(question) > (room := (runner.positions - 3) // 2):
        raise TextError(
            f"the question has {len(question)} tokens, expected at most {room}: the model's input has room for "
            f"{runner.positions}",
            "Ask it in fewer words.",
        )
    windows = runner.windows(passage, len(question) + 1)
    rows = [runner.row(question, passage.pieces[window.start : window.stop]) for window in windows]
    return len(question), passage, windows, rows


def _outputs(runner: Runner, rows: Sequence[Row]) -> Iterator[tuple[NDArray[np.float64], float | None]]:
    """Of each row the logits of starts and ends, [length, 2], and that there is no answer."""
    return by_length(rows, partial(_run, runner))


def _run(runner: Runner, rows: Sequence[Row]) -> Iterator[tuple[NDArray[np.float64], float | None]]:
    for batch in runner.batches(rows):
        ends, nones = _ends(runner.network, *batch)
        runner.checked(ends)
        for index, logits in enumerate(ends):
            yield logits.astype(np.float64), None if nones is None else float(runner.checked(nones)[index])


def _ends(
    network: Runs, ids: NDArray[np.int64], mask: NDArray[np.int64], types: NDArray[np.int64]
) -> tuple[Ends, Nones | None]:
    """What read gives, of a network that need not be PyTorch's; of another there is no head beside the model."""
    if isinstance(network, Network):
        return network.compute(read, ids, mask, types)
    passage = mask * types
    passage[:, 0] = 1
    return network.run(ids, mask, types) + np.float32(1000) * (passage - 1)[..., None].astype(np.float32), None


def _log_softmax(ends: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = ends - ends.max(0)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(0)))


def _candidates(
    ends: NDArray[np.float64], logs: NDArray[np.float64], window: Window, begin: int
) -> Iterator[_Candidate]:
    """The best spans that begin where the window counts: more than are shown, since several may be one answer."""
    starts = np.arange(window.first, window.last)
    lengths = np.arange(min(LONGEST_ANSWER, window.stop - window.start))
    stops = np.minimum(starts[:, None] + lengths, window.stop - 1)
    scores = ends[begin + starts, 0][:, None] + ends[begin + stops, 1]
    scores[starts[:, None] + lengths >= window.stop] = -np.inf
    for place in np.argsort(-scores, axis=None, kind="stable")[: 4 * _ANSWERS]:
        row, column = np.unravel_index(place, scores.shape)
        if np.isfinite(scores[row, column]):
            start, stop = int(starts[row]), int(stops[row, column])
            probability = np.exp(logs[begin + start, 0] + logs[begin + stop, 1])
            yield _Candidate(start, stop, float(scores[row, column]), float(probability))


def _reading(
    asked: Asked, passage: EncodedText, found: Sequence[_Candidate], nones: Sequence[tuple[float, float | None]]
) -> Reading:
    best = tuple(islice(_answers(passage, found), _ANSWERS))
    # An answer in one part of a passage is enough, whatever is said of the others.
    logits = [none for _, none in nones if none is not None]
    no_answer = float(sigmoid(np.array(min(logits)))) if logits else min(at_cls for at_cls, _ in nones)
    answered = min(logits) <= _UNANSWERED if logits else best[0].probability >= no_answer
    return Reading(asked.other or "", asked.text, best, no_answer, answered, len(nones))


def _answers(passage: EncodedText, found: Sequence[_Candidate]) -> Iterator[Found]:
    """The best first; of spans that are the same words the best."""
    seen: set[tuple[int, int]] = set()
    for one in sorted(found, key=lambda candidate: -candidate.score):
        start, end = _whole_words(passage, one)
        if (start, end) not in seen:
            seen.add((start, end))
            yield Found(passage.text[start:end], start, end, one.probability)


def _whole_words(passage: EncodedText, found: _Candidate) -> tuple[int, int]:
    """Where the words that a span touches begin and end: as Google's code and transformers give an answer."""
    first, last = passage.pieces[found.start].word, passage.pieces[found.end].word
    touched = [piece for piece in passage.pieces if first <= piece.word <= last]
    return min(piece.start for piece in touched), max(piece.end for piece in touched)


QUESTION_ANSWERING = Task(
    head=heads.QUESTION_ANSWERING,
    compute=compute,
    fine_tuned="fine-tuned to answer questions",
    takes="a passage, and a question (--question)",
    page=Reading.page,
    field=Field("Passage", 8),
    other=Other("question", "to answer questions", "question", Field("Question", 1), required=True),
    ask=answer,
)
