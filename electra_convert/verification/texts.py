"""The user's own sentences as ids, and the ids of special tokens, through a side's tokenizer; runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import ElectraConvertError, UsageError
from electra_convert.formats.names import TOKENIZER_FILE
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions, find_vocabulary, tokenizer_files
from electra_convert.verification.inputs import Batch, Limits, Specials, rows_batch
from electra_convert.verification.sides import Side

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NAME_LENGTH = 40


def find_specials(sides: Sequence[Side], role: Role) -> Specials:
    """Find the ids of the special tokens.

    Args:
        sides: where to look for a vocabulary, the first that has one decides.
        role: which of the models.

    Returns:
        The ids; those of BERT's vocabularies where no side has a vocabulary that fits its model.
    """
    for side in sides:
        try:
            model = side.checkpoint.models[role]
            vocabulary, _ = find_vocabulary(side.checkpoint, model, TokenizerOptions(pad_vocab=True))
        except ElectraConvertError:
            continue
        if vocabulary is not None:
            return Specials(*(vocabulary.ids[token] for token in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")))
    return Specials()


def text_batch(
    texts: Sequence[str], sides: Sequence[Side], role: Role, specials: Specials, limits: Limits
) -> tuple[Batch, tuple[str, ...]]:
    """Make inputs of sentences.

    Args:
        texts: the sentences.
        sides: where to look for a tokenizer, the first that has one decides.
        role: which of the models.
        specials: the ids of special tokens.
        limits: what the models can take.

    Returns:
        One row a sentence, and which of them were cut off.

    Raises:
        UsageError: no side has a tokenizer, or a sentence is no text.
    """
    tokenizer = _tokenizer(sides, role)
    rows: list[tuple[str, NDArray[np.integer]]] = []
    notes = []
    for text in texts:
        ids = np.array(_encode(tokenizer, text))
        name = text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"
        if len(ids) > limits.positions:
            notes.append(f"“{name}” has {len(ids)} tokens; the first {limits.positions} were used.")
        if ids.max(initial=0) >= limits.vocabulary:
            raise UsageError(
                f"the tokenizer makes ids up to {ids.max()}, the model has {limits.vocabulary} embeddings"
            )
        rows.append((name, ids[: limits.positions]))
    return rows_batch("your own text", rows, specials, limits), tuple(notes)


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"--text {ascii(text)[:60]} is no text: it holds half of a character") from error
    ids: list[int] = tokenizer.encode(text).ids
    return ids


def _tokenizer(sides: Sequence[Side], role: Role) -> Tokenizer:
    from tokenizers import Tokenizer

    for side in sides:
        if side.findings is None:
            continue
        model = side.checkpoint.models[role]
        files = tokenizer_files(side.checkpoint, model, side.findings.hparams, TokenizerOptions())
        if TOKENIZER_FILE in files.files:
            return Tokenizer.from_str(files.files[TOKENIZER_FILE].decode())
    raise UsageError(
        "--text needs a tokenizer, and neither side has a vocabulary",
        "Put vocab.txt beside the checkpoint, or give ids with --inputs.",
    )
