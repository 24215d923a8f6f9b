"""Configurations of both models become Google's hparams where these make them, and else are kept with a reason."""

from __future__ import annotations

import json

import pytest

from electra_convert.errors import ConfigError, UsageError
from electra_convert.pretraining.options import PretrainOptions

SMALL = {"embedding_size": 128, "hidden_size": 256, "num_hidden_layers": 12}
QUARTER = {**SMALL, "hidden_size": 64}
BERT = {"model_type": "bert", "hidden_size": 64}


def expected(options: PretrainOptions, role: str) -> dict:
    return options.given_hparams.expected(role, shares_config=False)


@pytest.mark.parametrize("given", ["mapping", "text", "file", "folder"])
def test_sizes_make_the_models_that_hparams_would(tmp_path, given):
    (tmp_path / "config.json").write_text(json.dumps(QUARTER))
    forms = {
        "mapping": QUARTER,
        "text": json.dumps(QUARTER),
        "file": str(tmp_path / "config.json"),
        "folder": tmp_path,
    }
    options = PretrainOptions(generator=forms[given], discriminator=SMALL)
    assert options.designs == {}
    assert expected(options, "discriminator").items() >= {**SMALL, "num_attention_heads": 4}.items()
    assert expected(options, "generator").items() >= {**QUARTER, "num_attention_heads": 1}.items()
    assert options.given_hparams["untied_generator_embeddings"] is False


@pytest.mark.parametrize("layers", [1, 3, 7, 12, 24])
@pytest.mark.parametrize("width", [1, 3, 100, 255, 257])
def test_any_width_and_depth_of_a_generator_comes_out_as_it_was_given(layers, width):
    sizes = {"hidden_size": width * 3, "num_hidden_layers": layers}
    options = PretrainOptions(generator=sizes, discriminator={"hidden_size": 12288, "num_hidden_layers": 11})
    assert expected(options, "generator").items() >= sizes.items()
    assert options.designs == {}


def test_one_of_them_leaves_the_other_to_the_hparams():
    options = PretrainOptions(discriminator={"hidden_size": 512}, hparams={"generator_hidden_size": 0.5})
    assert expected(options, "generator")["hidden_size"] == 256
    options = PretrainOptions(generator={"hidden_size": 384}, model_size="base")
    assert expected(options, "generator")["hidden_size"] == 384
    assert expected(options, "discriminator")["hidden_size"] == 768


def test_a_config_json_of_electra_has_transformers_defaults_where_it_is_silent():
    options = PretrainOptions(discriminator={"model_type": "electra"})
    assert expected(options, "discriminator").items() >= {**SMALL, "intermediate_size": 1024}.items()


def test_a_generator_as_wide_as_its_own_embeddings_shares_none():
    options = PretrainOptions(discriminator=SMALL, generator={**QUARTER, "embedding_size": 64})
    assert options.given_hparams["untied_generator_embeddings"] is True
    assert options.designs == {}


@pytest.mark.parametrize(
    ("generator", "discriminator", "reason"),
    [
        (BERT, {**BERT, "hidden_size": 128}, "the discriminator is of the architecture bert"),
        (BERT, SMALL, "the generator is of the architecture bert, and Google's code has ELECTRA alone"),
        (QUARTER, {**SMALL, "model_type": "electra", "layer_norm_eps": 1e-6}, "layer_norm_eps is 1e-06"),
        ({**QUARTER, "num_attention_heads": 4}, SMALL, "num_attention_heads is 4, and Google's code would make it 1"),
        ({**QUARTER, "embedding_size": 32}, SMALL, "embedding_size is 32, and Google's code would make it 64"),
    ],
)
def test_what_no_hparams_make_is_kept_and_has_no_tensorflow_checkpoint(generator, discriminator, reason):
    options = PretrainOptions(generator=generator, discriminator=discriminator)
    assert options.given_hparams.given == {}
    assert list(options.designs) == ["discriminator", "generator"]
    assert options.designs["generator"].items() >= generator.items()
    exporting = PretrainOptions(generator=generator, discriminator=discriminator, export_tf=True)
    with pytest.raises(ConfigError, match=f"^--export tf cannot be had: .*{reason}"):
        exporting.designs  # noqa: B018


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"generator": "nowhere.json"}, "^--generator is nowhere.json, which cannot be read: No such file"),
        ({"generator": "{"}, "^--generator is not valid JSON"),
        ({"generator": {"vocab_size": 5}}, "^--generator is no configuration of a model: it has none of model_type"),
        ({"generator": {"hidden_size": 64, "num_layers": 3}}, "unknown hparam 'num_layers'"),
        ({"generator": {"hidden_size": -1}}, "hidden_size is -1, expected a positive whole number"),
        ({"generator": BERT}, "^--generator is not Google's ELECTRA, so the other model does not follow from it"),
        ({"discriminator": SMALL, "model_size": "base"}, "model_size is stated beside a configuration"),
        (
            {"discriminator": SMALL, "hparams": {"model_hparam_overrides": {"hidden_size": 64}}},
            "hidden_size is stated beside a configuration",
        ),
        (
            {"generator": BERT, "discriminator": BERT, "hparams": {"model_hparam_overrides": {"hidden_size": 64}}},
            "model_hparam_overrides is stated beside a configuration",
        ),
        (
            {"generator": BERT, "discriminator": BERT, "hparams": {"uniform_generator": True}},
            "uniform_generator has no generator of its own sizes",
        ),
        ({"generator": QUARTER, "hparams": {"electra_objective": False}}, "masked_lm has no generator of its own"),
        ({"generator": {"model_type": 3}}, "^--generator is no configuration of a model"),
        ({"generator": BERT, "discriminator": {**BERT, "x": {1}}}, "cannot be written as JSON"),
    ],
)
def test_what_is_no_configuration_is_refused(options, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = PretrainOptions(**options)
    with pytest.raises(ConfigError, match=said):
        assert asked.given_hparams.given is not asked.designs


def test_a_checkpoint_to_start_from_has_its_own_sizes(tmp_path):
    with pytest.raises(UsageError, match=r"--generator and --discriminator make new models, and --init-from has"):
        PretrainOptions(generator=QUARTER, init_from=tmp_path)
