"""The verdict: same for what is the same, different with the reason for what is not, and why in either case."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN
from support import checkpoints
from support.checkpoints import SIZES
from support.pairs import change_config, change_weights

from electra_convert import convert, verify
from electra_convert.errors import (
    ConfigError,
    MissingPackageError,
    NamesError,
    UsageError,
)
from electra_convert.verification.inputs import Specials, builtin_batches
from electra_convert.verification.sides import Place, open_side
from electra_convert.verification.vocabularies import find_tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_reference")]
DEFAULT = FIXTURES / "default"


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_checkpoints_are_the_same_as_their_conversions(pairs, name):
    report = verify(FIXTURES / name, pairs[name])
    assert report.passed, report.reasons
    assert set(report.models) == {"discriminator", "generator"}
    for model in report.models.values():
        assert model.weights.equal == len(model.weights.tensors)
        assert {setting.state for setting in model.settings} == {"equal"}
        assert model.outputs.worst < 1e-5
        assert [stage.name for stage in model.outputs.stages] == ["embeddings", "layer 1", "layer 2", "logits"]
        assert all(max(stage.reference_error, stage.candidate_error) < 1e-5 for stage in model.outputs.stages)
    assert report.models["discriminator"].outputs.agreement.decisions == 1.0
    assert report.models["generator"].outputs.agreement.top_1 == 1.0


def test_tensorflow_is_compared_with_tensorflow_and_transformers_with_transformers(pairs, tmp_path):
    convert(pairs["default"], tmp_path / "back")
    assert verify(DEFAULT, tmp_path / "back").passed
    same = verify(pairs["default"], pairs["default"])
    assert same.passed
    assert {stage.figures.max_abs for model in same.models.values() for stage in model.outputs.stages} == {0.0}
    assert set(same.versions) == {"transformers", "torch"}
    assert verify(pairs["default"], tmp_path / "back").passed


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_declared_rounding_is_no_difference_and_is_said(tmp_path, dtype):
    convert(DEFAULT, tmp_path / "rounded", dtype=dtype)
    report = verify(DEFAULT, tmp_path / "rounded")
    assert report.passed, report.reasons
    assert f"equal after rounding to {dtype}" in report.summary
    outputs = report.models["discriminator"].outputs
    assert outputs.worst < 1e-5
    assert outputs.rounding["logits"].max_abs > 1e-4
    assert not verify(tmp_path / "rounded", DEFAULT, weights_only=True).passed
    recorded = verify(None, tmp_path / "rounded", golden=DEFAULT / "golden.npz")
    assert recorded.passed
    assert recorded.models["generator"].outputs.stages[-1].limit > 1e-3
    assert any(dtype in line for line in recorded.models["generator"].outputs.not_covered)


def test_a_rounding_that_is_not_declared_is_a_difference(pair_copy):
    pair = pair_copy()

    def rounded(weights):
        name = "electra.embeddings.word_embeddings.weight"
        weights[name] = weights[name].astype(np.float16).astype(np.float32)

    change_weights(pair / "generator", rounded)
    assert "word_embeddings" in verify(DEFAULT, pair, weights_only=True).reasons[0]


# A wrong configuration


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"num_attention_heads": 4}, r"num_attention_heads is 4, the reference has 2 \(hparams.json\)"),
        ({"hidden_act": "gelu_new"}, r"hidden_act is gelu_new, the reference has gelu"),
        ({"hidden_act": "relu"}, r"hidden_act is relu, the reference has gelu"),
        ({"layer_norm_eps": 1e-5}, r"layer_norm_eps is 1e-05, the reference has 1e-12"),
        ({"max_position_embeddings": 64}, r"max_position_embeddings is 64, but the weights have 128"),
        ({"type_vocab_size": 3}, r"type_vocab_size is 3, but the weights have 2"),
        ({"num_attention_heads": 5}, r"5 attention heads .* cannot share"),
    ],
)
@pytest.mark.parametrize("weights_only", [True, False])
def test_right_weights_with_a_wrong_configuration_fail(pair_copy, values, reason, weights_only):
    pair = pair_copy()
    change_config(pair / "discriminator", **values)
    report = verify(DEFAULT, pair / "discriminator", weights_only=weights_only)
    assert not report.passed
    assert any(re.search(reason, told) for told in report.reasons), report.reasons


@pytest.mark.parametrize("without", ["hparams.json", "model.ckpt-4000.meta"])
def test_either_source_of_truth_tells_a_wrong_head_count(golden_copy, pair_copy, without):
    pair, source = pair_copy(), golden_copy(without=(without,))
    change_config(pair / "discriminator", num_attention_heads=4)
    report = verify(source, pair / "discriminator")
    assert "num_attention_heads is 4, the reference has 2" in report.reasons[0]
    assert report.models["discriminator"].outputs.first_differing.name == "layer 1"


def test_without_a_source_of_truth_the_head_count_is_said_not_to_be_verified(golden_copy, pair_copy):
    pair, source = pair_copy(), golden_copy(without=("hparams.json", "*.meta"))
    report = verify(source, pair / "discriminator")
    assert report.verdict == "unproven"
    guessed = [reason.partition(", and nothing but a guess says")[0] for reason in report.reasons]
    assert guessed == [
        "discriminator: num_attention_heads is 2 in the candidate",
        "discriminator: hidden_act is gelu in the candidate",
    ]
    assert report.models["discriminator"].outputs.first_differing is None
    assert any("head count is not verified" in note for note in report.notes)
    assert any("activation is not verified" in note for note in report.notes)
    settled = verify(source, pair / "discriminator", hparams=json.loads((DEFAULT / "hparams.json").read_text()))
    assert settled.passed
    assert not any("not verified" in note for note in settled.notes)
    wrong = verify(source, pair / "discriminator", hparams={"model_hparam_overrides": {"num_attention_heads": 8}})
    assert "num_attention_heads is 2, the reference has 8 (--hparams)" in wrong.reasons[0]


def test_a_config_given_for_the_reference_decides(golden_copy, pairs):
    source = golden_copy(without=("hparams.json", "*.meta"))
    report = verify(source, pairs["default"] / "discriminator", config=pairs["default"] / "discriminator/config.json")
    assert report.passed
    assert any("as --config says" in note for note in report.notes)
    (source / "hparams.json").write_text('{"model_hparam_overrides": {"num_attention_heads": 8}}')
    decided = verify(
        source, pairs["default"] / "discriminator", config=pairs["default"] / "discriminator/config.json"
    )
    assert decided.passed, decided.reasons


# What makes a side fail


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_fails_even_where_both_sides_have_it(pair_copy, bad):
    pair = pair_copy()
    change_weights(
        pair / "discriminator", lambda weights: weights["electra.embeddings.LayerNorm.bias"].__setitem__(0, bad)
    )
    report = verify(pair / "discriminator", pair / "discriminator")
    assert not report.passed
    assert "electra.embeddings.LayerNorm.bias (NaN or infinite values)" in report.reasons[0]


def test_a_candidate_that_transformers_does_not_load_whole_fails(pair_copy):
    pair = pair_copy()
    change_config(pair / "discriminator", embedding_size=None)
    report = verify(DEFAULT, pair / "discriminator")
    assert report.verdict == "different"
    assert report.models["discriminator"].outputs is None
    told = "discriminator: transformers does not load every weight of ElectraForPreTraining: mismatched: "
    assert report.models["discriminator"].not_run.startswith(f"{told}electra.embeddings.LayerNorm.bias")


def test_buffers_that_old_versions_saved_are_no_weights(pair_copy):
    folder = pair_copy() / "generator"
    buffers = {f"electra.embeddings.{name}_ids": np.zeros((1, 128), np.int64) for name in ("position", "token_type")}
    change_weights(folder, lambda weights: weights.update(buffers))
    report = verify(DEFAULT, folder)
    assert report.passed, report.reasons


def test_a_model_with_fewer_layers_fails_with_the_layers_named(pair_copy):
    pair = pair_copy()

    def cut(weights):
        for name in [name for name in weights if ".layer.1." in name]:
            del weights[name]

    change_weights(pair / "discriminator", cut)
    change_config(pair / "discriminator", num_hidden_layers=1)
    report = verify(DEFAULT, pair / "discriminator")
    assert "electra.encoder.layer.1.attention.output.LayerNorm.bias (not in the candidate)" in report.reasons[0]
    assert "num_hidden_layers is 1, the reference has 2" in report.reasons[1]
    assert "layer 2 are not there" in report.models["discriminator"].not_run


def test_weights_that_transformers_takes_from_elsewhere_fail(pair_copy):
    pair = pair_copy()
    folder = pair / "discriminator"
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    change_config(folder, transformers_weights="other.safetensors")
    report = verify(DEFAULT, folder)
    told = "discriminator/config.json: transformers_weights is 'other.safetensors'; only None can be converted"
    assert report.reasons == (f"discriminator: {told}",)
    assert report.models["discriminator"].outputs is None


def test_what_transformers_loaded_is_held_to_what_was_compared(pair_copy, monkeypatch):
    pair = pair_copy()
    from electra_convert import pytorch

    real = pytorch.load_folder

    def careless(*arguments):
        model = real(*arguments)
        model.electra.encoder.layer[0].attention.self.key.bias.data += 1
        return model

    monkeypatch.setattr("electra_convert.verification.runners.load_folder", careless)
    report = verify(DEFAULT, pair / "discriminator")
    assert report.verdict == "unproven"
    assert "transformers loads another electra.encoder.layer.0.attention.self.key.bias" in report.reasons[0]


def test_a_dtype_that_the_weights_have_not_fails(pair_copy):
    pair = pair_copy()
    change_config(pair / "discriminator", dtype="float16")
    report = verify(DEFAULT, pair / "discriminator", weights_only=True)
    assert report.reasons[0] == (
        "discriminator: dtype is float16 in the candidate's config.json, and its weights are float32"
    )


def test_what_float32_does_not_hold_is_not_rounded_before_it_is_run_in_float64(pair_copy):
    folder = pair_copy() / "discriminator"
    change_weights(
        folder,
        lambda weights: weights.update({name: array * np.float64(1 + 2**-30) for name, array in weights.items()}),
    )
    change_config(folder, dtype="float64")
    with open_side(Place(folder), lenient=True) as side:
        runner = side.runner("discriminator", None, None)
        batches = builtin_batches(side.limits("discriminator"), Specials())
        single, double = runner.start(batches, ("float32", "float64"), {})()
        (alone,) = runner.start(batches, ("float64",), {})()
    for name, arrays in alone.stages.items():
        np.testing.assert_array_equal(double.stages[name][0], arrays[0])
        assert single.stages[name][0].dtype == np.float32


def test_a_side_that_cannot_be_run_leaves_it_open(pair_copy):
    pair = pair_copy()
    change_config(pair / "discriminator", chunk_size_feed_forward=7)
    report = verify(DEFAULT, pair / "discriminator")
    assert (report.passed, report.verdict) == (False, "unproven")
    assert report.summary.startswith("Not shown to be the same model: discriminator: not run: discriminator: ")
    assert str(pair) not in report.summary
    change_config(pair / "discriminator", chunk_size_feed_forward=None, return_dict=False)
    assert verify(DEFAULT, pair / "discriminator").passed


def test_another_model_altogether_fails(pairs):
    report = verify(FIXTURES / "full_size_generator", pairs["default"] / "discriminator")
    assert not report.passed
    assert "43 of 43 weights are not equal" in report.reasons[0]
    assert report.models["discriminator"].outputs.first_differing.name == "embeddings"


def test_models_that_only_one_side_has_are_named(pairs):
    report = verify(DEFAULT, pairs["default"] / "generator")
    assert report.passed
    assert list(report.models) == ["generator"]
    assert "The discriminator of the reference is not compared: the other side has none." in report.notes
    with pytest.raises(NamesError, match="they have no model in common"):
        verify(pairs["default"] / "discriminator", pairs["default"] / "generator")


def test_one_file_of_weights_is_a_side_with_or_without_a_configuration(pairs, tmp_path):
    weights = pairs["default"] / "discriminator" / "model.safetensors"
    assert verify(DEFAULT, weights).passed
    renamed = shutil.copy(weights, tmp_path / "electra.safetensors")
    report = verify(DEFAULT, renamed)
    assert report.verdict == "unproven"
    assert "num_attention_heads is 1 in the candidate, and nothing but a guess" in report.reasons[0]
    assert report.models["discriminator"].outputs.first_differing is None
    convert(DEFAULT, tmp_path / "pickled", model="generator", to="torch")
    assert verify(DEFAULT, tmp_path / "pickled").passed
    assert verify(pairs["default"] / "generator", tmp_path / "pickled" / "pytorch_model.bin").passed


@pytest.mark.parametrize("variant", ["fine_tuned", "two_tower_generator", "tied_generator", "masked_lm"])
def test_every_layout_is_verified_and_what_is_left_out_is_said(variant_folders, tmp_path, variant):
    source = variant_folders(variant, "projected")
    convert(source, tmp_path / "out")
    report = verify(source, tmp_path / "out")
    assert report.passed, report.reasons
    assert any(note.startswith("Left out") for note in report.notes) == (
        variant in {"fine_tuned", "two_tower_generator"}
    )


# Inputs


def test_one_s_own_sentences_and_ids_are_run_as_well(pairs, tmp_path):
    np.savez(tmp_path / "ids.npz", input_ids=np.arange(6).reshape(2, 3))
    report = verify(DEFAULT, pairs["default"], text=["the fox", "the fox"], inputs=tmp_path / "ids.npz")
    assert report.passed
    assert [batch.name for batch in report.batches][:2] == ["ids.npz", "your own text"]
    assert report.batches[1].rows == ("the fox", "the fox")
    assert report.models["discriminator"].outputs.positions == sum(batch.input_ids.size for batch in report.batches)


def test_a_sentence_that_is_too_long_is_cut_and_said_to_be(pairs):
    report = verify(pairs["default"], pairs["default"], text="fox " * 300)
    assert report.batches[0].length == 128
    assert any("the first 128 were used" in note for note in report.notes)


def test_what_the_candidates_tokenizer_cannot_do_is_told_and_counts_for_nothing(written, tmp_path):
    source = written()
    pieces = (source / "vocab.txt").read_text().splitlines()
    (source / "vocab.txt").write_text("\n".join([*pieces[:-1], "[x]"]) + "\n")
    convert(source, tmp_path / "out")
    report = verify(source, tmp_path / "out", weights_only=True)
    assert report.passed
    (note,) = [note for note in report.notes if "tokenizer" in note]
    assert note.startswith("The candidate's tokenizer: 1 of 53 pieces (2%) of vocab.txt can never be produced: split")


def test_a_sentence_is_read_as_the_tokenizer_json_of_either_side_says(written, tmp_path):
    source = written()
    pieces = (source / "vocab.txt").read_text().splitlines()
    (source / "vocab.txt").write_text("\n".join([*pieces[:-2], "[x]", "\u6771\u4eac"]) + "\n")
    convert(source, tmp_path / "out", tokenize_chinese_chars=False, added_tokens=["[x]"])
    with open_side(Place(source), lenient=False) as one, open_side(Place(tmp_path / "out"), lenient=True) as other:
        made = find_tokenizer([one, other], "discriminator")
    assert made.encode("\u6771\u4eac[x]", add_special_tokens=False).tokens == ["\u6771\u4eac", "[x]"]


def test_a_sentence_needs_a_tokenizer(written):
    source = written()
    (source / "vocab.txt").unlink()
    with pytest.raises(UsageError, match=r"^text needs a tokenizer"):
        verify(source, source, text="fox")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights_only": True, "text": "a"}, "^weights_only=True runs nothing: it goes with no text="),
        ({"weights_only": True, "golden": "g"}, "^weights_only=True runs nothing: it goes with no text="),
        ({"golden": "g", "inputs": "i"}, "^inputs does not go with golden="),
        ({"tolerance": -1.0}, "^tolerance is -1.0, expected a number from 0 up"),
        ({"tolerance": float("nan")}, "^tolerance is nan"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        verify(DEFAULT, DEFAULT, **options)


def test_nothing_to_compare_with_is_refused(pairs):
    with pytest.raises(UsageError, match="there is nothing to compare with"):
        verify(None, pairs["default"])


# Limits


def test_a_tolerance_that_was_asked_for_is_kept_to(pairs):
    report = verify(DEFAULT, pairs["default"], tolerance=0.0)
    assert not report.passed
    assert {stage.limit for model in report.models.values() for stage in model.outputs.stages} == {0.0}


def test_the_reference_is_refused_where_it_contradicts_itself(golden_copy, pairs):
    source = golden_copy()
    (source / "hparams.json").write_text('{"model_hparam_overrides": {"num_attention_heads": 8}}')
    with pytest.raises(ConfigError, match=r"\.meta says 2"):
        verify(source, pairs["default"])


# Frameworks


def test_weights_and_recordings_need_no_tensorflow(pairs, monkeypatch):
    from electra_convert.verification.reference.session import ReferenceSession

    def refuse(_):
        raise AssertionError("TensorFlow was started")

    monkeypatch.setattr(ReferenceSession, "begin", refuse)
    assert verify(DEFAULT, pairs["default"], weights_only=True).passed
    assert verify(DEFAULT, pairs["default"], golden=DEFAULT / "golden.npz").passed


def test_without_pytorch_the_error_says_what_to_install(pairs, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match="PyTorch is needed to run the discriminator") as caught:
        verify(DEFAULT, pairs["default"])
    assert caught.value.hint == "pip install 'electra-convert[torch]', or verify weights_only=True, which needs none"


def test_the_other_hparams_of_a_written_layout_are_found(written):
    made = SIZES["projected"]
    source = written("default", "projected")
    convert(source, Path(f"{source}_out"))
    report = verify(source, Path(f"{source}_out"))
    assert report.passed, report.reasons
    heads = {role: checkpoints.sizes_of("default", role, made).heads for role in report.models}
    found = {
        role: next(setting.candidate for setting in model.settings if setting.key == "num_attention_heads")
        for role, model in report.models.items()
    }
    assert found == heads
