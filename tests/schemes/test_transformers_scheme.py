"""transformers' names of any age: recognised with their heads, buffers and aliases, or refused."""

from __future__ import annotations

import pytest

from electra_convert.errors import NamesError
from electra_convert.schemes.heads import HEADS, NONE, PRETRAINING, Head, with_labels
from electra_convert.schemes.mapping import Scopes, expand
from electra_convert.schemes.state_dict import recognise

DISCRIMINATES, FILLS = PRETRAINING["discriminator"], PRETRAINING["generator"]


def names_of(head: Head = DISCRIMINATES, layers: int = 2, projects: bool = True) -> set[str]:
    return {binding.hf for binding in expand(Scopes("", ""), layers, projects, head.parameters)}


@pytest.mark.parametrize("head", HEADS.values(), ids=lambda head: head.name)
@pytest.mark.parametrize("projects", [True, False])
def test_a_model_is_recognised_by_its_head(head, projects):
    found = recognise(names_of(head, projects=projects))
    assert (with_labels(found.head, head.labels or 5), found.missing, found.unexpected) == (head, (), ())


def test_a_model_without_a_head_is_an_encoder():
    found = recognise(names_of(NONE))
    assert (found.head, found.head.role, found.missing) == (NONE, "discriminator", ())


def test_names_without_the_prefix_are_the_base_models():
    bare = {name.removeprefix("electra.") for name in names_of(NONE)}
    found = recognise(bare)
    assert found.missing == found.unexpected == ()
    assert found.stored["electra.embeddings.LayerNorm.weight"] == "embeddings.LayerNorm.weight"


def test_a_bare_encoder_beside_a_head_is_the_whole_model():
    found = recognise({name.removeprefix("electra.") for name in names_of()})
    assert (found.head, found.missing, found.unexpected) == (DISCRIMINATES, (), ())


def test_gamma_and_beta_are_the_old_names_of_weight_and_bias():
    def old(name: str) -> str:
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    found = recognise({old(name) for name in names_of(FILLS)})
    assert found.missing == found.unexpected == ()
    assert found.stored["generator_predictions.LayerNorm.bias"] == "generator_predictions.LayerNorm.beta"


def test_the_repeated_table_of_a_generator_and_buffers_are_known():
    extra = {"generator_lm_head.weight", "electra.embeddings.position_ids"}
    found = recognise(names_of(FILLS) | extra)
    assert (found.repeated, found.buffers) == ("generator_lm_head.weight", ("electra.embeddings.position_ids",))
    assert not found.unexpected


def test_a_fine_tuned_head_is_named():
    found = recognise(names_of(NONE) | {"classifier.weight", "pooler.dense.weight"})
    assert found.head.unmapped == ("classifier.weight", "pooler.dense.weight")
    assert not found.head.is_bare


def test_what_is_unknown_within_the_encoder_is_unexpected():
    assert recognise(names_of() | {"electra.pooler.weight"}).unexpected == ("electra.pooler.weight",)


@pytest.mark.parametrize("name", sorted(names_of(FILLS)))
def test_every_parameter_that_is_not_there_is_missing(name: str):
    assert name in recognise(names_of(FILLS) - {name}, projects=True).missing


def test_two_names_for_one_tensor_are_refused():
    both = names_of() | {"electra.embeddings.LayerNorm.gamma"}
    with pytest.raises(NamesError, match=r"mean the same tensor: electra\.embeddings\.LayerNorm\.gamma and"):
        recognise(both)


def test_two_heads_are_refused():
    with pytest.raises(NamesError, match="heads of a discriminator and of a generator"):
        recognise(names_of() | names_of(FILLS))


def test_another_model_is_refused():
    with pytest.raises(NamesError, match="none of the parameters of an ELECTRA encoder"):
        recognise({"bert.embeddings.word_embeddings.weight"})
