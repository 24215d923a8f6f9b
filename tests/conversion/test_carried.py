"""Every file beside a transformers model is carried to the next folder unchanged, or named as left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.command_line import run

from electra_convert import convert
from electra_convert.errors import VocabularyError
from electra_convert.formats.names import limit_of

POOLING = {"modules.json": "[]", "1_Pooling/config.json": '{"pooling_mode_mean_tokens": true}'}


@pytest.fixture
def folder(pair_copy) -> Path:
    """A discriminator as transformers saves one, without what this tool adds."""
    source = pair_copy() / "discriminator"
    (source / "conversion.json").unlink()
    return source


def add(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        data = content if isinstance(content, bytes) else str(content).encode()
        (folder / name).write_bytes(data)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))


@pytest.mark.parametrize(
    "files",
    [
        {"spiece.model": b"\x0a\x0e\x00"},
        {"my.spm": b"\x0a\x0e", "sentencepiece.bpe.model": b"\0"},
        {"vocab.json": "{}", "merges.txt": "a b"},
        {"generation_config.json": "{}", "preprocessor_config.json": "[1, 2]", "own.JSON": "not even JSON"},
        POOLING,
        {**POOLING, "2_Normalize/config.json": "{}", "sentence_bert_config.json": "{}"},
        {"chat_template.jinja": "{{ messages }}"},
    ],
)
def test_tokenizer_and_module_files_and_json_are_carried_unchanged(folder, tmp_path, files):
    add(folder, files)
    result = convert(folder, tmp_path / "out", to="safetensors")
    for name in files:
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
        assert name in result.files
    assert not any(name in line for name in files for line in result.notices)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tf_model.h5", "tf_model.h5 passed over for model.safetensors."),
        ("training_args.bin", "Left out, other weights and pickles: training_args.bin."),
        ("tf_model.h5.index.json", "tf_model.h5.index.json passed over for model.safetensors."),
        ("README.md", "Left out, no part of the model: README.md."),
        ("runs/events", "Left out, no part of the model: runs/."),
        ("parity.json", "Left out, no part of the model: parity.json."),
        ("tokenization_own.py", "Left out, custom code and what names it: tokenization_own.py."),
    ],
)
def test_what_is_not_carried_is_named(folder, tmp_path, name, said):
    add(folder, {name: "x"})
    result = convert(folder, tmp_path / "out", to="safetensors")
    assert said in result.notices
    assert said in json.loads((tmp_path / "out" / "conversion.json").read_text())["notices"]
    assert not (tmp_path / "out" / name).exists()


def test_a_module_is_carried_without_its_weights_which_are_named(folder, tmp_path):
    add(folder, {**POOLING, "2_Dense/config.json": "{}", "2_Dense/model.safetensors": "x"})
    result = convert(folder, tmp_path / "out", to="safetensors")
    assert "2_Dense/config.json" in result.files
    assert "Left out, other weights and pickles: 2_Dense/model.safetensors." in result.notices


def test_json_that_is_large_or_a_pointer_is_named_and_not_carried(folder, tmp_path):
    large = " " * (limit_of("settings") + 1)
    add(folder, {"large.json": large, "state.json": "version https://git-lfs.github.com/spec/v1\n"})
    told = " ".join(convert(folder, tmp_path / "out", to="safetensors").notices)
    assert "Left out, unread: large.json (1,048,577 bytes)." in told
    assert "Left out, unread: state.json (is a Git LFS pointer" in told


def test_what_was_pointed_at_as_a_file_takes_only_a_tokenizer_from_where_it_lies(golden_pair, tmp_path):
    place = tmp_path / "downloads"
    place.mkdir()
    shutil.copy(golden_pair / "discriminator" / "model.safetensors", place / "mine.safetensors")
    add(
        place, {"vocab.txt": (golden_pair / "discriminator" / "vocab.txt").read_bytes(), "other.json": "{}", "a": "b"}
    )
    result = convert(place / "mine.safetensors", tmp_path / "out", to="safetensors")
    assert "vocab.txt" in result.files
    assert not any("other.json" in told for told in [*result.files, *result.notices])


def test_what_lies_beside_a_pair_is_named(pair_copy, tmp_path):
    pair = pair_copy()
    add(pair, {"README.md": "x", "logs/a": "b"})
    assert "Left out, beside the pair: README.md, logs/." in convert(pair, tmp_path / "tf").notices


NAMES = st.one_of(
    st.from_regex(
        r"[a-zA-Z0-9_.-]{1,12}\.(json|txt|bin|py|model|md|h5|safetensors|JSON|index\.json|spm|png)", fullmatch=True
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12),
    st.sampled_from(
        ["modules.json", "1_Pooling/config.json", "1_Pooling/x.bin", "a/b", "vocab.json", "spiece.model"]
    ),
    st.sampled_from(["special_tokens_map.json", "added_tokens.json", "training.json", "parity.json", ".git/HEAD"]),
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 200)
MODEL = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "conversion.json",
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(NAMES.filter(lambda name: name not in MODEL), st.binary(max_size=40), max_size=8),
    options=st.sampled_from([{"to": "safetensors"}, {"to": "safetensors", "cased": True}, {"to": "tf"}]),
)
def test_each_file_whatever_it_is_called_is_carried_or_named(golden_pair, tmp_path_factory, files, options):
    place = tmp_path_factory.mktemp("beside")
    source = place / "model"
    shutil.copytree(golden_pair / "discriminator", source, ignore=shutil.ignore_patterns("conversion.json"))
    there = []
    for name, content in files.items():
        try:
            add(source, {name: content})
        except (OSError, ValueError):  # a folder of that name is there, or a file system that does not take it
            continue
        there.append(name)
    if "training.json" in there or "adapter_config.json" in there:
        (source / "training.json").write_text("{}")
    result = convert(source, place / "out", **options)
    told = " ".join(result.notices)
    for name in there:
        if name == "training.json" or (options["to"] == "tf" and name == "special_tokens_map.json"):
            continue  # read, and expressed in conversion.json and vocab.txt
        if name in result.files and (place / "out" / name).is_file():
            assert (place / "out" / name).read_bytes() == (source / name).read_bytes()
        else:
            names = {name, repr(name), f"{name.partition('/')[0]}/"} - {name} if not name.isprintable() else {name}
            names |= {f"{name.partition('/')[0]}/"} if "/" in name else set()
            assert any(one in told for one in names), (name, result.notices)


# Code.


@pytest.fixture
def coded(folder) -> Path:
    add(folder, {"tokenization_own.py": "class Own: ...", "modeling_own.py": "class Model: ...", "helper.py": ""})
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_own.Own", None]}, kept=1)
    change(folder / "config.json", auto_map={"AutoModel": "modeling_own.Model"}, kept=1)
    return folder


def keys(place: Path) -> list[bool]:
    return ["auto_map" in json.loads((place / name).read_text()) for name in ("config.json", "tokenizer_config.json")]


def test_code_and_what_names_it_are_both_left_out(coded, tmp_path):
    result = convert(coded, tmp_path / "out", to="safetensors")
    assert keys(tmp_path / "out") == [False, False]
    assert not list((tmp_path / "out").glob("*.py"))
    (told,) = [line for line in result.notices if "custom code" in line]
    for name in ("tokenization_own.py", "modeling_own.py", "auto_map of config.json", "auto_map of tokenizer_config"):
        assert name in told
    for name in ("config.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "out" / name).read_text())["kept"] == 1


def test_with_keep_custom_code_both_are_carried(coded, tmp_path):
    result = convert(coded, tmp_path / "out", to="safetensors", keep_custom_code=True)
    assert keys(tmp_path / "out") == [True, True]
    assert {"tokenization_own.py", "modeling_own.py", "helper.py"} <= result.files.keys()
    assert not any("custom code" in line for line in result.notices)


def test_what_names_code_that_is_not_there_is_not_carried(coded, tmp_path):
    (coded / "modeling_own.py").unlink()
    result = convert(coded, tmp_path / "out", to="safetensors", keep_custom_code=True)
    assert keys(tmp_path / "out") == [False, False]
    assert any("not all of it is there" in line for line in result.notices)


def test_code_that_cannot_be_read_is_not_carried_either(coded, tmp_path):
    (coded / "helper.py").write_text(" " * (limit_of("settings") + 1))
    result = convert(coded, tmp_path / "out", to="safetensors", keep_custom_code=True)
    assert keys(tmp_path / "out") == [False, False]
    assert not any(name.endswith(".py") for name in result.files)


def test_pipelines_of_custom_code_go_the_same_way(folder, tmp_path):
    change(folder / "config.json", custom_pipelines={"pairs": {"impl": "pairs.Pipeline", "pt": ["AutoModel"]}})
    add(folder, {"pairs.py": ""})
    convert(folder, tmp_path / "out", to="safetensors")
    assert "custom_pipelines" not in json.loads((tmp_path / "out" / "config.json").read_text())
    assert "pairs.py" in convert(folder, tmp_path / "kept", to="safetensors", keep_custom_code=True).files


def test_what_names_code_of_another_repository_is_carried_alone(folder, tmp_path):
    change(folder / "config.json", auto_map={"AutoModel": "owner/repo--modeling.Model"})
    convert(folder, tmp_path / "out", to="safetensors", keep_custom_code=True)
    assert keys(tmp_path / "out") == [True, False]


# Tokenizers of another kind.


def to_class(folder: Path, name: str) -> None:
    change(folder / "config.json", tokenizer_class=name)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "AlbertTokenizer", "KoBertTokenizer"])
def test_a_class_that_only_config_json_names_is_not_replaced(folder, tmp_path, name):
    to_class(folder, name)
    result = convert(folder, tmp_path / "out", to="safetensors")
    assert set(result.files) == {"config.json", "conversion.json", "model.safetensors", "vocab.txt"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tokenizer_class"] == name
    assert any(f"The tokenizer is {name}, not ELECTRA's" in line for line in result.notices)


@pytest.mark.parametrize("name", ["BertTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast"])
def test_a_class_that_splits_as_electras_gets_its_files(folder, tmp_path, name):
    to_class(folder, name)
    assert "tokenizer.json" in convert(folder, tmp_path / "out", to="safetensors").files


@pytest.mark.parametrize("options", [{"cased": True}, {"strip_accents": False}])
def test_options_do_not_make_an_electra_tokenizer_of_another(folder, tmp_path, options):
    to_class(folder, "BertJapaneseTokenizer")
    with pytest.raises(VocabularyError, match="its tokenizer is BertJapaneseTokenizer"):
        convert(folder, tmp_path / "out", to="safetensors", **options)


def test_a_vocabulary_that_is_given_is_told_to_replace_it(folder, tmp_path):
    to_class(folder, "BertJapaneseTokenizer")
    result = convert(folder, tmp_path / "out", to="safetensors", vocab=folder / "vocab.txt")
    assert any("is in the place of BertJapaneseTokenizer" in line for line in result.notices)
    assert "tokenizer_class" not in json.loads((tmp_path / "out" / "config.json").read_text())


@pytest.mark.parametrize("kind", ["BPE", "Unigram", "WordLevel"])
def test_a_tokenizer_json_of_another_kind_is_carried(folder, tmp_path, kind):
    (folder / "tokenizer_config.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": kind, "vocab": {}}}))
    convert(folder, tmp_path / "out", to="safetensors")
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_google_s_code_is_said_to_split_text_otherwise(folder, tmp_path):
    to_class(folder, "BertJapaneseTokenizer")
    (told,) = [line for line in convert(folder, tmp_path / "tf").notices if "BertJapaneseTokenizer" in line]
    assert "gives other tokens of the same text" in told


@pytest.mark.slow
def test_the_demo_does_not_split_text_otherwise(folder):
    to_class(folder, "BertJapaneseTokenizer")
    assert "its tokenizer is BertJapaneseTokenizer" in run("demo", folder, "A text.").refusal()


def test_never_split_is_named_where_it_has_no_effect(folder, tmp_path):
    change(folder / "tokenizer_config.json", never_split=["[E1]", "[E2]"])
    assert any(
        "never_split" in line and "[E2]" in line
        for line in convert(folder, tmp_path / "out", to="safetensors").notices
    )


@pytest.mark.parametrize("longest", [10**30, 513, None])
def test_a_tokenizer_that_does_not_truncate_is_named(folder, tmp_path, longest):
    change(folder / "tokenizer_config.json", model_max_length=longest)
    assert any(
        "longer texts are not cut" in line for line in convert(folder, tmp_path / "out", to="safetensors").notices
    )


# Towards TensorFlow.


def test_what_google_s_code_has_no_place_for_is_named_with_its_consequence(folder, tmp_path):
    add(folder, {**POOLING, "generation_config.json": "{}", "added_tokens.json": '{"[E1]": 1500}', "own.py": ""})
    told = "\n".join(convert(folder, tmp_path / "tf").notices)
    assert (
        "modules of sentence-transformers: 1_Pooling/config.json, modules.json. Google's code gives the states"
        in told
    )
    assert "settings that Google's code does not read: generation_config.json." in told
    assert "Google's code splits what they add: added_tokens.json." in told
    assert "code that Google's code does not run: own.py." in told
