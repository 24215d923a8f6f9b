"""conversion.json: the same for the same input, free of places, and harmless whatever somebody made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_convert import convert, inspect
from electra_convert.config.keys import LOCATIONS
from electra_convert.config.record import recorded_dtypes, recorded_hparams, recorded_layout
from electra_convert.errors import ConfigError, ElectraConvertError
from electra_convert.formats import tf_bundle
from electra_convert.schemes.layouts import LAYOUTS
from electra_convert.version import __version__


def strict(text: bytes) -> Any:
    """Read JSON as other languages do, which know no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text.decode(), parse_constant=refuse)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record") / "pair"
    convert(FIXTURES / "default", folder, vocab=FIXTURES / "vocab.txt")
    return folder


@pytest.mark.parametrize("target", ["safetensors", "tf"])
@pytest.mark.parametrize("name", GOLDEN)
def test_the_same_input_gives_the_same_bytes_wherever_it_lies_and_goes(tmp_path: Path, name: str, target: str):
    for place in ("here", "over/there"):
        shutil.copytree(FIXTURES / name, tmp_path / place / name)
        convert(tmp_path / place / name, tmp_path / place / "out", to=target, optimizer=True)
    assert contents(tmp_path / "here" / "out") == contents(tmp_path / "over" / "there" / "out")


@pytest.mark.parametrize("target", ["safetensors", pytest.param("torch", marks=pytest.mark.slow), "tf"])
def test_no_output_names_a_place(golden_copy, tmp_path: Path, target: str):
    source = golden_copy()
    given = json.loads((source / "hparams.json").read_text())
    (source / "hparams.json").write_text(json.dumps(given | dict.fromkeys(LOCATIONS, str(tmp_path))))
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architectures": ["ElectraForPreTraining"], "num_attention_heads": 4}))
    convert(source, tmp_path / "out", to=target, config=config, vocab=source / "vocab.txt")
    for name, content in contents(tmp_path / "out").items():
        assert str(tmp_path).encode() not in content, name
        assert str(FIXTURES.parent).encode() not in content, name


def test_a_record_tells_where_everything_came_from(pair: Path):
    for role in ("discriminator", "generator"):
        record = strict((pair / role / "conversion.json").read_bytes())
        assert record["schema"] == 1
        assert record["tool"] == {"name": "electra_convert", "version": __version__}
        assert record["source"] == {"format": "tensorflow", "name": "model.ckpt-4000"}
        assert (record["variant"], record["step"]) == ("default", 4000)
        assert record["hparams"] == json.loads((FIXTURES / "default" / "hparams.json").read_text())
        reported = inspect(FIXTURES / "default").models[role].config
        told = {key: {"value": value.value, "origin": value.origin} for key, value in reported.items()}
        assert told.items() <= record["config"][role].items()
        assert any("slots are left out" in notice for notice in record["notices"])


def test_a_record_names_every_tensor_with_the_checksum_of_its_source(pair: Path):
    record = strict((pair / "discriminator" / "conversion.json").read_bytes())
    with tf_bundle.open_source(FIXTURES / "default" / "model.ckpt-4000") as source:
        for row in record["tensors"]:
            tensor = source.tensors[row["source"]]
            assert (row["dtype"], row["crc32c"]) == (tensor.dtype.name, f"{tensor.checksum:08x}")
    assert len({row["output"] for row in record["tensors"]}) == len(record["tensors"]) > 30


@pytest.mark.parametrize("name", ["électra ✓", 'a"b\\c', "\udcff"], ids=["accents", "quotes", "no UTF-8"])
def test_any_name_of_a_source_is_valid_json(golden_copy, tmp_path: Path, name: str):
    source = golden_copy()
    for path in source.glob("model.ckpt-4000.*"):
        path.rename(source / path.name.replace("model.ckpt", name))
    convert(source / f"{name}-4000", tmp_path / "out", model="discriminator")
    record = strict((tmp_path / "out" / "conversion.json").read_bytes())
    assert record["source"]["name"] == f"{name}-4000"


@pytest.mark.parametrize("value", ["NaN", "1e999", "-Infinity"])
def test_what_json_cannot_hold_does_not_get_into_a_record(golden_copy, tmp_path: Path, value: str):
    source = golden_copy()
    (source / "hparams.json").write_text(f'{{"learning_rate": {value}}}')
    with pytest.raises(ConfigError, match=r"hparams.json: learning_rate is (NaN|-?Infinity), expected a number"):
        convert(source, tmp_path / "out")


# Records that somebody else wrote


def hostile() -> st.SearchStrategy[Any]:
    names = [*LAYOUTS, "float32", "bfloat16", "hparams", "electra", "model_size", "base"]
    leaves = st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 62) | st.floats() | st.sampled_from(names)
    keys = st.sampled_from(["output", "dtype", "source", "model_size", "vocab_size", "untied_generator", "debug"])
    return st.recursive(
        leaves | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=5,
    )


RECORDS = st.dictionaries(
    st.sampled_from(["schema", "variant", "step", "hparams", "tensors", "config", "notices", "source"]), hostile()
)


@settings(max_examples=25, deadline=None)
@given(record=RECORDS)
def test_any_record_is_used_passed_over_or_refused(pair: Path, record: Mapping[str, Any]):
    path = pair / "discriminator" / "conversion.json"
    original = path.read_bytes()
    try:
        path.write_text(json.dumps(record))
        for model in (None, "discriminator"):
            with suppress(ElectraConvertError):
                convert(pair, pair.parent / "out", model=model, dry_run=True)
        with suppress(ElectraConvertError):
            convert(pair, pair.parent / "out", to="safetensors", dry_run=True)
    finally:
        path.write_bytes(original)


@given(record=st.none() | RECORDS)
def test_what_is_recorded_is_of_its_kind_or_none(record: Mapping[str, Any] | None):
    assert recorded_layout(record) in {None, *LAYOUTS}
    assert all(isinstance(text, str) for pair in recorded_dtypes(record).items() for text in pair)
    with suppress(ConfigError):
        assert isinstance(recorded_hparams(record) or {}, dict)


@pytest.mark.parametrize(
    ("hparams", "complaint"),
    [
        ([], "conversion.json: hparams is not an object"),
        ("small", "conversion.json: hparams is not an object"),
        ({"model_sise": 1}, "hparams of conversion.json: unknown hparam 'model_sise'"),
        ({"vocab_size": "many"}, 'hparams of conversion.json: vocab_size is "many"'),
        ({"model_hparam_overrides": None}, "hparams of conversion.json: model_hparam_overrides is null"),
    ],
)
def test_recorded_hparams_that_are_none_are_refused(hparams: Any, complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        recorded_hparams({"hparams": hparams})


@pytest.mark.parametrize("record", [None, {}, {"variant": None}, {"variant": "default "}, {"variant": ["default"]}])
def test_a_variant_that_is_none_is_not_recorded(record: Mapping[str, Any] | None):
    assert recorded_layout(record) is None


@pytest.mark.parametrize(
    "rows", [None, {}, "rows", [None], [[]], [{}], [{"output": 1, "dtype": "f"}], [{"output": "a"}]]
)
def test_rows_that_are_none_are_passed_over(rows: Any):
    good = {"output": "b", "dtype": "float32"}
    assert recorded_dtypes({"tensors": rows}) == {}
    if isinstance(rows, list):
        assert recorded_dtypes({"tensors": [*rows, good]}) == {"b": "float32"}
