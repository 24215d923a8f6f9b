"""The way back: vocabulary and casing of a transformers folder, whatever its files hold."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_convert.errors import ElectraConvertError, SourceError, VocabularyError
from electra_convert.tokenizer import (
    SPECIAL_TOKENS,
    TokenizerSettings,
    Vocabulary,
    casing_of_folder,
    encode_tokenizer,
    encode_tokenizer_config,
    read_vocabulary,
    read_vocabulary_of_folder,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
IDS = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner)
)


def put(folder: Path, name: str, value: object) -> Path:
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return folder


def model(**changes: object) -> dict[str, object]:
    return {"model": {"type": "WordPiece", "vocab": IDS, **changes}}


def test_vocab_txt_is_read_where_it_is_there(tmp_path):
    raw = (FIXTURES / "vocab.txt").read_bytes()
    (tmp_path / "vocab.txt").write_bytes(raw)
    put(tmp_path, "tokenizer.json", "not read")
    assert read_vocabulary_of_folder(tmp_path).raw == raw


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer/vocab_multi.txt"])
def test_without_it_tokenizer_json_gives_the_same_bytes(name, tmp_path):
    vocabulary = read_vocabulary(FIXTURES / name)
    (tmp_path / "tokenizer.json").write_bytes(encode_tokenizer(vocabulary, TokenizerSettings(True, True)))
    assert read_vocabulary_of_folder(tmp_path).raw == vocabulary.raw


def test_without_either_there_is_no_vocabulary(tmp_path):
    assert read_vocabulary_of_folder(tmp_path) is None
    assert casing_of_folder(tmp_path) is None


def test_tokens_that_were_added_later_belong_to_it(tmp_path):
    added = [{"id": 0, "content": "[PAD]"}, {"id": 5, "content": "[NEW]"}]
    put(tmp_path, "tokenizer.json", model() | {"added_tokens": added})
    assert read_vocabulary_of_folder(tmp_path).pieces == (*SPECIAL_TOKENS, "[NEW]")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("{", "tokenizer.json is not JSON", id="cut short"),
        pytest.param("[" * 100_000, "tokenizer.json is not JSON", id="nested without end"),
        pytest.param("9" * 5000, "tokenizer.json is not JSON", id="a number without end"),
        pytest.param([], "tokenizer.json is not a JSON object", id="a list"),
        pytest.param({}, "the tokenizer's model is None, expected 'WordPiece'", id="no model"),
        pytest.param(model(type="BPE"), "the tokenizer's model is 'BPE', expected 'WordPiece'", id="BPE"),
        pytest.param(model(type=["W"]), r"the tokenizer's model is \['W'\]", id="a type that is no name"),
        pytest.param(model(continuing_subword_prefix="@"), "begin with '@', expected '##'", id="another prefix"),
        pytest.param(model(vocab=None), "model.vocab is no table", id="no vocabulary"),
        pytest.param(model(vocab=[["a", 0]]), "model.vocab is no table", id="a list of pieces"),
        pytest.param(model(vocab=IDS | {"a": True}), "model.vocab is no table", id="an id that is no number"),
        pytest.param(model(vocab=IDS | {"a": 6}), "ids of 6 pieces do not run from 0 without a gap", id="a gap"),
        pytest.param(model(vocab=IDS | {"a": 4}), "ids of 6 pieces do not run from 0 without a gap", id="two alike"),
        pytest.param(model(vocab=IDS | {"a": -1}), "ids of 6 pieces do not run", id="a negative id"),
        pytest.param(model(vocab={}), "tokenizer.json is empty", id="nothing in it"),
        pytest.param(model(vocab={"a": 0}), "lacks", id="no special tokens"),
        pytest.param(model(vocab=IDS | {"a ": 5}), "vocab.txt cannot hold pieces .* 'a '", id="white space"),
        pytest.param(model(vocab=IDS | {"a\nb": 5}), "vocab.txt cannot hold pieces", id="a line feed"),
        pytest.param(model(vocab=IDS | {"\ud800": 5}), "holds half of a character", id="half a surrogate pair"),
    ],
)
def test_a_tokenizer_that_vocab_txt_cannot_express_is_refused(value, message, tmp_path):
    with pytest.raises(VocabularyError, match=message) as caught:
        read_vocabulary_of_folder(put(tmp_path, "tokenizer.json", value))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("lower_case", [True, False])
def test_the_casing_that_was_written_is_found_in_either_file(lower_case, tmp_path):
    vocabulary = Vocabulary(SPECIAL_TOKENS, b"", Path("vocab.txt"))
    tokenizer, config = tmp_path / "tokenizer.json", tmp_path / "tokenizer_config.json"
    tokenizer.write_bytes(encode_tokenizer(vocabulary, TokenizerSettings(lower_case, False)))
    assert casing_of_folder(tmp_path) is lower_case
    tokenizer.unlink()
    config.write_bytes(encode_tokenizer_config(vocabulary, TokenizerSettings(lower_case, False), 512))
    assert casing_of_folder(tmp_path) is lower_case


@pytest.mark.parametrize(
    ("normalizer", "lower_case"),
    [
        ({"type": "BertNormalizer", "lowercase": True}, True),
        ({"type": "BertNormalizer", "lowercase": False}, False),
        ({"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}]}, True),
        ({"type": "Sequence", "normalizers": [{"type": "NFC"}]}, False),
        ({"type": "Sequence", "normalizers": 3}, False),
        (None, False),
    ],
)
def test_the_casing_of_others_is_taken_from_their_normalizer(normalizer, lower_case, tmp_path):
    put(tmp_path, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    assert casing_of_folder(put(tmp_path, "tokenizer.json", {"normalizer": normalizer})) is lower_case


@pytest.mark.parametrize(
    ("text", "message"), [('{"do_lower_case": "no"}', "do_lower_case is 'no'"), ("{", "not JSON")]
)
def test_a_malformed_tokenizer_config_is_refused(text, message, tmp_path):
    with pytest.raises(VocabularyError, match=message):
        casing_of_folder(put(tmp_path, "tokenizer_config.json", text))


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be read: File name too long"):
        read_vocabulary_of_folder(tmp_path / ("x" * 300))


@settings(max_examples=40, deadline=None)
@given(value=st.dictionaries(st.sampled_from(["model", "normalizer", "added_tokens"]), JSON))
def test_no_content_whatever_gives_another_error(value, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    for content in (value, model(vocab=value), model() | value):
        put(folder, "tokenizer.json", content)
        for read in (read_vocabulary_of_folder, casing_of_folder):
            with suppress(ElectraConvertError):
                read(folder)
