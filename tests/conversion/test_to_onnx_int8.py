"""convert --to onnx --quantize int8: how far that is from float32, and that what is said of it is so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support.command_line import run, run_program
from support.fine_tuned import TUNED, VOCABULARY
from support.onnx_models import checked
from support.onnx_models import run as run_onnx
from test_import_rules import BLOCKED

from electra_convert import convert
from electra_convert.errors import NamesError, UsageError

# A model, what it is given, and its golden.
MODELS = [
    ("default", "discriminator", "disc_ids"),
    ("default", "generator", "gen_ids"),
    ("finetuned/mnli", "", "input_ids"),
    ("finetuned/chunk", "", "input_ids"),
    ("finetuned/squadv1_independent", "", "input_ids"),
]


@pytest.mark.parametrize(("name", "place", "given"), MODELS)
def test_int8_is_close_to_float32_and_a_third_of_its_size(tmp_path: Path, name: str, place: str, given: str):
    convert(FIXTURES / name, tmp_path / "out", vocab=VOCABULARY, to="onnx", quantize="int8")
    golden = np.load(FIXTURES / name / "golden.npz")
    inputs = (golden[given], golden["input_mask"], golden["segment_ids"])
    folder = tmp_path / "out" / place / "onnx"
    exact, _ = run_onnx(folder / "model.onnx", *inputs)
    rounded, _ = run_onnx(folder / "model_quantized.onnx", *inputs)
    assert exact.keys() == rounded.keys()
    for output, values in exact.items():
        assert 0 < np.abs(rounded[output] - values).max() < 0.03 * np.abs(values).max()
    sizes = [(folder / file).stat().st_size for file in ("model_quantized.onnx", "model.onnx")]
    assert sizes[0] < 0.4 * sizes[1]


@pytest.mark.parametrize("source", ["tensorflow", "safetensors"])
def test_each_weight_is_within_half_a_step_of_what_it_was(golden_pair: Path, tmp_path: Path, source: str):
    import onnx

    given = FIXTURES / "default" if source == "tensorflow" else golden_pair
    options = {"vocab": VOCABULARY} if source == "tensorflow" else {}
    convert(given, tmp_path / "out", to="onnx", quantize="int8", model="generator", **options)
    exact, rounded = (
        {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for model in (checked(path) for path in sorted((tmp_path / "out" / "onnx").iterdir()))
    )
    matrices = [name for name, values in rounded.items() if values.dtype == np.int8]
    assert len(matrices) == 1 + 2 * 6 + 1
    for name in matrices:
        # The table lies row by row, the kernels column by column.
        rows, values = (array if "embeddings" in name else array.T for array in (rounded[name], exact[name]))
        steps = values / rounded[f"{name}.scale"][:, None]
        assert np.abs(steps - rows).max() <= 0.5 + 1e-4


def decisions_of(logits: np.ndarray) -> np.ndarray:
    """Of tokens: whether each was replaced, or the likeliest of several."""
    return logits > 0 if logits.ndim == 1 else logits.argmax(-1)


@pytest.mark.parametrize(
    ("name", "model", "place", "segment"),
    [
        ("default", "discriminator", "discriminator", 0),
        ("default", "generator", "generator", 0),
        ("finetuned/chunk", "discriminator", "", 1),
    ],
)
def test_what_is_measured_is_so_and_stands_in_the_record_and_in_what_is_printed(
    tmp_path: Path, name: str, model: str, place: str, segment: int
):
    from electra_convert.verification.inputs import Limits, Specials, builtin_batches

    source = ("convert", FIXTURES / name, tmp_path / "out", "--vocab", VOCABULARY)
    ran = run(*source, "--to", "onnx", "--quantize", "int8", "--json")
    folder = tmp_path / "out" / place
    said = json.loads((folder / "conversion.json").read_text())["onnx"]["int8"]
    assert said["file"] == "onnx/model_quantized.onnx"
    measured = said["measured"]
    assert json.loads(ran.out)["int8"][model] == measured
    differences, sizes, changed = [], [], []
    for batch in builtin_batches(Limits(1500, 128, 2), Specials(0, 2, 3, 4), segment):
        models = (folder / "onnx" / file for file in ("model.onnx", "model_quantized.onnx"))
        exact, rounded = (run_onnx(path, *batch.arrays)[0]["logits"][batch.input_mask > 0] for path in models)
        differences.append(np.abs(exact - rounded).max())
        sizes.append(np.abs(exact).max())
        changed += list(decisions_of(exact) != decisions_of(rounded))
    assert measured["max_abs"] == pytest.approx(max(differences), rel=1e-6)
    assert measured["largest"] == pytest.approx(max(sizes), rel=1e-6)
    assert (measured["decisions"], measured["flipped"]) == (len(changed), sum(changed))
    assert (model == "generator") <= (measured["flipped"] > 0)


def test_without_onnxruntime_it_is_written_and_said_to_be_unmeasured(tmp_path: Path):
    program = BLOCKED.replace("in {", "in {'onnxruntime', ") + (
        "from electra_convert.cli import main\nmain(['convert', *sys.argv[1:], '--to', 'onnx', '--quantize', 'int8'])"
    )
    ran = run_program(program, TUNED / "mnli", tmp_path / "out", "--vocab", VOCABULARY)
    assert ran.code == 0
    said = " ".join(ran.err.split())
    assert "Warning: int8 is not measured: onnxruntime is needed" in said
    assert "pip install 'electra-convert[onnx]'" in said
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert record["onnx"]["int8"] == {"file": "onnx/model_quantized.onnx", "measured": None}
    assert (tmp_path / "out" / "onnx" / "model_quantized.onnx").is_file()


def test_a_number_is_no_decision(tuned_for, tmp_path: Path):
    result = convert(tuned_for("sts"), tmp_path / "out", to="onnx", quantize="int8")
    (rounded,) = result.rounding.values()
    assert rounded.decisions == rounded.flipped == 0
    assert "decisions" not in str(rounded)


def test_weights_that_are_no_numbers_are_not_rounded(written, tmp_path: Path):
    def spoil(tensors):
        tensors["electra/encoder/layer_0/output/dense/kernel"][0, 0] = np.nan

    with pytest.raises(NamesError, match="holds NaN or infinite values"):
        convert(
            written("uniform_generator", "odd", change=spoil),
            tmp_path / "out",
            to="onnx",
            quantize="int8",
            allow_nonfinite=True,
        )
    assert not (tmp_path / "out").exists()


def test_a_row_of_zeros_stays_one(written, tmp_path: Path):
    def empty(tensors):
        tensors["electra/embeddings/word_embeddings"][3] = 0

    source = written("uniform_generator", "odd", change=empty)
    result = convert(source, tmp_path / "out", to="onnx", quantize="int8")
    assert all(np.isfinite(rounded.max_abs) for rounded in result.rounding.values())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"to": "safetensors", "quantize": "int8"}, 'quantize goes with to="onnx", not with to="safetensors"'),
        ({"quantize": "int8"}, "quantize goes with"),
        ({"to": "onnx", "quantize": "int4"}, "quantize is 'int4', expected int8"),
    ],
)
def test_only_onnx_models_are_quantised_and_only_to_int8(tmp_path: Path, options, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        convert(FIXTURES / "default", tmp_path / "out", **options)
