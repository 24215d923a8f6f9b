"""What training programs save: both models in one file, under prefixes, with more beside them; read as a pair."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from electra_convert import convert, inspect, load_state_dict, open_model, verify
from electra_convert.errors import ConfigError, NamesError, SourceError

ROLES = ("discriminator", "generator")
TABLE, WORDS = "generator_lm_head.weight", "electra.embeddings.word_embeddings.weight"
QUERY, KEY = (f"electra.encoder.layer.0.attention.self.{name}.weight" for name in ("query", "key"))
Arrays = Mapping[str, NDArray[np.floating]]


def save(path: Path, *states: Arrays, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    joined = {name: np.ascontiguousarray(array) for state in states for name, array in state.items()}
    save_file(joined, path, metadata)
    return path


def prefixed(prefix: str, state: Arrays) -> dict[str, NDArray[np.floating]]:
    return {f"{prefix}{name}": array for name, array in state.items()}


@pytest.fixture
def halves(golden_pair: Path) -> dict[str, dict[str, NDArray[np.floating]]]:
    return {role: load_file(golden_pair / role / "model.safetensors") for role in ROLES}


@pytest.fixture
def untied(halves, tmp_path: Path) -> Path:
    """A pair as lucidrains' program leaves it: the generator's output table was trained apart from its embeddings."""
    table = halves["generator"][WORDS] + np.float32(0.5)
    generator = {**halves["generator"], TABLE: table}
    return save(
        tmp_path / "electra.safetensors",
        *(prefixed("discriminator.", halves["discriminator"]),),
        *(prefixed("generator.", generator),),
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "{role}.",
        "{role}_model.",
        "{role}.adaptee.",
        "module.{role}.adaptee.",
        "_orig_mod.{role}.module.",
        "model.{role}.",
        "my_trainer.pair.{role}.model.",
    ],
)
def test_both_models_of_a_file_come_out_as_the_very_bytes_of_the_pair(halves, golden_pair, tmp_path, prefix):
    states = [prefixed(prefix.format(role=role), halves[role]) for role in ROLES]
    result = convert(save(tmp_path / "both.safetensors", *states), tmp_path / "out")
    assert result.to == "safetensors"
    for role in ROLES:
        expected = (golden_pair / role / "model.safetensors").read_bytes()
        assert (tmp_path / "out" / role / "model.safetensors").read_bytes() == expected


@pytest.mark.parametrize(
    "prefix",
    ["model.", "net.", "adaptee.", "module.adaptee.", "0.net.", "base_model.", "electra.", "module.mine.lm."],
)
@pytest.mark.parametrize("role", ROLES)
def test_a_model_alone_is_found_within_whatever_is_around_it(halves, golden_pair, tmp_path, prefix, role):
    source = save(tmp_path / "one.safetensors", prefixed(prefix, halves[role]))
    convert(source, tmp_path / "out")
    expected = (golden_pair / role / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


def test_a_pair_in_one_file_goes_to_the_tensorflow_checkpoint_that_it_came_from(halves, golden_pair, tmp_path):
    source = save(tmp_path / "both.safetensors", *(prefixed(f"{role}.", halves[role]) for role in ROLES))
    config = golden_pair / "discriminator" / "config.json"
    convert(source, tmp_path / "tf", to="tf", config=config)
    convert(golden_pair, tmp_path / "expected")
    written, expected = (next((tmp_path / name).glob("*.data-*")) for name in ("tf", "expected"))
    assert written.read_bytes() == expected.read_bytes()


def test_half_of_a_file_converts_alone(halves, golden_pair, tmp_path):
    source = save(tmp_path / "both.safetensors", *(prefixed(f"{role}.", halves[role]) for role in ROLES))
    convert(source, tmp_path / "out", model="generator")
    expected = (golden_pair / "generator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


# The generator's output table


def test_an_output_table_of_its_own_is_kept_untied_and_it_is_said(untied, tmp_path):
    result = convert(untied, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "generator" / "config.json").read_text())
    written = load_file(tmp_path / "out" / "generator" / "model.safetensors")
    assert config["tie_word_embeddings"] is False
    assert np.array_equal(written[TABLE], written[WORDS] + np.float32(0.5))
    assert any("output table" in notice and TABLE in notice for notice in result.notices)


def test_it_is_read_again_from_the_folder_that_was_written(untied, tmp_path):
    convert(untied, tmp_path / "out")
    convert(tmp_path / "out", tmp_path / "again", to="safetensors")
    for name in ("model.safetensors", "config.json"):
        first, second = ((tmp_path / folder / "generator" / name).read_bytes() for folder in ("out", "again"))
        assert first == second


def test_where_config_json_ties_it_two_tables_are_still_refused(untied, tmp_path):
    config = convert(untied, tmp_path / "out").output / "generator" / "config.json"
    config.write_text(config.read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
    with pytest.raises(NamesError, match=rf"{TABLE} and {re.escape(WORDS)} differ"):
        convert(tmp_path / "out" / "generator", tmp_path / "again", to="safetensors")


@pytest.mark.parametrize("source", ["file", "folder"])
def test_googles_layout_has_no_place_for_it(untied, tmp_path, source):
    convert(untied, tmp_path / "out")
    chosen = untied if source == "file" else tmp_path / "out"
    with pytest.raises(NamesError, match=rf"{TABLE} is an output table of its own") as caught:
        convert(chosen, tmp_path / "tf", to="tf")
    assert 'model="discriminator"' in caught.value.hint
    convert(chosen, tmp_path / "tf", to="tf", model="discriminator")


@pytest.mark.slow
def test_transformers_and_the_demo_compute_with_it(untied, tmp_path):
    from support.transformers_models import run

    convert(untied, tmp_path / "out")
    ids = np.arange(1, 25).reshape(2, 12)
    ones, zeros = np.ones_like(ids), np.zeros_like(ids)
    by_transformers = run(tmp_path / "out" / "generator", ids, ones, zeros).logits
    for source in (untied, tmp_path / "out"):
        network = open_model(source, "generator", vocab="fixtures/vocab.txt").network
        assert np.abs(network.run(ids, ones, zeros) - by_transformers).max() < 2e-5


def test_a_table_that_is_the_word_embeddings_is_not_written_twice(halves, golden_pair, tmp_path):
    generator = {**halves["generator"], TABLE: halves["generator"][WORDS]}
    convert(save(tmp_path / "one.safetensors", prefixed("generator.", generator)), tmp_path / "out")
    expected = (golden_pair / "generator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


# Which configuration


@pytest.fixture
def trained_by_simpletransformers(halves, golden_pair, tmp_path) -> Path:
    """Its folder: weights in one file, a default config.json that fits neither model, and the true ones."""
    folder = tmp_path / "outputs"
    save(folder / "model.safetensors", *(prefixed(f"{role}_model.", halves[role]) for role in ROLES))
    default = {"model_type": "electra", "architectures": ["ElectraForLanguageModelingModel"], "hidden_size": 256}
    (folder / "config.json").write_text(json.dumps(default))
    for role in ROLES:
        config = json.loads((golden_pair / role / "config.json").read_text())
        del config["architectures"]
        (folder / f"{role}_config").mkdir()
        (folder / f"{role}_config" / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-11}))
    shutil.copy(golden_pair / "discriminator" / "vocab.txt", folder)
    return folder


def test_simpletransformers_true_configurations_are_used(trained_by_simpletransformers, tmp_path):
    result = convert(trained_by_simpletransformers, tmp_path / "out")
    for role, architecture in zip(ROLES, ("ElectraForPreTraining", "ElectraForMaskedLM"), strict=True):
        config = json.loads((tmp_path / "out" / role / "config.json").read_text())
        assert (config["layer_norm_eps"], config["architectures"]) == (1e-11, [architecture])
        assert result.origins[role]["num_attention_heads"] == f"{role}_config/config.json"
        assert (tmp_path / "out" / role / "vocab.txt").is_file()
    assert not result.warnings
    told = "\n".join(result.notices)
    assert "discriminator_config/config.json and generator_config/config.json are" in told
    assert "discriminator_config/," not in told


def test_without_them_its_default_configuration_is_used_for_neither(trained_by_simpletransformers, tmp_path):
    for role in ROLES:
        shutil.rmtree(trained_by_simpletransformers / f"{role}_config")
    result = convert(trained_by_simpletransformers, tmp_path / "out")
    assert result.configs["discriminator"]["layer_norm_eps"] == 1e-12
    assert any("config.json beside the weights is not of these models" in notice for notice in result.notices)
    assert any("guess" in warning for warning in result.warnings)


def test_nor_is_it_used_for_one_model_that_is_alone_in_the_file(trained_by_simpletransformers, halves, tmp_path):
    for role in ROLES:
        shutil.rmtree(trained_by_simpletransformers / f"{role}_config")
    save(trained_by_simpletransformers / "model.safetensors", prefixed("generator_model.", halves["generator"]))
    assert convert(trained_by_simpletransformers, tmp_path / "out").configs["generator"]["layer_norm_eps"] == 1e-12


@pytest.mark.parametrize("named", [True, False], ids=["by its class", "by its sizes"])
@pytest.mark.parametrize("role", ROLES)
def test_a_configuration_beside_a_pair_is_of_the_half_that_it_fits(halves, golden_pair, tmp_path, role, named):
    save(tmp_path / "in" / "both.safetensors", *(prefixed(f"{role}.", halves[role]) for role in ROLES))
    config = json.loads((golden_pair / role / "config.json").read_text()) | {"layer_norm_eps": 1e-11}
    if not named:
        del config["architectures"]
    (tmp_path / "in" / "config.json").write_text(json.dumps(config))
    configs = convert(tmp_path / "in", tmp_path / "out").configs
    other = next(name for name in ROLES if name != role)
    assert (configs[role]["layer_norm_eps"], configs[other]["layer_norm_eps"]) == (1e-11, 1e-12)


# What is beside the models


def test_an_extractors_head_is_refused_by_name_and_reason_and_may_be_excluded(halves, golden_pair, tmp_path):
    head = {"discriminator.1.weight": np.ones((1, 16), "<f4"), "discriminator.1.bias": np.ones(1, "<f4")}
    states = prefixed("discriminator.0.net.", halves["discriminator"]), prefixed("generator.", halves["generator"])
    source = save(tmp_path / "both.safetensors", *states, head)
    with pytest.raises(NamesError, match=r"discriminator\.1\.bias, discriminator\.1\.weight.*linear layer over"):
        convert(source, tmp_path / "out")
    convert(source, tmp_path / "out", exclude="discriminator.1.*")
    expected = (golden_pair / "discriminator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "discriminator" / "model.safetensors").read_bytes() == expected


@pytest.fixture
def sentences(halves, tmp_path) -> tuple[Path, NDArray[np.floating]]:
    """A model that richarddwang's program fine-tuned, and the kernel of its one dense layer."""
    encoder = {
        name.removeprefix("electra."): array
        for name, array in halves["discriminator"].items()
        if name.startswith("electra.")
    }
    kernel = np.random.default_rng(5).standard_normal((3, encoder["encoder.layer.0.output.dense.bias"].size))
    head = {"classifier.weight": kernel.astype("<f4"), "classifier.bias": np.array([0.1, -0.2, 0.3], "<f4")}
    return save(tmp_path / "mnli.safetensors", prefixed("base_model.", encoder), head), head["classifier.weight"]


