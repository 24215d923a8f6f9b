"""How fast a corpus is tokenised, as a share of what the tokenizers library does alone, and in how much memory.

    pip install 'electra-convert[corpora]'
    python benchmarks/tokenise_speed.py [--megabytes 100] [--kind text|jsonl|csv|parquet] [--memory]

A corpus of made-up prose is written to a temporary folder, and tokenised into a cache by a vocabulary of 30,000
pieces that is trained on its beginning; then the library tokenises the same lines, read into memory beforehand, in
batches of 4,096, on all cores. --memory tokenises a quarter of the corpus and all of it, each in its own process,
and prints the most memory that each has used.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate, islice
from pathlib import Path

from electra_convert.pretraining.corpus.cache import open_corpus
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import WordPieces, encoder, train_word_pieces
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

SYLLABLES = "ba be bi da di do fa fe ga go ka ke la li lo ma mi mo na ni no pa pe ra ri ro sa se si so ta te".split()
BATCH = 4096
COLUMN = "text"


def documents(megabytes: float) -> Iterator[str]:
    """Documents of a dozen lines, of words as frequent as Zipf has them."""
    draws = random.Random(0)
    words = ["".join(draws.choices(SYLLABLES, k=draws.randint(1, 4))) for _ in range(50_000)]
    weights = list(accumulate(1 / (rank + 10) for rank in range(len(words))))
    left = megabytes * 1e6
    while left > 0:
        lines = [" ".join(draws.choices(words, cum_weights=weights, k=draws.randint(5, 30))) + "." for _ in range(12)]
        document = "\n".join(lines)
        left -= len(document) + 2
        yield document


def write(path: Path, texts: Iterator[str]) -> None:
    """A corpus in a file, of the kind that its name says."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        schema = pyarrow.schema([(COLUMN, pyarrow.string())])
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            while rows := list(islice(texts, 10_000)):
                writer.write_table(pyarrow.table({COLUMN: rows}, schema))
        return
    with path.open("w", newline="") as file:
        if path.suffix == ".csv":
            csv.writer(file).writerows([[COLUMN], *([text] for text in texts)])
        elif path.suffix == ".jsonl":
            file.writelines(f"{json.dumps({COLUMN: text})}\n" for text in texts)
        else:
            file.writelines(f"{text}\n\n" for text in texts)


def pieces() -> WordPieces:
    """A vocabulary trained on 4 MB."""
    lines = [line for text in documents(4) for line in text.split("\n")]
    return train_word_pieces(lambda: lines, 30_000, TokenizerOptions())


def tokenise(path: Path, vocabulary: WordPieces, cache: Path) -> float:
    """Seconds to tokenise a corpus into a cache."""
    began = time.perf_counter()
    column = None if path.suffix == ".txt" else COLUMN
    open_corpus(corpus_files([path], column), Tokenisation(vocabulary, 128, True), cache, None)
    return time.perf_counter() - began


def tokenise_alone(vocabulary: WordPieces, megabytes: float) -> float:
    """Seconds that the library takes for the same lines, which are in memory already."""
    encode = encoder(vocabulary.definition)
    lines = [line for text in documents(megabytes) for line in [*text.split("\n"), ""]]
    seconds = 0.0
    for first in range(0, len(lines), BATCH):
        began = time.perf_counter()
        encode(lines[first : first + BATCH])
        seconds += time.perf_counter() - began
    return seconds


def peak(kind: str, megabytes: float) -> str:
    """The most memory of a process that tokenises a corpus, in MB, and its time."""
    command = [sys.executable, __file__, "--alone", "--kind", kind, "--megabytes", str(megabytes)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Print the rates, or the memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--kind", choices=["text", "jsonl", "csv", "parquet"], default="text")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        for megabytes in (given.megabytes / 4, given.megabytes):
            print(f"{given.kind} of {megabytes:g} MB: {peak(given.kind, megabytes)}")
        return
    vocabulary = pieces()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"corpus.{'txt' if given.kind == 'text' else given.kind}"
        write(path, documents(given.megabytes))
        seconds = tokenise(path, vocabulary, Path(folder) / "cache")
    if given.alone:
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most, {seconds:.1f} s")
        return
    alone = tokenise_alone(vocabulary, given.megabytes)
    print(f"{given.kind}: {given.megabytes / seconds:.1f} MB/s, {seconds:.1f} s for {given.megabytes:g} MB")
    print(f"the library alone: {given.megabytes / alone:.1f} MB/s; this has {alone / seconds:.0%} of that")


if __name__ == "__main__":
    main()
