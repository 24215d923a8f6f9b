"""A label for each word, asked of its first piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import TaggedSentence
from electra_convert.finetuning.encoding import IGNORED, Row, TextEncoder
from electra_convert.finetuning.metrics import accuracy, flat, is_of_spans, macro_f1, majority_accuracy, span_scores
from electra_convert.finetuning.tasks.task import Metrics, cross_entropy, id_of, label_ids, named
from electra_convert.frameworks import import_torch

if TYPE_CHECKING:
    import torch
    from tokenizers import Encoding


class TokenClassification:
    """Tagging.

    Args:
        examples: what is trained on, of which the labels are taken.
    """

    name = "token-classification"
    auto_class = "AutoModelForTokenClassification"

    def __init__(self, examples: Sequence[TaggedSentence]) -> None:
        self._ids = label_ids(flat([one.labels for one in examples]))
        if len(self._ids) < 2:
            raise CorpusError(
                f"{examples[0].where} and on: every word has the label {next(iter(self._ids))!r}",
                "There is nothing to tell apart.",
            )
        self._labels = list(self._ids)
        self._commonest = Counter(flat([one.labels for one in examples])).most_common(1)[0][0]
        self._of_spans = is_of_spans(self._labels)
        self.main = "f1" if self._of_spans else "accuracy"

    @property
    def config(self) -> Mapping[str, Any]:
        """Its labels."""
        return named(self._ids)

    def rows(self, examples: Sequence[TaggedSentence], encoder: TextEncoder) -> list[Row]:
        """Windows of sentences; a word is asked for once, where the most stands around it."""
        rows = []
        for number, example in enumerate(examples):
            ids = [id_of(label, self._ids, example.where) for label in example.labels]
            windows = encoder.windows(" ".join(example.words), None, encoder.longest // 2)
            for window, firsts in zip(windows, first_pieces(example.words, windows), strict=True):
                labels = [IGNORED] * len(window.ids)
                for piece, word in firsts.items():
                    labels[piece] = ids[word]
                rows.append(Row(window.ids, encoder.types(window), tuple(labels), number, firsts))
        return rows

    def outputs(self, outputs: Any) -> torch.Tensor:  # noqa: ANN401 - transformers' ModelOutput
        """The logits, [rows, length, labels]."""
        logits: torch.Tensor = outputs.logits
        return logits

    def kept(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The logits: answers are read off them."""
        return outputs

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over the words."""
        loss: torch.Tensor = cross_entropy(import_torch("to train"), outputs, labels)
        return loss

    def answers(
        self, examples: Sequence[TaggedSentence], rows: Sequence[Row], outputs: Sequence[Any]
    ) -> list[tuple[str, ...]]:
        """The likeliest label of each word; of a word that has no piece, the commonest."""
        found = [[self._commonest] * len(example.words) for example in examples]
        for row, logits in zip(rows, outputs, strict=True):
            for piece, word in row.asked.items():
                found[row.example][word] = self._labels[int(logits[piece].argmax())]
        return [tuple(labels) for labels in found]

    def metrics(self, examples: Sequence[TaggedSentence], answers: Sequence[tuple[str, ...]]) -> Metrics:
        """Of spans precision, recall and F1, as conlleval and seqeval count them; of labels accuracy and macro F1."""
        gold = [example.labels for example in examples]
        words, found = flat(gold), flat(answers)
        of_words = {"accuracy": accuracy(words, found), "majority_accuracy": majority_accuracy(words)}
        if self._of_spans:
            return {**span_scores(gold, answers), **of_words}
        return {**of_words, "macro_f1": macro_f1(words, found)}

    def written(self, example: TaggedSentence, answer: tuple[str, ...]) -> dict[str, Any]:
        """Words, their labels, and those that the model gives."""
        return {"words": example.words, "labels": example.labels, "predictions": answer}


def first_pieces(words: Sequence[str], windows: Sequence[Encoding]) -> list[dict[int, int]]:
    """Find the piece that each word between spaces begins with, in the window that shows the most around it.

    Args:
        words: of the text that they make with a space after each.
        windows: what the text was cut into.

    Returns:
        For each window the pieces that answer for a word, and for which; a word that has no piece is in none.
    """
    word_at = [number for number, word in enumerate(words) for _ in f"{word} "]
    text = " ".join(words)
    found: dict[int, tuple[int, int, int, int]] = {}
    for index, window in enumerate(windows):
        last = len(window.ids) - 1
        for piece, (start, end) in enumerate(window.offsets):
            begins = next((place for place in range(start, end) if text[place] != " "), None)
            if begins is not None:
                # The earliest piece of a word is its first; and of those the one with the most on either side.
                offer = (start, -min(piece, last - piece), index, piece)
                found[word_at[begins]] = min(offer, found.get(word_at[begins], offer))
    firsts: list[dict[int, int]] = [{} for _ in windows]
    for word, (_, _, index, piece) in found.items():
        firsts[index][piece] = word
    return firsts
