"""A corpus tokenised once into memory-mapped files, under a name that follows from its content and the settings;
batches are drawn from it elsewhere."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import CorpusError, CorruptFileError, OutputError, listing
from electra_convert.formats.files import checksum_of_file
from electra_convert.formats.json_objects import decode_object
from electra_convert.output import new_folder, write_file
from electra_convert.pretraining.masking import Inputs
from electra_convert.pretraining.packing import Example, ExampleBuilder
from electra_convert.pretraining.text import read_lines
from electra_convert.pretraining.tfrecords import is_tfrecords, read_examples
from electra_convert.pretraining.vocabulary import Encode, WordPieces, encoder

Progress = Callable[[int, int], None]
# Counted up whenever the same input would give other files.
_SCHEMA = 2
# Packing draws the same numbers whatever --seed is, so that runs with other seeds share a cache.
_PACKING_SEED = 20200323
_BLOCK_LINES, _BLOCK_LETTERS = 4096, 1 << 20
_PART_LETTERS = 1 << 17
_TOKENS, _EXAMPLES, _RECORD = "tokens.bin", "examples.bin", "corpus.json"
_EXAMPLE = np.dtype([("end", "<u8"), ("first", "<u4")])


@dataclass(frozen=True)
class CorpusRecord:
    """What a cache holds.

    Attributes:
        key: what it was made from, as a hash.
        sequences: how many there are.
        tokens: how many tokens they have together, special ones included.
        unknown: how many of these are [UNK].
        trimmed: tokens that were cut off where Google's code cuts them.
        dtype: of the tokens.
        crc32c: of the files, by their names.
    """

    key: str
    sequences: int
    tokens: int
    unknown: int
    trimmed: int
    dtype: str
    crc32c: dict[str, str]


class Corpus:
    """The sequences of a corpus, in files that are mapped and never read as a whole.

    Attributes:
        record: what it holds.
    """

    def __init__(self, folder: Path, record: CorpusRecord, max_length: int) -> None:
        self.record = record
        self._max_length = max_length
        self._tokens = np.memmap(folder / _TOKENS, record.dtype, "r", shape=(record.tokens,))
        self._examples = np.memmap(folder / _EXAMPLES, _EXAMPLE, "r", shape=(record.sequences,))

    def __len__(self) -> int:
        return self.record.sequences

    def read(self, indices: NDArray[np.int64]) -> Inputs:
        """Read sequences.

        Args:
            indices: which, in any order.

        Returns:
            The sequences, padded with zeros as Google's are.
        """
        ids = np.zeros((len(indices), self._max_length), np.int64)
        lengths = np.zeros((len(indices), 1), np.int64)
        firsts = np.zeros((len(indices), 1), np.int64)
        for row, index in enumerate(indices):
            start = int(self._examples[index - 1]["end"]) if index else 0
            end = int(self._examples[index]["end"])
            ids[row, : end - start] = self._tokens[start:end]
            lengths[row], firsts[row] = end - start, self._examples[index]["first"]
        places = np.arange(self._max_length)
        present = places < lengths
        return Inputs(ids, present, (present & (places >= firsts)).astype(np.int64))


@dataclass(frozen=True)
class Tokenisation:
    """What decides, with the text, what a cache holds.

    Attributes:
        pieces: the vocabulary.
        max_length: tokens a sequence.
        blank_lines_end_documents: whether they do; otherwise they are passed over.
    """

    pieces: WordPieces
    max_length: int
    blank_lines_end_documents: bool


def open_corpus(files: Sequence[Path], how: Tokenisation, cache: Path, progress: Progress | None) -> Corpus:
    """Open the cache of a corpus, made first where there is none.

    Args:
        files: the corpus.
        how: what it is tokenised with.
        cache: the folder of caches.
        progress: told how many bytes of how many are tokenised.

    Returns:
        The sequences.

    Raises:
        CorpusError: the corpus is no text, or too small.
        CorruptFileError: a file, or the cache, is damaged.
    """
    key = _key(files, how)
    folder = cache / key[:24]
    if not folder.exists():
        try:
            _make(folder, key, files, how, progress)
        except OutputError:
            # Another run may have made the same meanwhile.
            if not folder.exists():
                raise
    record = _read_record(folder, key)
    if record.tokens < how.max_length:
        raise CorpusError(
            f"the corpus has {record.tokens} tokens, less than one sequence of {how.max_length}",
            "Give more text, or a shorter max_seq_length in --hparams.",
        )
    return Corpus(folder, record, how.max_length)


def _key(files: Sequence[Path], how: Tokenisation) -> str:
    def digest(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    with ThreadPoolExecutor() as pool:
        contents = list(pool.map(digest, files))
    settings = [_SCHEMA, how.pieces.definition, how.max_length, how.blank_lines_end_documents, contents]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


def _read_record(folder: Path, key: str) -> CorpusRecord:
    hint = f"Remove {folder}; it is made again from the corpus."
    try:
        fields: Any = decode_object((folder / _RECORD).read_bytes(), str(folder / _RECORD))
        record = CorpusRecord(**fields)
        sizes = (record.tokens * np.dtype(record.dtype).itemsize, record.sequences * _EXAMPLE.itemsize)
        found = ((folder / _TOKENS).stat().st_size, (folder / _EXAMPLES).stat().st_size)
    except (OSError, TypeError, ValueError, CorruptFileError) as error:
        raise CorruptFileError(f"{folder} is not a tokenised corpus: {error}", hint) from error
    if record.key != key or sizes != found:
        raise CorruptFileError(f"{folder}: its files have {found} bytes, expected {sizes}", hint)
    for name in (_TOKENS, _EXAMPLES):
        if checksum_of_file(folder / name) != record.crc32c.get(name):
            raise CorruptFileError(f"{folder / name} does not have the checksum it was written with", hint)
    return record


def _make(folder: Path, key: str, files: Sequence[Path], how: Tokenisation, progress: Progress | None) -> None:
    ids = how.pieces.vocabulary.ids
    builder = ExampleBuilder(how.max_length, ids["[CLS]"], ids["[SEP]"], random.Random(_PACKING_SEED))
    records = [path for path in files if path.stat().st_size and is_tfrecords(path)]
    texts = [path for path in files if path.stat().st_size and path not in records]
    if records and texts:
        raise CorpusError(
            f"the corpus mixes TFRecords ({records[0]}) and other files ({listing(map(str, texts), 2)})",
            "Give the ones or the others.",
        )
    examples = _recorded(records, how) if records else _packed(texts, builder, how, progress)
    dtype = np.dtype("<u2" if len(ids) <= 1 << 16 else "<u4")
    sequences = tokens = unknown = 0
    with new_folder(folder, overwrite=False) as place:
        with ExitStack() as stack:
            token_file = stack.enter_context((place / _TOKENS).open("wb"))
            example_file = stack.enter_context((place / _EXAMPLES).open("wb"))
            for example in examples:
                sequences, tokens = sequences + 1, tokens + len(example.ids)
                unknown += example.ids.count(ids["[UNK]"])
                token_file.write(np.array(example.ids, dtype).tobytes())
                example_file.write(np.array((tokens, example.first), _EXAMPLE).tobytes())
        if not sequences:
            raise CorpusError(
                f"the corpus has no text: {listing(map(str, files), 4)}", "Give files with something in them."
            )
        checksums = {name: checksum_of_file(place / name) for name in (_TOKENS, _EXAMPLES)}
        record = CorpusRecord(key, sequences, tokens, unknown, builder.trimmed, dtype.str, checksums)
        write_file(place / _RECORD, (json.dumps(asdict(record), indent=2) + "\n").encode())


def _recorded(files: Sequence[Path], how: Tokenisation) -> Iterator[Example]:
    rows = len(how.pieces.vocabulary)
    for path in files:
        for example in read_examples(path):
            if len(example.ids) > how.max_length or max(example.ids) >= rows or min(example.ids) < 0:
                raise CorpusError(
                    f"{path} has a sequence of {len(example.ids)} tokens with ids up to {max(example.ids)}; "
                    f"max_seq_length is {how.max_length}, the vocabulary has {rows} pieces",
                    "Give the max_seq_length and the vocabulary that the records were made with.",
                )
            yield example


def _packed(
    files: Sequence[Path], builder: ExampleBuilder, how: Tokenisation, progress: Progress | None
) -> Iterator[Example]:
    """Sequences of text files; the next lines are tokenised on all cores while these are packed."""
    encode = encoder(how.pieces.definition)
    total = sum(path.stat().st_size for path in files)
    done = 0
    for path in files:
        read = 0
        for lines, sentences in _tokenised(path, encode):
            for line, sentence in zip(lines, sentences, strict=True):
                ended = not line and how.blank_lines_end_documents
                example = builder.finish() if ended else builder.add(sentence) if sentence else None
                if example is not None:
                    yield example
            read += sum(len(line.encode()) + 1 for line in lines)
            if progress is not None:
                progress(done + min(read, path.stat().st_size), total)
        done += path.stat().st_size
        if (last := builder.finish()) is not None:
            yield last


def _tokenised(path: Path, encode: Encode) -> Iterator[tuple[list[str], list[list[int]]]]:
    blocks = _blocks(read_lines(path))
    block = next(blocks, None)
    with ThreadPoolExecutor(1) as pool:
        while block:
            working = pool.submit(_encoded, block, encode)
            following = next(blocks, None)
            yield block, working.result()
            block = following


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """As many lines as are worth handing over at once; tokenising takes 125 bytes for each of their letters."""
    block: list[str] = []
    letters = 0
    for line in lines:
        block.append(line)
        letters += len(line)
        if len(block) == _BLOCK_LINES or letters >= _BLOCK_LETTERS:
            yield block
            block, letters = [], 0
    if block:
        yield block


def _encoded(block: list[str], encode: Encode) -> list[list[int]]:
    """Tokenise lines, those that are too long for it in parts."""
    parts = [list(_parts(line)) for line in block]
    encoded = (ids for group in _blocks(chain.from_iterable(parts)) for ids in encode(group))
    return [list(chain.from_iterable(islice(encoded, len(own)))) for own in parts]


def _parts(line: str) -> Iterator[str]:
    """Cut a long line at spaces, where no piece reaches across."""
    start = 0
    while len(line) - start > _PART_LETTERS:
        end = line.find(" ", start + _PART_LETTERS)
        if end < 0:
            break
        yield line[start:end]
        start = end + 1
    yield line[start:]
