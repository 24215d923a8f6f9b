"""A tokenizer of any kind is taken as it is, and its special tokens are found by their roles."""

from __future__ import annotations

import json

import pytest
from support.other_tokenizers import save_bpe, save_unigram
from tokenizers import Tokenizer

from electra_convert.errors import VocabularyError
from electra_convert.tokenizer.saved import read_saved_tokenizer

LINES = ["return the object of the class", "el gato canta en la casa"] * 4


@pytest.fixture
def bpe(tmp_path):
    return save_bpe(tmp_path / "bpe", LINES)


def test_special_tokens_are_found_under_their_own_names(bpe):
    found = read_saved_tokenizer(bpe)
    assert found.special_ids == {"[PAD]": 1, "[UNK]": 3, "[CLS]": 0, "[SEP]": 2, "[MASK]": 4}
    made = json.loads(found.files["tokenizer_config.json"])
    assert made["mask_token"] == "<mask>"
    assert "puts no special tokens around a text" in found.notices[0]


@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_files_name_special_tokens_in_place_of_the_usual_ones(tmp_path, file):
    folder = save_bpe(tmp_path / "bpe", LINES, ("<s>", "<pad>", "<mask>", "<cls>", "#end", "<unk>"))
    named = {"cls_token": "<s>", "sep_token": {"content": "#end"}}
    (folder / file).write_text(json.dumps(named))
    found = read_saved_tokenizer(folder)
    assert (found.special["[CLS]"], found.special["[SEP]"]) == ("<s>", "#end")
    assert json.loads(found.files["tokenizer_config.json"])["pad_token"] == "<pad>"


@pytest.mark.parametrize("save", [save_bpe, save_unigram])
def test_special_tokens_are_text_inside_a_text_and_all_else_is_as_it_was(tmp_path, save):
    folder = save(tmp_path / "any", LINES)
    found = read_saved_tokenizer(folder)
    whole, own = Tokenizer.from_file(str(folder / "tokenizer.json")), Tokenizer.from_str(found.definition)
    for line in (*LINES[:2], "  el  objeto, of casa!", "日本 <"):
        assert own.encode(line).ids == whole.encode(line, add_special_tokens=False).ids
    never = {found.special_ids[name] for name in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")}
    assert not never & set(own.encode("the <mask> of <s> the </s><pad>").ids)


def test_a_tokenizer_without_a_mask_is_refused_with_what_to_do(tmp_path):
    folder = save_bpe(tmp_path / "bpe", LINES, ("<s>", "</s>", "<pad>"))
    with pytest.raises(VocabularyError, match="its tokenizer has no mask_token") as raised:
        read_saved_tokenizer(folder)
    assert "tokenizer.add_special_tokens({'mask_token': '<mask>'})" in raised.value.hint


def test_a_folder_that_is_no_tokenizers_is_refused(tmp_path, bpe):
    with pytest.raises(VocabularyError, match=r"has no tokenizer\.json"):
        read_saved_tokenizer(tmp_path)
    (bpe / "tokenizer_config.json").write_text(json.dumps({"mask_token": "<gone>"}))
    with pytest.raises(VocabularyError, match="its tokenizer has no '<gone>'"):
        read_saved_tokenizer(bpe)
    (bpe / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["a.B", None]}}))
    with pytest.raises(VocabularyError, match="names code of its own"):
        read_saved_tokenizer(bpe)
    (bpe / "tokenizer.json").write_text("{")
    with pytest.raises(VocabularyError, match="cannot be read"):
        read_saved_tokenizer(bpe)


@pytest.mark.slow
@pytest.mark.parametrize("save", [save_bpe, save_unigram])
def test_transformers_reads_the_files_that_a_model_gets(tmp_path, save):
    from transformers import AutoTokenizer

    found = read_saved_tokenizer(save(tmp_path / "any", LINES))
    (tmp_path / "model").mkdir()
    for name, content in found.with_max_length(32).items():
        (tmp_path / "model" / name).write_bytes(content)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "model")
    own = Tokenizer.from_str(found.definition)
    assert (loaded.model_max_length, loaded.mask_token) == (32, "<mask>")
    for line in LINES[:2]:
        assert loaded(line, add_special_tokens=False)["input_ids"] == own.encode(line).ids


def changed_definition(folder, change):
    made = json.loads((folder / "tokenizer.json").read_bytes())
    change(made)
    (folder / "tokenizer.json").write_text(json.dumps(made))
    return folder


def with_an_unknown_token_around_texts(made):
    piece = {"SpecialToken": {"id": "[NONE]", "type_id": 0}}
    made["post_processor"] = {"type": "TemplateProcessing", "single": [piece], "pair": [], "special_tokens": {}}


def with_two_tokens_of_one_id(made):
    made["model"]["vocab"]["another"] = made["model"]["vocab"]["<s>"]
    made["added_tokens"] = [token for token in made["added_tokens"] if token["content"] != "<s>"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_an_unknown_token_around_texts, "tokenizer.json cannot be read: "),
        (with_two_tokens_of_one_id, "gives .* the id of another token"),
    ],
)
def test_a_definition_that_fails_on_texts_or_hides_a_token_is_refused(bpe, change, message):
    with pytest.raises(VocabularyError, match=message):
        read_saved_tokenizer(changed_definition(bpe, change))
