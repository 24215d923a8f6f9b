"""vocab.txt: the WordPieces of a model, one a line, line number is id; decides nothing about casing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from electra_convert.errors import VocabularyError, listing
from electra_convert.formats.files import ReadFile

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# The largest vocabularies in use (250,000 pieces) take 5 MB; their tokenizer.json about 10 MB.
LARGEST_FILE = 1 << 26

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MEANT = "This is JSON; give vocab.txt, the text file with one WordPiece on each line."
_WHAT_IT_IS = "A vocabulary is a text file (vocab.txt) in UTF-8 with one WordPiece on each line."


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
        return {piece: index for index, piece in enumerate(self.pieces)}

    def __len__(self) -> int:
        return len(self.pieces)


def read_vocabulary(path: Path) -> Vocabulary:
    """Read vocab.txt as Google's code does (load_vocab in model/tokenization.py).

    Lines end at a line feed only, white space around a piece is dropped, a blank line is a piece, and the last of
    several equal pieces counts.

    Returns:
        The vocabulary, with a notice where pieces repeat.

    Raises:
        VocabularyError: it is no UTF-8 text, is empty, begins with a byte order mark or lacks a special token.
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
    pieces = tuple(line.strip() for line in lines)
    missing = [token for token in SPECIAL_TOKENS if token not in pieces]
    if missing:
        raise VocabularyError(
            f"{path} lacks {listing(missing)} among its {len(pieces)} pieces",
            _MEANT
            if path.suffix == ".json"
            else f"An ELECTRA vocabulary holds {listing(SPECIAL_TOKENS)}; is this one of another kind of model?",
        )
    return Vocabulary(pieces, data, path, _notices(pieces, path))


def _text(data: bytes, path: Path) -> str:
    if not data:
        raise VocabularyError(f"{path} is empty, expected one WordPiece on each line", "Copy or download it again.")
    if data.startswith(_BYTE_ORDER_MARK):
        raise VocabularyError(
            f"{path}, line 1: begins with a byte order mark, which would become part of the first piece",
            "Save it as UTF-8 without one.",
        )
    zero = data.find(b"\0")
    if zero >= 0:
        raise VocabularyError(f"{path}, line {_line(data, zero)}: a zero byte, this is no text file", _WHAT_IT_IS)
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
    lines: dict[str, list[int]] = {}
    for number, piece in enumerate(pieces, start=1):
        lines.setdefault(piece, []).append(number)
    repeated = [
        f"{piece!r} on lines {listing(map(str, numbers), 4)}" for piece, numbers in lines.items() if len(numbers) > 1
    ]
    if not repeated:
        return ()
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
        return f"{vocabulary.path.name} has {count} pieces for {rows} rows of the embedding: the last rows have none"
    if count < rows:
        hint = (
            "Either this vocabulary belongs to another model, or the last rows have no piece, "
            "which convert accepts with --pad-vocab."
        )
    else:
        hint = _hint_for_longer(vocabulary, rows)
    raise VocabularyError(f"{vocabulary.path} has {count} pieces, but the word embedding has {rows} rows", hint)


def _hint_for_longer(vocabulary: Vocabulary, rows: int) -> str:
    blank = 0
    while blank < len(vocabulary) and not vocabulary.pieces[-1 - blank]:
        blank += 1
    if blank and len(vocabulary) - blank <= rows:
        return f"It ends with blank lines, and each counts as a piece: remove {len(vocabulary) - rows} of them."
    return "This vocabulary belongs to another model."
