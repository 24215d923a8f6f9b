"""What a run goes on from is what the checkpoint's own files say; only what is given for the run itself decides."""

from __future__ import annotations

import json

import pytest
from conftest import FIXTURES

from electra_convert.checkpoint import open_checkpoint
from electra_convert.errors import ConfigError, UsageError, VocabularyError
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.prepare import prepare
from electra_convert.pretraining.progress import Relay, Silent
from electra_convert.pretraining.starting.start import Start

DROPOUT = {"model_hparam_overrides": {"hidden_dropout_prob": 0.0}}


class Notes(Relay):
    """Keeps what is noticed, and what is warned of."""

    def __init__(self) -> None:
        super().__init__(Silent())

    @property
    def lines(self) -> list[str]:
        return [*self.notes, *self.warnings]


@pytest.fixture
def prepared(tmp_path):
    """Decides on a run that goes on from a checkpoint."""

    def decide(source, **given):
        notes = Notes()
        options = PretrainOptions(**{"init_from": source, "steps": 4000, "cache": tmp_path / "cache", **given})
        with open_checkpoint(source) as start:
            return prepare([FIXTURES / "corpus" / "english.txt"], options, Start(start), None, notes), notes.lines

    return decide


def test_hparams_beside_a_checkpoint_that_contradict_its_graph_are_refused(golden_copy, prepared):
    source = golden_copy()
    hparams = json.loads((source / "hparams.json").read_text())
    hparams["model_hparam_overrides"]["num_attention_heads"] = 4
    (source / "hparams.json").write_text(json.dumps(hparams))
    with pytest.raises(ConfigError, match=r"hparams\.json says the .* num_attention_heads is 4, .* says 2"):
        prepared(source)


def test_heads_are_those_of_the_graph_where_there_are_no_hparams(golden_copy, prepared):
    run, notes = prepared(golden_copy(without=("hparams.json",)))
    assert run.configs["discriminator"]["num_attention_heads"] == 2
    assert not any("--hparams" in line for line in notes)


def test_heads_that_nothing_speaks_for_are_told_to_be_a_guess(golden_copy, prepared):
    _, notes = prepared(golden_copy(without=("hparams.json", "*.meta")))
    assert any("head count 1 and its activation gelu are guesses" in line for line in notes)


def test_hparams_that_change_one_thing_leave_the_others_as_they_are(golden_copy, prepared):
    run, notes = prepared(golden_copy(), hparams=DROPOUT)
    config = run.configs["discriminator"]
    assert (config["hidden_dropout_prob"], config["hidden_size"], config["num_attention_heads"]) == (0.0, 64, 2)
    assert run.findings.hparams.overrides == {
        "hidden_size": 64, "max_position_embeddings": 128, "num_attention_heads": 2, "num_hidden_layers": 2,
        "hidden_dropout_prob": 0.0,
    }  # fmt: skip
    assert not any("--hparams" in line for line in notes)


def test_hparams_that_do_not_fit_the_weights_are_refused(golden_copy, prepared):
    with pytest.raises(ConfigError, match="--hparams says the discriminator's embedding_size is 64, but the weights"):
        prepared(golden_copy(), hparams={"embedding_size": 64})


def test_a_vocabulary_that_is_too_short_is_refused_with_what_can_be_done(golden_copy, prepared, tmp_path):
    (tmp_path / "short.txt").write_text("".join((FIXTURES / "vocab.txt").read_text().splitlines(True)[:-10]))
    with pytest.raises(VocabularyError, match="1490 pieces, but the word embedding has 1500 rows") as raised:
        prepared(golden_copy(), vocab=tmp_path / "short.txt")
    assert raised.value.hint == "Give the vocabulary that the checkpoint was trained with."


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"steps": 0}, UsageError, "--steps is 0, expected a whole number from 1 up"),
        ({"learning_rate": float("nan")}, UsageError, "--learning-rate is nan, expected a positive number"),
        ({"model_size": "tiny"}, ConfigError, 'model_size is "tiny", expected small, base or large'),
    ],
)
def test_options_of_a_wrong_value_are_refused_by_their_own_names(given, error, said):
    with pytest.raises(error, match=said):
        PretrainOptions(**given)


@pytest.fixture
def told(tmp_path):
    """Decides on a run on a text, and gives what is said of it."""

    def decide(text, **given):
        (tmp_path / "text.txt").write_text(text)
        notes = Notes()
        options = PretrainOptions(
            vocab=FIXTURES / "vocab.txt", max_length=32, steps=10, warmup_steps=1, cache=tmp_path / "c", **given
        )
        return prepare([tmp_path / "text.txt"], options, None, None, notes), notes

    return decide


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (2, None),
        (5, "by packing, where the line that fills a sequence runs over its end. --split"),
        (11, "letters, since lines are longer than a sequence. --split"),
    ],
)
def test_a_corpus_that_is_cut_is_told_how_much_and_why(told, words, said):
    _, notes = told(f"{'the bird ' * words}\n" * 50)
    assert any(" 35 of 438 tokens (8%)" in line and "by packing" in line for line in notes.notes) == (said is None)
    assert [said in line for line in notes.warnings] == ([] if said is None else [True])


def test_a_corpus_whose_lines_are_split_loses_nothing(told):
    run, notes = told(f"{'the bird sings . ' * 100}\n" * 5, split_long_lines=True)
    assert run.corpus.record.lost.tokens == 0
    assert notes.warnings == []


def test_a_corpus_of_short_documents_is_told_how_little_they_fill(told):
    run, notes = told("the bird\n\n" * 500)
    [warning] = notes.warnings
    assert "fills its sequences to 19%, since its documents are short" in warning
    together, notes = told("the bird\n\n" * 500, one_sentence_per_line=True)
    assert notes.warnings == []
    assert len(together.corpus) < len(run.corpus) / 4


def test_another_corpus_is_evaluated_on_as_a_whole(told, tmp_path):
    (tmp_path / "other.txt").write_text("a cat\n\n" * 3)
    run, notes = told("the bird\n" * 500, eval_corpus=tmp_path / "other.txt")
    assert len(run.evaluated) == 3
    assert "The corpus to evaluate on has 15 tokens in 3 sequences." in notes.notes


def test_a_vocabulary_that_is_not_the_corpuses_is_warned_of(tmp_path):
    (tmp_path / "text.txt").write_text("鳥が歌う庭 the bird does sing\n" * 50)
    notes = Notes()
    options = PretrainOptions(vocab=FIXTURES / "vocab.txt", max_length=32, steps=10, cache=tmp_path / "c")
    prepare([tmp_path / "text.txt"], options, None, None, notes)
    unknown, slow = notes.warnings
    assert "of the tokens are [UNK]: the vocabulary, or its casing, may not be the corpus's." in unknown
    assert slow.startswith("The warm-up of 10,000 steps is no shorter than the run of 10: the learning rate stays")
