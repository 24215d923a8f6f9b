"""The folder that a run stands in: what it must not touch, and how it takes the place of a run before it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from electra_convert.errors import OutputError
from electra_convert.output import (
    discard,
    follow,
    locked,
    put_back,
    put_in_place,
    require_run_place,
    staging_folder,
)
from electra_convert.pretraining.corpus.cache import default_cache
from electra_convert.pretraining.corpus.places import Place
from electra_convert.pretraining.options import PretrainOptions

RUN_FILE = "run.json"
CHECKPOINTS, MODEL, TENSORFLOW = "checkpoints", "model", "tensorflow"
# What a run keeps of a tokenizer that is no WordPiece, and of a list of words.
TOKENIZER, WORDS = "tokenizer", "words.txt"


def require_place(places: Sequence[Place], output: Path, options: PretrainOptions) -> None:
    """Refuse an output that holds something else than what the options say, or anything that the run reads.

    Raises:
        OutputError: says what is in the way.
    """
    _require_apart(places, output, options)
    require_run_place(output, RUN_FILE, "pretraining run", options.resume, options.overwrite)


def _require_apart(places: Sequence[Place], output: Path, options: PretrainOptions) -> None:
    cache = options.cache or default_cache()
    local = [place for place in (*places, options.eval_corpus) if isinstance(place, Path)]
    read = [("corpus", place) for place in local]
    read += [("vocabulary", options.vocab)] if options.vocab else []
    read += [("list of words", options.words_file)] if options.words_file else []
    read += [("vocabulary", options.extend_vocabulary)] if options.extend_vocabulary else []
    read += [("checkpoint", place) for place in (options.init_from, options.init_generator) if place]
    for what, path in (*read, ("cache", cache)):
        if follow(path).is_relative_to(follow(output)):
            raise OutputError(
                f"{output} holds the {what} {path}, which the run reads", "Choose another folder for the run."
            )
    for place in local:
        for inside, what in ((output, "the run"), (cache, "the cache")):
            if place.is_dir() and _is_searched(follow(inside), follow(place)):
                raise OutputError(
                    f"{inside} lies inside the corpus {place}, and would be read as a part of it",
                    f"Choose a folder outside the corpus for {what}.",
                )


def _is_searched(path: Path, root: Path) -> bool:
    """Whether files there are part of a corpus; hidden ones are not."""
    return path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)


Identity = tuple[int, int]


def identity(folder: Path) -> Identity | None:
    """Device and inode, which tell a folder from another that has its name later; None where there is nothing."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Start:
    """A run's folder until it holds something to resume from; what it replaces is kept aside until then."""

    def __init__(self, output: Path, old: Path | None) -> None:
        self._output, self._old = output, old
        self._settled = False

    def settle(self) -> None:
        """Delete what was replaced, now that the new run can be resumed."""
        self._settled = True
        if self._old is not None:
            discard(self._old)
            self._old = None

    def undo(self) -> None:
        """Leave all as it was, unless the run can be resumed.

        Raises:
            OutputError: the old folder cannot be put back; the message says where it is kept.
        """
        if self._settled:
            return
        shutil.rmtree(self._output, ignore_errors=True)
        if self._old is not None:
            put_back(self._old, self._output)


@contextmanager
def begun(output: Path, replaced: Identity | None, fill: Callable[[Path], None]) -> Iterator[Start]:
    """Put a run's folder in its place, locked; a run that fails before its first checkpoint leaves all as it was.

    Args:
        output: the folder.
        replaced: the folder that it may replace, as it was looked at; None where there was none.
        fill: writes what the folder begins with.

    Yields:
        To be settled once the run can be resumed.

    Raises:
        OutputError: something else was made there meanwhile, another run has it, or it cannot be written.
    """
    with staging_folder(output) as staging:
        fill(staging)
        start = _placed(staging, output, replaced)
        try:
            yield start
        except BaseException:
            start.undo()
            raise


def _placed(staging: Path, output: Path, replaced: Identity | None) -> Start:
    there = os.path.lexists(output)
    if there and (replaced is None or identity(output) != replaced):
        raise OutputError(f"{output} was made by something else meanwhile", "Choose another name.")
    try:
        with locked(output) if there else nullcontext():
            return Start(output, put_in_place(staging, output))
    except OSError as error:
        raise OutputError(f"{output} cannot be made: {error.strerror}") from error
