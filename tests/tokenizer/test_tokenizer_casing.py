"""Whether text is lower-cased: the option, then the hparams, then the vocabulary; contradictions are said."""

# ruff: noqa: RUF001 - the Turkish dotless i is meant

from __future__ import annotations

from pathlib import Path

import pytest

from electra_convert.errors import VocabularyError
from electra_convert.tokenizer import (
    SPECIAL_TOKENS,
    Casing,
    Vocabulary,
    decide_casing,
    read_vocabulary,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"


def of(*pieces: str) -> Vocabulary:
    return Vocabulary((*SPECIAL_TOKENS, *pieces), b"", Path("some") / "vocab.txt")


WORDS = tuple(f"{first}{second}{third}" for first in "abcdefgh" for second in "aeiou" for third in "lmnrst")
UNCASED = of(*WORDS)
CASED = of("the", "The", "##the")
# An alphabet filled up with characters that never come out of lower-cased text.
STRAYS = of(*WORDS, "Ⅱ", "Ω")
KANA = of("東", "か")
VOICED = of("東", "が")
HANGUL = ("한국", "##에서", "서울", "나라", "사람", "##이다", "가다", "오다", "##는", "우리")
KANA_WORDS = ("がく", "##だけ", "でも", "ごみ", "ぶどう", "ガス", "##デジ", "ボタン", "ベル", "ザル")
BENGALI = ("বাংলা", "কিন্তু", "##য়েছে", "সঙ্গে", "মুক্তি", "দেশে", "##গুলি", "বিশ্ব", "নতুন", "কুমির")


@pytest.mark.parametrize(
    ("vocabulary", "lower_case", "origin"),
    [
        pytest.param(UNCASED, True, "the vocabulary (no upper-case, 240 lower-case pieces)", id="lower-case only"),
        pytest.param(CASED, False, "the vocabulary (1 upper-case, 2 lower-case pieces)", id="both cases"),
        pytest.param(of("a", "##É"), False, "the vocabulary (1 upper-case, 1 lower-case pieces)", id="accented"),
        pytest.param(of("a", "[unused1]", "<S>", "##[X]"), True, None, id="pieces that come out of no text"),
        pytest.param(of("1", "!", "東"), True, "the vocabulary (no piece has case)", id="a script without case"),
        pytest.param(KANA, True, "the vocabulary (no piece has case)", id="kana without marks"),
        pytest.param(VOICED, False, "the vocabulary (no piece has case)", id="kana with marks that would be lost"),
        pytest.param(of("한국"), False, "the vocabulary (no piece has case)", id="Hangul, which would be decomposed"),
        pytest.param(of("a", "b", *HANGUL), False, None, id="Hangul with hardly a Latin letter"),
        pytest.param(of("a", "b", *KANA_WORDS), False, None, id="kana with hardly a Latin letter"),
        pytest.param(of(*WORDS, *HANGUL), True, None, id="Hangul among Latin words"),
        pytest.param(of("a", "b", *BENGALI), True, None, id="Bengali, whose vowel signs were stripped in training"),
        pytest.param(of("ß", "ı", "ς"), True, None, id="lower-case letters with no simple upper case"),
        pytest.param(of(), True, "the vocabulary (no piece has case)", id="special tokens only"),
    ],
)
def test_without_option_and_hparams_the_vocabulary_decides(vocabulary, lower_case, origin):
    casing = decide_casing(None, None, vocabulary)
    assert casing.lower_case == lower_case
    assert origin in {None, casing.origin}


@pytest.mark.parametrize(("name", "lower_case"), [("vocab.txt", True), ("tokenizer/vocab_multi.txt", False)])
def test_real_vocabularies_are_recognised(name, lower_case):
    assert decide_casing(None, None, read_vocabulary(FIXTURES / name)).lower_case is lower_case


def test_a_few_stray_upper_case_pieces_make_no_cased_vocabulary():
    origin = "the vocabulary (2 upper-case, 240 lower-case pieces)"
    assert decide_casing(None, None, STRAYS) == Casing(True, origin, None)
    assert decide_casing(True, None, STRAYS) == Casing(True, "--uncased", None)


@pytest.mark.parametrize("hparams", [None, False])
def test_uncased_is_refused_for_a_cased_vocabulary(hparams):
    with pytest.raises(
        VocabularyError, match=r"vocab.txt has 1 upper-case pieces \('The'\), which --uncased"
    ) as caught:
        decide_casing(True, hparams, CASED)
    assert "do_lower_case" in caught.value.hint


def test_uncased_is_accepted_for_a_cased_vocabulary_if_the_hparams_say_so_too():
    assert decide_casing(True, True, CASED) == Casing(True, "--uncased", None)


@pytest.mark.parametrize("hparams", [None, True, False])
@pytest.mark.parametrize(
    ("vocabulary", "notice"),
    [
        (UNCASED, "vocab.txt has no upper-case pieces: in a cased tokenizer most capitalised words become [UNK]"),
        (STRAYS, "vocab.txt has 2 upper-case pieces: in a cased tokenizer most capitalised words become [UNK]"),
        (CASED, None),
        (KANA, None),
    ],
)
def test_cased_is_accepted_with_a_notice_where_no_piece_is_upper_case(hparams, vocabulary, notice):
    assert decide_casing(False, hparams, vocabulary) == Casing(False, "--cased", notice)


@pytest.mark.parametrize(
    ("value", "vocabulary", "contradicted"),
    [
        (True, UNCASED, False),
        (True, CASED, False),
        (False, UNCASED, True),
        (False, CASED, False),
        (True, VOICED, False),
    ],
)
def test_hparams_win_over_the_vocabulary_with_a_notice(value, vocabulary, contradicted):
    casing = decide_casing(None, value, vocabulary)
    assert (casing.lower_case, casing.origin) == (value, "hparams do_lower_case")
    assert (casing.notice is not None) is contradicted


def test_what_made_a_vocabulary_cased_is_told_where_it_is_not_its_capitals():
    casing = decide_casing(None, None, of("a", "b", *HANGUL))
    assert casing.origin == "the vocabulary (no upper-case, 2 lower-case pieces, 10 of Hangul or kana)"
    assert "most capitalised words become [UNK]" in casing.notice
    assert decide_casing(True, None, of("a", "b", *HANGUL)).lower_case
    assert decide_casing(None, True, of("a", "b", *HANGUL)).lower_case
