"""Configurations and vocabularies that must be refused: what they say, what the weights have, what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.checkpoints import SIZES
from support.command_line import refused, run

SMALL = SIZES["projected"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


# Vocabulary


def with_rows(count: int):
    """Changes the embedding's rows, which hparams then say otherwise."""

    def change(tensors):
        tensors["electra/embeddings/word_embeddings"] = np.zeros((count, SMALL.embedding), np.float32)
        tensors["generator_predictions/output_bias"] = np.zeros(count, np.float32)

    return change


def test_rows_rounded_up_to_a_multiple_of_eight_are_accepted_with_a_notice(written, tmp_path):
    ran = run("convert", written(change=with_rows(56), hparams=False), tmp_path / "out")
    assert ran.code == 0
    assert "Note: vocab.txt has 53 pieces for 56 rows" in ran.err


def test_more_rows_than_pieces_need_to_be_accepted_by_an_option(written, tmp_path, place):
    source = written(change=with_rows(64), hparams=False)
    said = refused(source, place)
    assert "vocab.txt has 53 pieces, but the word embedding has 64 rows" in said
    assert "--pad-vocab" in said
    assert run("convert", source, tmp_path / "out", "--pad-vocab").code == 0


@pytest.mark.parametrize("options", [[], ["--pad-vocab"]])
def test_more_pieces_than_rows_are_never_accepted(written, place, options):
    said = refused(written(change=with_rows(48), hparams=False), place, *options)
    assert "vocab.txt has 53 pieces, but the word embedding has 48 rows" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "vocab.txt is empty"),
        (b"\xff\xfe[\0P\0", "vocab.txt"),
        (b"[PAD]\nhello\n", "vocab.txt lacks [UNK], [CLS], [SEP], [MASK]"),
    ],
    ids=["empty", "not UTF-8", "of another model"],
)
def test_a_vocabulary_that_is_none_is_named(written, place, content, said):
    source = written()
    (source / "vocab.txt").write_bytes(content)
    assert said in refused(source, place)


# Hparams


@pytest.mark.parametrize(
    ("hparams", "said"),
    [
        ({"vocab_size": 52}, "says the discriminator's vocab_size is 52, but the weights have 53"),
        ({"embedding_size": 16}, "says the discriminator's embedding_size is 16, but the weights have 8"),
        ({"model_size": "base"}, "says the discriminator's hidden_size is 768, but the weights have 16"),
        ({"generator_hidden_size": 1.0}, "hidden_size is"),
        ({"model_hparam_overrides": {"num_hidden_layers": 3}}, "num_hidden_layers is 3, but the weights have 2"),
        ({"model_hparam_overrides": {"num_attention_heads": 3}}, "3 attention heads"),
        ({"electra_objective": False}, "asks for the masked_lm layout"),
        ({"model_hparam_overrides": {"hidden_act": "gelu_new"}}, "knows gelu, relu, tanh and linear"),
        ({"vocab_size": "53"}, 'vocab_size is "53", expected a positive whole number'),
        ({"vocab_size": True}, "expected a positive whole number"),
        ({"model_size": ["small"]}, "expected small, base or large"),
        ([1], "is not a JSON object"),
    ],
)
def test_hparams_that_do_not_fit_are_refused(written, place, hparams, said):
    source = written(hparams=False)
    (source / "hparams.json").write_text(json.dumps(hparams))
    told = refused(source, place)
    assert said in told
    assert "hparams.json" in told


@pytest.mark.parametrize(
    ("hparams", "said"),
    [
        ({"hidden_size": 16}, "Did you mean hidden_size inside model_hparam_overrides?"),
        ({"generator_hiden_size": 0.5}, "Did you mean generator_hidden_size?"),
    ],
)
def test_hparams_that_are_given_have_no_keys_but_googles(written, place, hparams, said):
    assert said in refused(written(), place, "--hparams", json.dumps(hparams))


@pytest.mark.parametrize(
    "text",
    ["{", '{"a": NaN', "{" * 99_999, '{"vocab_size": ' + "9" * 5000],
    ids=["open", "cut off", "deep", "a long number"],
)
def test_hparams_that_are_no_json_are_refused(written, tmp_path, place, text):
    source = written()
    assert "--hparams is not JSON" in refused(source, place, "--hparams", text)
    (tmp_path / "given.json").write_text(text)
    assert "--hparams given.json is not JSON" in refused(source, place, "--hparams", tmp_path / "given.json")


@pytest.mark.parametrize("text", ["{'vocab_size': 53}", "{vocab_size:53}", '{"vocab_size": 53,}'])
def test_the_usual_slips_in_json_are_answered_with_how_it_is_written(written, place, text):
    hint = refused(written(), place, "--hparams", text).splitlines()[1]
    assert "double quotes, and no comma follows the last. In a shell, put single quotes around all of it." in hint


