"""Tokenizers of whole words and characters: the same tokens from transformers, and what no text gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from electra_convert.tokenizer import SPECIAL_TOKENS
from electra_convert.tokenizer.saved import saved_tokenizer
from electra_convert.tokenizer.vocabulary import decode_vocabulary
from electra_convert.tokenizer.whole_tokens import unreachable, whole_token_files

WORDS = ("item_12", "click:buy", "##x", "Straße", "İ", "K", "A", "鳥", "é", "_")
TEXTS = st.text(st.sampled_from("item_12 click:buy##xß\u0130KAé鳥 \t\x0b\x1c\x1f\x85\u2028\u3000"), max_size=30)


def vocabulary(*words):
    return decode_vocabulary("".join(f"{one}\n" for one in (*SPECIAL_TOKENS, *words)).encode(), Path("vocab.txt"))


def made(unit, *words, lower_case=False):
    return saved_tokenizer(whole_token_files(vocabulary(*words), unit, lower_case), Path())


def tokens_of(text, unit):
    return text.split() if unit == "whitespace" else list("".join(text.split()))


@pytest.mark.parametrize("unit", ["whitespace", "characters"])
@given(text=st.one_of(TEXTS, st.lists(st.sampled_from((*WORDS, *SPECIAL_TOKENS))).map(" ".join)))
def test_tokens_are_the_words_or_the_characters_and_special_ones_are_none_in_a_text(unit, text):
    tokenizer = made(unit, *WORDS)
    ids = {**vocabulary(*WORDS).ids, **dict.fromkeys(SPECIAL_TOKENS, 1)}
    found = Tokenizer.from_str(tokenizer.definition).encode(text, add_special_tokens=False).ids
    assert found == [ids.get(token, 1) for token in tokens_of(text, unit)]


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["whitespace", "characters"])
@pytest.mark.parametrize("lower_case", [False, True])
def test_transformers_loads_the_same_tokenizer(tmp_path, unit, lower_case):
    from transformers import AutoTokenizer

    tokenizer = made(unit, *WORDS, "k", "straße", lower_case=lower_case)
    for name, content in tokenizer.with_max_length(64).items():
        (tmp_path / name).write_bytes(content)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.model_max_length == 64
    assert [loaded.mask_token_id, loaded.pad_token_id, loaded.cls_token_id] == [4, 0, 2]
    own = Tokenizer.from_str(tokenizer.definition)

    @given(text=TEXTS)
    def same(text):
        assert loaded(text)["input_ids"] == [2, *own.encode(text, add_special_tokens=False).ids, 3]

    same()
    assert loaded("K [MASK]")["input_ids"][2] == 4


def test_what_no_text_gives_is_told():
    words = vocabulary("item_1", "two words", "A")
    assert unreachable(words, "whitespace", False).endswith("since they are no word: 'two words'.")
    assert "2 of 8 tokens of vocab.txt can never be produced" in unreachable(words, "characters", False)
    assert unreachable(words, "whitespace", True).endswith("no lower-case word: 'two words', 'A'.")
    assert unreachable(vocabulary("A"), "characters", False) is None


def test_the_same_vocabulary_gives_the_same_files():
    assert whole_token_files(vocabulary("a"), "characters", False) == whole_token_files(
        vocabulary("a"), "characters", False
    )
