"""Two folders make one start where they are of one run, or else both are named; other types are refused."""

from __future__ import annotations

import json

import pytest
from conftest import FIXTURES

from electra_convert import convert
from electra_convert.checkpoint import open_checkpoint
from electra_convert.errors import ConfigError, NamesError, TrainingError, UsageError, VocabularyError
from electra_convert.pretraining.options import PretrainOptions


@pytest.fixture
def halves(tmp_path):
    """Converts a checkpoint to a discriminator and a generator in folders that know nothing of each other."""

    def make(name: str, **options):
        source = name if not isinstance(name, str) else FIXTURES / name
        given = {} if not isinstance(name, str) else {"vocab": FIXTURES / "vocab.txt"}
        places = {
            role: tmp_path / f"{role}_{len(list(tmp_path.iterdir()))}" for role in ("discriminator", "generator")
        }
        for role, place in places.items():
            convert(source, place, model=role, **given, **options)
        return places["discriminator"], places["generator"]

    return make


def test_two_folders_of_one_run_are_its_pair(decided, halves, golden_pair):
    discriminator, generator = halves("default")
    run, told = decided(discriminator, init_generator=generator)
    pair, _ = decided(golden_pair)
    assert run.configs == pair.configs
    assert run.layout == pair.layout
    assert f"The discriminator is that of {discriminator}, the generator that of {generator}." in told


@pytest.mark.parametrize(
    ("first", "second", "goes_on"), [(True, True, True), (True, False, False), (False, False, False)]
)
def test_a_run_goes_on_where_both_halves_have_slots_of_one_step(decided, halves, first, second, goes_on):
    discriminator, generator = halves("default", optimizer=True)
    for has, place in ((first, discriminator), (second, generator)):
        if not has:
            (place / "optimizer.safetensors").unlink()
    run, _ = decided(discriminator, init_generator=generator)
    assert run.start.is_afresh != goes_on
    assert run.start.checkpoint.step == (4000 if goes_on else None)


def test_embeddings_that_differ_are_refused_unless_each_has_its_own(decided, halves):
    """default and full_size_generator are two runs of one vocabulary; a generator as wide may be untied."""
    discriminator, generator = halves("default")[0], halves("full_size_generator")[1]
    with pytest.raises(NamesError, match="share these tensors while they are trained") as raised:
        decided(discriminator, init_generator=generator)
    assert str(discriminator) in raised.value.message
    assert str(generator) in raised.value.message
    assert "a new generator is made" in raised.value.hint
    untied = halves("untied_embeddings")[1]
    with pytest.raises(NamesError, match="share these tensors") as raised:
        decided(discriminator, init_generator=untied)
    assert "untied_generator_embeddings" in raised.value.hint
    run, _ = decided(discriminator, init_generator=untied, hparams={"untied_generator_embeddings": True})
    assert run.layout.name == "untied_generator_embeddings"


def test_other_sizes_are_refused_and_both_are_named(decided, halves, written):
    discriminator = halves("default")[0]
    generator = halves(written())[1]
    with pytest.raises(TrainingError, match=r"has 1500 word embeddings, but .* has 53") as raised:
        decided(discriminator, init_generator=generator)
    assert str(discriminator) in raised.value.message
    assert str(generator) in raised.value.message


def test_another_vocabulary_of_as_many_pieces_is_refused(decided, halves):
    discriminator, generator = halves("default")
    pieces = (generator / "vocab.txt").read_text().split("\n")
    pieces[200], pieces[201] = pieces[201], pieces[200]
    (generator / "vocab.txt").write_text("\n".join(pieces))
    with pytest.raises(VocabularyError, match="are different vocabularies: id 200 is") as raised:
        decided(discriminator, init_generator=generator)
    assert str(generator) in raised.value.message


def test_what_is_no_generator_or_one_too_many_is_refused(decided, halves, golden_pair):
    discriminator, generator = halves("default")
    with pytest.raises(TrainingError, match=r"holds no generator .* a discriminator's ElectraForPreTraining"):
        decided(discriminator, init_generator=discriminator)
    with pytest.raises(UsageError, match="holds a generator already"):
        decided(golden_pair, init_generator=generator)
    with pytest.raises(UsageError, match=r"joins two folders of transformers models, but .* is of tensorflow"):
        decided(discriminator, init_generator=FIXTURES / "default")
    with pytest.raises(UsageError, match="--init-generator goes with --init-from"):
        PretrainOptions(init_generator=generator)


def test_a_pair_that_googles_code_cannot_hold_is_refused_before_it_is_trained(decided, halves):
    discriminator, generator = halves("default")
    config = json.loads((generator / "config.json").read_text())
    (generator / "config.json").write_text(json.dumps({**config, "num_attention_heads": 2}))
    with pytest.raises(ConfigError, match="the generator's num_attention_heads is 2; google-research/electra gives"):
        decided(discriminator, init_generator=generator, export_tf=True)
    decided(discriminator, init_generator=generator)


def test_a_fine_tuned_encoder_goes_with_a_generator_on_its_own_embeddings(decided, halves, tmp_path):
    convert(FIXTURES / "finetuned" / "mnli", tmp_path / "tuned", vocab=FIXTURES / "vocab.txt")
    generator = halves("untied_embeddings")[1]
    own = {"untied_generator_embeddings": True}
    run, told = decided(tmp_path / "tuned", init_generator=generator, hparams=own)
    assert f"The generator is that of {generator}." in told
    assert run.start.checkpoint.models["generator"].weights.keys() > {"generator_lm_head.bias"}


def test_what_comes_from_the_hub_is_called_by_its_repository(tmp_path, golden_pair):
    from electra_convert.pretraining.starting.start import called

    snapshot = tmp_path / "hub" / "models--google--electra-small" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (snapshot / "discriminator").symlink_to(golden_pair / "discriminator")
    with open_checkpoint(snapshot / "discriminator") as checkpoint:
        assert called(checkpoint) == "hf://google/electra-small/discriminator"
    with open_checkpoint(golden_pair) as checkpoint:
        assert called(checkpoint) == str(golden_pair)


@pytest.mark.parametrize("model_type", ["deberta-v2", "bert", "modernbert"])
def test_a_model_of_another_type_is_refused_by_its_type(decided, pair_copy, model_type):
    """Whether its tensors are called as ELECTRA's or not."""
    place = pair_copy("default") / "discriminator"
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
    with pytest.raises(Exception, match=f"model_type is '{model_type}'"):
        decided(place)
