"""What transformers' TensorFlow classes save, in every container: read as the same model, or refused with why."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import unpacked
from safetensors.numpy import load_file, save_file
from support.keras_files import alone, as_transformers_saves, keras_name, keras_values, read_h5, within, write_h5
from support.pairs import change_weights

from electra_convert import convert, inspect, load_state_dict, verify
from electra_convert.errors import ConfigError, CorruptFileError, NamesError, SourceError

# What was saved by transformers 4.57.6, and the class that it is of; what has both models has none.
MODELS = {
    "pretraining": "ElectraForPreTraining",
    "masked_lm": "ElectraForMaskedLM",
    "masked_lm_shards": "ElectraForMaskedLM",
    "sequence_classification": "ElectraForSequenceClassification",
    "token_classification": "ElectraForTokenClassification",
    "question_answering": "ElectraForQuestionAnswering",
    "multiple_choice": "ElectraForMultipleChoice",
    "safetensors": "ElectraForMaskedLM",
    "safetensors_shards": "ElectraForPreTraining",
    "objects": "ElectraForPreTraining",
    "saved_model": "ElectraForPreTraining",
    "functional": "ElectraModel",
    "functional_objects": "ElectraModel",
}
ANSWERS = ("logits", "start_logits", "end_logits")
COUNTED = "tf_electra_for_pre_training_12"


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


@pytest.fixture
def discriminator(golden_pair: Path) -> dict[str, np.ndarray]:
    return weights_of(golden_pair / "discriminator")


@pytest.fixture
def saved(golden_pair: Path, tmp_path: Path):
    """Writes a model of the golden pair as Keras would have saved it, beside its configuration."""

    def save(where, role: str = "discriminator", name: str = "tf_model.h5", more=None, change=None) -> Path:
        folder = tmp_path / "saved"
        folder.mkdir()
        weights = weights_of(golden_pair / role)
        if change is not None:
            change(weights)
        write_h5(folder / name, weights, where, more)
        for file in ("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(golden_pair / role / file, folder)
        return folder

    return save


# What real software saved


@pytest.mark.parametrize(("name", "architecture"), MODELS.items())
def test_a_model_that_transformers_saved_converts_to_the_class_it_was(tmp_path, name, architecture):
    result = convert(unpacked(name, tmp_path), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["architectures"], config["dtype"]) == ([architecture], "float32")
    assert not [notice for notice in result.notices if "weights.data" in notice or "variables" in notice]
    around = [line for line in result.warnings if "classifier" in line]
    assert len(around) == name.startswith("functional")


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_what_was_converted_computes_what_tensorflow_computed(tmp_path, name):
    import torch
    import transformers

    convert(unpacked(name, tmp_path), tmp_path / "out")
    golden = np.load(tmp_path / name / "golden.npz")
    inputs = {key: torch.tensor(golden[key]) for key in ("input_ids", "attention_mask", "token_type_ids")}
    if name == "multiple_choice":
        inputs = {key: values[None] for key, values in inputs.items()}
    model = getattr(transformers, MODELS[name]).from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        computed = model(**inputs, output_hidden_states=True)
    states = np.stack([state.numpy() for state in computed.hidden_states])
    np.testing.assert_allclose(states, golden["hidden_states"], atol=2e-5)
    for answer in ANSWERS:
        if answer in golden:
            np.testing.assert_allclose(computed[answer].numpy(), golden[answer], atol=2e-5)


@pytest.mark.slow
def test_both_models_of_one_graph_compute_what_tensorflow_computed(tmp_path):
    import torch
    import transformers

    convert(unpacked("pair_of_objects", tmp_path), tmp_path / "out")
    for role, name in (("discriminator", "ElectraForPreTraining"), ("generator", "ElectraForMaskedLM")):
        golden = np.load(tmp_path / "pair_of_objects" / f"golden_{role}.npz")
        inputs = {key: torch.tensor(golden[key]) for key in ("input_ids", "attention_mask", "token_type_ids")}
        with torch.no_grad():
            model = getattr(transformers, name).from_pretrained(tmp_path / "out" / role).eval()
            np.testing.assert_allclose(model(**inputs).logits.numpy(), golden["logits"], atol=2e-5)


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith(("safe", "obj", "saved", "func"))])
def test_every_tensor_has_the_bits_that_h5py_reads_under_keras_name(tmp_path, name):
    folder = unpacked(name, tmp_path)
    found = {key: array for path in folder.glob("*.h5") for key, array in read_h5(path).items()}
    weights = load_state_dict(folder, "generator" if name.startswith("masked") else "discriminator")
    for parameter, values in weights.items():
        stored = [array for key, array in found.items() if f"/{key}".endswith(f"/{keras_name(parameter)}")]
        assert stored
        for array in stored:
            assert keras_values(parameter, values).tobytes() == array.tobytes()


def test_a_graph_of_both_models_becomes_a_pair_configured_by_its_run(tmp_path):
    result = convert(unpacked("pair_of_objects", tmp_path), tmp_path / "out")
    assert result.step == 7
    assert result.origins["discriminator"]["num_attention_heads"] == "pretrain_config.json"
    assert result.configs["generator"]["num_attention_heads"] == 1
    assert "Left out, state of Keras' optimiser: 169 tensors." in result.notices
    assert "Left out, counters of the training: phase2/.ATTRIBUTES/VARIABLE_VALUE." in result.notices
    tables = [weights_of(tmp_path / "out" / role)["electra.embeddings.word_embeddings.weight"] for role in ROLES]
    assert tables[0].tobytes() == tables[1].tobytes()


ROLES = ("discriminator", "generator")


def test_a_run_that_contradicts_its_weights_is_refused(tmp_path):
    folder = unpacked("pair_of_objects", tmp_path)
    run = json.loads((folder / "pretrain_config.json").read_text())
    (folder / "pretrain_config.json").write_text(json.dumps({**run, "num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match=r"pretrain_config.json says the discriminator's num_hidden_layers is 3"):
        inspect(folder)
    (folder / "pretrain_config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"pretrain_config.json cannot be read"):
        inspect(folder)


@pytest.mark.parametrize("part", ["", "saved_model/1", "saved_model/1/saved_model.pb"])
def test_a_saved_model_is_configured_by_the_folder_that_it_was_saved_into(tmp_path, part):
    model = inspect(unpacked("saved_model", tmp_path) / part).models["discriminator"]
    assert model.config["num_attention_heads"].origin == "config.json"


# Files of other sizes, names and contents


@pytest.mark.parametrize(
    "where",
    [as_transformers_saves(COUNTED), as_transformers_saves("mein Modell"), as_transformers_saves("électra"), alone],
)
@pytest.mark.parametrize("role", ROLES)
def test_the_model_is_the_same_to_the_byte_whatever_keras_called_it(saved, golden_pair, tmp_path, where, role):
    convert(saved(where, role), tmp_path / "out")
    expected = (golden_pair / role / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


def test_a_pair_of_h5_folders_goes_to_google_as_the_pair_it_was(golden_pair, tmp_path):
    for role in ROLES:
        shutil.copytree(golden_pair / role, tmp_path / "pair" / role)
        weights = weights_of(golden_pair / role)
        (tmp_path / "pair" / role / "model.safetensors").unlink()
        write_h5(tmp_path / "pair" / role / "tf_model.h5", weights, as_transformers_saves("tf_electra"))
    convert(tmp_path / "pair", tmp_path / "back", to="tf")
    convert(golden_pair, tmp_path / "directly", to="tf")
    ((first,), (second,)) = ((tmp_path / name).glob("*.data-*") for name in ("back", "directly"))
    assert first.read_bytes() == second.read_bytes()


def test_both_models_in_one_file_are_told_apart_by_their_names(golden_pair, tmp_path):
    with h5py.File(tmp_path / "both.h5", "w") as file:
        for role in ROLES:
            for parameter, values in weights_of(golden_pair / role).items():
                name = keras_name(parameter)
                shared = name.startswith("electra/embeddings/")
                if not shared or role == "generator":
                    file[f"pretraining/of_{role}/{name}"] = keras_values(parameter, values)
    convert(tmp_path / "both.h5", tmp_path / "out")
    for role in ROLES:
        expected = (golden_pair / role / "model.safetensors").read_bytes()
        assert (tmp_path / "out" / role / "model.safetensors").read_bytes() == expected


def test_embeddings_that_stand_twice_and_are_equal_are_one_table(saved, tmp_path, golden_pair):
    word = "electra/embeddings/word_embeddings/weight:0"
    table = weights_of(golden_pair / "generator")["electra.embeddings.word_embeddings.weight"]
    where = as_transformers_saves("tf_electra_for_masked_lm")
    convert(
        saved(where, "generator", more={f"generator_lm_head/tf_electra_for_masked_lm/{word}": table}), tmp_path / "a"
    )
    assert weights_of(tmp_path / "a").keys() == weights_of(golden_pair / "generator").keys()


@pytest.mark.parametrize(("name", "said"), [("word_embeddings/weight", "table"), ("LayerNorm/beta", "tensor")])
def test_embeddings_that_stand_twice_and_differ_are_refused_by_name(saved, tmp_path, discriminator, name, said):
    size = (1500, 32) if said == "table" else (32,)
    again = {f"generator_lm_head/tf_x/electra/embeddings/{name}:0": np.zeros(size, np.float32)}
    folder = saved(as_transformers_saves("tf_x"), "generator", more=again)
    with pytest.raises(
        NamesError, match=rf"generator_lm_head/tf_x.*{name}:0 .* differ; in ELECTRA they are one {said}"
    ):
        convert(folder, tmp_path / "out")


@pytest.mark.parametrize("name", ["classifier", "dense"])
def test_layers_of_a_model_around_are_left_out_and_told(saved, golden_pair, tmp_path, name):
    around = {f"{name}/{name}/kernel:0": np.zeros((64, 3), np.float32), f"{name}/{name}/bias:0": np.zeros(3)}
    result = convert(saved(within("tf_electra_model"), name="my.h5", more=around), tmp_path / "out")
    assert f"Left out, layers of the Keras model around ELECTRA: {name}/{name}. Without them" in result.warnings[0]
    assert weights_of(tmp_path / "out").keys() == weights_of(golden_pair / "discriminator").keys()


def test_an_optimisers_group_is_left_out_and_told(saved, tmp_path):
    slot = {"optimizer_weights/Adam/m/tf_electra_model/electra/embeddings/LayerNorm/beta:0": np.zeros(32)}
    result = convert(saved(within("tf_electra_model"), name="whole.h5", more=slot), tmp_path / "out")
    assert "Left out, state of Keras' optimiser: 1 tensor." in result.notices


def test_a_variable_of_the_model_that_no_name_explains_is_refused_or_excluded(saved, tmp_path):
    folder = saved(as_transformers_saves("tf_x"), more={"electra/tf_x/electra/encoder/gates:0": np.zeros(3)})
    with pytest.raises(
        NamesError, match="1 tensor of no ELECTRA model that this tool knows: electra/tf_x/electra/enco"
    ):
        convert(folder, tmp_path / "out")
    convert(folder, tmp_path / "out", exclude="*/gates:0")


@pytest.mark.parametrize(
    "parameter", ["electra.encoder.layer.1.output.dense.bias", "discriminator_predictions.dense.weight"]
)
def test_a_missing_tensor_is_named(saved, parameter):
    folder = saved(as_transformers_saves("tf_x"), change=lambda weights: weights.pop(parameter))
    with pytest.raises(NamesError, match=rf"not a complete ELECTRA .*1 tensor missing: {re.escape(parameter)}"):
        inspect(folder)


def test_config_json_says_the_dtype_of_the_weights(saved, tmp_path):
    def halve(weights):
        weights.update({name: values.astype(np.float16) for name, values in weights.items()})

    convert(saved(alone, change=halve), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float16"


def test_weights_that_are_no_floats_are_refused_by_name(saved):
    def change(weights):
        weights["electra.embeddings.LayerNorm.bias"] = np.zeros(32, np.int32)

    with pytest.raises(NamesError, match=r"but electra.embeddings.LayerNorm.bias is int32"):
        inspect(saved(alone, change=change))


# Wrong conversions are seen


@pytest.mark.parametrize("mistake", ["untransposed", "swapped"])
def test_verify_sees_a_square_kernel_that_is_not_the_one(saved, tmp_path, mistake):
    folder = saved(as_transformers_saves("tf_x"))
    convert(folder, tmp_path / "out")
    assert verify(folder, tmp_path / "out", weights_only=True).passed

    def spoil(weights):
        query, key = (f"electra.encoder.layer.0.attention.self.{name}.weight" for name in ("query", "key"))
        spoilt = {query: weights[key], key: weights[query]} if mistake == "swapped" else {query: weights[query].T}
        weights.update(spoilt)

    change_weights(tmp_path / "out", spoil)
    report = verify(folder, tmp_path / "out", weights_only=True)
    assert report.verdict == "different"
    assert "attention.self.query.weight" in " ".join(report.reasons)


@pytest.fixture
def recorded(tmp_path):
    """A model as transformers saved it, and what TensorFlow computed, as verify takes it."""
    folder = unpacked("pretraining", tmp_path)
    golden = np.load(folder / "golden.npz")
    place = tmp_path / "recorded.npz"
    np.savez(
        place,
        disc_ids=golden["input_ids"],
        input_mask=golden["attention_mask"],
        segment_ids=golden["token_type_ids"],
        disc_logits=golden["logits"],
        disc_hidden=golden["hidden_states"][1:],
    )
    return folder, place


@pytest.mark.slow
def test_a_model_of_keras_is_held_against_what_tensorflow_computed(recorded):
    folder, golden = recorded
    report = verify(None, folder, golden=golden)
    assert report.passed


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["untransposed", "swapped"])
def test_what_tensorflow_computed_tells_a_square_kernel_that_is_not_the_one(recorded, mistake):
    folder, golden = recorded
    places = [
        f"electra/tf_electra_for_pre_training/electra/encoder/layer_._0/attention/self/{name}/kernel:0"
        for name in ("query", "value")
    ]
    with h5py.File(folder / "tf_model.h5", "r+") as file:
        query, value = (file[place][()] for place in places)
        file[places[0]][()] = query.T if mistake == "untransposed" else value
        file[places[1]][()] = value if mistake == "untransposed" else query
    report = verify(None, folder, golden=golden)
    assert report.verdict == "different"
    assert report.models["discriminator"].outputs.first_differing.name == "layer 1"


# What is refused


def test_variables_that_are_numbered_are_refused_with_what_to_do(tmp_path):
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file["layers/embedding/vars/0"] = np.zeros((3, 2), np.float32)
    with pytest.raises(SourceError, match=r"numbers its variables \(vars/0\)") as refused:
        inspect(tmp_path)
    assert "hf://google/electra-small-discriminator" in refused.value.hint


def test_another_model_of_keras_is_refused_as_what_it_is(tmp_path):
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file["bert/tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0"] = np.zeros((3, 2), np.float32)
    with pytest.raises(SourceError, match=r"is not an ELECTRA model: .* it looks like a BERT model"):
        inspect(tmp_path)


def test_an_index_that_lists_what_no_shard_holds_is_damaged(tmp_path):
    folder = unpacked("masked_lm_shards", tmp_path)
    index = folder / "tf_model.h5.index.json"
    listed = json.loads(index.read_text())
    listed["weight_map"]["tf_x/electra/more:0"] = "tf_model-00001-of-00004.h5"
    index.write_text(json.dumps(listed))
    with pytest.raises(CorruptFileError, match=r"'electra/more:0' is not in 'tf_model-00001-of-00004.h5'"):
        inspect(folder)


def test_a_shard_may_be_empty(tmp_path):
    folder = unpacked("masked_lm_shards", tmp_path)
    with h5py.File(folder / "tf_model-00000-of-00004.h5", "w"):
        pass
    assert inspect(folder).models.keys() == {"generator"}


def test_safetensors_of_tensorflow_are_told_by_their_names(saved, golden_pair, tmp_path):
    folder = saved(alone)
    with h5py.File(folder / "tf_model.h5") as file:
        tensors = {name: file[name][()] for name in read_h5(folder / "tf_model.h5")}
    (folder / "tf_model.h5").unlink()
    save_file(tensors, folder / "model.safetensors", {"format": "tf"})
    convert(folder, tmp_path / "out")
    expected = (golden_pair / "discriminator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


def test_a_keras_file_beside_the_checkpoint_that_it_was_made_of_is_passed_over(golden_copy):
    folder = golden_copy()
    (folder / "tf_model.h5").write_bytes(b"not read")
    assert inspect(folder).format == "tensorflow"
