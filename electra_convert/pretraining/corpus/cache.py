"""A corpus tokenised once into memory-mapped files, under a name that follows from its content and the settings;
batches are drawn from it elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.caches import cache_folder
from electra_convert.errors import CorpusError, CorruptFileError, ElectraConvertError, OutputError, listing
from electra_convert.formats.files import checksum_of_file, sha256_of_file
from electra_convert.formats.json_objects import read_object
from electra_convert.output import new_folder, write_file
from electra_convert.pretraining.corpus.files import CorpusFile
from electra_convert.pretraining.corpus.losses import require_kept
from electra_convert.pretraining.corpus.packing import Losses
from electra_convert.pretraining.corpus.sequences import Progress, Tokenisation, make_builder, sequences_of
from electra_convert.pretraining.corpus.unknown import require_known
from electra_convert.pretraining.corpus.vocabulary import Pieces
from electra_convert.pretraining.corpus.whole_words import CONTINUES

# Counted up whenever the same input would give other files.
_SCHEMA = 4
# That of the first runs, which wrote down no checksums of their sequences.
_FIRST_SCHEMA = 2
_TOKENS, _EXAMPLES, _RECORD = "tokens.bin", "examples.bin", "corpus.json"
_PIECE = 1 << 22  # tokens
_EXAMPLE = np.dtype([("end", "<u8"), ("first", "<u4")])


def default_cache() -> Path:
    """Where tokenised corpora are kept: in the user's cache folder."""
    return cache_folder("pretraining")


@dataclass(frozen=True)
class CorpusRecord:
    """What a cache holds.

    Attributes:
        key: what it was made from, as a hash.
        sequences: how many there are.
        tokens: how many tokens they have together, special ones included.
        unknown: how many of these are [UNK].
        letters: how many characters the corpus has; 0 where it was tokenised already.
        losses: what was cut off where Google's code cuts it, as packing.Losses.
        dtype: of the tokens.
        crc32c: of the files, by their names.
    """

    key: str
    sequences: int
    tokens: int
    unknown: int
    letters: int
    losses: Mapping[str, int]
    dtype: str
    crc32c: dict[str, str]

    @property
    def lost(self) -> Losses:
        """What was cut off."""
        return Losses(**self.losses)


@dataclass(frozen=True)
class Inputs:
    """Sequences of a corpus.

    Attributes:
        input_ids: [batch, length] int64, padded at the end.
        input_mask: [batch, length] bool, true where there is a token.
        segment_ids: [batch, length] int64, 0 or 1.
        continues: [batch, length] bool, true where a token continues the word of the one before it; None where words
            are not known.
    """

    input_ids: NDArray[np.int64]
    input_mask: NDArray[np.bool_]
    segment_ids: NDArray[np.int64]
    continues: NDArray[np.bool_] | None = None

    def rows(self, part: slice) -> Inputs:
        """Some of the sequences."""
        continues = None if self.continues is None else self.continues[part]
        return Inputs(self.input_ids[part], self.input_mask[part], self.segment_ids[part], continues)


class Corpus:
    """The sequences of a corpus, in files that are mapped and never read as a whole.

    Attributes:
        record: what the cache says of them.
        max_length: how many tokens there may be in one.
        first_key: what the first version of the cache called the same sequences; None where it had none such.
    """

    def __init__(
        self,
        folder: Path,
        record: CorpusRecord,
        max_length: int,
        knows_words: bool = False,
        first_key: str | None = None,
    ) -> None:
        self.record = record
        self._knows_words = knows_words
        self.max_length = max_length
        self.first_key = first_key
        self._tokens = np.memmap(folder / _TOKENS, record.dtype, "r", shape=(record.tokens,))
        self._examples = np.memmap(folder / _EXAMPLES, _EXAMPLE, "r", shape=(record.sequences,))

    def __len__(self) -> int:
        return self.record.sequences

    def counts(self, vocabulary: int) -> NDArray[np.int64]:
        """How often each of the ids below a number occurs; reads all of the corpus, piece by piece."""
        counts = np.zeros(vocabulary, np.int64)
        for ids in self._pieces():
            counts += np.bincount(ids, minlength=vocabulary)
        return counts

    def occurring(self, first: int) -> int:
        """How many ids from the first up occur; reads all tokens, piece by piece."""
        found: set[int] = set()
        for ids in self._pieces():
            found.update(np.unique(ids[ids >= first]).tolist())
        return len(found)

    def _pieces(self) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
        """All ids, piece by piece, without what is known of words."""
        for start in range(0, len(self._tokens), _PIECE):
            tokens = self._tokens[start : start + _PIECE]
            yield tokens & ~np.uint32(CONTINUES) if self._knows_words else tokens

    def read(self, indices: NDArray[np.int64]) -> Inputs:
        """Read sequences by their numbers, in any order, padded with zeros as Google's are."""
        ids = np.zeros((len(indices), self.max_length), np.int64)
        lengths = np.zeros((len(indices), 1), np.int64)
        firsts = np.zeros((len(indices), 1), np.int64)
        for row, index in enumerate(indices):
            start = int(self._examples[index - 1]["end"]) if index else 0
            end = int(self._examples[index]["end"])
            ids[row, : end - start] = self._tokens[start:end]
            lengths[row], firsts[row] = end - start, self._examples[index]["first"]
        places = np.arange(self.max_length)
        present = places < lengths
        segments = (present & (places >= firsts)).astype(np.int64)
        if not self._knows_words:
            return Inputs(ids, present, segments)
        return Inputs(ids & ~CONTINUES, present, segments, (ids & CONTINUES) > 0)


