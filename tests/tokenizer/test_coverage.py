"""Which pieces a tokenizer can ever produce: what is called useless comes from no text, all else from some."""

# ruff: noqa: RUF001 - letters of many scripts are what this is about

from __future__ import annotations

import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import full_tokenizer
from tokenizers import Tokenizer

from electra_convert.errors import VocabularyError
from electra_convert.tokenizer import SPECIAL_TOKENS, TokenizerSettings, Vocabulary, encode_tokenizer
from electra_convert.tokenizer.coverage import Cause, Coverage, Findings, check, check_kept, measure
from electra_convert.tokenizer.encode import LONGEST_WORD, splitting

UNCASED = TokenizerSettings(True, True)
ACCENTED = TokenizerSettings(True, False)
CASED = TokenizerSettings(False, False)
TOGETHER = TokenizerSettings(False, False, tokenize_chinese_chars=False)
WORDS = tuple(f"{first}{second}{third}" for first in "abcdefgh" for second in "aeiou" for third in "lmnrst")
# Letters of both cases and with accents, sigmas, Hangul and its parts, kana, ideographs, marks, signs, white space,
# and what is dropped.
SIGNS = "abAßİıέΣσς한가ᄒがか東京\u0301\u064b!+#[]▁\u00a0\u0085\x00\u200b\x0c9\U0002b820"


def of(*pieces: str) -> Vocabulary:
    return Vocabulary((*SPECIAL_TOKENS, *pieces), b"", Path("some") / "vocab.txt")


def measured(vocabulary: Vocabulary, how: TokenizerSettings) -> Coverage:
    return measure(vocabulary, splitting(how), LONGEST_WORD, how.added_tokens)


def useless(vocabulary: Vocabulary, how: TokenizerSettings) -> set[str]:
    return {piece for pieces in measured(vocabulary, how).useless.values() for piece in pieces}


# Pieces and texts.

PIECE = st.builds(str.__add__, st.sampled_from(["", "", "##"]), st.text(SIGNS, max_size=3)).map(str.strip)
HOW = st.builds(
    TokenizerSettings,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (), ("[a]",), ("ab",), ("b", "東京")]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECE, min_size=1, max_size=12), HOW, st.data())
def test_a_piece_is_useless_exactly_if_no_text_gives_it(pieces, how, data):
    vocabulary = of(*pieces, *how.added_tokens)
    tokenizer = Tokenizer.from_buffer(encode_tokenizer(vocabulary, how))
    lost = useless(vocabulary, how)
    bodies = [piece.removeprefix("##") for piece in vocabulary.pieces[5:]]
    pairs = [first + second for first, second in product(bodies, repeat=2)]
    # Alone, one after the other, and anything that these and their signs can be put together to.
    drawn = st.lists(st.sampled_from([*bodies, *SIGNS, " ", "\u034f"]), max_size=8).map("".join)
    texts = [*bodies, *pairs, *(data.draw(drawn) for _ in range(20))]
    given_by_texts = {
        piece for found in tokenizer.encode_batch(texts, add_special_tokens=False) for piece in found.tokens
    }
    assert not lost & given_by_texts
    assert {piece for piece in vocabulary.pieces[5:] if piece not in lost} <= given_by_texts


@settings(deadline=None)
@given(st.lists(PIECE, max_size=12), st.sampled_from([UNCASED, ACCENTED, CASED]), st.text(SIGNS + " ", max_size=20))
def test_googles_own_code_gives_no_useless_piece_either(pieces, how, text):
    vocabulary = of(*pieces)
    found = full_tokenizer.tokens(text, vocabulary.ids, how.lower_case, how.strip_accents)
    assert not useless(vocabulary, how) & set(found)


def test_a_piece_within_a_word_is_produced_after_a_piece_that_no_longer_one_begins_with():
    vocabulary = of("a", "ab", "abc", "##c", "##bc")
    assert useless(vocabulary, UNCASED) == set()
    tokenizer = Tokenizer.from_buffer(encode_tokenizer(vocabulary, UNCASED))
    assert tokenizer.encode("abcbc", add_special_tokens=False).tokens == ["abc", "##bc"]


