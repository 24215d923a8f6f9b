"""verify on ONNX models: what differs is told by name, what was tampered with by what it computes.

The reference's outputs are those that Google's code recorded, so that neither TensorFlow nor PyTorch is needed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support.command_line import run
from support.fine_tuned import TUNED, VOCABULARY

from electra_convert import convert, verify
from electra_convert.errors import NamesError, UsageError
from electra_convert.graphs.activations import ACTIVATIONS
from electra_convert.graphs.operators import OPERATORS, Operators
from electra_convert.verification.inputs import Batch
from electra_convert.verification.runners import Run

FILES = ("onnx/model.onnx", "onnx/model_quantized.onnx")
FLOAT32, INT8 = (f"discriminator in {file}" for file in FILES)


class Recorded:
    """What Google's code computed of the discriminator, in place of running it."""

    def __init__(self) -> None:
        golden = np.load(FIXTURES / "default" / "golden.npz")
        self.stages = {"layer 2": [golden["disc_hidden"][-1]], "logits": [golden["disc_logits"]]}
        rows = tuple(map(str, range(len(golden["disc_ids"]))))
        self.batch = Batch("golden", rows, golden["disc_ids"], golden["input_mask"], golden["segment_ids"])

    def start(self, _batches, precisions, _rounded):
        return lambda: [Run(self.stages, "Google's code", {}) for _ in precisions]


@pytest.fixture(autouse=True)
def recorded(monkeypatch) -> Recorded:
    runner = Recorded()
    monkeypatch.setattr("electra_convert.verification.verify.builtin_batches", lambda *_: (runner.batch,))
    monkeypatch.setattr("electra_convert.verification.sides.Side.runner", lambda *_: runner)
    return runner


@pytest.fixture(scope="session")
def made(golden_pair: Path, tmp_path_factory) -> Path:
    """A discriminator with ONNX models of float32 and int8; not to be changed."""
    folder = tmp_path_factory.mktemp("onnx") / "discriminator"
    shutil.copytree(golden_pair / "discriminator", folder)
    convert(folder, folder, to="onnx", quantize="int8")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def alone(folder: Path) -> Path:
    """The same without other weights."""
    (folder / "model.safetensors").unlink()
    return folder


def change(path: Path, act: Callable) -> None:
    """Have onnx load a model, and save it changed."""
    import onnx

    model = onnx.load(path)
    act(model.graph)
    onnx.save(model, path)


def nodes(graph, operator: str):
    return [node for node in graph.node if node.op_type == operator]


def attribute(node, name: str):
    return next(one for one in node.attribute if one.name == name)


def turn_axis(graph):
    attribute(nodes(graph, "Softmax")[0], "axis").i = 2


def take_another_layers(graph):
    first, *_, last = nodes(graph, "LayerNormalization")[1:5]
    first.input[1] = last.input[1]


def raise_epsilon(graph):
    attribute(nodes(graph, "LayerNormalization")[0], "epsilon").f = 1e-5


def change_activation(graph):
    nodes(graph, "Erf")[0].op_type = "Tanh"


def flip(graph, name: str):
    held = next(one for one in graph.initializer if one.name.endswith(name))
    held.raw_data = bytes([held.raw_data[0] ^ 1]) + held.raw_data[1:]


@pytest.mark.parametrize("reference", [FIXTURES / "default", "its weights"])
def test_each_model_of_a_folder_has_a_verdict_of_its_own(made: Path, reference):
    report = verify(made if reference == "its weights" else reference, made)
    assert report.passed, report.reasons
    assert list(report.models) == ["discriminator", FLOAT32, INT8]
    exact, rounded = report.models[FLOAT32], report.models[INT8]
    assert exact.outputs.worst < 1e-5
    assert (exact.weights.equal, rounded.weights.equal) == (43, 43 + 16)
    assert rounded.int8.decisions == int(np.load(FIXTURES / "default" / "golden.npz")["input_mask"].sum())
    assert 0 < rounded.int8.max_abs < 0.05 * rounded.int8.largest
    assert f"{INT8.capitalize()}: exactly the reference's weights in 8 bits; outputs, which reach" in report.summary
    assert report.versions["onnxruntime"] == rounded.int8.onnxruntime


