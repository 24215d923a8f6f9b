"""convert --to onnx: what onnxruntime computes of it is what Google's code and transformers compute."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN, VARIANT_SIZES
from support import checkpoints
from support.checkpoints import SIZES
from support.command_line import run, run_program
from support.fine_tuned import TASKS, TUNED, VOCABULARY
from support.forward import NETWORKS
from support.onnx_models import checked
from support.onnx_models import run as run_onnx
from test_import_rules import BLOCKED

from electra_convert import convert
from electra_convert.graphs.activations import ACTIVATIONS
from electra_convert.schemes.heads import HEADS

# What float32 rounds off, where values reach 10.
CLOSE = 1e-5
GIVEN = {"discriminator": "disc", "generator": "gen"}


@pytest.fixture(scope="session")
def onnx_pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden checkpoints as ONNX, once a session; not to be changed."""
    place = tmp_path_factory.mktemp("onnx")
    for name in GOLDEN:
        convert(FIXTURES / name, place / name, vocab=VOCABULARY, to="onnx")
    return {name: place / name for name in GOLDEN}


def recorded(name: str, role: str) -> tuple[dict, np.ndarray, np.ndarray]:
    """What a model was given, the logits that Google's code recorded and where, and the hidden states."""
    golden = np.load(FIXTURES / name / "golden.npz")
    start = GIVEN[role]
    given = {"ids": golden[f"{start}_ids"], "mask": golden["input_mask"], "types": golden["segment_ids"]}
    return given, golden[f"{start}_logits"], golden[f"{start}_hidden"]


def at_masks(name: str, role: str, logits: np.ndarray) -> np.ndarray:
    """A generator's logits where they were recorded; a discriminator's everywhere."""
    if role == "discriminator":
        return logits
    places = np.load(FIXTURES / name / "golden.npz")["gen_positions"]
    return logits[places[:, 0], places[:, 1]]


