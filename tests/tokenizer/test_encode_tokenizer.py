"""tokenizer.json cuts every text as Google's FullTokenizer does; what it cannot is listed here and in the docs."""

# ruff: noqa: RUF001 - Greek and Turkish letters are what this is about

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import full_tokenizer
from tokenizers import Tokenizer

from electra_convert.tokenizer import TokenizerSettings, Vocabulary, encode_tokenizer, read_vocabulary

FIXTURES = Path(__file__).parents[2] / "fixtures"
VOCABULARIES = {"vocab.txt": FIXTURES / "vocab.txt", "vocab_multi.txt": FIXTURES / "tokenizer" / "vocab_multi.txt"}
GOLDEN = json.loads((FIXTURES / "tokenizer" / "full_tokenizer.json").read_text(encoding="utf-8"))
SETTINGS = [
    pytest.param(True, True, id="uncased"),
    pytest.param(True, False, id="uncased, accents kept"),
    pytest.param(False, False, id="cased"),
]
# Python 3.11 has the tables of Unicode 14; tokenizers has older and newer ones.
NOT_DECOMPOSED = "\U00011938"  # an accented vowel sign of Unicode 13
NO_LONGER_A_MARK = "\U0001171e"  # non-spacing until Unicode 15, so dropped with the accents and between sigmas
# The blocks of both, the first and the last character of each at a multiple of 16 or before one.
IDEOGRAPHS_AND_HANGUL = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x20000, 0x323AF))
# Letters that decide about sigmas, signs that are passed over, and all else that has a rule of its own.
AWKWARD = "aAσΣςΑΊίİıßẞÉéñ'.:·,- \t\n\r\x00\x0b\x85\xa0\xad\u0301\u0345\u200b\u2028\u3000東\U0002b820豈\ufffdʰ½#[]"