@pytest.mark.parametrize("act", [turn_axis, take_another_layers, raise_epsilon, change_activation])
@pytest.mark.parametrize("file", FILES)
def test_a_graph_that_was_tampered_with_fails_by_what_it_computes(folder: Path, file: str, act: Callable):
    change(folder / file, act)
    report = verify(FIXTURES / "default", folder)
    assert report.verdict == "different"
    name = f"discriminator in {file}"
    assert {reason.partition(":")[0] for reason in report.reasons} == {name}
    assert report.models[name].weights.differing == ()
    assert "the outputs part at logits" in report.reasons[0]
    assert report.reasons[1] == f"{name}: its graph is not the one that this version writes"


def test_a_graph_that_computes_the_same_in_another_way_is_not_shown_to_be_the_same(folder: Path):
    def add_a_step(graph):
        import onnx

        graph.node.append(onnx.helper.make_node("Identity", ["logits"], ["unused"]))

    change(folder / FILES[0], add_a_step)
    report = verify(FIXTURES / "default", folder)
    assert report.verdict == "unproven"
    assert report.reasons == (f"{FLOAT32}: its graph is not the one that this version writes",)


def test_operators_that_no_model_of_convert_has_are_not_run(folder: Path):
    def loop(graph):
        nodes(graph, "Erf")[0].op_type = "Sin"

    change(folder / FILES[0], loop)
    report = verify(FIXTURES / "default", folder)
    assert report.verdict == "unproven"
    assert "not run: model/onnx/model.onnx has operators that no model written here has: Sin" in report.reasons[-1]


def test_every_activation_is_made_of_operators_that_are_run():
    for activation in ACTIVATIONS.values():
        graph = Operators()
        activation(graph, "x")
        assert {node.operator for node in graph.graph([], []).nodes} <= OPERATORS


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (0, "query.bias"),
        (0, "word_embeddings.weight"),
        (0, "query.kernel"),
        (0, "float32.0.5"),
        (1, "query.bias"),
        (1, "word_embeddings.weight"),
        (1, "query.kernel"),
        (1, "query.kernel.scale"),
    ],
)
def test_one_bit_of_an_initialiser_is_told_by_name(folder: Path, file: int, name: str):
    change(folder / FILES[file], lambda graph: flip(graph, name))
    report = verify(FIXTURES / "default", folder, weights_only=True)
    (reason,) = report.reasons
    assert reason.startswith(f"discriminator in {FILES[file]}: 1 of ")
    assert f"{name} (1 of " in reason
    assert " elements differ" in reason


@pytest.mark.parametrize("file", FILES)
def test_initialisers_that_are_missing_or_more_than_there_should_be_are_told_by_name(folder: Path, file: str):
    def replace(graph):
        held = next(one for one in graph.initializer if one.name.endswith("key.bias"))
        held.name = "electra.spare"

    change(folder / file, replace)
    (reason,) = verify(FIXTURES / "default", folder, weights_only=True).reasons
    assert "electra.encoder.layer.0.attention.self.key.bias (not in the candidate)" in reason
    assert "electra.spare (not in the reference)" in reason


@pytest.mark.parametrize("file", FILES)
def test_a_folder_without_other_weights_says_by_name_what_is_not_there(alone: Path, file: str):
    for other in set(FILES) - {file}:
        (alone / other).unlink()
    change(alone / file, lambda graph: graph.initializer.pop())
    with pytest.raises(NamesError, match=r"1 tensor missing: discriminator_predictions\.dense_prediction\.bias"):
        verify(FIXTURES / "default", alone, weights_only=True)


