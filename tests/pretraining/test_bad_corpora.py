"""What cannot be trained on, or with, is refused in a line that says what to do; nothing is left behind."""

from __future__ import annotations

import gzip
import json

import pytest
from conftest import FIXTURES
from support.command_line import run
from support.pretraining import TINY

pytestmark = pytest.mark.slow

TEXT = "The birds are singing in the garden and the children are playing near the river.\n" * 30


@pytest.fixture
def pretrain(tmp_path):
    """Runs the command on a corpus of one file, which it must refuse; the output must not be there."""

    def refuse(content: bytes | str | None, *options: object, name: str = "corpus.txt", hparams=TINY, code=1) -> str:
        place = tmp_path / "corpus"
        place.mkdir(exist_ok=True)
        if content is not None:
            (place / name).write_bytes(content.encode() if isinstance(content, str) else content)
        settled = [] if "--train-vocab" in options or "--vocab" in options else ["--vocab", FIXTURES / "vocab.txt"]
        given = [] if hparams is None else ["--hparams", json.dumps(hparams)]
        arguments = ("pretrain", place, tmp_path / "out", *settled, *given, "--cache", tmp_path / "cache", *options)
        ran = run(*map(str, arguments))
        said = ran.refusal(code)
        assert not (tmp_path / "out").exists()
        assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True
        return said

    return refuse


def test_an_empty_folder(pretrain):
    assert "holds no files" in pretrain(None)


@pytest.mark.parametrize("content", ["", "\n\n  \n", "\t\n"])
def test_an_empty_corpus(pretrain, content):
    assert "the corpus has no text" in pretrain(content)


def test_a_corpus_smaller_than_one_sequence(tmp_path):
    (tmp_path / "small.txt").write_text("Only a few words.\n")
    said = run(
        "pretrain", tmp_path / "small.txt", tmp_path / "out", "--vocab", FIXTURES / "vocab.txt", "--cache",
        tmp_path / "cache",
    ).refusal()  # fmt: skip
    assert "tokens, less than one sequence of 128" in said
    assert not (tmp_path / "out").exists()


def test_binary_files(pretrain):
    said = pretrain(b"text\nPNG\0\0\r\n")
    assert "corpus.txt, line 2: a zero byte" in said
    assert "A corpus is text in UTF-8" in said


def test_text_in_another_encoding(pretrain):
    said = pretrain("Das Wetter ist schön.\r\n".encode("windows-1252"))
    assert "corpus.txt, line 1: byte 0xf6 is not UTF-8" in said
    assert "iconv -f WINDOWS-1252 -t UTF-8" in said


def test_a_table_that_is_given_as_text(pretrain):
    said = pretrain('id,text\n1,"The birds sing."\n', name="docs.csv")
    assert "docs.csv is CSV, not text\nHint: Say which column holds the text, such as --text-column text" in said


def test_a_corpus_of_which_most_would_be_cut_off(pretrain):
    said = pretrain(TEXT.replace("\n", " "))
    assert "most of the corpus would be cut off: " in said
    assert "Hint: --split-long-lines uses all of it" in said


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_named(pretrain, encoding):
    said = pretrain(f"\ufeff{TEXT}".encode(encoding))
    assert "corpus.txt is text in UTF-16, not UTF-8\nHint: Convert it first: iconv -f UTF-16" in said


def test_a_packed_file_that_is_cut_short(pretrain):
    said = pretrain(gzip.compress(TEXT.encode())[:-20], name="corpus.gz")
    assert "corpus.gz cannot be read" in said


def test_a_corpus_that_is_not_there(tmp_path):
    ran = run("pretrain", tmp_path / "nowhere", tmp_path / "out", "--vocab", "v")
    assert "nowhere does not exist" in ran.refusal()


