"""A tokenizer.json that anyone may have written, parsed by the tokenizers package and tried out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from electra_convert.errors import VocabularyError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_AGAIN = "Copy or save it again."
# What the package raises where its own code fails, which is no Exception; it gives the class no public name.
_PANIC = "PanicException"
_ANY_TEXT = "A text, 2 words."


def parse_tokenizer(data: bytes, path: Path, hint: str = _AGAIN) -> Tokenizer:
    """Make the tokenizer that a tokenizer.json describes, one that takes texts.

    Args:
        data: the file's bytes.
        path: the file, for messages.
        hint: what to do where it cannot be read.

    Raises:
        VocabularyError: it describes none.
    """
    from tokenizers import Tokenizer

    try:
        made = Tokenizer.from_str(data.decode())
        # Some mistakes show when a text is taken apart, and no sooner.
        made.encode(_ANY_TEXT)
        return made
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        reason = " ".join(str(error).split())
        raise VocabularyError(f"{path} cannot be read: {reason}", hint) from error