def test_the_8_bits_of_another_checkpoint_are_not_those_of_this_one(folder: Path, written, tmp_path: Path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    from safetensors.numpy import load_file, save_file

    weights = load_file(other / "model.safetensors")
    weights["electra.encoder.layer.1.output.dense.weight"][3] *= 1.01
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    (reason,) = verify(other, folder / FILES[1], weights_only=True).reasons
    assert "1 of 59 weights is not equal: electra.encoder.layer.1.output.dense.kernel.scale (1 of 64" in reason


@pytest.mark.parametrize("place", ["", "onnx", *FILES])
def test_models_are_found_by_their_folder_and_by_their_file(alone: Path, place: str):
    report = verify(FIXTURES / "default", alone / place)
    assert report.passed, report.reasons
    expected = [name for name in (FLOAT32, INT8) if name.endswith(place) or not place.endswith(".onnx")]
    assert list(report.models) == expected
    assert ("Run in float32 on the CPU, onnxruntime" in report.summary) == (place != FILES[1])
    assert report.candidate.format == "onnx"


@pytest.mark.parametrize("file", FILES)
def test_a_config_json_that_says_otherwise_is_a_difference(alone: Path, file: str):
    config = json.loads((alone / "config.json").read_text())
    (alone / "config.json").write_text(json.dumps({**config, "num_attention_heads": 1}))
    report = verify(FIXTURES / "default", alone / file, weights_only=True)
    assert any("num_attention_heads is 1, the reference has 2" in reason for reason in report.reasons)


def test_pairs_and_tasks_are_found_in_their_folders(tmp_path: Path):
    convert(FIXTURES / "default", tmp_path / "pair", vocab=VOCABULARY, to="onnx")
    pair = verify(FIXTURES / "default", tmp_path / "pair", weights_only=True)
    assert pair.passed, pair.reasons
    assert list(pair.models) == [f"{role} in {FILES[0]}" for role in ("discriminator", "generator")]
    convert(TUNED / "mrpc_chunk", tmp_path / "tasks", vocab=VOCABULARY, to="onnx")
    tasks = verify(TUNED / "mrpc_chunk", tmp_path / "tasks", weights_only=True)
    assert tasks.passed, tasks.reasons
    assert list(tasks.models) == [f"{task} in {FILES[0]}" for task in ("chunk", "mrpc")]


@pytest.mark.parametrize("name", ["mnli", "chunk", "squadv1_independent"])
def test_fine_tuned_heads_are_compared_too(tmp_path: Path, name: str):
    convert(TUNED / name, tmp_path / "out", vocab=VOCABULARY, to="onnx", quantize="int8")
    report = verify(TUNED / name, tmp_path / "out", weights_only=True)
    assert report.passed, report.reasons
    assert len(report.models) == 2


def test_weights_that_were_rounded_or_widened_are_held_to_what_they_were(golden_pair: Path, tmp_path: Path):
    half = tmp_path / "half"
    convert(golden_pair, half, to="safetensors", dtype="float16", model="discriminator")
    convert(half, half, to="onnx", quantize="int8")
    report = verify(half, half / "onnx", weights_only=True)
    assert report.passed, report.reasons
    assert not verify(golden_pair, half / "onnx", weights_only=True).passed


def test_an_encoder_is_held_to_the_last_hidden_states(golden_pair: Path, tmp_path: Path, recorded: Recorded):
    from safetensors.numpy import load_file, save_file

    encoder = Path(shutil.copytree(golden_pair / "discriminator", tmp_path / "encoder"))
    weights = load_file(encoder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if name.startswith("electra.")}
    save_file(kept, encoder / "model.safetensors", {"format": "pt"})
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps({**config, "architectures": ["ElectraModel"]}))
    (encoder / "conversion.json").unlink()
    convert(encoder, encoder, to="onnx", quantize="int8")
    recorded.stages.pop("logits")
    report = verify(encoder, encoder)
    assert report.passed, report.reasons
    outputs = report.models[FLOAT32].outputs
    assert outputs.what == "the hidden states of the last layer at 1,024 positions"
    assert outputs.worst < 1e-5
    assert report.models[INT8].int8.decisions == 0