def test_one_dense_layer_on_the_first_token_is_not_taken_for_tagging(sentences, tmp_path):
    source, kernel = sentences
    result = convert(source, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["ElectraForSequenceClassification"]
    assert len(config["id2label"]) == 3
    assert any("pairs a class" in notice for notice in result.notices)
    convert(source, tmp_path / "tf", to="tf")
    from electra_convert.formats.tf_bundle import open_source

    (index,) = (tmp_path / "tf").glob("*.index")
    opened = open_source(index.with_suffix(""))
    (name,) = [name for name in opened.tensors if name.startswith("task_specific/") and name.endswith("kernel")]
    assert np.array_equal(opened.tensors[name].read(), kernel.T)
    opened.close()


@pytest.mark.slow
def test_transformers_computes_that_dense_layer(sentences, tmp_path):
    from support.transformers_models import run

    source, kernel = sentences
    convert(source, tmp_path / "out")
    ids = np.arange(1, 25).reshape(2, 12)
    found = run(tmp_path / "out", ids, np.ones_like(ids), np.zeros_like(ids))
    expected = found.hidden[-1][:, 0] @ kernel.T + np.array([0.1, -0.2, 0.3], "<f4")
    assert np.abs(found.logits - expected).max() < 2e-5


def test_what_is_of_neither_model_is_refused_by_name(halves, tmp_path):
    states = [prefixed(f"{role}.", halves[role]) for role in ROLES]
    source = save(tmp_path / "both.safetensors", *states, {"projection.weight": np.ones((2, 2), "<f4")})
    with pytest.raises(NamesError, match=r"1 tensor of no ELECTRA model that this tool knows: projection\.weight\n"):
        convert(source, tmp_path / "out")


def test_a_half_that_lacks_a_tensor_is_refused_by_name(halves, tmp_path):
    del halves["generator"]["generator_predictions.dense.bias"]
    source = save(tmp_path / "both.safetensors", *(prefixed(f"{role}.", halves[role]) for role in ROLES))
    with pytest.raises(NamesError, match=r"generator: 1 tensor missing: generator_predictions\.dense\.bias"):
        inspect(source)


def test_two_models_of_another_kind_are_said_to_be_what_they_are(halves, tmp_path):
    states = [
        {name.replace("electra.", "bert."): array for name, array in prefixed(f"{role}.", halves[role]).items()}
        for role in ROLES
    ]
    with pytest.raises(SourceError, match=r"is not an ELECTRA model.* a BERT model"):
        inspect(save(tmp_path / "both.safetensors", *states))


def test_buffers_of_positions_hold_no_weights_and_are_named(halves, tmp_path):
    buffers = {f"{role}.electra.embeddings.position_ids": np.arange(40)[None] for role in ROLES}
    states = [prefixed(f"{role}.", halves[role]) for role in ROLES]
    notices = convert(save(tmp_path / "both.safetensors", *states, buffers), tmp_path / "out").notices
    assert sum("buffers that hold no weights" in notice for notice in notices) == len(ROLES)


# What the two share


def test_embeddings_that_are_stored_once_are_both_models(halves, golden_pair, tmp_path):
    generator = {name: array for name, array in halves["generator"].items() if ".embeddings." not in name}
    states = prefixed("discriminator.", halves["discriminator"]), prefixed("generator.", generator)
    convert(save(tmp_path / "both.safetensors", *states), tmp_path / "out")
    expected = (golden_pair / "generator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "generator" / "model.safetensors").read_bytes() == expected


def test_what_safetensors_left_out_since_it_shares_memory_is_found_by_the_metadata(halves, golden_pair, tmp_path):
    bias = "generator.generator_lm_head.bias"
    state = prefixed("generator.", halves["generator"])
    stored = {("generator.bias" if name == bias else name): array for name, array in state.items()}
    stored["generator.elsewhere.bias"] = stored.pop("generator.bias")
    source = save(tmp_path / "one.safetensors", stored, metadata={bias: "generator.elsewhere.bias"})
    convert(source, tmp_path / "out", exclude="generator.elsewhere.bias")
    expected = (golden_pair / "generator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


# What must not go unseen


@pytest.mark.parametrize("change", ["swapped", "transposed"])
def test_square_matrices_that_are_swapped_or_transposed_are_found_by_verify(halves, golden_pair, tmp_path, change):
    state = halves["discriminator"]
    state[QUERY], state[KEY] = (
        (state[KEY], state[QUERY]) if change == "swapped" else (state[QUERY].T.copy(), state[KEY])
    )
    source = save(tmp_path / "one.safetensors", prefixed("discriminator.", state))
    report = verify(golden_pair / "discriminator", source, weights_only=True)
    assert not report.passed
    assert QUERY in " ".join(report.reasons)


def test_state_dicts_have_the_pairs_values_by_its_names(halves, tmp_path):
    source = save(tmp_path / "both.safetensors", *(prefixed(f"{role}.", halves[role]) for role in ROLES))
    for role in ROLES:
        read = load_state_dict(source, role)
        assert {name: array.tobytes() for name, array in read.items()} == {
            name: array.tobytes() for name, array in halves[role].items()
        }


# What torch saved


@pytest.mark.slow
def test_a_folder_of_one_torch_file_is_that_file_without_what_training_left(halves, golden_pair, tmp_path):
    import torch

    state = {
        name: torch.from_numpy(array)
        for role in ROLES
        for name, array in prefixed(f"{role}.adaptee.", halves[role]).items()
    }
    folder = tmp_path / "run"
    folder.mkdir()
    training = {"model": state, "optimizer": {"state": {0: torch.ones(3)}, "param_groups": []}, "epoch": 3}
    torch.save(training, folder / "vanilla_11081_12.5%.pth")
    torch.save({"rate": torch.ones(1)}, folder / "scheduler.pt")
    result = convert(folder, tmp_path / "out")
    assert "Read, of a training state, the weights under 'model'; left out: 'optimizer', 'epoch'." in result.notices
    for role in ROLES:
        expected = (golden_pair / role / "model.safetensors").read_bytes()
        assert (tmp_path / "out" / role / "model.safetensors").read_bytes() == expected


def test_a_config_that_is_of_another_architecture_is_still_refused(halves, tmp_path):
    save(tmp_path / "in" / "one.safetensors", prefixed("discriminator.", halves["discriminator"]))
    (tmp_path / "in" / "config.json").write_text('{"model_type": "electra", "hidden_size": 17}')
    with pytest.raises(ConfigError, match="hidden_size is 17, but the weights have 64"):
        inspect(tmp_path / "in")


def test_verify_holds_both_output_tables_to_each_other(untied, tmp_path):
    convert(untied, tmp_path / "out")
    report = verify(untied, tmp_path / "out" / "generator", weights_only=True)
    assert not report.models["generator"].weights.differing
    weights = tmp_path / "out" / "generator" / "model.safetensors"
    stored = load_file(weights)
    save_file({**stored, TABLE: stored[TABLE] * 2}, weights, {"format": "pt"})
    assert TABLE in " ".join(verify(untied, tmp_path / "out" / "generator", weights_only=True).reasons)
