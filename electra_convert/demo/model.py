"""A model ready to run, with its tokenizer: it scores texts and fills masks, in windows and batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.filling import Candidate, Filling, likeliest, likeliest_words
from electra_convert.demo.running import Runner, several
from electra_convert.demo.scoring import ScoredText, ScoredTexts, scored_text, sigmoid
from electra_convert.demo.tasks import TASKS, Answers, AnswerT, Asked, Methods, Task
from electra_convert.demo.text import EncodedText, naming_text
from electra_convert.errors import NamesError, TextError
from electra_convert.schemes.heads import PRETRAINING, Head
from electra_convert.schemes.mapping import Role

_MASK = "[MASK]"


@dataclass(frozen=True, repr=False, kw_only=True)
class LoadedModel(Methods, Runner):
    """A model that is ready to run, as open_model gives it.

    Attributes:
        role: discriminator or generator; a fine-tuned model counts as a discriminator.
        head: what stands on its encoder.
        task: the name of the task that Google's code fine-tuned it for, or "".
        notices: what was guessed or left out in opening it, one sentence each.
    """

    role: Role
    head: Head
    task: str = ""
    notices: tuple[str, ...]

    def __repr__(self) -> str:
        what = self.head.name.replace("_", " ") if self.head.is_of_a_task else self.role
        return f"<LoadedModel: {what} of {self.source} on {self.device}>"

    def score(self, texts: str | Iterable[str]) -> ScoredTexts:
        """Say of every token and word of some texts how likely it was replaced; see electra_convert.score."""
        return ScoredTexts(self.score_encoded([self.encode_to_score(text) for text in several(texts)]))

    def score_stream(self, texts: Iterable[str], ahead: int = 1024) -> Iterator[ScoredText]:
        """Score texts one after the other, however many there are; see electra_convert.score_stream."""
        rest = enumerate(texts, start=1)
        while some := list(islice(rest, max(1, ahead))):
            encoded: dict[int, EncodedText] = {}
            for number, text in some:
                if not isinstance(text, str) or text.strip():
                    with naming_text(f"text {number}"):
                        encoded[number] = self.encode_to_score(text)
            scored = iter(self.score_encoded(list(encoded.values())))
            for number, text in some:
                yield next(scored) if number in encoded else ScoredText(text, ())

    def fill(self, texts: str | Iterable[str], count: int = 5) -> list[tuple[Filling, ...]]:
        """Say what the generator would put at each [MASK] of some texts; see electra_convert.fill."""
        self._require("generator")
        return [self._filled(text, count) for text in several(texts)]

    def answers(self, task: Task[AnswerT], asked: Sequence[Asked]) -> Answers[AnswerT]:
        """Have a model answer that was fine-tuned for a task.

        Raises:
            NamesError: it is of another kind.
            TextError: a text is empty, too long, or no text.
        """
        if self.head.name != task.head.name:
            own = TASKS.get(self.head.name)
            this = own.fine_tuned if own else f"a {self.role}"
            raise NamesError(f"{self.source}: a model {task.fine_tuned} is needed, and this is {this}")
        return Answers(task.ask(self, asked))

    def ask(self, asked: Sequence[Asked]) -> Answers[Any]:
        """Have a fine-tuned model answer, whatever it was fine-tuned for."""
        return self.answers(TASKS[self.head.name], asked)

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
        outputs = zip(texts, self.by_pieces(texts), strict=True)
        return [scored_text(text, sigmoid(logits).tolist(), count) for text, (logits, count) in outputs]

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

        Piece by piece: of a text with many masks and a large vocabulary, all logits at once fill memory.
        """
        self._require("generator")
        for window in self.windows(text):
            # [CLS] stands before the first piece.
            inside = [place - window.start + 1 for place in places if window.first <= place < window.last]
            if inside:
                row = self.row(text.pieces[window.start : window.stop])
                [batch] = self.batches([row])
                yield from map(self.checked, self.network.at(inside, *batch))

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

    def _require(self, role: Role) -> None:
        if self.head.is_of_a_task:
            raise NamesError(f"{self.source}: a {role} is needed, and this is {TASKS[self.head.name].fine_tuned}")
        if self.head is not PRETRAINING[role]:
            raise NamesError(f"{self.source}: a {role} is needed, and this is a {self.role}")


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


def score_stream(model: LoadedModel, texts: Iterable[str], ahead: int = 1024) -> Iterator[ScoredText]:
    """Say the same of texts of any number, one after the other, holding no more than some of them at once.

    Args:
        model: a discriminator.
        texts: anything that gives texts, such as an open file; asked for no more than `ahead` of them before their
            scores are taken.
        ahead: how many texts are read before the first of them is scored; those of one length go through the model
            together, so that more are faster, up to some hundreds.

    Yields:
        The scores of each text, in their order; of an empty one, those of no token.

    Raises:
        TextError: a text has nothing to score but is not empty, is too long, or is no text; says which.
        NamesError: the model is a generator.
        CorruptFileError: its logits are not finite.

    >>> from electra_convert import open_model
    >>> model = open_model("fixtures/default", vocab="fixtures/vocab.txt")
    >>> with open("fixtures/corpus/english.txt", encoding="utf-8") as lines:
    ...     suspicious = [one for one in score_stream(model, lines) if any(t.probability > 0.5 for t in one.tokens)]
    >>> len(suspicious)
    32
    """
    return model.score_stream(texts, ahead)


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
