"""Sentences of a domain with a word masked, filled by a model before its adaptation and after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from electra_convert.demo.filling import softmax
from electra_convert.finetuning.encoding import IGNORED, Row, TextEncoder
from electra_convert.finetuning.tasks.fill_mask import FillMask
from electra_convert.finetuning.training import outputs_of

_SENTENCES, _CANDIDATES = 5, 3
_LEAST = 4  # tokens beside the mask
_END = re.compile(r"[.!?]+(?=\s)")


@dataclass(frozen=True)
class Masked:
    """A sentence with a word masked.

    Attributes:
        text: with the tokenizer's mask where the word stood.
        word: what stood there.
        row: what the model is given.
    """

    text: str
    word: str
    row: Row


class _AtMask(FillMask):
    """Keeps the logits of the one place that is asked for."""

    def kept(self, outputs: Any, labels: Any) -> Any:  # noqa: ANN401 - torch's
        """[rows, vocabulary]."""
        return outputs[labels != IGNORED]


def masked_sentences(lines: Sequence[str], encoder: TextEncoder, mask: str) -> list[Masked]:
    """Choose sentences that fit, spread over the text, and mask in each the longest word that is one token."""
    found: list[Masked] = []
    for place in np.linspace(0, max(0, len(lines) - 1), 20 * _SENTENCES).astype(int):
        made = _masked(lines[place], encoder, mask)
        if made is not None and made.text not in [one.text for one in found]:
            found.append(made)
        if len(found) == _SENTENCES:
            break
    return found


def _masked(line: str, encoder: TextEncoder, mask: str) -> Masked | None:
    room = encoder.longest - 2
    tokens = encoder.tokens(line)
    if len(tokens.ids) > room:
        line = _whole_sentences(line[: tokens.offsets[room - 1][1]])
        tokens = encoder.tokens(line)
    if not _LEAST < len(tokens.ids) <= room:
        return None
    words = list(tokens.word_ids)
    whole = [place for place, word in enumerate(words) if words.count(word) == 1]
    letters = [place for place in whole if line[slice(*tokens.offsets[place])].strip().isalpha()]
    if not letters:
        return None
    chosen = max(letters, key=lambda place: tokens.offsets[place][1] - tokens.offsets[place][0])
    start, end = tokens.offsets[chosen]
    word = line[start:end].strip()
    start = end - len(word)
    ids = list(tokens.ids)
    labels = [ids[chosen] if place == chosen else IGNORED for place in range(len(ids))]
    ids[chosen] = encoder.special["[MASK]"]
    row = Row(encoder.around(ids), [0] * (len(ids) + 2), (IGNORED, *labels, IGNORED), 0)
    return Masked(f"{line[:start]}{mask}{line[end:]}", word, row)


def _whole_sentences(text: str) -> str:
    """What was cut off after some token, back to the end of a sentence, or else of a word."""
    ends = [found.end() for found in _END.finditer(text)]
    return text[: ends[-1]] if ends else text.rpartition(" ")[0]


def candidates(
    model: Any,  # noqa: ANN401 - transformers' model
    encoder: TextEncoder,
    sentences: Sequence[Masked],
    pieces: Sequence[str],
) -> list[list[tuple[str, float]]]:
    """What a model would put in each mask, the likeliest first, with its probability."""
    rows = [replace(one.row, example=number) for number, one in enumerate(sentences)]
    padding = encoder.special["[PAD]"]
    found = outputs_of(model, _AtMask(encoder), rows, padding, 1) if rows else []
    shown = []
    for logits in found:
        shares = softmax(logits)
        best = np.argsort(-shares)[:_CANDIDATES]
        shown.append([(pieces[index], float(shares[index])) for index in best])
    return shown