# Why not, and what would help.


@pytest.mark.parametrize(
    ("piece", "how", "cause"),
    [
        ("", CASED, Cause.EMPTY),
        ("##", CASED, Cause.EMPTY),
        ("##a\0", CASED, Cause.UNSEEN),
        ("a\u3000b", CASED, Cause.UNSEEN),
        ("a\x0cb", CASED, Cause.UNSEEN),
        ("[رابط]", CASED, Cause.PUNCTUATION),
        ("ال+", UNCASED, Cause.PUNCTUATION),
        ("<S>", UNCASED, Cause.PUNCTUATION),
        ("東京", CASED, Cause.IDEOGRAPHS),
        ("##東", CASED, Cause.IDEOGRAPHS),
        ("食べ", CASED, Cause.IDEOGRAPHS),
        ("##!", CASED, Cause.SIGNS),
        ("##京", CASED, Cause.SIGNS),
        ("The", UNCASED, Cause.CAPITALS),
        ("##É", ACCENTED, Cause.CAPITALS),
        ("İ", ACCENTED, Cause.CAPITALS),
        ("한국", UNCASED, Cause.DECOMPOSED),
        ("がか", UNCASED, Cause.DECOMPOSED),
        ("née", UNCASED, Cause.ACCENTS),
        ("কি\u09cdক", UNCASED, Cause.ACCENTS),
        ("a" * 201, CASED, Cause.LONG),
        ("##" + "a" * 200, CASED, Cause.LONG),
        ("xaby", TokenizerSettings(False, False, added_tokens=("ab",)), Cause.ADDED),
    ],
)
def test_the_reason_is_found(piece: str, how: TokenizerSettings, cause: Cause):
    # "!" and "京" are pieces of their own.
    assert measured(of("x", "!", "京", "ab", piece), how).useless == {cause: (piece,)}


@pytest.mark.parametrize(
    ("piece", "how"),
    [
        *((piece, CASED) for piece in ("The", "née", "한국", "が", "東", "!", "##가", "[unused17]", "a" * 200)),
        ("##" + "a" * 199, CASED),
        ("ς", UNCASED),
        ("née", ACCENTED),
        ("東京", TOGETHER),
        ("##京", TOGETHER),
        ("[رابط]", TokenizerSettings(True, True, added_tokens=("[رابط]",))),
    ],
)
def test_what_can_be_produced_is_not_blamed(piece: str, how: TokenizerSettings):
    assert measured(of("x", piece), how).useless == {}


def test_pieces_within_a_word_are_useless_where_no_piece_can_begin_one():
    assert measured(of("東", "!", "##a"), CASED).useless == {Cause.UNBEGUN: ("##a",)}


def test_a_vocabulary_with_nothing_amiss_is_passed_over():
    assert check(of(*WORDS, "##!", "!", "[unused1]"), UNCASED) == Findings()


def test_reasons_are_counted_with_examples_and_what_would_help():
    found = check(of(*WORDS, "[x]", "##.5", "Ab", "é", "ü", "ö"), UNCASED)
    assert found.warnings == ()
    assert found.notices == (
        "6 of 251 pieces (2%) of vocab.txt can never be produced: 2 split at punctuation ('[x]' and 1 more; "
        "--added-tokens FILE keeps those whole that it names); 1 with capitals, which are lower-cased ('Ab'); 3 with "
        "accents, which are stripped ('é', 'ü', 'ö'; --no-strip-accents keeps them).",
    )


