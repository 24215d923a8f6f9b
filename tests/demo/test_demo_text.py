"""Texts cut into pieces, each with its place in the text, whatever normalising did; windows that own each once."""

from __future__ import annotations

import json
import unicodedata

import pytest
from conftest import FIXTURES
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from electra_convert.demo.text import LONGEST_TEXT, encode, windows
from electra_convert.errors import TextError
from electra_convert.tokenizer import SPECIAL_TOKENS, TokenizerSettings, encode_tokenizer, read_vocabulary

SPECIAL = frozenset(SPECIAL_TOKENS)


def tokenizer(name: str = "vocab.txt", lower_case: bool = True) -> Tokenizer:
    vocabulary = read_vocabulary(FIXTURES / name)
    return Tokenizer.from_buffer(encode_tokenizer(vocabulary, TokenizerSettings(lower_case, lower_case)))


TOKENIZERS = {
    (name, lower): tokenizer(name, lower)
    for name in ("vocab.txt", "tokenizer/vocab_multi.txt")
    for lower in (True, False)
}
ENGLISH = TOKENIZERS["vocab.txt", True]


def spans(text: str) -> list[tuple[str, str]]:
    """Each piece, and what stands at its place."""
    return [(piece.text, text[piece.start : piece.end]) for piece in encode(ENGLISH, SPECIAL, text).pieces]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return THE", [("return", "Return"), ("the", "THE")]),
        ("la  café", [("l", "l"), ("##a", "a"), ("ca", "ca"), ("##f", "f"), ("##e", "é")]),
        # A combining accent, an emoji's joiner, a soft hyphen: dropped, and yet part of what they stand behind.
        ("e\u0301 a", [("e", "e\u0301"), ("a", "a")]),
        ("cafe\u0301\u0323s", [("ca", "ca"), ("##f", "f"), ("##es", "e\u0301\u0323s")]),
        ("the\u00ad the", [("the", "the\u00ad"), ("the", "the")]),
        ("th\u200be", [("the", "th\u200be")]),
        ("日本", [("[UNK]", "日"), ("[UNK]", "本")]),
        ("日\ufe0f本", [("[UNK]", "日\ufe0f"), ("[UNK]", "本")]),
        ("the 👩\u200d👩\u200d👧!", [("the", "the"), ("[UNK]", "👩\u200d👩\u200d👧"), ("!", "!")]),
        ("한국 the", [("[UNK]", "한국"), ("the", "the")]),
        ("שלום the", [("[UNK]", "שלום"), ("the", "the")]),
        ("İs", [("is", "İs")]),
        ("ΟΔΟΣ.", [("[UNK]", "ΟΔΟΣ"), (".", ".")]),
        ("the\x00 a\tthe\n", [("the", "the"), ("a", "a"), ("the", "the")]),
        ("x" * 201, [("[UNK]", "x" * 201)]),
        ("the [MASK] the[SEP]", [("the", "the"), ("[MASK]", "[MASK]"), ("the", "the"), ("[SEP]", "[SEP]")]),
        ("\u202ethe", [("the", "the")]),
    ],
)
def test_every_piece_knows_its_place(text, expected):
    assert spans(text) == expected


def test_words_are_numbered_in_their_order_also_behind_special_tokens_and_an_unknown_word_is_none():
    assert [piece.special for piece in encode(ENGLISH, SPECIAL, "the 日 [UNK] [MASK]").pieces] == [
        False,
        False,
        True,
        True,
    ]
    words = [piece.word for piece in encode(ENGLISH, SPECIAL, "cafe the [MASK] cafe[MASK]the, the").pieces]
    assert words == [0, 0, 0, 1, 2, 3, 3, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("sides", [("lstrip",), ("rstrip",), ("lstrip", "rstrip")], ids=" ".join)
@pytest.mark.parametrize(
    "text", ["the [MASK] of", "the  [MASK]\tof [SEP] ", "[MASK][UNK]", " [MASK] ", "日 [UNK] 日"]
)
def test_special_tokens_that_take_white_space_with_them_stand_where_they_are_all_the_same(sides, text):
    fields = json.loads(ENGLISH.to_str())
    for token in fields["added_tokens"]:
        token.update(dict.fromkeys(sides, True))
    greedy = Tokenizer.from_str(json.dumps(fields))
    assert encode(greedy, SPECIAL, text) == encode(ENGLISH, SPECIAL, text)


@pytest.mark.parametrize("key", TOKENIZERS, ids=lambda key: f"{key[0]}-{key[1]}")
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_pieces_lie_in_the_text_in_its_order_and_miss_nothing_but_what_is_dropped(key, text):
    try:
        pieces = encode(TOKENIZERS[key], SPECIAL, text).pieces
    except TextError:
        return
    assert all(0 <= piece.start <= piece.end <= len(text) for piece in pieces)
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)
    assert [piece.word for piece in pieces] == sorted(piece.word for piece in pieces)
    covered = {index for piece in pieces for index in range(piece.start, piece.end)}
    for index in range(len(text)):
        if index not in covered:
            left_out = text[index]
            assert left_out.isspace() or unicodedata.category(left_out)[0] in "CMZ" or left_out == "\ufffd"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text is empty"),
        (" \t\n\u3000", "the text is empty"),
        ("\x00\x01\u200b\u202e", "only white space or control characters"),
        ("\u0301", "only white space or control characters"),
        ("a\ud800", r"character 2 of the text is half of one \(U\+D800\)"),
        ("x " * (LONGEST_TEXT // 2) + "x", "has 100,001 characters, expected at most 100,000"),
        ("x" * 1_000_000, "has 1,000,000 characters"),
    ],
    ids=["empty", "spaces", "control", "mark", "half", "long", "megabyte"],
)
def test_what_cannot_be_scored_is_refused(text, said):
    with pytest.raises(TextError, match=said):
        encode(ENGLISH, SPECIAL, text)


# Windows


@given(count=st.integers(1, 2000), room=st.integers(1, 130))
def test_windows_own_every_piece_once_and_show_it_in_the_window_with_most_around_it(count, room):
    laid = windows(count, room)
    assert [place for window in laid for place in range(window.first, window.last)] == list(range(count))
    for window in laid:
        assert 0 <= window.start <= window.first <= window.last <= window.stop <= count
        assert window.stop - window.start == min(room, count)

    def around(window, place: int) -> int:
        before = place - window.start if window.start else count
        after = window.stop - 1 - place if window.stop < count else count
        return min(before, after)

    for window in laid:
        for place in range(window.first, window.last):
            holding = [one for one in laid if one.start <= place < one.stop]
            # Half a piece is lost where the middle of an overlap is one.
            assert around(window, place) >= max(around(one, place) for one in holding) - 1


def test_a_text_that_fits_has_one_window():
    assert [(w.start, w.stop) for w in windows(126, 126)] == [(0, 126)]
    assert [(w.start, w.stop) for w in windows(127, 126)] == [(0, 126), (1, 127)]
