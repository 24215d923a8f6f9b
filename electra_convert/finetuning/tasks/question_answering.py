"""Where the answer to a question stands in a passage, in windows where it is long; [CLS] where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import Question
from electra_convert.finetuning.encoding import Row, TextEncoder
from electra_convert.finetuning.metrics import exact_match, overlap_f1
from electra_convert.finetuning.tasks.task import Metrics
from electra_convert.frameworks import import_torch

if TYPE_CHECKING:
    import torch
    from tokenizers import Encoding

# configure_finetuning.py of google-research/electra: doc_stride, max_answer_length, max_query_length.
_STRIDE = 128
_LONGEST_ANSWER = 30
_LONGEST_QUESTION = 64


@dataclass(frozen=True)
class _Place:
    """Where the passage stands in a window.

    Attributes:
        first: the place of its first token in the row.
        offsets: where each of its tokens begins and ends in the passage, [tokens, 2].
    """

    first: int
    offsets: NDArray[np.int32]

    @classmethod
    def of(cls, window: Encoding) -> _Place:
        """Find it; what the tokenizer itself keeps of a window takes far more memory."""
        places = [place for place, sequence in enumerate(window.sequence_ids) if sequence == 1]
        offsets = [window.offsets[place] for place in places]
        return cls(places[0] if places else 0, np.asarray(offsets, np.int32).reshape(-1, 2))


@dataclass(frozen=True)
class Span:
    """What a model answers: a text of the passage, empty for none, and how much likelier it is than none."""

    text: str
    score: float


class QuestionAnswering:
    """Extractive question answering."""

    name = "question-answering"
    auto_class = "AutoModelForQuestionAnswering"
    main = "f1"

    @property
    def config(self) -> Mapping[str, Any]:
        """Nothing: the class has two outputs."""
        return {}

    def rows(self, examples: Sequence[Question], encoder: TextEncoder) -> list[Row]:
        """Windows of passages, each with its question; where the answer is not wholly inside, [CLS] is asked for."""
        rows = []
        for number, example in enumerate(examples):
            question = _shortened(example.question, encoder)
            # What a window overlaps with the next; a passage's share of a row may be smaller than Google's.
            room = encoder.longest - len(encoder.tokens(question).ids) - 3
            if room < 8:
                raise CorpusError(
                    f"{example.where}: beside the question, {max(room, 0)} tokens of {encoder.longest} are left for "
                    "the passage",
                    "Give a larger --max-length.",
                )
            for window in encoder.windows(question, example.passage, max(0, room - min(_STRIDE, room // 2 + 1))):
                labels = (*_span(window, example), len(window.ids))
                rows.append(Row(window.ids, encoder.types(window), labels, number, _Place.of(window)))
        return rows

    def outputs(self, outputs: Any) -> torch.Tensor:  # noqa: ANN401 - transformers' ModelOutput
        """Logits of start and end, [rows, length, 2]."""
        stacked: torch.Tensor = import_torch("to train").stack([outputs.start_logits, outputs.end_logits], -1)
        return stacked

    def kept(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The logits: answers are read off them."""
        return outputs

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of both places over the row, its padding left out."""
        torch = import_torch("to train")
        places, lengths = labels[:, :2], labels[:, 2:]
        inside = torch.arange(outputs.shape[1], device=outputs.device) < torch.where(
            lengths < 0, outputs.shape[1], lengths
        )
        masked = outputs.float().masked_fill(~inside[..., None], -torch.inf)
        loss = torch.nn.functional.cross_entropy(masked, places, reduction="sum")
        # Losses are divided by the number of labels, of which a row has three here, and two that are asked for.
        return loss * 3 / 2  # type: ignore[no-any-return]

    def answers(self, examples: Sequence[Question], rows: Sequence[Row], outputs: Sequence[Any]) -> list[Span]:
        """The likeliest span over all windows; none where [CLS] is likelier and some question has no answer."""
        best: list[tuple[float, int, int] | None] = [None] * len(examples)
        nothing = [np.inf] * len(examples)
        for row, logits in zip(rows, outputs, strict=True):
            start, end = logits[:, 0].astype(np.float64), logits[:, 1].astype(np.float64)
            nothing[row.example] = min(nothing[row.example], float(start[0] + end[0]))
            found = _likeliest(start, end, row.asked)
            before = best[row.example]
            if found is not None and (before is None or found[0] > before[0]):
                best[row.example] = found
        may_be_none = any(not example.answers for example in examples)
        return [
            _answer(example, one, none, may_be_none)
            for example, one, none in zip(examples, best, nothing, strict=True)
        ]

    def metrics(self, examples: Sequence[Question], answers: Sequence[Span]) -> Metrics:
        """Exact match and F1, as SQuAD's script counts them, as shares."""
        gold = [[text for text, _ in example.answers] for example in examples]
        pairs = list(zip(gold, (answer.text for answer in answers), strict=True))
        return {
            "exact_match": sum(exact_match(texts, found) for texts, found in pairs) / len(pairs),
            "f1": sum(overlap_f1(texts, found) for texts, found in pairs) / len(pairs),
        }

    def written(self, example: Question, answer: Span) -> dict[str, Any]:
        """The question, right answers, and the model's."""
        return {
            "id": example.id,
            "question": example.question,
            "answers": [text for text, _ in example.answers],
            "prediction": answer.text,
            "score": answer.score,
        }


def _shortened(question: str, encoder: TextEncoder) -> str:
    """A question of no more tokens than Google's code takes."""
    tokens = encoder.tokens(question)
    longest = min(_LONGEST_QUESTION, max(1, encoder.longest // 2))
    return question if len(tokens.ids) <= longest else question[: tokens.offsets[longest - 1][1]]


def _span(window: Encoding, example: Question) -> tuple[int, int]:
    """The first and last token of the first answer, where a window holds all of it; else [CLS] twice."""
    if not example.answers:
        return (0, 0)
    text, begins = example.answers[0]
    ends = begins + len(text)
    inside = [
        place
        for place, (start, end) in enumerate(window.offsets)
        if window.sequence_ids[place] == 1 and start < ends and end > begins
    ]
    if not inside or window.offsets[inside[0]][0] > begins or window.offsets[inside[-1]][1] < ends:
        return (0, 0)
    return (inside[0], inside[-1])


def _likeliest(start: Any, end: Any, place: _Place) -> tuple[float, int, int] | None:  # noqa: ANN401 - arrays
    """The best span of the passage in a window: its score, and where it begins and ends in the passage."""
    first, length = place.first, len(place.offsets)
    if not length:
        return None
    scores = start[first : first + length, None] + end[None, first : first + length]
    whole = np.ones((length, length), bool)
    allowed = np.triu(whole) & ~np.triu(whole, _LONGEST_ANSWER)
    scores = np.where(allowed, scores, -np.inf)
    begin, stop = divmod(int(scores.argmax()), length)
    return float(scores[begin, stop]), int(place.offsets[begin, 0]), int(place.offsets[stop, 1])


def _answer(example: Question, best: tuple[float, int, int] | None, nothing: float, may_be_none: bool) -> Span:
    if best is None:
        return Span("", 0.0)
    score = best[0] - nothing
    text = example.passage[best[1] : best[2]].strip()
    return Span("" if may_be_none and score < 0 else text, score)
