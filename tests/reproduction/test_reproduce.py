"""reproduce: a model is what convert makes of its source to the byte, or it is told which file is not, and where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.records import flip, rewrite

from electra_convert import convert, reproduce, verify
from electra_convert.errors import CorruptFileError, SourceError, UsageError
from electra_convert.version import __version__

FILES = (
    "config.json",
    "conversion.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
ROLES = ("discriminator", "generator")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained checkpoint with its vocabulary; not to be changed."""
    folder = tmp_path_factory.mktemp("source") / "run"
    shutil.copytree(FIXTURES / "default", folder, ignore=shutil.ignore_patterns("golden.npz"))
    shutil.copy(FIXTURES / "vocab.txt", folder)
    return folder


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair that it becomes; not to be changed."""
    return convert(source, tmp_path_factory.mktemp("made") / "pair").output


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Path:
    """A copy of the pair, to be changed at will."""
    return shutil.copytree(made, tmp_path / "pair")


@pytest.fixture
def converted_before(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what is converted again be a copy of what it becomes, for tests of what is then done with it."""

    def copy(_path: Path, _origin: object, _told: object, output: Path, *_: object) -> None:
        shutil.copytree(made, output)

    monkeypatch.setattr("electra_convert.reproduction.reproduce.convert_brought", copy)


def test_what_convert_made_is_reproduced_file_by_file(pair: Path, source: Path):
    found = reproduce(pair, source)
    assert (found.passed, found.reasons, found.notes) == (True, (), ())
    assert {name: file.state for name, file in found.files.items()} == {
        f"{role}/{name}": "identical" for role in ROLES for name in FILES
    }


def test_onnx_models_that_were_added_are_made_again_too(pair: Path, source: Path):
    convert(source, pair / "generator", to="onnx", quantize="int8", model="generator")
    onnx = pair / "generator" / "onnx"
    found = reproduce(pair, source)
    assert found.passed, found.reasons
    added = {name: file.state for name, file in found.files.items() if "/onnx/" in name}
    assert added.keys() == {f"generator/onnx/{path.name}" for path in onnx.iterdir()}
    assert {added[name] for name in added if name.endswith(".onnx")} == {"identical"}
    flip(onnx / "model_quantized.onnx", 99_999)
    assert reproduce(pair, source).reasons[0].startswith("generator/onnx/model_quantized.onnx: ")


def test_what_a_model_was_converted_from_may_lie_beside_it_and_nothing_else_of_its_name(pair: Path, source: Path):
    generator = pair / "generator"
    for path in source.glob("model.ckpt-*"):
        shutil.copy(path, generator)
    beside = [path.name for path in source.glob("model.ckpt-*")]
    found = reproduce(generator, source)
    assert found.passed
    assert {found.files[name].state for name in beside} == {"source"}
    flip(generator / "model.ckpt-4000.data-00000-of-00001", 9)
    found = reproduce(generator, source)
    assert found.reasons == ("model.ckpt-4000.data-00000-of-00001: the conversion does not make it",)


def test_a_half_of_a_pair_is_reproduced_alone(pair: Path, source: Path):
    found = reproduce(pair / "generator", source)
    assert found.passed
    assert list(found.files) == sorted(FILES)


# One changed byte


@pytest.mark.usefixtures("converted_before")
@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_anywhere_in_a_file_fails_and_names_it(pair: Path, source: Path, name: str):
    path = pair / "generator" / name
    size = path.stat().st_size
    for position in (0, 1, size // 3, size // 2, size - 2, size - 1):
        flip(path, position)
        found = reproduce(pair, source)
        assert not found.passed
        assert [told for told in found.reasons if told.startswith(f"generator/{name}: ")] == list(found.reasons)
        flip(path, position)
    assert reproduce(pair, source).passed


@pytest.mark.usefixtures("converted_before")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_fails(pair: Path, source: Path, data: st.DataObject):
    name = data.draw(st.sampled_from(FILES))
    path = pair / "discriminator" / name
    position, mask = data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(1, 255))
    flip(path, position, mask)
    try:
        assert name in "".join(reproduce(pair, source).reasons)
    finally:
        flip(path, position, mask)


@pytest.mark.usefixtures("converted_before")
@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("config.json", lambda path: flip(path, path.read_bytes().index(b'size": 32') + 7), "is 22, expected 32"),
        ("vocab.txt", lambda path: path.write_text(path.read_text() + "more\n"), "line 1,501"),
        ("model.safetensors", lambda path: flip(path, path.stat().st_size - 1), "tensor generator_predictions."),
        ("model.safetensors", lambda path: flip(path, 20), "from byte 20 on"),
        ("config.json", lambda path: path.write_text("{"), "is not valid JSON"),
        ("config.json", lambda path: path.write_text(path.read_text() + " "), "the same values, written otherwise"),
    ],
)  # fmt: skip
def test_what_differs_is_told_in_the_words_of_the_file(
    pair: Path, source: Path, name: str, change: Callable[[Path], object], told: str
):
    change(pair / "generator" / name)
    (reason,) = reproduce(pair, source).reasons
    assert reason.startswith(f"generator/{name}: ")
    assert told in reason


