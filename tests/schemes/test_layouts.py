"""The layouts of Google's code, recognised from the names of their variables, with what is missing or too many."""

from __future__ import annotations

import pytest
from conftest import VARIANT_SIZES
from support import checkpoints
from support.checkpoints import SIZES

from electra_convert.errors import NamesError
from electra_convert.schemes.layouts import collapse, count_layers, recognise
from electra_convert.schemes.mapping import measure

OUR_NAMES = {"two_tower_untied_embeddings": "two_tower_generator"}


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_every_layout_is_recognised_from_its_names_and_nothing_is_left_over(variant: str, sizes: str):
    names = checkpoints.variables(variant, SIZES[sizes]).keys()
    found = recognise(names)
    assert found.layout.name == OUR_NAMES.get(variant, variant)
    assert (found.missing, found.unexpected) == ((), ())
    assert len(found.slots) == 2 * len(checkpoints.shapes(variant, SIZES[sizes]))
    assert all(name.startswith(("task_specific/", "generator_", "cloze_")) for name in found.foreign)


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_the_sizes_come_out_of_the_shapes(variant: str, sizes: str):
    shapes = checkpoints.shapes(variant, SIZES[sizes])
    found = recognise(shapes.keys())
    for network in found.layout.networks:
        dims = {binding.tf[0]: binding.dims for binding in found.bindings[network.role]}
        measured = measure(shapes, dims, count_layers(shapes, network.scopes.encoder))
        expected = checkpoints.sizes_of(variant, network.role, SIZES[sizes])
        names = ("vocabulary", "embedding", "hidden", "layers", "intermediate", "positions", "types")
        assert [getattr(measured, name) for name in names] == [getattr(expected, name) for name in names]


@pytest.mark.parametrize("variant", ["default", "untied_generator_embeddings", "masked_lm", "uniform_generator"])
def test_a_variable_that_is_not_there_is_missing_and_one_too_many_is_unexpected(variant: str):
    names = set(checkpoints.shapes(variant, SIZES["projected"]))
    for name in sorted(names):
        assert name in recognise(names - {name}).missing, name
    assert recognise(names | {"electra/encoder/pooler"}).unexpected == ("electra/encoder/pooler",)


def test_a_gap_in_the_layers_shows_as_missing_and_unexpected():
    names = {
        name.replace("layer_1/", "layer_7/") for name in checkpoints.shapes("uniform_generator", SIZES["projected"])
    }
    found = recognise(names)
    assert collapse(found.missing)[0] == "electra/encoder/layer_1/attention/output/LayerNorm/beta"
    assert all("layer_7/" in name for name in found.unexpected)


def test_slots_without_a_variable_are_not_slots():
    names = checkpoints.shapes("uniform_generator", SIZES["projected"]).keys() | {"electra/nothing/adam_m"}
    assert recognise(names).unexpected == ("electra/nothing/adam_m",)


def test_state_of_another_optimiser_is_told_apart_from_variables():
    names = checkpoints.shapes("uniform_generator", SIZES["projected"]).keys()
    others = {f"{name}/{slot}" for name in names for slot in ("Adam", "Adam_1")} | {"beta1_power", "beta2_power"}
    found = recognise(names | others)
    assert found.training.names == others
    assert not found.unexpected


def test_names_of_something_else_are_refused():
    with pytest.raises(NamesError, match="none of the variables of an ELECTRA encoder"):
        recognise({"bert/encoder/layer_0/attention/self/query/kernel", "bert/embeddings/word_embeddings"})


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([f"a/layer_{n}/b" for n in range(12)], ["a/layer_{0...11}/b"]),
        (["a.layer.0.b", "a.layer.3.b"], ["a.layer.{0,3}.b"]),
        (["a/layer_4/b", "c"], ["a/layer_4/b", "c"]),
        ([], []),
    ],
)
def test_names_that_differ_in_the_layer_are_shown_as_one(names: list[str], shown: list[str]):
    assert collapse(names) == shown
