"""Right weights in a folder of which transformers would make another model: told without running anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES
from support.pairs import change_config, change_weights, copy_pair

from electra_convert import convert, verify
from electra_convert.errors import ConfigError, SourceError
from electra_convert.verification.runners import TransformersRunner
from electra_convert.verification.sides import Place, open_side

DEFAULT = FIXTURES / "default"
BIAS = "electra.encoder.layer.0.output.dense.bias"
HEAD = {
    "classifier.dense.weight": np.ones((64, 64), np.float32),
    "classifier.out_proj.weight": np.ones((3, 64), np.float32),
    "classifier.steps": np.ones(1, np.int64),
}


def reasons(candidate: Path, reference: Path = DEFAULT) -> tuple[str, ...]:
    return verify(reference, candidate, weights_only=True).reasons


def differences(candidate: Path) -> tuple[str, ...]:
    """Why it differs, apart from what nothing but a guess speaks for."""
    return verify(DEFAULT, candidate, weights_only=True).models["discriminator"].differences


def write_config(folder: Path, **values: Any) -> None:
    """Change config.json; unlike with change_config, None is a value."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [
        ("vocab_size", 30522, 1500),
        ("embedding_size", 128, 32),
        ("hidden_size", 256, 64),
        ("num_hidden_layers", 12, 2),
        ("intermediate_size", 1024, 256),
        ("max_position_embeddings", 512, 128),
    ],
)
def test_a_size_left_out_is_what_transformers_takes_for_it(pair_copy, key, found, expected):
    folder = pair_copy() / "discriminator"
    change_config(folder, **{key: None})
    report = verify(DEFAULT, folder, weights_only=True)
    assert report.reasons == (f"discriminator: {key} is {found}, the reference has {expected} (weights)",)
    assert f"config.json leaves the discriminator's {key} at {found}; the weights have {expected}." in report.notes


def test_a_size_left_out_that_is_the_default_is_no_difference(pair_copy):
    folder = pair_copy() / "discriminator"
    change_config(folder, type_vocab_size=None)
    assert reasons(folder) == ()


def test_a_folder_without_a_configuration_is_what_transformers_makes_of_it(pair_copy):
    folder = pair_copy() / "discriminator"
    (folder / "config.json").unlink()
    assert len(differences(folder)) == 6
    assert "num_hidden_layers is 12, the reference has 2 (weights)" in differences(folder)
    assert differences(folder / "model.safetensors") == ()
    with open_side(Place(folder), lenient=True) as side:
        runner = TransformersRunner(folder, side.checkpoint.models["discriminator"])
        with pytest.raises(SourceError, match=r"has no config\.json"):
            runner._load("float32")


def test_a_file_that_transformers_does_not_look_for_is_not_held_to_what_it_would_make_of_the_folder(pair_copy):
    folder = pair_copy() / "discriminator"
    (folder / "model.safetensors").rename(folder / "my-electra.safetensors")
    change_config(folder, dtype="float16")
    assert reasons(folder) == ()
    (folder / "config.json").unlink()
    assert differences(folder) == ()


@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_an_output_layer_that_is_neither_tied_nor_stored_would_be_random(pair_copy, role):
    folder = pair_copy() / role
    change_config(folder, tie_word_embeddings=False)
    told = "generator: tie_word_embeddings is False, the reference has True (no output layer is stored)"
    assert reasons(folder) == ((told,) if role == "generator" else ())
    if role == "generator":
        words = "electra.embeddings.word_embeddings.weight"
        change_weights(folder, lambda weights: weights.update({"generator_lm_head.weight": weights[words]}))
        assert reasons(folder) == ()


@pytest.mark.parametrize("values", [{"torch_dtype": "float16"}, {"dtype": {"": "float16"}}, {"dtype": 5}])
def test_whatever_declares_another_dtype_is_a_difference(pair_copy, values):
    folder = pair_copy() / "discriminator"
    write_config(folder, **{"dtype": None, **values})
    (declared,) = values.values()
    told = f"discriminator: dtype is {declared} in the candidate's config.json, and its weights are float32"
    assert reasons(folder) == (told,)


@pytest.mark.parametrize(
    ("declared", "shown"), [("float16", "float16"), ("bfloat16", "bfloat16"), (None, "not given"), ("float32", None)]
)
def test_weights_of_several_dtypes_need_one_that_holds_them_all(pair_copy, declared, shown):
    folder = pair_copy() / "discriminator"
    change_weights(folder, lambda weights: weights.update({BIAS: weights[BIAS].astype(np.float16)}))
    change_config(folder, dtype=declared)
    told = f"discriminator: dtype is {shown} in the candidate's config.json, and its weights are float16, float32"
    assert reasons(folder) == (() if shown is None else (told,))


def test_a_conversion_of_several_dtypes_declares_one_that_holds_them_all(pair_copy, tmp_path):
    folder = pair_copy() / "discriminator"
    for number, (dtype, declared) in enumerate([(np.float16, "float32"), (np.float64, "float64")]):
        change_weights(folder, lambda weights, dtype=dtype: weights.update({BIAS: weights[BIAS].astype(dtype)}))
        change_config(folder, dtype=declared)
        convert(folder, tmp_path / str(number), to="safetensors")
        assert json.loads((tmp_path / str(number) / "config.json").read_text())["dtype"] == declared
        assert reasons(tmp_path / str(number), folder) == ()


# An adapter


def test_an_adapter_beside_the_weights_is_a_fault(pair_copy):
    pair = pair_copy()
    (pair / "generator" / "adapter_config.json").write_text("{}")
    told = "pair_default/generator/adapter_config.json: where peft is installed, transformers adds this adapter"
    assert reasons(pair)[0].startswith(f"discriminator: {told}")
    assert reasons(pair / "generator" / "model.safetensors") == ()
    with pytest.raises(ConfigError, match="adds this adapter to the weights"):
        verify(pair / "generator", pair / "generator", weights_only=True)