def decoded(vocabulary: Vocabulary, lower_case: bool, strip_accents: bool = True) -> Tokenizer:
    return Tokenizer.from_str(encode_tokenizer(vocabulary, TokenizerSettings(lower_case, strip_accents)).decode())


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    normalized = tokenizer.normalizer.normalize_str(text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return read_vocabulary(VOCABULARIES["vocab_multi.txt"])


@pytest.mark.parametrize("key", GOLDEN["tokens"])
def test_it_gives_the_tokens_that_googles_code_gave(key):
    name, lower_case = key.split("|lower=")
    tokenizer = decoded(read_vocabulary(VOCABULARIES[name]), lower_case == "True")
    for text, expected in zip(GOLDEN["texts"], GOLDEN["tokens"][key], strict=True):
        assert tokenizer.encode(text, add_special_tokens=False).tokens == expected, text


@pytest.mark.parametrize("key", GOLDEN["tokens"])
def test_the_oracle_gives_the_tokens_that_googles_code_gave(key):
    name, lower_case = key.split("|lower=")
    ids = read_vocabulary(VOCABULARIES[name]).ids
    for text, expected in zip(GOLDEN["texts"], GOLDEN["tokens"][key], strict=True):
        assert full_tokenizer.tokens(text, ids, lower_case == "True") == expected, text


@pytest.mark.slow
@pytest.mark.parametrize(("lower_case", "strip_accents"), SETTINGS)
def test_the_characters_of_unicode_are_treated_alike_but_for_those_listed(lower_case, strip_accents, vocabulary):
    tokenizer = decoded(vocabulary, lower_case, strip_accents)
    different = set()
    for character in assigned():
        text = f"{character} a{character}B ΑΣ{character} Σ{character}Σ 1{character}."
        if words(tokenizer, text) != full_tokenizer.words(text, lower_case, strip_accents):
            different.add(character)
    assert different == exceptions(lower_case, strip_accents)


def assigned() -> Iterator[str]:
    """The characters of the running Python's Unicode, but a few of the planes for private use; of ideographs and
    Hangul, which make up two thirds and are alike, an eighth: where their blocks begin and end, and between."""
    for code in range(0xF0100):
        many = any(first <= code <= last for first, last in IDEOGRAPHS_AND_HANGUL)
        if unicodedata.category(chr(code)) not in {"Cn", "Cs"} and (not many or code % 16 in {0, 15}):
            yield chr(code)


def exceptions(lower_case: bool, strip_accents: bool) -> set[str]:
    found = {NOT_DECOMPOSED} if lower_case and strip_accents else set()
    if lower_case and unicodedata.category(NO_LONGER_A_MARK) == "Mn":
        found.add(NO_LONGER_A_MARK)
    return found


@pytest.mark.parametrize("character", ["\u0378", "\U0003fffd", "\U0010ffff"])
def test_characters_that_do_not_exist_are_dropped(character, vocabulary):
    assert words(decoded(vocabulary, True), f"a{character}b") == ["ab"]


@cache
def _tokenizer(lower_case: bool, strip_accents: bool) -> Tokenizer:
    return decoded(read_vocabulary(VOCABULARIES["vocab_multi.txt"]), lower_case, strip_accents)


@pytest.mark.parametrize(("lower_case", "strip_accents"), SETTINGS)
@settings(deadline=None)
@given(text=st.text(st.one_of(st.sampled_from(AWKWARD), st.characters(codec="utf-8", exclude_categories=["Cn"]))))
def test_any_text_is_cut_into_the_same_words(text, lower_case, strip_accents):
    if exceptions(lower_case, strip_accents).isdisjoint(text):
        tokenizer = _tokenizer(lower_case, strip_accents)
        assert words(tokenizer, text) == full_tokenizer.words(text, lower_case, strip_accents)


@pytest.mark.parametrize("lower_case", [True, False])
@settings(deadline=None)
@given(text=st.text("abcdefgaeos AÁéßΣ.,!1東'", max_size=300))
def test_any_text_is_cut_into_the_same_pieces(text, lower_case):
    ids = read_vocabulary(VOCABULARIES["vocab_multi.txt"]).ids
    tokenizer = _tokenizer(lower_case, lower_case)
    found = tokenizer.encode(text, add_special_tokens=False)
    assert found.tokens == full_tokenizer.tokens(text, ids, lower_case)
    assert found.ids == [ids[piece] for piece in found.tokens]


@pytest.mark.parametrize(("length", "pieces"), [(100, 100), (101, 101), (200, 200), (201, 1)])
def test_words_of_up_to_200_characters_are_cut(length, pieces, vocabulary):
    assert len(decoded(vocabulary, True).encode("a" * length, add_special_tokens=False).tokens) == pieces


@pytest.mark.parametrize(("marks", "last"), [(16, "ς"), (17, "σ")])
def test_a_sigma_is_final_after_at_most_sixteen_marks(marks, last, vocabulary):
    text = "Α" + "\u0301" * marks + "Σ"
    assert words(decoded(vocabulary, True), text) == [f"α{last}"]
    assert full_tokenizer.words(text, True) == ["ας"]


def test_a_special_token_in_a_text_is_one_token_though_googles_code_would_cut_it(vocabulary):
    tokenizer = decoded(vocabulary, False)
    assert tokenizer.encode("a[MASK]b", add_special_tokens=False).tokens == ["a", "[MASK]", "b"]
    expected = ["a", "[", "M", "##A", "##S", "##K", "]", "b"]
    ids = dict.fromkeys([*vocabulary.pieces, "##A", "##S", "##K"], 0)
    assert full_tokenizer.tokens("a[MASK]b", ids, False) == expected


def test_accents_are_kept_where_nothing_is_lower_cased(vocabulary):
    kept, stripped = (TokenizerSettings(False, strips) for strips in (False, True))
    assert encode_tokenizer(vocabulary, stripped) == encode_tokenizer(vocabulary, kept)


def test_of_a_repeated_piece_the_last_line_is_its_id():
    pieces = ("a", "[PAD]", "", "[MASK]", "[SEP]", "[CLS]", "[UNK]", "", "a")
    tokenizer = decoded(Vocabulary(pieces, b"", Path("vocab.txt")), True)
    pair = tokenizer.encode("a a", "b")
    assert pair.tokens == ["[CLS]", "a", "a", "[SEP]", "[UNK]", "[SEP]"]
    assert pair.ids == [5, 8, 8, 4, 6, 4]
    assert pair.type_ids == [0, 0, 0, 0, 1, 1]


def test_the_same_vocabulary_gives_the_same_bytes(vocabulary):
    uncased = TokenizerSettings(True, True)
    assert encode_tokenizer(vocabulary, uncased) == encode_tokenizer(vocabulary, uncased)


def test_a_vocabulary_of_thirty_thousand_pieces_takes_no_time(vocabulary):
    many = Vocabulary(vocabulary.pieces + tuple(f"##{number}" for number in range(30_000)), b"", vocabulary.path)
    start = time.perf_counter()
    encode_tokenizer(many, TokenizerSettings(True, True))
    assert time.perf_counter() - start < 1
