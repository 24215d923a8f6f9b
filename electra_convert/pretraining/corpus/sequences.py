"""The files of a corpus made into sequences of two segments, as build_pretraining_dataset.py makes them
(google-research/electra, 8a46635).

Text is tokenised in blocks, on all cores, while what came before is packed; TFRecords hold sequences already.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from electra_convert.errors import CorpusError, CorruptFileError, listing
from electra_convert.pretraining.corpus.packing import Example, ExampleBuilder
from electra_convert.pretraining.corpus.text import read_lines
from electra_convert.pretraining.corpus.tfrecords import is_tfrecords, read_tfrecords
from electra_convert.pretraining.corpus.vocabulary import Encode, WordPieces, encoder

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
        blank_lines_end_documents: whether they do; otherwise they are passed over.
    """

    pieces: WordPieces
    max_length: int
    blank_lines_end_documents: bool


def make_builder(how: Tokenisation) -> ExampleBuilder:
    """Make what packs the lines of a corpus: with the same draws whatever --seed is, so that runs share a cache."""
    ids = how.pieces.vocabulary.ids
    return ExampleBuilder(how.max_length, ids["[CLS]"], ids["[SEP]"], random.Random(_PACKING_SEED))


def sequences_of(
    files: Sequence[Path], how: Tokenisation, builder: ExampleBuilder, progress: Progress | None
) -> Iterator[Example]:
    """Make the sequences of a corpus.

    Args:
        files: the corpus; empty files are passed over.
        how: what it is tokenised with.
        builder: packs the lines of text, and counts what is cut off.
        progress: told how many bytes of how many are tokenised.

    Raises:
        CorpusError: it is neither text nor TFRecords, or both.
        CorruptFileError: a file of TFRecords is damaged.
    """
    filled = [path for path in files if path.stat().st_size]
    records = [path for path in filled if is_tfrecords(path)]
    if records and len(records) < len(filled):
        texts = [str(path) for path in filled if path not in records]
        raise CorpusError(
            f"the corpus mixes TFRecords ({records[0]}) and other files ({listing(texts, 2)})",
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
    """Blocks of lines with the ids of each; the next block is tokenised while this one is looked at."""
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