@pytest.mark.slow
def test_a_conversion_says_that_an_adapter_is_left_out(pair_copy, tmp_path):
    folder = pair_copy() / "generator"
    (folder / "adapter_config.json").write_text("{}")
    notices = convert(folder, tmp_path / "out", to="torch").notices
    assert "Left out, an adapter that is not merged into the weights: adapter_config.json." in notices


# A fine-tuned head


def fine_tuned(folder: Path, **changed: np.ndarray | None) -> Path:
    """Put a classifier's head in the place of the discriminator's; None leaves one of its tensors out."""
    head = {**HEAD, **{f"classifier.{name}": array for name, array in changed.items()}}

    def change(weights):
        for name in [name for name in weights if name.startswith("discriminator_predictions.")]:
            del weights[name]
        weights.update({name: array for name, array in head.items() if array is not None})

    change_weights(folder, change)
    return folder


def test_a_fine_tuned_head_that_both_sides_have_is_compared_and_said_not_to_be_run(pairs, tmp_path):
    sides = [fine_tuned(copy_pair(pairs["default"] / "discriminator", tmp_path / name)) for name in ("one", "other")]
    report = verify(*sides, weights_only=True)
    assert report.passed
    assert "All 42 weights" in report.summary
    assert any(note.startswith("Of a fine-tuned head the weights are compared, but") for note in report.notes)


@pytest.mark.slow
def test_the_rounding_of_a_fine_tuned_head_that_is_not_run_is_no_obstacle(pairs, tmp_path):
    sides = [fine_tuned(copy_pair(pairs["default"] / "discriminator", tmp_path / name)) for name in ("one", "other")]
    half = {np.dtype(np.float32): np.float16}
    change_weights(
        sides[1],
        lambda weights: weights.update({n: a.astype(half.get(a.dtype, a.dtype)) for n, a in weights.items()}),
    )
    change_config(sides[1], dtype="float16")
    report = verify(*sides)
    assert report.passed, report.reasons
    assert report.models["discriminator"].outputs.worst < 1e-5


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        (
            "dense.weight",
            np.zeros((64, 64), np.float32),
            "4,096 of 4,096 elements differ, by up to 1 (largest value 1)",
        ),
        ("dense.weight", np.ones((64, 2), np.float32), "shape [64, 64] in the reference, [64, 2] in the candidate"),
        ("dense.weight", None, "not in the candidate"),
        ("dense.bias", np.ones(64, np.float32), "not in the reference"),
        ("steps", np.zeros(1, np.int64), "1 of 1 elements differ"),
        ("steps", np.ones(1, np.float32), "int64 in the reference, float32 in the candidate"),
    ],
)
def test_fine_tuned_heads_that_differ_are_a_difference(pairs, tmp_path, name, values, told):
    reference, candidate = (copy_pair(pairs["default"] / "discriminator", tmp_path / side) for side in "rc")
    fine_tuned(reference)
    (reason,) = reasons(fine_tuned(candidate, **{name: values}), reference)
    assert f"is not equal: classifier.{name} ({told})" in reason


def test_a_fine_tuned_head_that_one_side_has_is_said_not_to_be_compared(pairs, tmp_path):
    folder = fine_tuned(copy_pair(pairs["default"] / "discriminator", tmp_path / "tuned"))
    convert(folder, tmp_path / "back")
    report = verify(folder, tmp_path / "back", weights_only=True)
    assert report.passed
    assert any("is not compared, since the other side has none: classifier.dense" in note for note in report.notes)


# Vocabularies


def exchange_lines(path: Path) -> None:
    pieces = path.read_text().splitlines()
    pieces[43], pieces[117] = pieces[117], pieces[43]
    path.write_text("\n".join(pieces) + "\n")


def exchange_ids(path: Path) -> None:
    content = json.loads(path.read_text())
    content["model"]["vocab"] |= {"a": 117, "the": 43}
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("name", "exchange"), [("vocab.txt", exchange_lines), ("tokenizer.json", exchange_ids)])
def test_another_vocabulary_is_told_though_the_verdict_does_not_count_it(golden_copy, pair_copy, name, exchange):
    source, folder = golden_copy(), pair_copy() / "discriminator"
    assert not any("vocabulary" in note for note in verify(source, folder, weights_only=True).notes)
    exchange(folder / name)
    report = verify(source, folder, weights_only=True)
    assert report.passed
    assert (
        "The discriminator's vocabulary differs, which the verdict does not count: "
        f"id 43 is “a” in the reference, “the” in the candidate's {name}."
    ) in report.notes


# Places


def test_a_place_is_not_told_in_what_may_be_recorded(pair_copy):
    folder = pair_copy() / "discriminator"
    change_config(folder, model_type="bert")
    verify(DEFAULT, folder, weights_only=True, save=True)
    saved = json.loads((folder / "parity.json").read_text())
    told = "discriminator: discriminator/config.json: model_type is 'bert'; only 'electra' can be converted"
    assert saved["reasons"] == [told]


def test_a_short_place_does_not_hide_what_happens_to_end_alike(pairs, tmp_path, monkeypatch):
    copy_pair(pairs["default"] / "discriminator", tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    with open_side(Place(Path("a") / "model.safetensors"), lenient=True) as side:
        assert side.by_name("a/config.json: electra/encoder of a/model.safetensors") == (
            "config.json: electra/encoder of model.safetensors"
        )
        assert side.by_name(f"{tmp_path}/a/model.safetensors: bad") == "model.safetensors: bad"