def test_without_onnxruntime_the_weights_are_compared_and_it_is_said_that_nothing_was_run(made: Path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    report = verify(FIXTURES / "default", made)
    assert report.verdict == "unproven"
    assert report.models["discriminator"].reasons == ()
    for name in (FLOAT32, INT8):
        assert report.models[name].weights.differing == ()
        (reason,) = report.models[name].reasons
        assert reason.startswith("not run: onnxruntime is needed to run ONNX models")
        assert "pip install 'electra-convert[onnx]'" in reason
    assert verify(FIXTURES / "default", made, weights_only=True).passed


@pytest.mark.parametrize("place", ["", FILES[0]])
def test_a_damaged_file_is_one_line_and_a_hint(folder: Path, place: str):
    whole = (folder / FILES[0]).read_bytes()
    (folder / FILES[0]).write_bytes(whole[: len(whole) // 2])
    said = run("verify", FIXTURES / "default", folder / place).refusal()
    assert "onnx/model.onnx is damaged: a field of" in said


def test_a_model_that_onnxruntime_refuses_was_not_run(folder: Path):
    def cut(graph):
        nodes(graph, "MatMul")[0].input[0] = "nowhere"

    change(folder / FILES[0], cut)
    report = verify(FIXTURES / "default", folder)
    assert not report.passed
    assert any("not run: model/onnx/model.onnx: onnxruntime cannot run it" in reason for reason in report.reasons)


def test_what_passed_is_recorded_with_the_hashes_of_the_files(folder: Path):
    (folder / "model.safetensors").touch()
    ran = run("verify", FIXTURES / "default", folder, "--save", "--json")
    assert ran.code == 0, ran.err
    saved = json.loads((folder / "parity.json").read_text())
    assert set(saved["models"]) == {"discriminator", FLOAT32, INT8}
    assert {*FILES, "onnx/conversion.json", "model.safetensors"} <= saved["files"].keys()
    assert saved["models"][INT8]["int8"]["flipped"] >= 0
    assert saved["models"][INT8]["forward"] is None
    assert json.loads(ran.out)["models"][INT8] == saved["models"][INT8]


def test_a_record_of_all_weights_is_not_replaced_by_one_of_a_file(folder: Path):
    with pytest.raises(UsageError, match="save=True keeps one report of a folder") as caught:
        verify(FIXTURES / "default", folder / FILES[0], save=True)
    assert str(folder) in str(caught.value.hint)
    assert not (folder / "parity.json").exists()


def test_onnx_models_are_not_held_to_recorded_outputs(alone: Path):
    golden = FIXTURES / "default" / "golden.npz"
    with pytest.raises(UsageError, match="golden holds outputs to a model that is run in float64 too"):
        verify(None, alone, golden=golden)


def test_a_new_model_is_verified_before_it_gets_its_name(golden_pair: Path, tmp_path: Path, recorded: Recorded):
    source = ("convert", golden_pair / "discriminator", tmp_path / "out", "--to", "onnx", "--quantize", "int8")
    recorded.stages["logits"][0] = recorded.stages["logits"][0] + 1
    said = run(*source, "--verify").refusal()
    assert "is not written, since it would not be the same model" in said
    assert not (tmp_path / "out").exists()
    recorded.stages["logits"][0] = recorded.stages["logits"][0] - 1
    assert run(*source, "--verify").code == 0
    saved = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert set(saved["models"]) == {FLOAT32, INT8}
    assert set(FILES) <= saved["files"].keys()


def test_a_model_that_is_added_to_a_folder_is_verified_afterwards(folder: Path):
    said = run("convert", folder, folder, "--to", "onnx", "--overwrite", "--verify").refusal(2)
    assert "--verify looks at a folder before it gets its name" in said
    assert "verify SOURCE OUTPUT --save" in said