def require_usable(pieces: Pieces, record: CorpusRecord) -> None:
    """Refuse a corpus most of which would be cut off, or is [UNK].

    Raises:
        CorpusError: says what would be lost.
    """
    require_kept(record.lost, record.tokens)
    words = record.tokens - 2 * record.sequences
    require_known(record.lost.overlong_words, record.letters, record.unknown, words, pieces)


def accept(_: CorpusRecord) -> None:
    """Any corpus will do."""


def open_corpus(
    files: Sequence[CorpusFile],
    how: Tokenisation,
    cache: Path,
    progress: Progress | None,
    check: Callable[[CorpusRecord], None] = accept,
) -> Corpus:
    """Open the tokenised corpus in a folder of caches, made first where there is none.

    Args:
        files: the corpus.
        how: what it is tokenised with.
        cache: the folder of caches.
        progress: told how many bytes of how many are tokenised.
        check: raises where what a cache would hold should not be trained on; no cache is left then.

    Raises:
        CorpusError: the corpus is no text, or has none.
        CorruptFileError: a file, or the cache, is damaged.
    """
    hashes = _hashes(files)
    key = _key(files, hashes, how)
    folder = cache / key[:24]
    if not folder.exists():
        try:
            _make(folder, key, files, how, progress, check)
        except OutputError:
            # Another run may have made the same meanwhile.
            if not folder.exists():
                raise
    record = _read_record(folder, key)
    check(record)
    return Corpus(folder, record, how.max_length, how.words is not None, _first_key(files, hashes, how))


def _hashes(files: Sequence[CorpusFile]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(sha256_of_file, [file.path for file in files]))


def _key(files: Sequence[CorpusFile], hashes: Sequence[str], how: Tokenisation) -> str:
    contents = [[file.kind, file.column, content] for file, content in zip(files, hashes, strict=True)]
    cuts = [how.max_length, how.documents_end, how.splits_long_lines, how.words and how.words.fingerprint]
    return _hash([_SCHEMA, how.pieces.definition, cuts, contents])


def _first_key(files: Sequence[CorpusFile], hashes: Sequence[str], how: Tokenisation) -> str | None:
    """The key as the first schema had it, which knew text and TFRecords alone, and cut long lines off."""
    if how.splits_long_lines or how.words is not None or any(file.column is not None for file in files):
        return None
    return _hash([_FIRST_SCHEMA, how.pieces.definition, how.max_length, how.documents_end, hashes])


def _hash(settings: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


def _read_record(folder: Path, key: str) -> CorpusRecord:
    hint = f"Remove {folder}; it is made again from the corpus."
    try:
        fields: Any = read_object(folder / _RECORD)
        record = CorpusRecord(**fields)
        Losses(**record.losses)
        sizes = (record.tokens * np.dtype(record.dtype).itemsize, record.sequences * _EXAMPLE.itemsize)
        found = ((folder / _TOKENS).stat().st_size, (folder / _EXAMPLES).stat().st_size)
    except (OSError, TypeError, ValueError, ElectraConvertError) as error:
        raise CorruptFileError(f"{folder} is not a tokenised corpus: {error}", hint) from error
    if record.key != key or sizes != found:
        raise CorruptFileError(f"{folder}: its files have {found} bytes, expected {sizes}", hint)
    for name in (_TOKENS, _EXAMPLES):
        if checksum_of_file(folder / name) != record.crc32c.get(name):
            raise CorruptFileError(f"{folder / name} does not have the checksum it was written with", hint)
    return record


def _make(
    folder: Path,
    key: str,
    files: Sequence[CorpusFile],
    how: Tokenisation,
    progress: Progress | None,
    check: Callable[[CorpusRecord], None],
) -> None:
    builder = make_builder(how)
    unknown_id = how.pieces.special_ids.get("[UNK]", -1)
    dtype = np.dtype("<u2" if how.words is None and len(how.pieces.vocabulary) <= 1 << 16 else "<u4")
    sequences = tokens = unknown = 0
    with new_folder(folder, overwrite=False) as place:
        with ExitStack() as stack:
            token_file = stack.enter_context((place / _TOKENS).open("wb"))
            example_file = stack.enter_context((place / _EXAMPLES).open("wb"))
            for example in sequences_of(files, how, builder, progress):
                sequences, tokens = sequences + 1, tokens + len(example.ids)
                unknown += example.ids.count(unknown_id) + example.ids.count(unknown_id | CONTINUES)
                token_file.write(np.array(example.ids, dtype).tobytes())
                example_file.write(np.array((tokens, example.first), _EXAMPLE).tobytes())
        if not sequences:
            named = listing((str(file.path) for file in files), 4)
            raise CorpusError(f"the corpus has no text: {named}", "Give files with something in them.")
        losses = asdict(builder.losses)
        checksums = {name: checksum_of_file(place / name) for name in (_TOKENS, _EXAMPLES)}
        record = CorpusRecord(key, sequences, tokens, unknown, builder.letters, losses, dtype.str, checksums)
        check(record)
        write_file(place / _RECORD, (json.dumps(asdict(record), indent=2) + "\n").encode())
