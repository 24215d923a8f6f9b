"""vocab.txt: the WordPieces of a model, one a line, line number is id; decides nothing about casing."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from electra_convert.errors import VocabularyError, listing
from electra_convert.formats.files import ReadFile
from electra_convert.formats.json_objects import decode_json

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# The largest vocabularies in use (250,000 pieces) take 5 MB; their tokenizer.json about 10 MB.
LARGEST_FILE = 1 << 26

_UTF_16_OR_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# In text of UTF-16 half of the bytes may be zero; in a vocabulary a piece may be one that its corpus held.
_FEW_ZEROS = 10
_WHAT_IT_IS = "A vocabulary is a text file (vocab.txt) in UTF-8 with one WordPiece on each line."
_GIVE_TEXT = "Give vocab.txt, the text file with one WordPiece on each line, or the folder of a WordPiece tokenizer."
_WITHOUT_ONE = (
    "WordPiece cannot use it. convert --no-tokenizer writes the model without a tokenizer, and carries vocab.txt as "
    "it is; texts must then be cut into pieces elsewhere."
)

# What SentencePiece writes before the first piece of a word, and a line of its .vocab files.
_WORD_BEGINS = "\u2581"
_SCORED = re.compile(r".*\t-?\d+(\.\d+)?(e-?\d+)?", re.DOTALL)


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a model, and the file they came from.

    Attributes:
        pieces: the piece of each id; "" where a line is blank.
        raw: the bytes of vocab.txt, to be written back as they are.
        path: the file, for messages.
        notices: what a reader should know about it, one sentence each.
    """

    pieces: tuple[str, ...]
    raw: bytes
    path: Path
    notices: tuple[str, ...] = ()

    @property
    def ids(self) -> dict[str, int]:
        """The id of each piece, in the order of the pieces; of a repeated one the last."""
        return dict(zip(self.pieces, range(len(self.pieces)), strict=True))

    def __len__(self) -> int:
        return len(self.pieces)


def read_vocabulary(path: Path) -> Vocabulary:
    """Read vocab.txt as Google's code does (load_vocab in model/tokenization.py).

    Lines end at a line feed only, white space around a piece is dropped, a blank line is a piece, and the last of
    several equal pieces counts.

    Returns:
        The vocabulary, with a notice where pieces repeat.

    Raises:
        VocabularyError: it is no UTF-8 text, is empty, begins with a byte order mark, or lacks a special token and is
            called what it looks like.
        SourceError: it is missing or may not be read.
    """
    return decode_vocabulary(read_small(path), path)


def read_small(path: Path) -> bytes:
    """Read a whole file of a tokenizer.

    Raises:
        VocabularyError: it is far larger than any such file.
        SourceError: it is missing or may not be read.
        CorruptFileError: it could not be read to its end.
    """
    with ReadFile(path) as file:
        if file.size > LARGEST_FILE:
            raise VocabularyError(
                f"{path} is {file.size} bytes long, expected at most {LARGEST_FILE}: no file of a tokenizer",
                _WHAT_IT_IS,
            )
        return file.read(file.size, 0)


def decode_vocabulary(data: bytes, path: Path) -> Vocabulary:
    """Take the bytes of vocab.txt apart, as read_vocabulary does.

    Raises:
        VocabularyError: as read_vocabulary.
    """
    lines = _text(data, path).split("\n")
    if not lines[-1]:
        lines.pop()
    pieces = tuple(map(str.strip, lines))
    missing = [token for token in SPECIAL_TOKENS if token not in pieces]
    if missing:
        raise _no_vocabulary(data, pieces, missing, path)
    return Vocabulary(pieces, data, path, _notices(pieces, path))