# Files too few and too many


@pytest.mark.usefixtures("converted_before")
@pytest.mark.parametrize("name", [name for name in FILES if name != "conversion.json"])
def test_a_file_of_the_model_that_is_gone_fails(pair: Path, source: Path, name: str):
    (pair / "generator" / name).unlink()
    assert reproduce(pair, source).reasons == (f"generator/{name}: the conversion makes it, and it is not here",)


@pytest.mark.usefixtures("converted_before")
@pytest.mark.parametrize("name", ["pytorch_model.bin", "added_tokens.json", "modeling.py", "adapter_config.json"])
def test_a_file_that_a_loader_may_read_and_convert_did_not_make_fails(pair: Path, source: Path, name: str):
    (pair / "generator" / name).write_text("{}")
    assert reproduce(pair, source).reasons == (f"generator/{name}: the conversion does not make it",)


@pytest.mark.usefixtures("converted_before")
def test_a_card_a_licence_and_a_report_are_named_and_decide_nothing(pair: Path, source: Path):
    for name in ("README.md", "LICENSE", "parity.json"):
        (pair / "generator" / name).write_text("{}")
    (pair / "notes.txt").write_text("beside the pair")
    found = reproduce(pair, source)
    assert found.passed
    assert {name for name, file in found.files.items() if file.state == "not part"} == {
        "generator/README.md", "generator/LICENSE", "generator/parity.json", "notes.txt",
    }  # fmt: skip


def test_an_optimiser_that_was_left_out_is_noted(source: Path, tmp_path: Path):
    model = convert(source, tmp_path / "out", model="generator", optimizer=True).output
    (model / "optimizer.safetensors").unlink()
    found = reproduce(model, source)
    assert found.passed
    assert found.notes == ("optimizer.safetensors: the conversion makes it, and it is not here",)


# The source


def test_another_source_than_the_recorded_one_is_told_and_not_converted(
    pair: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = shutil.copytree(source, tmp_path / "other")
    flip(other / "model.ckpt-4000.data-00000-of-00001", 5)
    monkeypatch.setattr("electra_convert.reproduction.reproduce.convert_brought", pytest.fail)
    reason, last = reproduce(pair, other).reasons
    assert last.startswith("This is not the source that the record names")
    assert reason.startswith(
        f"discriminator/conversion.json: {other}/model.ckpt-4000.data-00000-of-00001 has SHA-256"
    )
    assert "recorded is 48adeba1" in reason
    (other / "hparams.json").unlink()
    assert f"hparams.json is recorded, and is not in {other}" in reproduce(pair, other).reasons[0]


def test_a_source_that_is_not_there_is_told(pair: Path, source: Path):
    with pytest.raises(SourceError, match="does not exist"):
        reproduce(pair, source.with_name("rum"))


def test_without_a_source_on_the_hub_it_has_to_be_given(pair: Path):
    with pytest.raises(
        UsageError, match=r"pair was converted from files that were on no Hub: checkpoint, hparams"
    ) as told:
        reproduce(pair)
    assert told.value.hint == "Give them with source=PATH."


def test_a_long_file_is_hashed_by_verify_and_not_by_convert(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = "model.ckpt-4000.data-00000-of-00001"
    monkeypatch.setattr("electra_convert.provenance.HASHED_AT_ONCE", 1_000_000)
    model = convert(source, tmp_path / "out", model="generator").output
    record = json.loads((model / "conversion.json").read_text())
    hashes = {file["name"]: file["sha256"] for file in record["provenance"]["files"]}
    assert [name for name, sha256 in hashes.items() if sha256 is None] == [data]
    assert f"No hash is recorded of {data}" in reproduce(model, source).notes[0]
    verify(source, model, weights_only=True, save=True)
    parity = json.loads((model / "parity.json").read_text())
    assert {file["name"]: file["sha256"] for file in parity["provenance"]["files"]}[data].startswith("48adeba1")
    found = reproduce(model, source)
    assert (found.passed, found.notes) == (True, ())
    (model / "parity.json").write_text((model / "parity.json").read_text().replace('"48adeba1', '"58adeba1'))
    assert "recorded is 58adeba1" in reproduce(model, source).reasons[0]


def test_a_model_without_a_record_is_nothing_to_repeat(source: Path):
    with pytest.raises(UsageError, match=r"nothing to compare with: .* has no conversion\.json"):
        reproduce(source)


# Records that somebody has changed so that they fit themselves


def forge(pair: Path, change: Callable[[dict[str, Any]], object]) -> None:
    for role in ROLES:
        rewrite(pair / role, change)


@pytest.mark.usefixtures("converted_before")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda record: record["provenance"]["files"][1].update(sha256="0" * 64), "recorded is 000"),
        (lambda record: record["provenance"]["files"][1].update(size=1), "recorded are 1"),
        (lambda record: record["tensors"][0].update(source="other"), "tensors.0.source is \"other\""),
        (lambda record: record.update(step=1), "step is 1, expected 4000"),
        (lambda record: record.update(more=1), "more is there, and should not be"),
        (lambda record: record["provenance"]["options"].update(pad_vocab=True), "options.pad_vocab is there"),
    ],
)  # fmt: skip
def test_a_forged_record_fails(pair: Path, source: Path, change: Callable[[dict[str, Any]], object], told: str):
    forge(pair, change)
    found = reproduce(pair, source)
    assert told in found.reasons[0]
    assert "conversion.json" in found.reasons[0]