@pytest.mark.parametrize("role", GIVEN)
@pytest.mark.parametrize("name", GOLDEN)
def test_a_pretrained_model_computes_what_googles_code_recorded(onnx_pairs, name: str, role: str):
    given, logits, hidden = recorded(name, role)
    computed, layers = run_onnx(onnx_pairs[name] / role / "onnx" / "model.onnx", **given)
    np.testing.assert_allclose(at_masks(name, role, computed["logits"]), logits, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(np.stack(layers), hidden, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("row", [0, 2])
def test_batch_and_length_may_be_any(onnx_pairs, row: int):
    given, logits, hidden = recorded("default", "discriminator")
    length = int(given["mask"][row].sum())
    alone = {name: array[row : row + 1, :length] for name, array in given.items()}
    computed, layers = run_onnx(onnx_pairs["default"] / "discriminator" / "onnx" / "model.onnx", **alone)
    np.testing.assert_allclose(computed["logits"][0], logits[row, :length], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(np.stack(layers)[:, 0], hidden[:, row, :length], rtol=0, atol=CLOSE)


@pytest.mark.parametrize(("folder", "task", "place", "architecture", "labels"), TASKS)
def test_a_fine_tuned_model_computes_what_googles_code_recorded(
    tmp_path: Path, folder: str, task: str, place: str, architecture: str, labels
):
    convert(TUNED / folder, tmp_path / "out", vocab=VOCABULARY, to="onnx")
    golden = np.load(TUNED / folder / "golden.npz")
    model = tmp_path / "out" / place
    given = (golden["input_ids"], golden["input_mask"], golden["segment_ids"])
    computed, layers = run_onnx(model / "onnx" / "model.onnx", *given)
    prefix = "" if place == "." else f"{task}/"
    for name, values in computed.items():
        expected = golden[f"{prefix}{name}{'_unmasked' if name != 'logits' else ''}"]
        np.testing.assert_allclose(values, expected, rtol=0, atol=CLOSE, err_msg=name)
    np.testing.assert_allclose(layers[-1], golden["last_hidden"], rtol=0, atol=CLOSE)
    config = json.loads((model / "config.json").read_text())
    assert config["architectures"] == [architecture]
    assert list(config.get("id2label", {}).values()) == (labels or [])


def test_an_encoder_without_a_head_gives_its_hidden_states(tmp_path: Path):
    convert(TUNED / "squad_joint", tmp_path / "out", vocab=VOCABULARY, to="onnx")
    golden = np.load(TUNED / "squad_joint" / "golden.npz")
    given = (golden["input_ids"], golden["input_mask"], golden["segment_ids"])
    computed, _ = run_onnx(tmp_path / "out" / "onnx" / "model.onnx", *given)
    np.testing.assert_allclose(computed.pop("last_hidden_state"), golden["last_hidden"], rtol=0, atol=CLOSE)
    assert not computed


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_every_layout_computes_what_the_oracle_does(written, oracle_outputs, tmp_path: Path, variant, sizes):
    source, made = written(variant, sizes), SIZES[sizes]
    # transformers computes a generator's head with gelu alone.
    roles = [role for role in NETWORKS[variant] if role == "discriminator" or made.activation == "gelu"]
    for role in roles:
        convert(source, tmp_path / role, to="onnx", model=role)
        expected = oracle_outputs(variant, sizes, role)
        computed, layers = run_onnx(tmp_path / role / "onnx" / "model.onnx", *checkpoints.inputs(made).values())
        np.testing.assert_allclose(np.stack(layers), expected.hidden, rtol=0, atol=CLOSE)
        if expected.logits is not None:
            np.testing.assert_allclose(computed["logits"], expected.logits, rtol=1e-6, atol=CLOSE)


# Class of transformers, what its configuration says, and what it computes that is no layout of Google's.
OTHERS = [
    *[("ElectraForPreTraining", {"hidden_act": name}) for name in ACTIVATIONS if name != "gelu_accurate"],
    ("ElectraForMaskedLM", {"hidden_act": "relu", "tie_word_embeddings": False}),
    ("ElectraForMaskedLM", {"embedding_size": 24, "layer_norm_eps": 1e-3}),
    ("ElectraModel", {"type_vocab_size": 4, "num_attention_heads": 3, "hidden_size": 24}),
    ("ElectraForSequenceClassification", {"hidden_act": "relu", "num_labels": 5}),
    ("ElectraForTokenClassification", {"hidden_act": "gelu_new", "num_labels": 7}),
    ("ElectraForQuestionAnswering", {"layer_norm_eps": 1e-6}),
]
TINY = {
    "vocab_size": 50,
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
}


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "settings"), OTHERS)
def test_every_class_computes_what_transformers_does(tmp_path: Path, architecture: str, settings: dict):
    """With weights of a size at which activations differ, at padded places, and where everything is padded."""
    import torch
    import transformers

    torch.manual_seed(1)
    config = transformers.ElectraConfig(**TINY | settings, attn_implementation="eager")
    model = getattr(transformers, architecture)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    model.save_pretrained(tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "out", to="onnx")
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 50, (4, 13))
    types = rng.integers(0, config.type_vocab_size, ids.shape)
    mask = np.arange(13) < np.array([13, 5, 1, 0])[:, None]
    computed, _ = run_onnx(tmp_path / "out" / "onnx" / "model.onnx", ids, mask, types)
    with torch.no_grad():
        tensors = [torch.from_numpy(array.astype(np.int64)) for array in (ids, mask, types)]
        expected = model(**dict(zip(("input_ids", "attention_mask", "token_type_ids"), tensors, strict=True)))
    assert computed.keys() <= expected.keys()
    for name, values in computed.items():
        scale = float(expected[name].abs().max())
        np.testing.assert_allclose(values, expected[name].numpy(), rtol=0, atol=scale * CLOSE, err_msg=name)


def test_nothing_is_imported_that_computes_or_knows_onnx(tmp_path: Path):
    program = BLOCKED.replace("in {", "in {'onnx', 'onnxruntime', 'google', ") + (
        "from electra_convert import convert\nconvert(*sys.argv[1:], to='onnx')"
    )
    ran = run_program(program, FIXTURES / "default", tmp_path / "out")
    assert (ran.code, ran.out) == (0, "")
    assert (tmp_path / "out" / "generator" / "onnx" / "model.onnx").is_file()