def require_word_pieces(vocabulary: Vocabulary) -> None:
    """Refuse to make a tokenizer for the pieces of SentencePiece, of which WordPiece would find none in any text.

    Raises:
        VocabularyError: they are such pieces.
    """
    if (told := sentencepiece_remark(vocabulary)) is not None:
        raise VocabularyError(f"{vocabulary.path}{told.removeprefix(vocabulary.path.name)}", _WITHOUT_ONE)


def sentencepiece_remark(vocabulary: Vocabulary) -> str | None:
    """Say that a vocabulary is one of SentencePiece, which marks where words begin; None where it is not."""
    marked = _marked(vocabulary.pieces)
    if marked is None:
        return None
    return (
        f"{vocabulary.path.name} is a vocabulary of SentencePiece: {marked}. WordPiece, which ELECTRA's tokenizer "
        "is, knows no such mark, and would make [UNK] of every word"
    )


def _marked(pieces: Sequence[str]) -> str | None:
    marked = [piece for piece in pieces if piece.startswith((_WORD_BEGINS, f"##{_WORD_BEGINS}"))]
    if len(marked) * 10 < len(pieces):
        return None
    return f"{len(marked)} of {len(pieces)} pieces begin with {_WORD_BEGINS!r} (U+2581)"


def _no_vocabulary(data: bytes, pieces: Sequence[str], missing: Sequence[str], path: Path) -> VocabularyError:
    """What a text is that lacks special tokens."""
    if (kind := _json_kind(data)) is not None:
        return VocabularyError(f"{path} is JSON{kind}, expected a WordPiece on each line", _GIVE_TEXT)
    scored = sum(_SCORED.fullmatch(piece) is not None for piece in pieces)
    if scored * 2 > len(pieces):
        return VocabularyError(
            f"{path} has scores: a piece, a tab and a number on {scored} of its {len(pieces)} lines, as "
            "SentencePiece writes them",
            _WITHOUT_ONE,
        )
    told = f"{path} lacks {listing(missing)} among its {len(pieces)} pieces"
    if (marked := _marked(pieces)) is not None:
        return VocabularyError(f"{told}, and is a vocabulary of SentencePiece: {marked}", _WITHOUT_ONE)
    return VocabularyError(
        told, f"An ELECTRA vocabulary holds {listing(SPECIAL_TOKENS)}; is this one of another kind of model?"
    )


def _json_kind(data: bytes) -> str | None:
    """Which JSON a text is, in words that follow "JSON"; None where it is none."""
    if not data.lstrip().startswith((b"{", b"[")):
        return None
    try:
        value = decode_json(data)
    except ValueError:
        return None
    model = value.get("model") if isinstance(value, dict) else None
    kind = model.get("type") if isinstance(model, dict) else None
    return f", the tokenizer.json of a {kind} tokenizer" if isinstance(kind, str) else ""