def test_a_vocabulary_without_mask(pretrain, tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n")
    assert "lacks [MASK]" in pretrain(TEXT, "--vocab", tmp_path / "vocab.txt")


def test_no_vocabulary_at_all(tmp_path):
    (tmp_path / "corpus.txt").write_text(TEXT)
    said = run("pretrain", tmp_path / "corpus.txt", tmp_path / "out").refusal(2)
    assert "--train-vocab SIZE" in said


@pytest.mark.parametrize(
    ("hparams", "said"),
    [
        ({"learning_rat": 1}, "Did you mean learning_rate?"),
        ({"hidden_size": 64}, "Did you mean hidden_size inside model_hparam_overrides?"),
        ({"mask_prob": 1.5}, "mask_prob is 1.5, expected a number between 0 and 1"),
        ({"train_batch_size": 0}, "train_batch_size is 0, expected a whole number from 1 up"),
        ({"learning_rate": "fast"}, 'learning_rate is "fast", expected a positive number'),
        ({"learning_rate": -1}, "learning_rate is -1, expected a positive number"),
        ({"disallow_correct": 1}, "disallow_correct is 1, expected true or false"),
        ({"clip_norm": "none"}, 'clip_norm is "none", expected per_token or summed'),
        ({"temperature": 0}, "temperature is 0, expected a positive number"),
        ({"max_seq_length": 600}, "max_seq_length is 600, but the discriminator has 512 positions"),
        ({"max_seq_length": 3}, "max_seq_length is 3, expected a whole number from 5 up"),
        ({"learning_rate": 1e40}, "learning_rate is 1e+40, expected a positive number, below 1e+12"),
        ({"num_train_steps": 10**400}, "expected a whole number from 1 up, below 1e+12"),
        ({"uniform_generator": True, "electra_objective": False}, "without electra_objective trains nothing"),
        ({"electric_objective": True}, "two-tower generator cannot be pretrained"),
        ({"vocab_size": 9999}, "rows\nHint: Leave vocab_size out of the hparams: it follows from the vocabulary."),
        ({"model_hparam_overrides": {"vocab_size": 99}}, "1500 pieces, but the word embedding has 99 rows"),
        ({"model_hparam_overrides": {"type_vocab_size": 1}}, "type_vocab_size is 1, but sequences have two segments"),
        (
            {"model_hparam_overrides": {"attention_probs_dropout_prob": 1}},
            "attention_probs_dropout_prob is 1, expected a number from 0 up and below 1",
        ),
        ({"generator_hidden_size": 0}, "the generator would have 12 layers of width 0"),
        ({"model_hparam_overrides": {"num_attention_heads": 3}}, "with 3 attention heads"),
        ({"model_hparam_overrides": {"hidden_act": "relu"}}, "hidden_act is relu"),
    ],
)
def test_hparams_that_cannot_be_trained_with(pretrain, hparams, said):
    assert said in pretrain(TEXT, hparams=hparams)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--vocab", "a", "--train-vocab", "100"), "give one of them"),
        (("--reset-optimizer",), "--reset-optimizer goes with --init-from"),
        (("--resume", "--overwrite"), "give one of them"),
        (("--held-out", "1"), "expected a share from 0 up and below 1"),
        (("--accumulate", "0"), "--accumulate is 0"),
        (("--log-steps", "0"), "--log-steps is 0"),
        (("--steps", "0"), "--steps is 0, expected a whole number from 1 up"),
        (("--learning-rate", "nan"), "--learning-rate is nan, expected a positive number"),
    ],
)
def test_options_that_do_not_go_together(pretrain, options, said):
    assert said in pretrain(TEXT, *options, code=2)


def test_an_hparam_of_fine_tuning(pretrain):
    said = pretrain(TEXT, hparams={**TINY, "num_train_epochs": 3})
    assert "num_train_epochs is an hparam of fine-tuning, not of pretraining\nHint: Give --epochs" in said


def test_a_vocabulary_trained_on_records(pretrain):
    record = (FIXTURES / "pretraining" / "tfrecords" / "pretrain_data.tfrecord-0-of-1000").read_bytes()
    assert "whose text is tokenised already" in pretrain(record, "--train-vocab", "100")


def test_records_and_text_mixed(pretrain, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "text.txt").write_text(TEXT)
    record = (FIXTURES / "pretraining" / "tfrecords" / "pretrain_data.tfrecord-0-of-1000").read_bytes()
    assert "mixes TFRecords" in pretrain(record, name="records")


def test_records_longer_than_the_sequences(pretrain):
    record = (FIXTURES / "pretraining" / "tfrecords" / "pretrain_data.tfrecord-0-of-1000").read_bytes()
    assert "max_seq_length is 16" in pretrain(record, hparams={**TINY, "max_seq_length": 16})


def test_a_corpus_to_evaluate_on_that_is_not_there_is_told_before_tokenising(pretrain, tmp_path):
    assert "nowhere does not exist" in pretrain(TEXT, "--eval-corpus", tmp_path / "nowhere")
