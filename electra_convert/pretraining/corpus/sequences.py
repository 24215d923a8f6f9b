"""The files of a corpus made into sequences of two segments, as build_pretraining_dataset.py makes them
(google-research/electra, 8a46635).

Text is tokenised in blocks, on all cores, while what came before is packed; TFRecords hold sequences already.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np

from electra_convert.errors import CorpusError, CorruptFileError, listing
from electra_convert.pretraining.corpus.documents import read_documents
from electra_convert.pretraining.corpus.files import CorpusFile
from electra_convert.pretraining.corpus.long_lines import Encode, fitting, sentences
from electra_convert.pretraining.corpus.packing import Example, ExampleBuilder, Line, WholeLines
from electra_convert.pretraining.corpus.text import opened
from electra_convert.pretraining.corpus.tfrecords import read_tfrecords
from electra_convert.pretraining.corpus.unknown import LongWords
from electra_convert.pretraining.corpus.vocabulary import Pieces, encoder
from electra_convert.pretraining.corpus.whole_words import Marker, Words, marked

Progress = Callable[[int, int], None]
_PACKING_SEED = 20200323
_BLOCK_LINES, _BLOCK_LETTERS = 4096, 1 << 20
_PART_LETTERS = 1 << 17


@dataclass(frozen=True)
class Tokenisation:
    """What decides, with the text, what a cache holds.

    Attributes:
        pieces: the vocabulary.
        max_length: tokens a sequence.
        documents_end: whether blank lines and rows end them; otherwise files alone do.
        splits_long_lines: whether lines are split so that no text is cut off; otherwise it is, as in Google's code.
        words: what words are, where their tokens are masked together; None where each is masked alone.
    """

    pieces: Pieces
    max_length: int
    documents_end: bool
    splits_long_lines: bool = False
    words: Words | None = None


def make_builder(how: Tokenisation) -> ExampleBuilder:
    """Make what packs the lines of a corpus: with the same draws whatever --seed is, so that runs share a cache."""
    ids = how.pieces.special_ids
    builder = WholeLines if how.splits_long_lines else ExampleBuilder
    return builder(how.max_length, ids["[CLS]"], ids["[SEP]"], random.Random(_PACKING_SEED))


def sequences_of(
    files: Sequence[CorpusFile], how: Tokenisation, builder: ExampleBuilder, progress: Progress | None
) -> Iterator[Example]:
    """Make the sequences of a corpus.

    Args:
        files: the corpus.
        how: what it is tokenised with.
        builder: packs the lines of text, and counts what is cut off.
        progress: told how many bytes of how many are tokenised.

    Raises:
        CorpusError: a file cannot be read, or the corpus mixes TFRecords with others.
        CorruptFileError: a file of TFRecords is damaged.
    """
    filled = [file for file in files if file.path.stat().st_size]
    records = [file.path for file in filled if file.kind == "TFRecords"]
    if records and len(records) < len(filled):
        others = [str(file.path) for file in filled if file.kind != "TFRecords"]
        raise CorpusError(
            f"the corpus mixes TFRecords ({records[0]}) and other files ({listing(others, 2)})",
            "Give the ones or the others.",
        )
    return _recorded(records, how) if records else _packed(filled, builder, how, progress)


def read_examples(path: Path) -> Iterator[Example]:
    """Read the sequences of a file of TFRecords without their padding.

    Raises:
        CorruptFileError: as read_tfrecords, or padding stands elsewhere than at the end.
    """
    for number, record in enumerate(read_tfrecords(path)):
        length, second = int(record["input_mask"].sum()), int(record["segment_ids"].sum())
        places = np.arange(len(record["input_mask"]))
        first = length - second
        in_order = np.array_equal(record["input_mask"], places < length) and np.array_equal(
            record["segment_ids"], (places >= first) & (places < length)
        )
        if not in_order or length < 1:
            raise CorruptFileError(f"{path}, record {number}: expected two segments and then padding")
        yield Example(record["input_ids"][:length].tolist(), first)


def _recorded(files: Sequence[Path], how: Tokenisation) -> Iterator[Example]:
    rows, continuing = len(how.pieces.vocabulary), how.pieces.continuing
    if how.words is not None and continuing is None:
        raise CorpusError(
            f"{files[0]} holds TFRecords, in which nothing tells where words end with this tokenizer",
            "Give the text, or leave whole_word_masking out.",
        )
    for path in files:
        for example in read_examples(path):
            if len(example.ids) > how.max_length or max(example.ids) >= rows or min(example.ids) < 0:
                raise CorpusError(
                    f"{path} has a sequence of {len(example.ids)} tokens with ids up to {max(example.ids)}; "
                    f"max_seq_length is {how.max_length}, the vocabulary has {rows} pieces",
                    "Give the max_seq_length and the vocabulary that the records were made with.",
                )
            yield (
                example if how.words is None else replace(example, ids=marked(example.ids, continuing or frozenset()))
            )


def _packed(
    files: Sequence[CorpusFile], builder: ExampleBuilder, how: Tokenisation, progress: Progress | None
) -> Iterator[Example]:
    encode = encoder(how.pieces.definition, None if how.words is None else Marker(how.words))
    long_words = LongWords(how.pieces)
    total = sum(file.path.stat().st_size for file in files)
    done = 0
    for file in files:
        size = file.path.stat().st_size
        with opened(file.path) as stream:
            for lines in _tokenised(read_documents(file, stream), encode, builder, long_words):
                for line in lines:
                    ended = not line.letters and how.documents_end
                    example = builder.finish() if ended else builder.add(line) if line.ids else None
                    if example is not None:
                        yield example
                if progress is not None:
                    progress(done + _read(stream, size), total)
        done += size
        if (last := builder.finish()) is not None:
            yield last


def _read(stream: IO[bytes], size: int) -> int:
    """How many bytes of a file are read; what reads Parquet may have closed it at its end."""
    return size if stream.closed else min(stream.tell(), size)


def _tokenised(
    lines: Iterable[str], encode: Encode, builder: ExampleBuilder, long_words: LongWords
) -> Iterator[list[Line]]:
    """Lines with their ids, block by block; the next block is tokenised while this one is looked at."""
    room = builder.room if isinstance(builder, WholeLines) else None
    blocks = _blocks(lines)
    block = next(blocks, None)
    with ThreadPoolExecutor(1) as pool:
        while block:
            working = pool.submit(_lines, block, encode, room, long_words)
            following = next(blocks, None)
            tokenised, letters = working.result()
            builder.losses.overlong_words += letters
            yield tokenised
            block = following


def _lines(block: list[str], encode: Encode, room: int | None, long_words: LongWords) -> tuple[list[Line], int]:
    """The lines of a block, those that there is no room for in parts, and the letters in words that are too long."""
    if room is None:
        whole = _encoded(block, encode)
        return [Line(ids, len(line)) for line, ids in zip(block, whole, strict=True)], long_words.letters(
            block, whole
        )
    # A line of so many words is split in any case, and need not be tokenised as a whole before.
    parts = [part for line in block for part in (sentences(line) if line.count(" ") > room else [line])]
    encoded = _encoded(parts, encode)
    letters = long_words.letters(parts, encoded)
    pairs = zip(parts, encoded, strict=True)
    return [line for part, ids in pairs for line in fitting(part, ids, encode, room)], letters


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
