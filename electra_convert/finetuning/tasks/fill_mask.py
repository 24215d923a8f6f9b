"""Words of running text masked, and asked for: other ones in every pass, the same ones in every evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_convert.finetuning.data.examples import Chunk
from electra_convert.finetuning.encoding import IGNORED, Row, TextEncoder
from electra_convert.finetuning.tasks.task import Metrics, cross_entropy
from electra_convert.frameworks import import_torch

if TYPE_CHECKING:
    import torch

# BERT's: the share of tokens that are asked for, of these the share that is masked, and that is any other token.
_ASKED, _MASKED, _REPLACED = 0.15, 0.8, 0.1
_MASKS_OF_EVALUATION = 1


class FillMask:
    """A masked language model.

    Args:
        encoder: the tokenizer.
    """

    name = "fill-mask"
    auto_class = "AutoModelForMaskedLM"
    main = "perplexity"

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._vocabulary = np.asarray(sorted({*range(len(encoder))} - {*encoder.special.values()}))

    @property
    def config(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def rows(self, examples: Sequence[Chunk], encoder: TextEncoder) -> list[Row]:
        """Rows with masks that are always the same."""
        return [self.masked(chunk, number, (_MASKS_OF_EVALUATION, number)) for number, chunk in enumerate(examples)]

    def masked(self, chunk: Chunk, number: int, stream: Sequence[int]) -> Row:
        """Mask whole words of a chunk, drawn from a stream of random numbers, until 15% of its tokens are asked."""
        random = np.random.default_rng(stream)
        words, ids = np.asarray(chunk.words), np.asarray(chunk.ids)
        wanted = max(1, round(_ASKED * len(ids)))
        asked = np.zeros(len(ids), bool)
        for word in random.permutation(np.unique(words[words >= 0])):
            if asked.sum() >= wanted:
                break
            asked |= words == word
        fate = random.random(len(ids))
        given = np.where(asked & (fate < _MASKED), self._encoder.special["[MASK]"], ids)
        others = self._vocabulary[random.integers(len(self._vocabulary), size=len(ids))]
        given = np.where(asked & (fate >= 1 - _REPLACED), others, given)
        labels = np.where(asked, ids, IGNORED)
        whole = self._encoder.around(given.tolist())
        return Row(whole, [0] * len(whole), (IGNORED, *labels.tolist(), IGNORED), number)

    def outputs(self, outputs: Any) -> torch.Tensor:  # noqa: ANN401 - transformers' ModelOutput
        """The logits, [rows, length, vocabulary]."""
        logits: torch.Tensor = outputs.logits
        return logits

    def kept(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The summed loss of each row: logits of a whole vocabulary take too much memory."""
        functional = import_torch("to train").nn.functional
        losses: torch.Tensor = functional.cross_entropy(
            outputs.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        return losses.sum(-1)

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over the tokens that are asked for."""
        # Few of them are: the softmax of the others would be for nothing.
        chosen = labels != IGNORED
        loss: torch.Tensor = cross_entropy(import_torch("to train"), outputs[chosen], labels[chosen])
        return loss

    def answers(self, examples: Sequence[Chunk], rows: Sequence[Row], outputs: Sequence[Any]) -> list[float]:
        """Not answers: the losses of the rows, as the evaluation gives them."""
        return [float(one) for one in outputs]

    def metrics(self, examples: Sequence[Chunk], answers: Sequence[float]) -> Metrics:
        """Perplexity on the same masks, and the loss that it is the exponential of."""
        asked = sum(label != IGNORED for row in self.rows(examples, self._encoder) for label in row.labels)  # type: ignore[union-attr]
        loss = sum(answers) / asked
        return {"perplexity": exp(min(loss, 700.0)), "loss": loss}

    def written(self, example: Chunk, answer: float) -> dict[str, Any]:
        """Nothing is written of a chunk."""
        return {}


def chunks_of(lines: Sequence[str], encoder: TextEncoder, where: str) -> list[Chunk]:
    """Join texts and cut them into chunks of the encoder's length, what is left at the end dropped.

    Texts are joined with [SEP] between them, as the course does (huggingface/course, chapter 7, part 3).
    """
    ids: list[int] = []
    words: list[int] = []
    count = 0
    for line in lines:
        tokens = encoder.tokens(line)
        ids += tokens.ids
        words += [count + (word or 0) for word in tokens.word_ids]
        if tokens.ids:
            count = words[-1] + 1
            ids.append(encoder.special["[SEP]"])
            words.append(-1)  # never masked
    size = encoder.longest - 2
    return [
        Chunk(tuple(ids[start : start + size]), tuple(words[start : start + size]), where)
        for start in range(0, len(ids) - size + 1 if len(ids) >= size else min(1, len(ids)), size)
    ]
