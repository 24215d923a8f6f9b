"""Runs with tokenizers of every kind: resumed exactly, written for transformers, converted, verified and shown."""

from __future__ import annotations

import json
import random
import shutil

import pytest
from conftest import FIXTURES
from support.other_tokenizers import save_bpe
from support.pretraining import TINY

from electra_convert import convert, fill, open_model, score, verify
from electra_convert.errors import CorpusError, TrainingError, UsageError
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.tokens import require_vocabulary

pytestmark = pytest.mark.slow
SHORT = {**TINY, "num_train_steps": 2, "save_checkpoints_steps": 1}
WORDS = {**SHORT, "whole_word_masking": True}


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Sessions of item ids, with and without spaces between what are words."""
    draw = random.Random(0)
    items = [f"item_{number}" for number in range(30)] + ["click:buy", "cart:add"]
    lines = [" ".join(draw.choices(items, k=12)) for _ in range(150)]
    place = tmp_path_factory.mktemp("sessions") / "sessions.txt"
    place.write_text("\n\n".join("\n".join(lines[start : start + 5]) for start in range(0, 150, 5)) + "\n")
    return place


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    lines = (FIXTURES / "corpus" / "english.txt").read_text().splitlines()
    return save_bpe(tmp_path_factory.mktemp("any") / "bpe", lines)


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "words.txt").write_text("item\nclick\ncart\nadd\nbuy\n")
    return tmp_path / "words.txt"


KINDS = ["whitespace", "characters", "bpe", "wordpiece by words"]


@pytest.fixture
def options(request, sessions, bpe, listed):
    """What a run of each kind is given."""
    base = {"hparams": SHORT, "vocab": None}
    return {
        "whitespace": {**base, "corpus": sessions, "tokenizer": "whitespace", "hparams": WORDS},
        "characters": {
            **base,
            "corpus": sessions,
            "tokenizer": "characters",
            "hparams": WORDS,
            "words_file": listed,
            "split_long_lines": True,
        },
        "bpe": {**base, "tokenizer": bpe},
        "wordpiece by words": {**base, "vocab": FIXTURES / "vocab.txt", "hparams": {**WORDS, "max_word_length": 300}},
    }[request.param]


def files_of(run):
    return {path.relative_to(run.model): path.read_bytes() for path in run.model.rglob("*") if path.is_file()}


@pytest.mark.parametrize("options", KINDS, indirect=True)
def test_a_run_is_resumed_exactly_whether_its_tokenizer_is_given_again_or_not(pretrained, tmp_path, options):
    whole = pretrained("whole", **options)
    again = {key: value for key, value in options.items() if key not in {"tokenizer", "vocab", "words_file"}}
    ways = {"given": options, "left out": {**again, "vocab": None}}
    # One suffices where nothing else than the tokenizer's kind is another.
    for name, given in ways.items() if "words_file" in options else [("left out", ways["left out"])]:
        shutil.copytree(whole.output, tmp_path / name)
        shutil.rmtree(tmp_path / name / "checkpoints" / "step-2")
        resumed = pretrained(name, **given, resume=True)
        assert resumed.step == 2
        assert files_of(resumed) == files_of(whole)


@pytest.mark.parametrize("options", KINDS[:3], indirect=True)
def test_another_tokenizer_does_not_resume_a_run(pretrained, options, tmp_path):
    pretrained(**options)
    with pytest.raises(TrainingError, match=r'tokenizer was "(whitespace|characters|folder)" when the run began'):
        pretrained(**{**options, "tokenizer": "wordpiece", "words_file": None}, resume=True)


def test_a_folder_with_other_merges_does_not_resume_a_run(pretrained, bpe, tmp_path):
    pretrained(vocab=None, tokenizer=bpe, hparams=SHORT)
    other = save_bpe(tmp_path / "other", ["el gato canta en la casa"] * 3)
    with pytest.raises(TrainingError, match="is not the tokenizer that the run began with"):
        pretrained(vocab=None, tokenizer=other, hparams=SHORT, resume=True)


@pytest.mark.parametrize("options", ["whitespace", "bpe"], indirect=True)
def test_what_a_run_leaves_is_converted_verified_shown_and_started_from(pretrained, tmp_path, options):
    run = pretrained(**options, export="tf")
    is_whole = options["tokenizer"] == "whitespace"
    assert any("Google's code does not have this tokenizer" in note for note in run.notes)
    assert (run.tensorflow / "vocab.txt").is_file() == is_whole
    assert verify(run.tensorflow, run.model, weights_only=True).passed
    text = "item_3 click:buy item_9" if is_whole else "Return the object."
    converted = convert(run.model, tmp_path / "converted", to="torch").output
    [scored] = score(open_model(converted / "discriminator"), text)
    mask = "[MASK]" if is_whole else "<mask>"
    [[filling]] = fill(open_model(run.model, "generator"), f"{text.split()[0]} {mask}", count=3)
    if is_whole:
        assert [token.text for token in scored.tokens] == text.split()
        assert all("_" in one.piece or ":" in one.piece or one.piece[0] == "[" for one in filling.candidates)
    again = {**options, "hparams": {"num_train_steps": 1}, "init_from": run.model, "reset_optimizer": True}
    started = pretrained("started", **{**again, "tokenizer": None})
    kept = started.model / "discriminator" / "tokenizer.json"
    assert kept.read_bytes() == (run.model / "discriminator" / "tokenizer.json").read_bytes()


def test_transformers_gives_the_ids_that_a_run_of_item_ids_was_trained_on(pretrained, sessions):
    from transformers import AutoTokenizer

    from electra_convert.pretraining.corpus.vocabulary import encoder
    from electra_convert.tokenizer.saved import read_saved_tokenizer

    run = pretrained(corpus=sessions, vocab=None, tokenizer="whitespace", hparams=SHORT)
    encode = encoder(read_saved_tokenizer(run.output / "tokenizer").definition)
    loaded = AutoTokenizer.from_pretrained(run.model / "generator")
    lines = [*sessions.read_text().splitlines(), "item_1 never_seen item_2"]
    for line, ids in zip(lines, encode(lines), strict=True):
        assert loaded(line)["input_ids"] == [loaded.cls_token_id, *ids, loaded.sep_token_id]
    assert json.loads((run.output / "run.json").read_text())["hparams"]["tokenizer"] == "whitespace"


def test_words_longer_than_googles_limit_are_words_for_transformers_too(pretrained, tmp_path):
    from transformers import AutoTokenizer

    word = "the" * 80
    (tmp_path / "long.txt").write_text(f"the birds {word}\n" * 40)
    run = pretrained(
        corpus=tmp_path / "long.txt", vocab=None, train_vocab=60, hparams={**SHORT, "max_word_length": 240}
    )
    loaded = AutoTokenizer.from_pretrained(run.model / "discriminator")
    assert loaded.unk_token_id not in loaded(word)["input_ids"]
    assert loaded.unk_token_id in loaded(word + "t")["input_ids"]


def test_text_that_nothing_separates_into_words_is_refused_for_whole_ones(pretrained, tmp_path):
    (tmp_path / "runs.txt").write_text("MKVLAAGIWYTRDE" * 4 + "\n" * 2 + "AAGIWYTRDEMKVL" * 4 + "\n")
    with pytest.raises(
        CorpusError, match="100% of the tokens stand in words of more tokens than are masked"
    ) as raised:
        pretrained(corpus=tmp_path / "runs.txt", vocab=None, tokenizer="characters", hparams=WORDS, held_out=0.0)
    assert "list them with words_file" in raised.value.hint


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"tokenizer": "whitespace", "strip_accents": True},
            "--strip-accents does not go with --tokenizer whitespace",
        ),
        ({"tokenizer": FIXTURES, "train_vocab": 60}, "--train-vocab does not go with --tokenizer FOLDER"),
        ({"tokenizer": FIXTURES, "lower_case": True}, "--cased does not go with --tokenizer FOLDER"),
        (
            {"tokenizer": "spaces"},
            "--tokenizer is 'spaces', expected wordpiece, whitespace, characters, or the folder",
        ),
        ({"tokenizer": "characters", "hparams": {"max_word_length": 300}}, "max_word_length does not go with"),
        ({}, "no vocabulary to tokenise with"),
    ],
)
def test_what_does_not_go_with_a_tokenizer_is_refused(given, told):
    options = PretrainOptions(**given)
    with pytest.raises(UsageError, match=told):
        require_vocabulary(options.given_hparams, options, known=False)


def test_a_list_of_words_without_whole_ones_is_refused(pretrained, listed):
    with pytest.raises(UsageError, match="whole_word_masking is not true"):
        pretrained(words_file=listed, hparams=SHORT)
