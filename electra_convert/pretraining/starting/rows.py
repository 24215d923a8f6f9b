"""More rows for what a run starts from: for new pieces of its vocabulary, and for positions beyond its last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from electra_convert.checkpoint import Model
from electra_convert.config.hparams import Hparams
from electra_convert.config.keys import HANDLED
from electra_convert.config.resolve import Value
from electra_convert.config.sources import Findings
from electra_convert.errors import ConfigError, VocabularyError, counted, listing
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.pretraining.corpus.vocabulary import WordPieces, encoder, word_pieces
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.starting.models import checkpoint_pieces
from electra_convert.pretraining.starting.start import Start
from electra_convert.schemes.mapping import RULES, Dimension
from electra_convert.tensors.spec import DTYPES, Tensor, stream_bytes
from electra_convert.tensors.weight import Weight
from electra_convert.tokenizer import SPECIAL_TOKENS, Vocabulary, check_size
from electra_convert.tokenizer.coverage import require_producible
from electra_convert.tokenizer.of_checkpoint import read_vocabulary_at, read_vocabulary_of
from electra_convert.tokenizer.vocabulary import decode_vocabulary, read_list

Rows = NDArray[np.float32]


# Which pieces are new


def extended_pieces(start: Start, hparams: Hparams, options: PretrainOptions) -> tuple[WordPieces, int]:
    """Append the pieces that --extend-vocabulary names to those that a checkpoint has.

    Args:
        start: what the run starts from.
        hparams: those of the run.
        options: they name a file with a piece on each line, or a whole vocabulary that begins with the checkpoint's.

    Returns:
        The vocabulary, every old piece under its old id, and how many pieces are new.

    Raises:
        VocabularyError: the file has no new pieces, another beginning, or pieces that no text would give; or the
            checkpoint has no vocabulary.
    """
    place = options.extend_vocabulary
    assert place is not None
    model = next(iter(start.checkpoint.models.values()))
    old = read_vocabulary_of(start.checkpoint, model, options.tokenizer_options(hparams))
    whole = _whole_vocabulary(place)
    if whole is None:
        if old is None:
            raise VocabularyError(f"{start.checkpoint.path} has no vocabulary to extend", "Give it with --vocab.")
        check_size(old, start.rows, False)
        vocabulary, notices = _appended(old, place)
        known = len(old)
    else:
        # A vocabulary that was lengthened in its place has more pieces than the checkpoint has rows.
        known = start.rows if old is None else min(len(old), start.rows)
        vocabulary, notices = _continued(old, whole, known, place), ()
    new = vocabulary.pieces[known:]
    if options.vocab is None:
        pieces = checkpoint_pieces(start.checkpoint, vocabulary, hparams, options)
    else:
        pieces = word_pieces(vocabulary, options.tokenizer_options(hparams), hparams["do_lower_case"])
    require_producible(replace(vocabulary, path=place), pieces.settings, new)
    return replace(pieces, notices=(*notices, *pieces.notices)), len(new)


def _whole_vocabulary(place: Path) -> Vocabulary | None:
    """A vocabulary with its special tokens, None for a list of pieces."""
    if place.is_dir() or set(SPECIAL_TOKENS) <= set(read_list(place)):
        return read_vocabulary_at(place)
    return None


def _appended(old: Vocabulary, place: Path) -> tuple[Vocabulary, tuple[str, ...]]:
    """A vocabulary with the pieces of a list that it lacks, and what is said of those that it has."""
    ids, listed = old.ids, dict.fromkeys(read_list(place))
    new = [piece for piece in listed if piece not in ids]
    there = [piece for piece in listed if piece in ids]
    if not new:
        raise VocabularyError(
            f"{place}: all of its pieces are in the vocabulary of the checkpoint already",
            "Leave --extend-vocabulary out.",
        )
    end = b"" if old.raw.endswith(b"\n") else b"\n"
    raw = old.raw + end + "".join(f"{piece}\n" for piece in new).encode()
    told = f"Of the pieces of {place.name} the vocabulary has these already: {listing(map(repr, there), 6)}."
    return decode_vocabulary(raw, Path(VOCABULARY_FILE)), (told,) if there else ()


def _continued(old: Vocabulary | None, whole: Vocabulary, known: int, place: Path) -> Vocabulary:
    """A whole vocabulary, which must begin with the old pieces and then repeat none."""
    before = whole.pieces[:known] if old is None else old.pieces[:known]
    for number, (found, expected) in enumerate(zip(whole.pieces, before, strict=False)):
        if found != expected:
            raise VocabularyError(
                f"{place}, line {number + 1}: {found!r}, where the checkpoint's vocabulary has {expected!r}",
                "Every old piece keeps its id: write new ones at the end, or in a file of their own.",
            )
    new = whole.pieces[known:]
    if not new:
        raise VocabularyError(
            f"{place} has {counted(len(whole), 'piece')}, no more than the checkpoint", "Write new ones at its end."
        )
    counts = Counter((*dict.fromkeys(before), *new))
    if repeated := [piece for piece in dict.fromkeys(new) if counts[piece] > 1]:
        raise VocabularyError(
            f"{place} repeats pieces after the first {known}: {listing(map(repr, repeated))}",
            "Remove the later ones: a piece would lose the row that it has.",
        )
    return whole


def is_extension(place: Path, vocabulary: Vocabulary, new: int) -> bool:
    """Whether a file names just the last pieces of a vocabulary, or all of it."""
    if (whole := _whole_vocabulary(place)) is not None:
        return whole.pieces == vocabulary.pieces
    known = len(vocabulary) - new
    before = set(vocabulary.pieces[:known])
    listed = tuple(piece for piece in dict.fromkeys(read_list(place)) if piece not in before)
    return listed == vocabulary.pieces[known:]


# Rows


def with_pieces(start: Start, findings: Findings, pieces: WordPieces, new: int) -> tuple[Start, Findings]:
    """Give the models of a start a row for each of the last pieces of a vocabulary.

    A new row of a table, and the new entry of the output bias, is the mean of those of the pieces that the new one
    was split into before.

    Args:
        start: what the run starts from.
        findings: the configurations of its models.
        pieces: the whole vocabulary.
        new: how many of its pieces are new.
    """
    vocabulary = pieces.vocabulary
    known = len(vocabulary) - new
    parts = _split_before(pieces, known)
    total = max(start.rows, len(vocabulary))

    def fill(table: Rows) -> Rows:
        rows = np.zeros((total, *table.shape[1:]), np.float32)
        rows[: len(table)] = table
        for row, ids in enumerate(parts, known):
            rows[row] = table[ids].mean(axis=0, dtype=np.float64)
        return rows

    added = vocabulary.pieces[known:]
    unknown = [piece for piece, ids in zip(added, parts, strict=True) if ids == [vocabulary.ids["[UNK]"]]]
    ids = f"id {known}" if new == 1 else f"ids {known} to {len(vocabulary) - 1}"
    line = (
        f"The vocabulary is extended by {counted(new, 'piece')}, {ids} "
        f"({listing(map(repr, added), 4)}): each row begins as the mean of the rows of its old pieces"
        f"{f'; {len(unknown)} were [UNK]: {listing(map(repr, unknown), 4)}' if unknown else ''}."
    )
    models = {role: _enlarged(model, "vocabulary", total, fill) for role, model in start.checkpoint.models.items()}
    return start.changed(models, line), _restated(findings, "vocab_size", total, "--extend-vocabulary")


def _split_before(pieces: WordPieces, known: int) -> list[list[int]]:
    """The old pieces of each new one, by their ids."""
    before = replace(pieces.vocabulary, pieces=pieces.vocabulary.pieces[:known])
    ids = before.ids
    added = tuple(token for token in pieces.settings.added_tokens if token in ids)
    encode = encoder(WordPieces(before, replace(pieces.settings, added_tokens=added)).definition)
    new = pieces.vocabulary.pieces[known:]
    words = iter(encode([piece for piece in new if not piece.startswith("##")]))
    unknown = [ids["[UNK]"]]
    return [(_rest_before(piece, ids) if piece.startswith("##") else next(words)) or unknown for piece in new]


def _rest_before(piece: str, ids: Mapping[str, int]) -> list[int]:
    """The pieces of the rest of a word, the longest match first; none where they do not make it up."""
    found, rest = [], piece.removeprefix("##")
    while rest:
        end = next((end for end in range(len(rest), 0, -1) if f"##{rest[:end]}" in ids), None)
        if end is None:
            return []
        found.append(ids[f"##{rest[:end]}"])
        rest = rest[end:]
    return found


def with_positions(start: Start, findings: Findings, positions: int) -> tuple[Start, Findings]:
    """Give the models of a start more position embeddings: those there are, again from the first, as Longformer's.

    Raises:
        ConfigError: they have as many already.
    """
    had = next(iter(start.checkpoint.models.values())).sizes.positions
    if positions <= had:
        raise ConfigError(
            f"--extend-positions is {positions}, but {start.checkpoint.path} has {had} positions already",
            "Leave it out: sequences may be shorter.",
        )

    def fill(table: Rows) -> Rows:
        return np.resize(table, (positions, *table.shape[1:]))

    line = (
        f"The positions are extended from {had} to {positions}: new rows begin as copies of the old ones, from the "
        "first on."
    )
    models = {role: _enlarged(model, "positions", positions, fill) for role, model in start.checkpoint.models.items()}
    return start.changed(models, line), _restated(
        findings, "max_position_embeddings", positions, "--extend-positions"
    )


def _enlarged(model: Model, dimension: Dimension, size: int, fill: Callable[[Rows], Rows]) -> Model:
    """A model whose tensors have so many rows wherever the table of names has that dimension."""
    rules = (*RULES.embeddings, *model.head.parameters)
    names = [rule.hf for rule in rules if dimension in rule.dims and rule.hf in model.weights]
    weights = {**model.weights, **{name: _filled(model.weights[name], size, fill) for name in names}}
    return replace(model, weights=weights, sizes=replace(model.sizes, **{str(dimension): size}))


def _filled(weight: Weight, size: int, fill: Callable[[Rows], Rows]) -> Weight:
    """A weight with more rows, which are made when it is read."""

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        rows = np.ascontiguousarray(fill(weight.read_float32()))
        yield from stream_bytes(rows.reshape(-1).view(np.uint8).data, scratch)

    return Weight(Tensor(weight.tensor.name, DTYPES["float32"], (size, *weight.shape[1:]), stream))


def _restated(findings: Findings, key: str, value: int, origin: str) -> Findings:
    """The findings with another size in every configuration, and wherever hparams state it."""
    configs = {
        role: replace(config, values={**config.values, key: Value(value, origin)})
        for role, config in findings.configs.items()
    }
    hparams = findings.hparams or Hparams({}, "")
    given = {**hparams.given, **({key: value} if key in HANDLED else {})}
    if key in hparams.overrides or key not in HANDLED:
        given["model_hparam_overrides"] = {**hparams.overrides, key: value}
    return replace(findings, configs=configs, hparams=replace(hparams, given=given))
