"""A model ready to run, with its tokenizer: it scores texts and fills masks, in windows and batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.filling import Candidate, Filling, likeliest, likeliest_words
from electra_convert.demo.network import Network
from electra_convert.demo.scoring import ScoredText, ScoredTexts, scored_text, sigmoid
from electra_convert.demo.text import EncodedText, Window, encode, windows
from electra_convert.errors import CorruptFileError, NamesError, TextError
from electra_convert.schemes.mapping import Role

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

# Windows that go through the model together; more are no faster on a few cores.
BATCH = 16
_MASK = "[MASK]"


@dataclass(frozen=True, repr=False)
class LoadedModel:
    """A model that is ready to run, as open_model gives it.

    Attributes:
        source: what was pointed at.
        role: discriminator or generator.
        network: runs it, in PyTorch.
        tokenizer: its tokenizer, without truncation and padding.
        special: the id of each special token: [PAD], [UNK], [CLS], [SEP], [MASK].
        spelt: what the tokenizer calls each of them: <mask>, for instance.
        positions: the longest input, [CLS] and [SEP] included.
        notices: what was guessed or left out in opening it, one sentence each.
    """

    source: str | Path
    role: Role
    network: Network
    tokenizer: Tokenizer
    special: Mapping[str, int]
    spelt: Mapping[str, str]
    positions: int
    notices: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<LoadedModel: {self.role} of {self.source} on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.device

    def score(self, texts: str | Iterable[str]) -> ScoredTexts:
        """Say of every token and word of some texts how likely it was replaced; see electra_convert.score."""
        return ScoredTexts(self.score_encoded([self.encode_to_score(text) for text in _several(texts)]))

    def fill(self, texts: str | Iterable[str], count: int = 5) -> list[tuple[Filling, ...]]:
        """Say what the generator would put at each [MASK] of some texts; see electra_convert.fill."""
        self._require("generator")
        return [self._filled(text, count) for text in _several(texts)]

    def encode(self, text: str) -> EncodedText:
        """Cut a text into pieces.

        Raises:
            TextError: nothing is left of the text, it is too long, or is no text.
        """
        return encode(self.tokenizer, frozenset(self.spelt.values()), text)

    def encode_to_score(self, text: str) -> EncodedText:
        """Cut a text into pieces as encode does, and refuse one of special tokens alone.

        Raises:
            TextError: as encode, or there is nothing to score.
        """
        encoded = self.encode(text)
        if all(piece.special for piece in encoded.pieces):
            raise TextError("the text has nothing to score: special tokens alone", "Give it a word or two.")
        return encoded

    def score_encoded(self, texts: Sequence[EncodedText]) -> list[ScoredText]:
        """Score texts that are cut into pieces already, as score does."""
        self._require("discriminator")
        laid = [self._windows(text) for text in texts]
        rows = [self._row(text, window) for text, parts in zip(texts, laid, strict=True) for window in parts]
        outputs = self._in_batches(rows)
        scored = []
        for text, parts in zip(texts, laid, strict=True):
            logits = self._checked(np.concatenate([_owned(next(outputs), window) for window in parts]))
            scored.append(scored_text(text, sigmoid(logits).tolist(), len(parts)))
        return scored

    def suggest(self, text: str, start: int, end: int, count: int) -> tuple[Candidate, ...]:
        """Say which whole words the generator would put in place of characters start to end of a text.

        Raises:
            TextError: there is no such stretch, or the text is too long.
        """
        if not 0 <= start < end <= len(text):
            raise TextError(f"the text has no characters {start} to {end}: it has {len(text)}")
        mask = self.spelt[_MASK]
        encoded = self.encode(f"{text[:start]}{mask}{text[end:]}")
        place = next((place for place in self._masks(encoded) if encoded.pieces[place].start == start), None)
        if place is None:
            raise TextError(f"a {mask} in place of characters {start} to {end} of the text is not read as one")
        logits = next(self.logits_at(encoded, [place]))
        return likeliest_words(self.tokenizer, logits, frozenset(self.spelt.values()), count)

    def logits_at(self, text: EncodedText, places: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Give the generator's logits, [vocabulary], at some pieces of a text, in their order.

        Window by window: of a long text with many masks, all logits at once fill memory.
        """
        self._require("generator")
        for window in self._windows(text):
            # [CLS] stands before the first piece.
            inside = [place - window.start + 1 for place in places if window.first <= place < window.last]
            if inside:
                yield from self._checked(next(self._in_batches([self._row(text, window)]))[inside])

    def _filled(self, text: str, count: int) -> tuple[Filling, ...]:
        encoded = self.encode(text)
        masks = self._masks(encoded)
        if not masks:
            mask = self.spelt[_MASK]
            raise TextError(f"the text has no {mask} for the generator to fill", f"Write {mask} in place of a word.")
        return tuple(
            Filling(encoded.pieces[place].start, encoded.pieces[place].end, likeliest(self.tokenizer, logits, count))
            for place, logits in zip(masks, self.logits_at(encoded, masks), strict=True)
        )

    def _masks(self, text: EncodedText) -> list[int]:
        return [place for place, piece in enumerate(text.pieces) if piece.id == self.special[_MASK]]

    def _windows(self, text: EncodedText) -> tuple[Window, ...]:
        return windows(len(text.pieces), self.positions - 2)

    def _row(self, text: EncodedText, window: Window) -> list[int]:
        inside = [piece.id for piece in text.pieces[window.start : window.stop]]
        return [self.special["[CLS]"], *inside, self.special["[SEP]"]]

    def _in_batches(self, rows: Sequence[list[int]]) -> Iterator[NDArray[np.float32]]:
        """Run rows of token ids, and give the logits of each, padding included."""
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            ids = np.full((len(batch), max(map(len, batch))), self.special["[PAD]"], np.int64)
            mask = np.zeros_like(ids)
            for index, row in enumerate(batch):
                ids[index, : len(row)] = row
                mask[index, : len(row)] = 1
            yield from self.network.run(ids, mask, np.zeros_like(ids))

    def _require(self, role: Role) -> None:
        if self.role != role:
            raise NamesError(f"{self.source}: a {role} is needed, and this is a {self.role}")

    def _checked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Refuse logits that are no numbers, of which no probability can be made."""
        if not np.isfinite(logits).all():
            raise CorruptFileError(
                f"{self.source}: what the {self.role} computes is not finite: its weights are, but so large that "
                "they overflow float32",
                "The model is damaged, or its training diverged: take an earlier checkpoint.",
            )
        return logits


def _several(texts: str | Iterable[str]) -> Iterable[str]:
    return [texts] if isinstance(texts, str) else texts


def _owned(logits: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    # [CLS] stands before the first piece.
    return logits[1 + window.first - window.start : 1 + window.last - window.start]


def score(model: LoadedModel, texts: str | Iterable[str]) -> ScoredTexts:
    """Say of every token and word of some texts how likely it was replaced.

    A probability is the sigmoid of a logit of _get_discriminator_output (run_pretraining.py of
    google-research/electra, commit 8a46635).

    Args:
        model: a discriminator.
        texts: one text or several; one longer than the model goes through it in windows that overlap by half.

    Returns:
        The scores, text by text.

    Raises:
        TextError: a text has nothing to score, is too long, or is no text.
        NamesError: the model is a generator.
        CorruptFileError: its logits are not finite.

    >>> from electra_convert import open_model
    >>> model = open_model("fixtures/default", vocab="fixtures/vocab.txt")
    >>> for scored in score(model, ["Return the list.", "Return the banana."]):
    ...     print([(word.text, round(word.probability, 2)) for word in scored.words])
    [('Return', 0.09), ('the', 0.1), ('list', 0.15), ('.', 0.13)]
    [('Return', 0.04), ('the', 0.09), ('banana', 0.22), ('.', 0.12)]
    """
    return model.score(texts)


def fill(model: LoadedModel, texts: str | Iterable[str], count: int = 5) -> list[tuple[Filling, ...]]:
    """Say what the generator would put at each [MASK] of some texts.

    Args:
        model: a generator.
        texts: one text or several, with [MASK] in them.
        count: how many candidates a mask gets.

    Returns:
        For each text its masks, in their order.

    Raises:
        TextError: a text has no [MASK], is too long, or is no text.
        NamesError: the model is a discriminator.
        CorruptFileError: its logits are not finite.

    >>> from electra_convert import open_model
    >>> model = open_model("fixtures/default", "generator", vocab="fixtures/vocab.txt")
    >>> fill(model, "Return the [MASK] of the object.", count=2)
    [(<Filling of characters 11 to 17: 'the' 12.8%, 'return' 5.4%>,)]
    """
    return model.fill(texts, count)