def test_options_that_were_not_those_make_other_files(pair: Path, source: Path):
    forge(pair, lambda record: record["provenance"]["options"].update(dtype="bfloat16"))
    found = reproduce(pair, source)
    assert "generator/model.safetensors" in "".join(found.reasons)
    assert 'dtype is "float32", expected "bfloat16"' in "".join(found.reasons)


@pytest.mark.usefixtures("converted_before")
def test_the_version_that_made_a_model_is_told_and_decides_nothing(pair: Path, source: Path):
    forge(pair, lambda record: (record["tool"].update(version="0.0.9"), record.pop("notices"), record.update(old=1)))
    found = reproduce(pair, source)
    assert found.passed
    assert f"made by electra_convert 0.0.9, and again by {__version__}" in found.notes[0]
    flip(pair / "generator" / "model.safetensors", 9000)
    *_, last = reproduce(pair, source).reasons
    assert last.startswith("It was made by electra_convert 0.0.9, and made again by")
    forge(pair, lambda record: record["tool"].update(version="0.0.9; rm -r ~"))
    assert "by electra_convert unknown, and" in reproduce(pair, source).reasons[-1]


@pytest.mark.usefixtures("converted_before")
def test_weights_beside_a_pair_fail_as_well(pair: Path, source: Path):
    (pair / "model.safetensors").write_bytes(b"")
    assert reproduce(pair, source).reasons == ("model.safetensors: the conversion does not make it",)


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "alice/run", "commit": "main", "path": ""},
        {"repository": "../run", "commit": "0" * 40, "path": ""},
        {"repository": "alice/run/..", "commit": "0" * 40, "path": ""},
        {"repository": ["alice/run"], "commit": "0" * 40, "path": ""},
        {"repository": "alice/run", "commit": "0" * 40, "path": "../../etc"},
        {"repository": "alice/run", "commit": "0" * 40},
        {"files": []},
        {"files": {}},
        {"files": [{"name": "/etc/passwd", "size": 1, "sha256": "0" * 64}]},
        {"files": [{"name": "../x", "size": 1, "sha256": "0" * 64}]},
        {"files": [{"name": "x", "size": -1, "sha256": "0" * 64}]},
        {"files": [{"name": "x", "size": True, "sha256": "0" * 64}]},
        {"files": [{"name": "x", "size": 1, "sha256": "0"}]},
        {"files": ["x"]},
        {"options": []},
        {"generator": "hf://alice/run"},
    ],
)  # fmt: skip
def test_a_hostile_record_is_refused_before_anything_is_fetched(pair: Path, change: dict[str, Any]):
    forge(pair, lambda record: record["provenance"].update(change))
    with pytest.raises(CorruptFileError, match=r"conversion\.json of .*, provenance: .* convert never writes"):
        reproduce(pair)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "int8"}, {"dtype": 1}, {"max_shard_size": "1"}, {"max_shard_size": 0}, {"optimizer": "yes"},
        {"labels": "a"}, {"labels": [1]}, {"hparams": {"name": "../x", "values": {}}}, {"config": {"values": {}}},
        {"vocab": {"files": []}}, {"vocab": {"files": ["a"]}}, {"exclude": "*"}, {"task": "a=b"}, {"prefix": "a"},
    ],
)  # fmt: skip
def test_hostile_options_are_refused(pair: Path, source: Path, options: dict[str, Any]):
    forge(pair, lambda record: record["provenance"].update(options=options))
    with pytest.raises(CorruptFileError, match=r"conversion\.json, options"):
        reproduce(pair, source)


def test_an_option_of_a_later_version_is_named(pair: Path, source: Path):
    forge(pair, lambda record: record["provenance"]["options"].update(from_the_future=True))
    with pytest.raises(SourceError, match="an option that this version does not know: 'from_the_future'"):
        reproduce(pair, source)


def test_a_record_of_an_earlier_version_says_what_it_lacks(pair: Path, source: Path):
    for role in ROLES:
        path = pair / role / "conversion.json"
        record = json.loads(path.read_text())
        path.write_text(
            json.dumps({key: value for key, value in record.items() if key not in {"provenance", "sha256"}})
        )
    with pytest.raises(SourceError, match=r"says neither from which files .* nor with which options") as told:
        reproduce(pair, source)
    assert "electra-convert verify SOURCE" in str(told.value.hint)