def test_empty_hparams_are_refused(written, place):
    assert "--hparams is empty" in refused(written(), place, "--hparams", " ")


@pytest.mark.parametrize("text", ["nothing.json", "[1]"])
def test_hparams_that_are_neither_json_nor_a_file_are_refused(written, place, text):
    said = refused(written(), place, "--hparams", text)
    assert f"{text} cannot be read: No such file or directory" in said
    assert "Give a JSON file, or the JSON itself" in said


# What transformers has and Google's code has not


@pytest.fixture
def folder(written, tmp_path):
    """A folder of transformers with one of the two models, and some of its configuration changed."""

    def make(role: str = "discriminator", **changes) -> Path:
        assert run("convert", written(), tmp_path / "pair").code == 0
        path = tmp_path / "pair" / role / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        return path.parent

    return make


@pytest.mark.parametrize("role", ["discriminator", "generator"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05; google-research/electra has 1e-12 built in"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'; google-research/electra knows gelu"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'; only 'absolute'"),
        ({"is_decoder": True}, "is_decoder is True; only False"),
        ({"model_type": "bert"}, "model_type is 'bert'; only 'electra'"),
        ({"hidden_size": 32}, "hidden_size is 32, but the weights have"),
        ({"num_attention_heads": 3}, "3 attention heads"),
        ({"num_attention_heads": "2"}, "expected a positive whole number"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is NaN"),
    ],
)
def test_what_google_cannot_express_is_refused_with_the_reason(folder, place, role, changes, said):
    assert said in refused(folder(role, **changes), place)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"num_attention_heads": 2}, "num_attention_heads is 2"), ({"hidden_act": "relu"}, "hidden_act is 'relu'")],
)
def test_a_generator_that_google_would_not_make_is_refused_in_a_pair(folder, place, changes, said):
    pair = folder("generator", **changes).parent
    assert f"the generator's {said}" in refused(pair, place)


def test_a_generator_with_any_heads_goes_alone_as_a_masked_language_model(folder, tmp_path):
    ran = run("convert", folder("generator", num_attention_heads=2).parent, tmp_path / "tf", "--model", "generator")
    assert ran.code == 0
    assert json.loads(run("inspect", tmp_path / "tf", "--json").out)["variant"] == "masked_lm"


def test_an_output_table_that_is_not_the_word_embeddings_is_refused(folder, place):
    from safetensors.numpy import load_file, save_file

    source = folder("generator")
    tensors = load_file(source / "model.safetensors")
    tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"] + 1
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    said = "generator_lm_head.weight and electra.embeddings.word_embeddings.weight differ"
    assert said in refused(source, place)
    assert said in refused(source, place, "--to", "safetensors")
    assert said in run("inspect", source, "--check").refusal()


def test_a_generator_with_another_activation_is_refused_and_its_discriminator_converts(written, tmp_path, place):
    source = written(sizes="relu")
    said = refused(source, place)
    assert "the generator's hidden_act is relu (hparams.json)" in said
    assert "--model discriminator" in said
    assert run("convert", source, tmp_path / "one", "--model", "discriminator").code == 0


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "[" * 99_999, "\xff", '{"vocab_size": ' + "9" * 5000 + "}"], ids=range(6)
)
@pytest.mark.parametrize("name", ["config.json", "conversion.json", "tokenizer_config.json"])
def test_a_json_file_that_is_none_is_named(folder, place, name, content):
    source = folder()
    (source / name).write_bytes(content.encode("latin-1"))
    assert name in refused(source, place)


@pytest.mark.parametrize("step", [-1, 1 << 63, 10**40, "many", None, True])
def test_a_recorded_step_that_is_no_step_counts_as_none(folder, tmp_path, step):
    source = folder()
    record = json.loads((source / "conversion.json").read_text())
    (source / "conversion.json").write_text(json.dumps({**record, "step": step}))
    assert run("convert", source, tmp_path / "tf", "--zero-optimizer").code == 0
    assert json.loads(run("inspect", tmp_path / "tf", "--json").out)["step"] == 0


# Which source has the last word


def test_an_option_decides_over_what_it_states(golden_copy):
    said = run(
        "inspect", golden_copy(), "--hparams", '{"model_hparam_overrides": {"num_attention_heads": 4}}', "--json"
    )
    heads = json.loads(said.out)["models"]["discriminator"]["config"]["num_attention_heads"]
    assert heads == {"value": 4, "origin": "--hparams"}


@pytest.mark.parametrize("without", ["hparams.json", "model.ckpt-4000.meta"])
def test_what_an_option_leaves_at_a_default_does_not_decide(golden_copy, without):
    source = golden_copy(without=(without,))
    said = run("inspect", source, "--hparams", '{"learning_rate": 1}', "--json")
    heads = json.loads(said.out)["models"]["discriminator"]["config"]["num_attention_heads"]
    assert heads["value"] == 2
    assert heads["origin"] in {"hparams.json", "model.ckpt-4000.meta"}
