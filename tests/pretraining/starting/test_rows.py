"""New rows for new pieces and positions: the old ones keep every bit, and texts are read with the new ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import FIXTURES
from tokenizers import Tokenizer

from electra_convert.checkpoint import open_checkpoint
from electra_convert.errors import ConfigError, UsageError, VocabularyError
from electra_convert.pretraining.options import PretrainOptions

WORDS = "electra.embeddings.word_embeddings.weight"
POSITIONS = "electra.embeddings.position_embeddings.weight"
BIAS = "generator_lm_head.bias"
VOCABULARY = (FIXTURES / "vocab.txt").read_text()
NEW = ("covid", "remdesivir", "##kine", "鳥")


@pytest.fixture
def listed(tmp_path):
    """Writes pieces to a file, one on each line."""

    def write(*pieces: str, name: str = "new.txt", after: str = ""):
        (tmp_path / name).write_text(after + "".join(f"{piece}\n" for piece in pieces))
        return tmp_path / name

    return write


def read(start, role: str, name: str):
    return start.checkpoint.models[role].weights[name].read_float32()


def old_pieces(piece: str) -> list[int]:
    """What the old tokenizer of transformers' library makes of a piece; of the rest of a word behind a letter."""
    pieces = VOCABULARY.split()
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer.from_str(
        json.dumps(
            {
                "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None,
                "model": {
                    "type": "WordPiece", "vocab": ids, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100,
                },
            }
        )
    )  # fmt: skip
    if not piece.startswith("##"):
        return tokenizer.encode(piece, add_special_tokens=False).ids
    first = max((one for one in pieces if one.isalpha()), key=len)
    return tokenizer.encode(first + piece[2:], add_special_tokens=False).ids[1:]


@pytest.mark.parametrize("source", ["tensorflow", "pair", "untied"])
@pytest.mark.parametrize("whole", [True, False])
def test_old_rows_keep_their_bits_and_new_ones_are_the_means_of_their_old_pieces(
    decided, listed, pairs, source, whole
):
    name = "untied_embeddings" if source == "untied" else "default"
    place = pairs[name] if source != "tensorflow" else FIXTURES / name
    vocabulary = {"vocab": FIXTURES / "vocab.txt"} if source == "tensorflow" and not whole else {}
    file = listed(*NEW, after=VOCABULARY if whole else "")
    run, told = decided(place, extend_vocabulary=file, **vocabulary)
    assert run.pieces.vocabulary.raw.decode() == VOCABULARY + "".join(f"{piece}\n" for piece in NEW)
    with open_checkpoint(place) as checkpoint:
        for role, table in (("discriminator", WORDS), ("generator", WORDS), ("generator", BIAS)):
            before = checkpoint.models[role].weights[table].read_float32()
            after = read(run.start, role, table)
            assert after[:1500].tobytes() == before.tobytes()
            means = [before[old_pieces(piece)].mean(0) for piece in NEW]
            np.testing.assert_allclose(after[1500:], means, rtol=1e-6, atol=1e-8)
    assert {config["vocab_size"] for config in run.configs.values()} == {1504}
    assert run.hparams.get("vocab_size", 1504) == 1504
    assert any("ids 1500 to 1503 ('covid', 'remdesivir', '##kine', '鳥')" in line for line in told)
    assert any("1 were [UNK]: '鳥'" in line for line in told)


def test_a_text_is_read_with_the_new_pieces(decided, listed, golden_pair):
    run, _ = decided(golden_pair, extend_vocabulary=listed("covid", "remdesivir", "##qzx"))
    tokens = Tokenizer.from_str(run.pieces.definition).encode("Remdesivir, COVIDs and oqzx", add_special_tokens=False)
    assert {"remdesivir", "covid", "##qzx"} <= set(tokens.tokens)


