"""Options: what goes together, and sizes as people write them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.config.hparams import hparams_text
from electra_convert.conversion.options import (
    Options,
    lowers_case,
    read_path,
    read_size,
    read_target,
)
from electra_convert.errors import UsageError
from electra_convert.schemes.layouts import Choice
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

TARGETS = ("safetensors", "torch", "tf", "onnx")
# A value for every option, such that it alone goes with one target at least.
OF_THE_TOKENIZER = {
    "vocab": Path("vocab.txt"),
    "pad_vocab": True,
    "lower_case": False,
    "strip_accents": True,
    "tokenize_chinese_chars": False,
    "added_tokens": Path("added.txt"),
    "no_tokenizer": True,
}
GIVEN = {
    **OF_THE_TOKENIZER,
    "model": "both",
    "to": "tf",
    "model_type": "bert",
    "generator": Path("generator"),
    "hparams": "{}",
    "config": Path("config.json"),
    "task": Choice("rte"),
    "labels": ("a", "b"),
    "dtype": "bfloat16",
    "quantize": "int8",
    "max_shard_size": 1,
    "optimizer": True,
    "zero_optimizer": True,
    "prefix": "model.ckpt",
    "exclude": ("my_scope/*",),
    "keep_custom_code": True,
    "allow_nonfinite": True,
    "overwrite": True,
    "verify": True,
    "dry_run": True,
}
NOT_TF = {
    "model_type": "--model-type bert does not go",
    "dtype": "--dtype bfloat16 does not go",
    "max_shard_size": "--max-shard-size does not go",
    "strip_accents": "strip-accents does not go",
    "tokenize_chinese_chars": "tokenize-chinese-chars does not go",
    "added_tokens": "--added-tokens does not go",
    "keep_custom_code": "--keep-custom-code does not go",
}
NOT_ONNX = {
    "model_type": "--model-type bert does not go with --to onnx",
    "dtype": "--dtype bfloat16 does not go with --to onnx",
    "max_shard_size": "--max-shard-size does not go with --to onnx",
    "optimizer": "--optimizer does not go with --to onnx",
}
ONLY_TF = {"zero_optimizer": "--zero-optimizer goes with --to tf", "prefix": "--prefix goes with --to tf"}


def test_every_option_has_a_value_to_be_tried_with():
    of_a_run = {"max_word_length", "kept"}
    assert {*OF_THE_TOKENIZER, *of_a_run} == {field.name for field in fields(TokenizerOptions)}
    assert {*(GIVEN.keys() - OF_THE_TOKENIZER.keys()), "tokenizer", "generator_origin"} == {
        field.name for field in fields(Options)
    }


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", GIVEN)
def test_each_option_goes_with_the_targets_it_has_a_meaning_for(name: str, target: str):
    given = {name: GIVEN[name]}
    options = Options(tokenizer=TokenizerOptions(**given)) if name in OF_THE_TOKENIZER else Options(**given)
    refused = {"tf": NOT_TF, "onnx": NOT_ONNX | ONLY_TF}.get(target, ONLY_TF)
    refused = refused if target == "onnx" else {**refused, "quantize": "--quantize goes with --to onnx"}
    complaint = refused.get(name)
    if complaint is None:
        options.check(target)
    else:
        with pytest.raises(UsageError, match=complaint):
            options.check(target)


@pytest.mark.parametrize("target", TARGETS)
def test_no_options_go_with_everything(target: str):
    Options().check(target)


def test_float32_is_what_a_tensorflow_checkpoint_has_anyway():
    Options(dtype="float32").check("tf")


def test_slots_are_carried_over_or_made_anew_and_not_both():
    with pytest.raises(UsageError, match=r"--optimizer .* --zero-optimizer .* one of them"):
        Options(optimizer=True, zero_optimizer=True)


@pytest.mark.parametrize(
    "how",
    [{"lower_case": True}, {"strip_accents": True}, {"tokenize_chinese_chars": False}, {"added_tokens": ("a",)}],
)
def test_a_tokenizer_that_is_not_written_is_not_told_how(how):
    with pytest.raises(UsageError, match="--no-tokenizer makes no tokenizer"):
        TokenizerOptions(no_tokenizer=True, **how)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"model": "critic"}, "--model is 'critic', expected discriminator, generator or both"),
        ({"to": "gguf"}, "--to is 'gguf', expected safetensors, torch, tf or onnx"),
        ({"dtype": "int8"}, "--dtype is 'int8', expected float32, float16 or bfloat16"),
        ({"dtype": "float64"}, "--dtype is 'float64'"),
        ({"model": ""}, "--model is ''"),
        ({"max_shard_size": 0}, "--max-shard-size is 0, expected 1 byte or more"),
        ({"max_shard_size": -5}, "--max-shard-size is -5"),
    ],
)
def test_a_value_that_is_no_choice_is_refused(given, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        Options(**given)


@pytest.mark.parametrize("prefix", ["model.ckpt", "a", "électra", "v1.0+x@2~=_-"])
def test_a_plain_file_name_is_a_prefix(prefix: str):
    Options(prefix=prefix).check("tf")


@pytest.mark.parametrize("prefix", ["", "a/b", "../a", "/a", "a b", "a\n", "a\0", "a*", "$x", "a\\b", "\ud800"])
def test_what_is_no_plain_file_name_is_no_prefix(prefix: str):
    with pytest.raises(UsageError, match="is not a plain file name"):
        Options(prefix=prefix).check("tf")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1B", 1),
        ("5000000000", 5_000_000_000),
        ("100000000000000001", 100_000_000_000_000_001),
        ("500MB", 500_000_000),
        ("500mb", 500_000_000),
        ("500 MB", 500_000_000),
        (" 2GB ", 2_000_000_000),
        ("2G", 2_000_000_000),
        ("1.5GB", 1_500_000_000),
        ("0.1GB", 100_000_000),
        ("10KB", 10_000),
        ("1KiB", 1024),
        ("1Ki", 1024),
        ("3MiB", 3 << 20),
        ("1GiB", 1 << 30),
        ("0.5GiB", 1 << 29),
        ("2TiB", 2 << 40),
        ("1TB", 10**12),
        ("4.7", 4),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int):
    assert read_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "0GB", "0.4", "0.0001KB", "-1GB", "+1GB", "GB", "1XB", "1PB", "1 G B", "1GBs", "1 2GB"),
        *("1e9", "0x10", "1_000", "1,5GB", ".5GB", "1.GB", "1iB", "inf", "nan", "auto", "1" * 19, "1GB\0"),
    ],
)
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(UsageError, match="is not a size") as error:
        read_size(text)
    assert "500MB" in error.value.hint


@given(st.integers(1, 10**18 - 1), st.sampled_from(["", *(f"{power}{i}B" for power in "KMGT" for i in ("", "i"))]))
def test_whole_numbers_of_any_unit_are_exact(number: int, unit: str):
    factor = (1024 if "i" in unit else 1000) ** (" KMGT".index(unit[0]) if unit else 0)
    assert read_size(f"{number}{unit}") == number * factor


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str):
    with suppress(UsageError):
        assert read_size(text) > 0


def test_bytes_are_a_size_as_they_are():
    assert read_size(5) == 5
    assert read_size(None) is None


@pytest.mark.parametrize(
    ("cased", "uncased", "lowers"),
    [
        (None, None, None),
        (True, None, False),
        (False, None, True),
        (None, True, True),
        (None, False, False),
        (True, False, False),
        (False, True, True),
    ],
)
def test_cased_and_uncased_say_the_same_of_lower_casing(cased, uncased, lowers):
    assert lowers_case(cased, uncased) is lowers


@pytest.mark.parametrize("both", [True, False])
def test_a_tokenizer_is_not_cased_and_uncased(both: bool):
    with pytest.raises(UsageError, match="give one of them"):
        lowers_case(both, both)


def test_tensorflow_has_two_names_and_the_others_one():
    assert [read_target(name) for name in ("tensorflow", *TARGETS, None)] == ["tf", *TARGETS, None]


def test_a_python_caller_may_pass_text_for_paths_and_a_mapping_for_hparams():
    assert read_path("vocab", "v") == read_path("vocab", Path("v")) == Path("v")
    assert hparams_text({"debug": True}) == '{"debug": true}'
    assert hparams_text(Path("h.json")) == "h.json"


def test_what_is_no_path_and_no_json_is_refused():
    with pytest.raises(UsageError, match="--vocab is 3, expected a path"):
        read_path("vocab", 3)
    with pytest.raises(UsageError, match=r"--hparams cannot be written as JSON: .*set"):
        hparams_text({"debug": {1}})