def _text(data: bytes, path: Path) -> str:
    if not data:
        raise VocabularyError(f"{path} is empty, expected one WordPiece on each line", "Copy or download it again.")
    if data.startswith(codecs.BOM_UTF8):
        raise VocabularyError(
            f"{path}, line 1: begins with a byte order mark, which would become part of the first piece",
            "Save it as UTF-8 without one.",
        )
    zeros = data.count(0)
    if data.startswith(_UTF_16_OR_32) or zeros * _FEW_ZEROS > len(data):
        raise VocabularyError(
            f"{path} is no text in UTF-8: it is UTF-16 or binary, {zeros} of its {len(data)} bytes are zero",
            _WHAT_IT_IS,
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line(data, error.start)
        raise VocabularyError(
            f"{path}, line {line}: byte {data[error.start]:#04x} is not UTF-8 ({error.reason})", _WHAT_IT_IS
        ) from error


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _notices(pieces: tuple[str, ...], path: Path) -> tuple[str, ...]:
    if len(set(pieces)) == len(pieces):
        return ()
    lines: dict[str, list[int]] = {}
    for number, piece in enumerate(pieces, start=1):
        lines.setdefault(piece, []).append(number)
    repeated = [
        f"{piece!r} on lines {listing(map(str, numbers), 4)}" for piece, numbers in lines.items() if len(numbers) > 1
    ]
    return (f"{path.name} repeats pieces, and the last line of each counts: {listing(repeated, 6)}",)


def check_size(vocabulary: Vocabulary, rows: int, pad: bool) -> str | None:
    """Compare a vocabulary with the embedding it is to index.

    Args:
        pad: whether any number of rows without a piece is accepted.

    Returns:
        A notice about rows without a piece, None where there are none.

    Raises:
        VocabularyError: the numbers do not go together.
    """
    count = len(vocabulary)
    if count == rows:
        return None
    if count < rows and (pad or rows == -(-count // 8) * 8):
        told = f"{vocabulary.path.name} has {count} pieces for {rows} rows of the embedding: the last rows have none"
        line_feed = _line_feed(vocabulary)
        return told if line_feed is None else f"{told}. {line_feed}: every piece after it has too high an id then"
    if count < rows:
        hint = (
            "Either this vocabulary belongs to another model, or the last rows have no piece, "
            "which convert accepts with --pad-vocab."
        )
    else:
        hint = _hint_for_longer(vocabulary, rows)
    raise VocabularyError(f"{vocabulary.path} has {count} pieces, but the word embedding has {rows} rows", hint)


def _hint_for_longer(vocabulary: Vocabulary, rows: int) -> str:
    surplus = len(vocabulary) - rows
    blank = 0
    while blank < len(vocabulary) and not vocabulary.pieces[-1 - blank]:
        blank += 1
    if blank >= surplus:
        return f"It ends with blank lines, and each counts as a piece: remove {surplus} of them."
    if surplus == 1 and (line_feed := _line_feed(vocabulary)) is not None:
        return f"{line_feed}: remove one of them, and every piece after it has its own id again."
    return "This vocabulary belongs to another model."


def _line_feed(vocabulary: Vocabulary) -> str | None:
    """Point at the first two blank lines with a piece after them; None where there are none."""
    pieces = vocabulary.pieces
    for line, pair in enumerate(pairwise(pieces), start=1):
        if not any(pair) and any(pieces[line:]):
            return f"Lines {line} and {line + 1} are both blank, as where a line feed was written as a piece"
    return None


def read_list(path: Path) -> tuple[str, ...]:
    """The lines of a file without white space around them and without blank ones; raises as read_vocabulary does."""
    lines = (line.strip() for line in _text(read_small(path), path).split("\n"))
    return tuple(line for line in lines if line)


def read_added_tokens(given: Path | Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Pieces that are to be matched whole: those given, or those of a file with one on each line.

    Raises:
        VocabularyError: there are none, one is no piece of the vocabulary, or the file is no text.
        SourceError: the file is missing or may not be read.
    """
    name = given if isinstance(given, Path) else "the added tokens"
    lines = read_list(given) if isinstance(given, Path) else given
    tokens = list(dict.fromkeys(token for line in lines if (token := line.strip())))
    ids = vocabulary.ids
    if unknown := [token for token in tokens if token not in ids]:
        raise VocabularyError(
            f"{name}: no pieces of {vocabulary.path} are {listing(map(repr, unknown))}",
            "A token that the model was not trained with has no embedding; leave it out.",
        )
    if not tokens:
        raise VocabularyError(f"{name}: there are none", "Write one piece of the vocabulary on each line.")
    return tuple(token for token in tokens if token not in SPECIAL_TOKENS)


def first_difference(one: Vocabulary, other: Vocabulary) -> str | None:
    """The first id that two vocabularies have different pieces for, in words; None where one begins the other."""
    pairs = zip(one.pieces, other.pieces, strict=False)
    found = next(((number, *pair) for number, pair in enumerate(pairs) if pair[0] != pair[1]), None)
    return found and f"id {found[0]} is {found[1]!r} in one and {found[2]!r} in the other"