@pytest.mark.parametrize(
    ("pieces", "how", "option"),
    [
        (("東京", "日本", "大学", "##東京", "##日本", "の", "に"), CASED, "--no-tokenize-chinese-chars"),
        (("하다", "가다", "오다", "먹다", "##하다", "a"), UNCASED, "--no-strip-accents"),
        (("The", "Of", "And", "To", "In", "Was", "he"), ACCENTED, "--cased"),
        (("Élan", "Forêt", "Dès", "Été", "le", "de"), UNCASED, "--cased"),
        (("বাংলা", "কিন্তু", "হয়েছে", "সঙ্গে", "মুক্তি", "ক"), UNCASED, "--no-strip-accents"),
    ],
)
def test_where_most_pieces_are_useless_both_shares_are_told_and_the_option(pieces, how, option):
    vocabulary = Vocabulary((*SPECIAL_TOKENS[:1], *pieces), b"", Path("vocab.txt"))
    (warning,) = check(vocabulary, how).warnings
    count, total = (len(useless(vocabulary, how)), len(vocabulary))
    assert warning.startswith(f"{count} of {total} pieces ({100 * count / total:.0f}%) of vocab.txt can never be ")
    assert warning.endswith(
        f" With {option} it would be 0 of {total} pieces (0%): give it if the model was trained so."
    )


def test_where_no_option_helps_none_is_named():
    (warning,) = check(of(*(f"{word}+" for word in WORDS)), CASED).warnings
    assert "With --" not in warning


def test_googles_code_is_offered_no_options():
    (warning,) = check(of("東京", "日本", "大学", "神奈川", "県民", "学生"), CASED, remedies=False).warnings
    assert "--" not in warning


def test_words_with_a_dotted_capital_i_are_pointed_out_where_the_dot_stays():
    turkish = of("gelenler", "##i", "i", "##ı", "y", "##yor")
    (notice,) = check(turkish, ACCENTED).notices
    assert "İ is lower-cased to i and a dot above (U+0307), which no piece of vocab.txt holds" in notice
    tokenizer = Tokenizer.from_buffer(encode_tokenizer(turkish, ACCENTED))
    assert tokenizer.encode("GELENLERİ gelenleri", add_special_tokens=False).tokens == ["[UNK]", "gelenler", "##i"]
    assert check(turkish, UNCASED).notices == check(turkish, CASED).notices == ()
    assert check(of("gelenler", "##i", "##ı", "##\u0307"), ACCENTED).notices == ()


def test_words_longer_than_transformers_5_allows_are_pointed_out():
    (notice,) = check(of("a" * 101, "##" + "a" * 150, "a" * 100, "x"), CASED).notices
    assert notice.startswith("2 pieces of vocab.txt are longer than 100 characters ('aaaaaaaaaaaa...', '##aaaa")


def test_a_vocabulary_of_sentencepiece_is_refused():
    with pytest.raises(VocabularyError, match=r"SentencePiece: 2 of 8 pieces begin with '▁' \(U\+2581\)") as caught:
        check(of("▁the", "▁of", "s"), CASED)
    assert "--no-tokenizer" in caught.value.hint
    assert check(of("▁", *WORDS), CASED).warnings == ()


# Tokenizers that are kept.


@pytest.mark.parametrize("how", [UNCASED, ACCENTED, CASED, TOGETHER])
def test_of_a_tokenizer_that_is_kept_the_same_is_said(how):
    vocabulary = of(*WORDS, "東京", "The", "née", "[x]")
    assert check_kept(vocabulary, encode_tokenizer(vocabulary, how)) == check(vocabulary, how)


def test_a_tokenizer_that_transformers_saved_is_understood():
    from tokenizers import models, normalizers, pre_tokenizers

    vocabulary = of(*WORDS, "東京", "née")
    saved = Tokenizer(models.WordPiece(vocabulary.ids, unk_token="[UNK]"))
    saved.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    saved.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert check_kept(vocabulary, saved.to_str().encode()) == check(vocabulary, ACCENTED)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"model": 3}', b'{"model": {"type": "BPE", "vocab": {}}}'])
def test_nothing_is_said_of_a_tokenizer_that_is_no_wordpiece(data):
    assert check_kept(of("東京"), data) == Findings()


def test_a_quarter_of_a_million_pieces_take_no_time():
    codes = range(0xAC00, 0xAC00 + 360)
    many = of(*(f"{prefix}{chr(one)}{chr(two)}" for prefix in ("", "##") for one in codes for two in codes))
    assert len(many) > 250_000
    for how in (CASED, UNCASED):
        start = time.process_time()
        check(many, how)
        assert time.process_time() - start < 3
