"""Vocabularies that are trained on a text, or borrowed with the casing they have."""

from __future__ import annotations

import json

import pytest
from conftest import FIXTURES

from electra_convert.errors import VocabularyError
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.vocabulary import encoder, read_word_pieces, train_word_pieces
from electra_convert.tokenizer import SPECIAL_TOKENS, TokenizerSettings
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

CORPUS = FIXTURES / "corpus"


@pytest.fixture(scope="module")
def pieces():
    return read_word_pieces(TokenizerOptions(vocab=FIXTURES / "vocab.txt"), None)


def lines():
    return lines_of_corpus(corpus_files([CORPUS]))


@pytest.mark.parametrize(("lower_case", "strips"), [(None, None), (False, None), (True, False)])
def test_a_trained_vocabulary_is_the_same_every_time_and_covers_its_text(lower_case, strips):
    made = [
        train_word_pieces(lines, 700, TokenizerOptions(lower_case=lower_case, strip_accents=strips)) for _ in range(3)
    ]
    assert made[0].vocabulary.raw == made[1].vocabulary.raw == made[2].vocabulary.raw
    assert len(made[0].vocabulary) == 700
    assert made[0].vocabulary.pieces[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    unknown = made[0].vocabulary.ids["[UNK]"]
    assert not any(unknown in ids for ids in encoder(made[0].definition)(list(lines())))
    assert any("á" in piece for piece in made[0].vocabulary.pieces) == (not made[0].settings.strips)
    assert any(piece.lower() != piece for piece in made[0].vocabulary.pieces[5:]) == (not made[0].settings.lower_case)


def test_a_small_text_gives_a_small_vocabulary_and_says_so():
    made = train_word_pieces(lambda: ["el gato", "la gata"], 5000, TokenizerOptions())
    assert len(made.vocabulary) < 50
    assert "not the 5000 that were asked for" in made.notices[0]


def test_special_tokens_are_not_known_inside_a_text(pieces):
    [ids] = encoder(pieces.definition)(["see [MASK] here"])
    assert not set(ids) & {pieces.vocabulary.ids[token] for token in ("[MASK]", "[CLS]", "[SEP]", "[PAD]")}


def test_a_tokenizers_folder_gives_its_own_casing(tmp_path, pieces):
    (tmp_path / "vocab.txt").write_bytes(pieces.vocabulary.raw)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "strip_accents": False}))
    found = read_word_pieces(TokenizerOptions(vocab=tmp_path), None)
    assert found.settings == TokenizerSettings(True, False)


def lines_of_many_letters():
    return iter(["¿Qué están haciendo los pájaros? The birds sing, don't they: 鳥 が 歌う。"])


@pytest.mark.parametrize("size", [6, 8])
def test_a_vocabulary_too_small_for_its_letters_is_refused(size):
    with pytest.raises(VocabularyError, match="the special tokens and the commonest characters alone are"):
        train_word_pieces(lines_of_many_letters, size, TokenizerOptions(lower_case=False))


@pytest.mark.parametrize("size", [7, *range(9, 40)])
def test_a_trained_vocabulary_is_never_larger_than_was_asked_for(size):
    assert len(train_word_pieces(lines_of_many_letters, size, TokenizerOptions(lower_case=False)).vocabulary) <= size


def test_what_a_vocabulary_cannot_say_is_told(tmp_path):
    names = [*SPECIAL_TOKENS, "東京", "日本", "大学", "##東京", "[x]", "a", "学生", "新聞"]
    (tmp_path / "vocab.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    (tmp_path / "added.txt").write_text("[x]\n")
    (warning,) = read_word_pieces(TokenizerOptions(vocab=tmp_path), None).warnings
    assert "With --no-tokenize-chinese-chars it would be " in warning
    together = TokenizerOptions(
        vocab=tmp_path / "vocab.txt", tokenize_chinese_chars=False, added_tokens=tmp_path / "added.txt"
    )
    found = read_word_pieces(together, None)
    assert found.warnings == ()
    assert not [line for line in found.notices if "never be produced" in line]
    [ids] = encoder(found.definition)(["東京東京[x]a [MASK]"])
    assert ids == [found.vocabulary.ids[piece] for piece in ("東京", "##東京", "[x]", "a", "[UNK]", "[UNK]", "[UNK]")]


def test_a_vocabulary_of_sentencepiece_is_refused(tmp_path):
    names = [*SPECIAL_TOKENS, "▁the", "▁of", "s"]
    (tmp_path / "vocab.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    with pytest.raises(VocabularyError, match="is a vocabulary of SentencePiece"):
        read_word_pieces(TokenizerOptions(vocab=tmp_path / "vocab.txt"), None)


def test_ideographs_are_kept_together_in_training_where_asked():
    def kanji():
        return iter(["東京 東京 東京 日本 日本 大学"] * 20)

    apart = train_word_pieces(kanji, 40, TokenizerOptions())
    together = train_word_pieces(kanji, 40, TokenizerOptions(tokenize_chinese_chars=False))
    assert "東京" not in apart.vocabulary.pieces
    assert "東京" in together.vocabulary.pieces