def test_what_the_vocabulary_has_already_is_named_and_left_out(decided, listed, golden_pair):
    run, told = decided(golden_pair, extend_vocabulary=listed("the", "covid", "covid"))
    assert run.pieces.vocabulary.pieces[1500:] == ("covid",)
    assert "Of the pieces of new.txt the vocabulary has these already: 'the'." in told
    with pytest.raises(VocabularyError, match="all of its pieces are in the vocabulary of the checkpoint already"):
        decided(golden_pair, extend_vocabulary=listed("the", "and"))


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ("COVID", "1 with capitals, which are lower-cased ('COVID'"),
        ("covid-19", "1 split at punctuation ('covid-19'; --added-tokens FILE keeps those whole"),
        ("new york", "1 with white space or control characters"),
        ("café", "1 with accents, which are stripped ('café'"),
        ("##鳥", "1 of a sign within a word|1 split, since each ideograph"),
        ("a" * 201, "1 too long for a word"),
    ],
)
def test_pieces_that_no_text_would_give_are_refused_with_the_reason(decided, listed, golden_pair, piece, said):
    with pytest.raises(VocabularyError, match="can never be produced") as raised:
        decided(golden_pair, extend_vocabulary=listed("covid", piece))
    assert any(reason in raised.value.message for reason in said.split("|"))


def test_a_marker_that_is_split_at_punctuation_goes_in_as_an_added_token(decided, listed, golden_pair):
    """Of such a token the old pieces are those of the text that it is."""
    markers = listed("[gene]")
    run, _ = decided(golden_pair, extend_vocabulary=markers, added_tokens=markers)
    tokens = Tokenizer.from_str(run.pieces.definition).encode("a [gene]b", add_special_tokens=False)
    assert "[gene]" in tokens.tokens
    with open_checkpoint(golden_pair) as checkpoint:
        before = checkpoint.models["discriminator"].weights[WORDS].read_float32()
    mean = before[old_pieces("[gene]")].mean(0)
    np.testing.assert_allclose(read(run.start, "discriminator", WORDS)[1500], mean, rtol=1e-6, atol=1e-8)


SWAPPED = "\n".join([*VOCABULARY.split("\n")[:100], *reversed(VOCABULARY.split("\n")[100:102]), ""])


@pytest.mark.parametrize(
    ("after", "pieces", "said"),
    [
        (SWAPPED, ("covid",), r"new\.txt, line 101: .* where the checkpoint's vocabulary has"),
        (VOCABULARY, ("covid", "the"), r"new\.txt repeats pieces after the first 1500: 'the'"),
        (VOCABULARY, ("covid", "covid"), r"new\.txt repeats pieces after the first 1500: 'covid'"),
        (VOCABULARY, (), "1500 pieces, no more than the checkpoint"),
    ],
)
def test_a_whole_vocabulary_in_which_an_old_piece_would_lose_its_id_is_refused(
    decided, listed, golden_pair, after, pieces, said
):
    with pytest.raises(VocabularyError, match=said):
        decided(golden_pair, extend_vocabulary=listed(*pieces, after=after))


def test_a_vocabulary_that_was_lengthened_in_its_place_is_taken_as_it_is(decided, listed, pair_copy):
    source = pair_copy("default")
    for role in ("discriminator", "generator"):
        (source / role / "vocab.txt").write_text(f"{VOCABULARY}covid\n")
    run, _ = decided(source, extend_vocabulary=source / "discriminator" / "vocab.txt")
    assert run.pieces.vocabulary.pieces[1500:] == ("covid",)


def test_a_longer_vocabulary_is_refused_unasked_with_the_option_that_asks(decided, listed, pair_copy):
    longer = listed("covid", name="longer.txt", after=VOCABULARY)
    with pytest.raises(VocabularyError, match="1501 pieces, but the word embedding has 1500 rows") as raised:
        decided(FIXTURES / "default", vocab=longer)
    assert "give this file as --extend-vocabulary, which adds 1 row" in raised.value.hint
    source = pair_copy("default")
    (source / "discriminator" / "vocab.txt").write_text(longer.read_text())
    with pytest.raises(VocabularyError, match=r"discriminator/vocab\.txt has 1501 pieces, but") as raised:
        decided(source)
    assert "--extend-vocabulary" in raised.value.hint


