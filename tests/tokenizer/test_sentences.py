"""Example sentences: each is well-formed, and a vocabulary gets those of its own language or none."""

from __future__ import annotations

import string
from itertools import islice, product

import pytest
from tokenizers import BertWordPieceTokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from electra_convert.tokenizer.sentences import EXAMPLES, PLACEHOLDER, Example, example_of, examples_of_vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = sorted({letter for examples in EXAMPLES.values() for one in examples for letter in one.text + one.changed})


def examples_with(pieces: list[str]) -> tuple[Example, ...]:
    """What a vocabulary of some pieces gets."""
    rows = dict.fromkeys([*SPECIAL, *pieces])
    tokenizer = BertWordPieceTokenizer({piece: row for row, piece in enumerate(rows)}, lowercase=False)
    return examples_of_vocabulary(rows, lambda text: tokenizer.encode(text, add_special_tokens=False).tokens)


def words_of(code: str) -> list[str]:
    """Every word of a language's sentences, as a tokenizer splits them."""
    split, normalizer = BertPreTokenizer().pre_tokenize_str, BertNormalizer(lowercase=False)
    texts = [text for one in EXAMPLES[code] for text in (one.text, one.changed)]
    return [word for text in texts for word, _ in split(normalizer.normalize_str(text))]


def continued(letters: str | list[str]) -> list[str]:
    """Letters as pieces that begin a word, and as ones that go on with it."""
    return [piece for letter in letters for piece in (letter, f"##{letter}")]


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_sentence_has_the_word_once_that_is_replaced(code):
    for example in EXAMPLES[code]:
        assert example.text.count(example.word) == 1
        assert example.intruder in example.changed != example.text
        # They stand within quotes, in an f-string too.
        assert not set(example.text + example.changed) & set("{}\"'\\\n")


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_vocabulary_gets_the_sentences_of_its_own_language_even_with_letters_of_all(code):
    words = words_of(code)
    more = ["".join(parts) for parts in islice(product(words, repeat=6), 10_000)]
    # Of Chinese, a Japanese vocabulary lacks a sign or two; a Thai sentence is too few words to outweigh them all.
    letters = continued(LETTERS if code not in {"ja", "th"} else string.ascii_letters)
    found = examples_with([*words, *more, *letters])
    assert {one.text for one in found} == {one.text for one in EXAMPLES[code]}


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        continued(string.ascii_letters + "."),
        ["\u10eb\u10d0\u10e6\u10da\u10d8", "\u10ee\u10d4", "\u10d3\u10d0", *continued(string.ascii_letters + ".")],
        ["\u72ac", "\u3002", *continued(string.ascii_letters)],
    ],
    ids=["nothing", "letters", "Georgian", "a few ideographs"],
)
def test_a_vocabulary_of_no_known_language_gets_none(pieces):
    assert examples_with(pieces) == ()


def test_the_signs_of_other_scripts_that_an_english_vocabulary_has_bring_no_sentence():
    common = [f"word{number:04}".translate(str.maketrans(string.digits, "abcdefghij")) for number in range(3000)]
    foreign = [letter for code in ("ru", "zh", "ja", "ar") for one in EXAMPLES[code] for letter in one.changed]
    found = examples_with([*common, *words_of("en"), *continued(foreign)])
    assert set(found) == set(EXAMPLES["en"])


def test_a_multilingual_vocabulary_gets_sentences_of_several_languages():
    found = examples_with([word for code in ("en", "de", "ru", "ko", "zh") for word in words_of(code)])
    assert {one for code in ("en", "de", "ru", "ko", "zh") for one in EXAMPLES[code]} == set(found)


def test_the_first_language_that_is_known_decides_and_none_is_told_by_a_placeholder():
    assert example_of(["xx", "ko", "en"]) is EXAMPLES["ko"][0]
    assert example_of(["multilingual"]) is example_of([]) is PLACEHOLDER
    assert "[MASK]" in PLACEHOLDER.with_word("[MASK]") != PLACEHOLDER.text != PLACEHOLDER.changed