def test_the_folder_is_laid_out_as_transformers_js_and_optimum_look_for_it(onnx_pairs):
    folder = onnx_pairs["default"] / "discriminator"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert names == {"config.json", "conversion.json", "onnx/model.onnx", *tokenizer}
    model = checked(folder / "onnx" / "model.onnx")
    dimensions = {
        port.name: [size.dim_param or size.dim_value for size in port.type.tensor_type.shape.dim]
        for port in (*model.graph.input, *model.graph.output)
    }
    shape = ["batch_size", "sequence_length"]
    assert dimensions == dict.fromkeys(("input_ids", "attention_mask", "token_type_ids", "logits"), shape)


def test_the_record_says_which_operators_are_used_and_where_each_weight_is(onnx_pairs):
    folder = onnx_pairs["default"] / "generator"
    record = json.loads((folder / "conversion.json").read_text())
    model = checked(folder / "onnx" / "model.onnx")
    assert record["onnx"] == {"opset": model.opset_import[0].version, "ir_version": model.ir_version}
    weights = {tensor.name for tensor in model.graph.initializer if "." in tensor.name.removeprefix("float32.")}
    assert {row["output"] for row in record["tensors"]} == {name for name in weights if name[0] in "eg"}


def test_half_precision_becomes_the_same_numbers_in_float32(golden_pair: Path, tmp_path: Path):
    import onnx
    from safetensors.numpy import load_file

    convert(golden_pair, tmp_path / "half", to="safetensors", dtype="float16", model="discriminator")
    convert(tmp_path / "half", tmp_path / "out", to="onnx")
    model = checked(tmp_path / "out" / "onnx" / "model.onnx")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = load_file(tmp_path / "half" / "model.safetensors")
    for name, values in weights.items():
        kernel = held.get(f"{name.removesuffix('weight')}kernel")
        found = held[name] if kernel is None else kernel.T
        np.testing.assert_array_equal(found, values.astype(np.float32), err_msg=name)


def test_what_a_head_has_that_transformers_has_not_is_said_to_be_left_out(tmp_path: Path):
    ran = run("convert", TUNED / "squad_answerable", tmp_path / "out", "--vocab", VOCABULARY, "--to", "onnx")
    told = " ".join(ran.err.split())
    assert (
        "Left out, since ElectraForQuestionAnswering has no place for it: what says that there is no answer" in told
    )


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--dtype", "float16"], "--dtype float16 does not go with --to onnx"),
        (["--max-shard-size", "1GB"], "--max-shard-size does not go with --to onnx"),
        (["--optimizer"], "--optimizer does not go with --to onnx"),
        (["--prefix", "model"], "--prefix goes with --to tf, not with --to onnx"),
    ],
)
def test_an_option_that_an_onnx_model_has_no_use_for_is_refused(tmp_path: Path, option, complaint: str):
    ran = run("convert", FIXTURES / "default", tmp_path / "out", "--to", "onnx", *option)
    assert complaint in ran.refusal(2)


def test_float64_is_not_rounded_unless_that_is_asked_for(written, tmp_path: Path):
    def widen(tensors):
        tensors.update({name: tensor.astype(np.float64) for name, tensor in tensors.items() if tensor.ndim})

    source = written("uniform_generator", "odd", change=widen)
    refused = run("convert", source, tmp_path / "out", "--to", "onnx").refusal(2)
    assert "is float64" in refused
    assert "--dtype float32" in refused
    assert run("convert", source, tmp_path / "out", "--to", "onnx", "--dtype", "float32").code == 0


@pytest.mark.slow
def test_a_head_that_nobody_knows_how_to_compute_is_refused(tmp_path: Path):
    import transformers

    model = transformers.ElectraForMultipleChoice(transformers.ElectraConfig(**TINY))
    model.save_pretrained(tmp_path / "model")
    said = run("convert", tmp_path / "model", tmp_path / "out", "--to", "onnx").refusal()
    assert "it is not known how its head computes: classifier." in said
    assert "text-classification" in said


def test_an_activation_without_operators_is_refused(golden_pair: Path, tmp_path: Path):
    import shutil

    copy = shutil.copytree(golden_pair / "discriminator", tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "hidden_act": "laplace"}))
    said = run("convert", copy, tmp_path / "out", "--to", "onnx").refusal()
    assert "hidden_act is 'laplace'" in said
    assert "gelu_new" in said


def test_all_heads_of_the_table_say_how_they_compute():
    assert not [head.name for head in HEADS.values() if head.compute is None]
