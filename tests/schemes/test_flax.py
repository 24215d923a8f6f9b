"""Models that transformers' flax classes saved: under their names and in their orientation, in either container."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.flax_files import in_flax, nested, pack, read_state, write, write_shards

from electra_convert import convert, inspect, load_state_dict, open_model, verify
from electra_convert.errors import ConfigError, NamesError
from electra_convert.schemes.heads import HEADS

ROLES = ("discriminator", "generator")
QUERY = "electra.encoder.layer.0.attention.self.query.weight"


def described(golden_pair: Path, role: str, folder: Path) -> Path:
    """A folder with all that lies beside a model's weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (golden_pair / role).iterdir():
        if path.name not in {"model.safetensors", "conversion.json"}:
            shutil.copy(path, folder)
    return folder


def in_msgpack(folder: Path, state) -> None:
    write(folder / "flax_model.msgpack", state)


def in_chunks(folder: Path, state) -> None:
    write(folder / "flax_model.msgpack", state, chunk_bytes=1000)


def in_shards(folder: Path, state) -> None:
    write_shards(folder, state, 3)


def in_safetensors(folder: Path, state) -> None:
    save_file(in_flax(state), folder / "model.safetensors", {"format": "flax"})


def under_params(folder: Path, state) -> None:
    (folder / "flax_model.msgpack").write_bytes(pack({"params": nested(in_flax(state))}))


def in_a_training_state(folder: Path, state) -> None:
    moments = nested(in_flax({name: array for name, array in state.items() if "LayerNorm" in name}))
    tree = {"step": 7, "params": nested(in_flax(state)), "opt_state": {"0": {"mu": moments, "count": np.array(7)}}}
    (folder / "state.msgpack").write_bytes(pack(tree))


@pytest.mark.parametrize(
    "save", [in_msgpack, in_chunks, in_shards, in_safetensors, under_params, in_a_training_state]
)
@pytest.mark.parametrize("role", ROLES)
def test_a_model_comes_out_as_the_very_bytes_that_transformers_has(golden_pair, tmp_path, role, save):
    state = read_state(golden_pair / role)
    folder = described(golden_pair, role, tmp_path / "in")
    save(folder, state)
    result = convert(folder, tmp_path / "out")
    assert result.to == "safetensors"
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (golden_pair / role / name).read_bytes()
    read = load_state_dict(folder, role)
    assert {name: array.tobytes() for name, array in read.items()} == {
        name: array.tobytes() for name, array in state.items()
    }


def test_a_training_states_optimiser_is_left_out_and_it_is_said(golden_pair, tmp_path):
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    in_a_training_state(folder, read_state(golden_pair / "discriminator"))
    told = convert(folder, tmp_path / "out").notices
    assert "Left out, the state of the training (opt_state)." in told


def test_an_encoder_alone_has_no_prefix_in_flax(golden_pair, tmp_path):
    state = read_state(golden_pair / "discriminator")
    bare = {name.removeprefix("electra."): array for name, array in state.items() if name.startswith("electra.")}
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace("ElectraForPreTraining", "ElectraModel")
    )
    in_msgpack(folder, bare)
    assert inspect(folder).models["discriminator"].architecture == "ElectraModel"
    assert load_state_dict(folder).keys() == bare.keys()


@pytest.mark.parametrize("head", [head for head in HEADS.values() if head.is_of_a_task], ids=lambda head: head.name)
def test_heads_of_tasks_come_with_the_encoder(golden_pair, tmp_path, head):
    state = {
        name: array
        for name, array in read_state(golden_pair / "discriminator").items()
        if name.startswith("electra.")
    }
    sizes = {"hidden": 64, "labels": head.labels or 3, "one": 1}
    random = np.random.default_rng(3)
    for rule in head.parameters:
        shape = rule.op.shape(tuple(sizes[dimension] for dimension in rule.dims))
        state[rule.hf] = random.standard_normal((shape[0] * len(rule.tf), *shape[1:])).astype("<f4")
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    architecture = head.architecture()
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace("ElectraForPreTraining", architecture)
    )
    in_msgpack(folder, state)
    assert inspect(folder).models["discriminator"].architecture == architecture
    read = load_state_dict(folder)
    assert read.keys() == state.keys()
    assert all(np.array_equal(read[name], state[name]) for name in state)


