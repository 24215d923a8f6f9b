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
from collections.abc import Callable, Iterator
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


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of all cores together, which other work on a machine does not change."""
    began, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - spent


def tokenise(path: Path, vocabulary: WordPieces, cache: Path) -> tuple[float, float]:
    """How long it takes to tokenise a corpus into a cache."""
    column = None if path.suffix == ".txt" else COLUMN
    how = Tokenisation(vocabulary, 128, True)
    return timed(lambda: open_corpus(corpus_files([path], column), how, cache, None))


def tokenise_alone(vocabulary: WordPieces, megabytes: float) -> tuple[float, float]:
    """How long the library takes for the same lines, which are in memory already."""
    encode = encoder(vocabulary.definition)
    lines = [line for text in documents(megabytes) for line in [*text.split("\n"), ""]]
    return timed(lambda: [encode(lines[first : first + BATCH]) and None for first in range(0, len(lines), BATCH)])


def peak(path: Path) -> str:
    """The most memory of a process that tokenises a corpus, in MB."""
    command = [sys.executable, __file__, "--alone", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def show_peak(path: Path) -> None:
    """Tokenise a corpus, and print the most memory of this process."""
    with tempfile.TemporaryDirectory() as folder:
        tokenise(path, pieces(), Path(folder) / "cache")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


def main() -> None:
    """Print the rates, or the memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--kind", choices=["text", "jsonl", "csv", "parquet"], default="text")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        show_peak(given.alone)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"corpus.{'txt' if given.kind == 'text' else given.kind}"
        if given.memory:
            for megabytes in (given.megabytes / 4, given.megabytes):
                write(path, documents(megabytes))
                print(f"{given.kind} of {megabytes:g} MB: {peak(path)}")
            return
        write(path, documents(given.megabytes))
        vocabulary = pieces()
        seconds, spent = tokenise(path, vocabulary, Path(folder) / "cache")
    alone, spent_alone = tokenise_alone(vocabulary, given.megabytes)
    print(
        f"{given.kind}: {given.megabytes / seconds:.1f} MB/s; the library alone: {given.megabytes / alone:.1f} MB/s"
    )
    print(f"{alone / seconds:.0%} of its rate; {spent / spent_alone:.2f} times its seconds of all cores, {spent:.1f}")


if __name__ == "__main__":
    main()
