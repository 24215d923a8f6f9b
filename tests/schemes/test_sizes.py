"""Sizes taken from the shapes of weights; a shape that does not fit is named."""

from __future__ import annotations

import pytest
from support import checkpoints
from support.checkpoints import SIZES

from electra_convert.errors import NamesError
from electra_convert.schemes.layouts import recognise
from electra_convert.schemes.mapping import measure


def shapes_and_dims():
    shapes = checkpoints.shapes("uniform_generator", SIZES["odd"])
    return shapes, {binding.tf[0]: binding.dims for binding in recognise(shapes.keys()).bindings["discriminator"]}


@pytest.mark.parametrize("name", sorted(checkpoints.shapes("uniform_generator", SIZES["odd"])))
def test_a_wrong_shape_names_the_tensor_and_both_shapes(name: str):
    shapes, dims = shapes_and_dims()
    alone = name.endswith(("word_embeddings", "position_embeddings", "token_type_embeddings"))
    shapes[name] = (*shapes[name], 1) if alone else (*shapes[name][:-1], shapes[name][-1] + 1)
    with pytest.raises(NamesError, match=rf"{name} is \[.*\], expected \[") as error:
        measure(shapes, dims, 5)
    assert error.value.message.startswith("1 tensor of a shape that does not fit")


def test_sizes_that_a_single_table_states_are_taken_from_it():
    shapes, dims = shapes_and_dims()
    shapes["electra/embeddings/position_embeddings"] = (77, 6)
    assert measure(shapes, dims, 5).positions == 77