def test_rows_that_had_no_piece_are_used_first(decided, listed, written):
    """A vocabulary of 53 pieces for 56 rows, as they are padded to a multiple of 8."""
    tables = {"electra/embeddings/word_embeddings", "generator_predictions/output_bias"}

    def pad(tensors):
        for name in tables:
            tensors[name] = np.concatenate([tensors[name], np.ones((3, *tensors[name].shape[1:]), np.float32)])

    source = written(change=pad, hparams=False)
    pieces = (source / "vocab.txt").read_text().split()
    run, _ = decided(source, extend_vocabulary=listed("covid", "mask", after="\n".join([*pieces, ""])), max_length=12)
    rows = read(run.start, "discriminator", WORDS)
    assert rows.shape[0] == 56
    assert not np.array_equal(rows[53], rows[55])
    np.testing.assert_array_equal(rows[55], np.ones(8))


@pytest.mark.parametrize("name", ["default", "untied_embeddings"])
def test_new_positions_begin_as_the_old_ones_again_and_all_else_follows(decided, pairs, name):
    run, told = decided(pairs[name], extend_positions=300)
    with open_checkpoint(pairs[name]) as checkpoint:
        for role in ("discriminator", "generator"):
            before = checkpoint.models[role].weights[POSITIONS].read_float32()
            after = read(run.start, role, POSITIONS)
            assert after.tobytes() == np.concatenate([before, before, before[: 300 - 256]]).tobytes()
    assert {config["max_position_embeddings"] for config in run.configs.values()} == {300}
    assert run.hparams["model_hparam_overrides"]["max_position_embeddings"] == 300
    assert run.settings.max_seq_length == 300
    assert any("The positions are extended from 128 to 300" in line for line in told)


def test_positions_may_be_stated_too_but_not_otherwise(decided, golden_pair):
    stated = {"max_seq_length": 200, "model_hparam_overrides": {"max_position_embeddings": 200}}
    run, _ = decided(golden_pair, extend_positions=200, hparams=stated)
    assert run.configs["generator"]["max_position_embeddings"] == 200
    with pytest.raises(ConfigError, match="says max_position_embeddings is 200, --extend-positions 300"):
        decided(golden_pair, extend_positions=300, hparams=stated)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_length": 200}, "max_seq_length is 200, but the discriminator has 128 positions"),
        ({"hparams": {"model_hparam_overrides": {"max_position_embeddings": 200}}}, "has 128 positions"),
        ({"hparams": {"model_hparam_overrides": {"max_position_embeddings": 200}}, "max_length": 200}, "has 128"),
    ],
)
def test_longer_sequences_are_refused_unasked_and_every_refusal_names_the_option(decided, golden_pair, given, said):
    with pytest.raises(ConfigError, match=said) as raised:
        decided(golden_pair, **given)
    assert "--extend-positions 200" in raised.value.hint


def test_as_many_positions_as_there_are_is_no_extension(decided, golden_pair):
    with pytest.raises(ConfigError, match=r"--extend-positions is 128, but .* has 128 positions already"):
        decided(golden_pair, extend_positions=128)


@pytest.mark.parametrize("given", [{"vocab_size": 1504}, {"model_hparam_overrides": {"vocab_size": 1504}}])
def test_the_number_of_rows_may_be_stated_too_but_not_otherwise(decided, listed, golden_pair, given):
    run, _ = decided(golden_pair, extend_vocabulary=listed(*NEW), hparams=given)
    assert run.start.rows == 1504
    with pytest.raises(ConfigError, match="says vocab_size is 1504, but with the new pieces it is 1501"):
        decided(golden_pair, extend_vocabulary=listed("covid"), hparams=given)
    with pytest.raises(ConfigError, match=r"says vocab_size is 1504, but .* has 1500 pieces") as raised:
        decided(golden_pair, hparams=given)
    assert "--extend-vocabulary FILE" in raised.value.hint


def test_rows_that_nothing_trains_are_warned_of(decided, listed, golden_pair):
    _, told = decided(golden_pair, extend_vocabulary=listed("zebrafinch"), extend_positions=200, max_length=64)
    assert "Of 1 new piece 1 occur nowhere in the corpus, and learn nothing." in told
    assert any(
        "Sequences are 64 tokens long, so that the positions from 64 up to 199 learn nothing" in line for line in told
    )


@pytest.mark.parametrize("given", [{"extend_vocabulary": FIXTURES / "vocab.txt"}, {"extend_positions": 600}])
def test_only_a_checkpoint_is_extended(given):
    with pytest.raises(UsageError, match=r"--extend-.* goes with --init-from"):
        PretrainOptions(**given)
