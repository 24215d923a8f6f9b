"""reproduce: ONNX models that were added to a model afterwards are made again with it, and held to that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from support.records import flip, rewrite

from electra_convert import convert, reproduce
from electra_convert.errors import UsageError
from electra_convert.version import __version__

SOURCE = FIXTURES / "default"
ADDED = ("onnx/conversion.json", "onnx/model.onnx", "onnx/model_quantized.onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator to which ONNX models were added; not to be changed."""
    model = convert(SOURCE, tmp_path_factory.mktemp("made") / "model", model="generator").output
    convert(model, model, to="onnx", quantize="int8")
    return model


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed at will."""
    return shutil.copytree(made, tmp_path / "model")


def test_what_was_added_is_reproduced_with_the_model(model: Path):
    found = reproduce(model, SOURCE)
    assert (found.passed, found.reasons, found.notes) == (True, (), ())
    assert {name: found.files[name].state for name in ADDED} == dict.fromkeys(ADDED, "identical")


def test_in_a_pair_and_alone_the_same_is_added(model: Path, tmp_path: Path):
    pair = convert(SOURCE, tmp_path / "pair").output
    convert(SOURCE, pair, to="onnx", quantize="int8", hparams=SOURCE / "hparams.json")
    assert reproduce(pair, SOURCE).passed
    for name in ADDED:
        assert (pair / "generator" / name).read_bytes() == (model / name).read_bytes()


@pytest.mark.parametrize("name", ADDED)
def test_a_changed_byte_in_what_was_added_fails_and_names_the_file(model: Path, name: str):
    path = model / name
    for position in (0, path.stat().st_size // 2, path.stat().st_size - 1):
        flip(path, position)
        (reason,) = reproduce(model, SOURCE).reasons
        assert reason.startswith(f"{name}: ")
        flip(path, position)


def test_what_is_there_alone_or_is_gone_fails(model: Path):
    (model / "onnx" / "conversion.json").unlink()
    assert [reason.partition(": ")[::2] for reason in reproduce(model, SOURCE).reasons] == [
        (name, "the conversion does not make it") for name in ADDED[1:]
    ]


def test_figures_of_another_machine_are_told_and_do_not_decide(model: Path):
    def measure(record: dict[str, Any]) -> None:
        record["onnx"]["int8"]["measured"] = {"largest": 1.25}

    rewrite(model / "onnx", measure)
    found = reproduce(model, SOURCE)
    assert found.passed
    assert found.files["onnx/conversion.json"].state == "equal"
    assert found.notes[0].startswith("onnx/conversion.json: what was measured of int8 is not compared")
    rewrite(model / "onnx", lambda record: record["onnx"]["int8"].update(file="onnx/other.onnx"))
    assert "onnx.int8.file is" in reproduce(model, SOURCE).reasons[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda record: record["provenance"]["options"].pop("quantize"), "model_quantized.onnx: the conversion does"),
        (lambda record: record["provenance"]["options"].update(to="tf"), 'options.to is "tf", expected "onnx"'),
        (lambda record: record["provenance"]["files"][0].update(sha256="0" * 64), "provenance.files.0.sha256 is"),
        (lambda record: record["provenance"].update(added_to="/etc"), 'added_to is "/etc", expected ".."'),
        (lambda record: record["provenance"].pop("added_to"), "onnx/model.onnx: the conversion does not make it"),
        (lambda record: record.update(step=1), "step is 1, expected 4000"),
    ],
)  # fmt: skip
def test_a_forged_record_of_what_was_added_fails(model: Path, change, told: str):
    rewrite(model / "onnx", change)
    assert told in "".join(reproduce(model, SOURCE).reasons)


def test_the_version_that_added_them_is_told_where_they_differ(model: Path):
    rewrite(model / "onnx", lambda record: record["tool"].update(version="0.0.9"))
    assert f"made by electra_convert 0.0.9, and again by {__version__}" in reproduce(model, SOURCE).notes[0]
    flip(model / "onnx" / "model.onnx", 900)
    assert reproduce(model, SOURCE).reasons[-1].startswith("It was made by electra_convert 0.0.9, and made again by")


def test_the_record_names_the_files_of_the_model_and_no_place_of_the_machine(made: Path):
    provenance = json.loads((made / "onnx" / "conversion.json").read_text())["provenance"]
    assert provenance["added_to"] == ".."
    assert [file["name"] for file in provenance["files"]] == ["config.json", "model.safetensors"]
    assert provenance["options"] == {"to": "onnx", "quantize": "int8"}


def test_what_was_added_is_not_looked_at_alone(model: Path):
    with pytest.raises(UsageError, match="added to the model in the folder around it") as told:
        reproduce(model / "onnx", SOURCE)
    assert told.value.hint == "Give that folder: what was added is made again with it."
    (model / "conversion.json").unlink()
    with pytest.raises(UsageError, match=r"has no conversion\.json, which names its source"):
        reproduce(model, SOURCE)