def test_bfloat16_stays_it_and_config_json_follows_the_weights(golden_pair, tmp_path):
    state = read_state(golden_pair / "discriminator")
    halved = {name: (array.view("<u4") >> 16).astype("<u2") for name, array in state.items()}
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    in_msgpack(folder, halved)
    convert(folder, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    for name, array in load_state_dict(folder).items():
        assert np.array_equal(array.view("<u2"), halved[name])


def test_a_pair_in_flax_goes_to_tensorflow_as_from_transformers(golden_pair, tmp_path):
    for role in ROLES:
        in_msgpack(described(golden_pair, role, tmp_path / "in" / role), read_state(golden_pair / role))
    convert(tmp_path / "in", tmp_path / "tf", to="tf")
    convert(golden_pair, tmp_path / "expected")
    written, expected = (next((tmp_path / name).glob("*.data-*")) for name in ("tf", "expected"))
    assert written.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("change", ["swapped", "untransposed"])
def test_a_square_kernel_that_is_swapped_or_not_turned_is_found_by_verify(golden_pair, tmp_path, change):
    state = read_state(golden_pair / "discriminator")
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    in_msgpack(folder, state)
    assert verify(golden_pair / "discriminator", folder, weights_only=True).passed
    key = QUERY.replace("query", "key")
    wrong = {QUERY: state[key], key: state[QUERY]} if change == "swapped" else {QUERY: state[QUERY].T.copy()}
    in_msgpack(folder, {**state, **wrong})
    report = verify(golden_pair / "discriminator", folder, weights_only=True)
    assert not report.passed
    assert QUERY in " ".join(report.reasons)


def test_an_output_table_of_its_own_is_kept(golden_pair, tmp_path):
    state = read_state(golden_pair / "generator")
    words = state["electra.embeddings.word_embeddings.weight"]
    folder = described(golden_pair, "generator", tmp_path / "in")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
    in_msgpack(folder, {**state, "generator_lm_head.weight": words * 2})
    convert(folder, tmp_path / "out")
    assert np.array_equal(read_state(tmp_path / "out")["generator_lm_head.weight"], words * 2)
    assert '"tie_word_embeddings": false' in (tmp_path / "out" / "config.json").read_text()


def test_a_generator_of_another_activation_is_refused_since_torch_would_compute_its_head_with_gelu(
    golden_pair, tmp_path
):
    folder = described(golden_pair, "generator", tmp_path / "in")
    in_msgpack(folder, read_state(golden_pair / "generator"))
    config = json.loads((folder / "config.json").read_text()) | {"hidden_act": "relu"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"hidden_act is relu .config.json.; transformers computes the"):
        convert(folder, tmp_path / "out")


def test_an_array_that_no_electra_model_has_is_refused_by_name(golden_pair, tmp_path):
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    in_msgpack(folder, {**read_state(golden_pair / "discriminator"), "pooler.dense.weight": np.ones((2, 2), "<f4")})
    with pytest.raises(NamesError, match=r"1 tensor of no ELECTRA model .*: pooler/dense/kernel"):
        convert(folder, tmp_path / "out", to="tf")


@pytest.mark.slow
def test_the_demo_and_verify_run_what_flax_saved(golden_pair, tmp_path):
    folder = described(golden_pair, "discriminator", tmp_path / "in")
    in_msgpack(folder, read_state(golden_pair / "discriminator"))
    text = "Return the banana."
    scored, expected = (
        open_model(place, vocab="fixtures/vocab.txt").score(text) for place in (folder, golden_pair / "discriminator")
    )
    assert repr(scored) == repr(expected)
    assert verify(folder, golden_pair / "discriminator").passed
