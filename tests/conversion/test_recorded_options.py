"""The options of a conversion: kept by what they decide, read back the same, enough to make the same bytes again."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import FIXTURES
from hypothesis import given
from hypothesis import strategies as st

from electra_convert import convert, reproduce
from electra_convert.conversion import recorded_options
from electra_convert.conversion.options import Options
from electra_convert.conversion.recorded_options import is_plain_name, option_fields, read_options
from electra_convert.errors import SourceError
from electra_convert.schemes.heads import kinds
from electra_convert.schemes.layouts import read_task
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

VOCABULARY = FIXTURES / "vocab.txt"
PAIR = SimpleNamespace(
    models={"discriminator": None, "generator": None}, scheme=SimpleNamespace(target="safetensors")
)
OF_TOKENIZER = st.builds(
    TokenizerOptions,
    pad_vocab=st.booleans(),
    lower_case=st.none() | st.booleans(),
    strip_accents=st.none() | st.booleans(),
    tokenize_chinese_chars=st.none() | st.booleans(),
    added_tokens=st.none() | st.lists(st.text(min_size=1), min_size=1).map(tuple),
    max_word_length=st.none() | st.integers(1, 300),
)
GIVEN = st.builds(
    Options,
    model=st.none() | st.sampled_from(["discriminator", "generator"]),
    to=st.none() | st.sampled_from(["torch", "tf"]),
    task=st.none() | st.sampled_from(["mrpc", f"own={next(iter(kinds()))}"]).map(read_task),
    labels=st.none() | st.lists(st.text(), min_size=1).map(tuple),
    dtype=st.none() | st.sampled_from(["float32", "float16", "bfloat16"]),
    max_shard_size=st.none() | st.integers(1, 1 << 40),
    optimizer=st.booleans(),
    prefix=st.none() | st.text(),
    exclude=st.lists(st.text()).map(tuple),
    keep_custom_code=st.booleans(),
    allow_nonfinite=st.booleans(),
    hparams=st.none() | st.just('{"model_size": "base"}'),
    tokenizer=OF_TOKENIZER,
)


@given(GIVEN)
def test_what_is_recorded_is_read_back_the_same(options: Options):
    roles: tuple[Any, ...] = ("generator",) if options.model else ("discriminator", "generator")
    text = json.dumps(option_fields(options, PAIR, roles))
    assert read_options(json.loads(text), lambda _: None, Path()) == options


def test_every_option_is_recorded_or_is_known_to_decide_nothing():
    """An option that is new, and of a kind that cannot be recorded as it is, needs a form of its own."""
    known = recorded_options._ELSEWHERE | recorded_options._OWN_FORM
    others = {one.name: str(one.type) for one in fields(Options) if one.name not in known}
    others |= {one.name: str(one.type) for one in fields(TokenizerOptions)}
    for name in ("vocab", "added_tokens", "kept"):
        del others[name]
    assert not {name for name, kind in others.items() if "tuple" in kind or "Path" in kind or "Mapping" in kind}


def test_nothing_that_was_not_given_is_recorded():
    everything = Options(model="both", to="safetensors", overwrite=True, verify=True)
    assert option_fields(everything, PAIR, ("discriminator", "generator")) == {}
    assert option_fields(replace(everything, model="generator"), PAIR, ("generator",)) == {"model": "generator"}


def test_files_are_recorded_by_what_is_in_them_and_places_are_not(tmp_path: Path):
    hparams, config = tmp_path / "given.json", tmp_path / "config.json"
    hparams.write_text(json.dumps({"model_size": "small", "data_dir": str(tmp_path)}))
    config.write_text('{"num_attention_heads": 4}')
    tokens = TokenizerOptions(vocab=shutil.copy(VOCABULARY, tmp_path / "bn.txt"), added_tokens=tmp_path / "added.txt")
    (tmp_path / "added.txt").write_text("the\n\nof\n")
    options = Options(hparams=str(hparams), config=config, tokenizer=tokens)
    text = json.dumps(found := option_fields(options, PAIR, ("discriminator", "generator")))
    assert str(tmp_path) not in text
    assert found["hparams"] == {"name": "given.json", "values": {"model_size": "small"}}
    assert found["config"] == {"name": "config.json", "values": {"num_attention_heads": 4}}
    assert found["added_tokens"] == ["the", "of"]
    (file,) = found["vocab"]["files"]
    assert (file["name"], file["size"], len(file["sha256"])) == ("bn.txt", VOCABULARY.stat().st_size, 64)
    (tmp_path / "again").mkdir()
    again = read_options(json.loads(text), lambda _: VOCABULARY, tmp_path / "again")
    assert again.tokenizer.vocab is not None
    assert again.tokenizer.vocab.read_bytes() == VOCABULARY.read_bytes()
    assert option_fields(again, PAIR, ("discriminator", "generator")) == found


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", "a\n", "x" * 256, "c:a"])
def test_a_name_that_leads_elsewhere_is_no_plain_name(name: str):
    assert not is_plain_name(name)
    assert is_plain_name("vocab.txt")


@pytest.mark.parametrize(
    "options",
    [
        {"vocab": VOCABULARY},
        {"vocab": VOCABULARY, "tokenizer": False},
        {"model": "generator", "vocab": VOCABULARY, "cased": True, "strip_accents": False, "added_tokens": ["the"]},
        {"model": "discriminator", "dtype": "bfloat16", "max_shard_size": "100KB", "optimizer": True},
        {"hparams": FIXTURES / "default" / "hparams.json", "model": "generator"},
        {"hparams": json.loads((FIXTURES / "default" / "hparams.json").read_text()), "model": "discriminator"},
        pytest.param({"to": "torch", "model": "generator"}, marks=pytest.mark.slow),
    ],
    ids=lambda options: "-".join(options),
)  # fmt: skip
def test_the_same_bytes_are_made_from_what_is_recorded(tmp_path: Path, options: dict[str, Any]):
    source = shutil.copytree(FIXTURES / "default", tmp_path / "run", ignore=shutil.ignore_patterns("*.npz"))
    made = convert(source, tmp_path / "out", **options).output
    found = reproduce(made, source)
    assert found.passed, found.reasons
    assert {file.state for file in found.files.values()} == {"identical"}


def test_a_model_by_the_names_of_another_family_is_reproduced(tmp_path: Path):
    made = convert(FIXTURES / "equal_widths", tmp_path / "out", model_type="bert").output
    found = reproduce(made, FIXTURES / "equal_widths")
    assert found.passed, found.reasons
    assert {file.state for file in found.files.values()} == {"identical"}


def test_the_variables_of_a_saved_model_are_a_source_that_can_be_given_again(golden_copy, tmp_path: Path):
    model, source = tmp_path / "saved", golden_copy()
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"")
    for path in source.iterdir():
        folder = model / "variables" if path.name.startswith("model.ckpt") else model
        shutil.move(path, folder / path.name.replace("model.ckpt-4000", "variables"))
    for place in (model, model / "variables" / "variables", model / "variables" / "variables.index"):
        made = convert(place, tmp_path / f"out-{place.name}", model="generator").output
        for again in (model, place):
            assert reproduce(made, again).passed


def test_what_was_fine_tuned_for_several_tasks_is_reproduced_with_its_labels(tmp_path: Path):
    source = FIXTURES / "finetuned" / "mrpc_chunk"
    made = convert(source, tmp_path / "out", vocab=VOCABULARY).output
    found = reproduce(made, source)
    assert found.passed, found.reasons
    named = convert(source, tmp_path / "one", task="mrpc", labels="no,yes", vocab=VOCABULARY).output
    assert reproduce(named, source).passed
    (named / "vocab.txt").write_text("[PAD]\n")
    (reason,) = reproduce(named, source).reasons
    assert reason.startswith("vocab.txt: it was converted with --vocab 'vocab.txt', SHA-256")


def test_a_checkpoint_that_was_made_of_a_pair_is_reproduced_too(golden_pair: Path, tmp_path: Path):
    made = convert(golden_pair, tmp_path / "run", prefix="own", cased=False).output
    found = reproduce(made, golden_pair)
    assert found.passed, found.reasons
    data = made / "own-4000.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    (reason,) = reproduce(made, golden_pair).reasons
    assert reason.startswith(f"{data.name}: tensor generator_predictions/output_bias, ")


def test_of_a_generator_from_another_folder_only_its_own_files_are_recorded(golden_pair: Path, tmp_path: Path):
    made = convert(golden_pair / "discriminator", tmp_path / "run", generator=golden_pair / "generator").output
    provenance = json.loads((made / "conversion.json").read_text())["provenance"]
    names = [[file["name"] for file in one["files"]] for one in (provenance, provenance["generator"])]
    assert names[0] == names[1]
    assert "model.safetensors" in names[0]
    assert provenance["files"] != provenance["generator"]["files"]
    with pytest.raises(SourceError, match="was converted with generator=, from files that were on no Hub"):
        reproduce(made, golden_pair / "discriminator")
