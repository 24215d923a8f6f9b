"""The table of names: one to one, complete for every network of every layout, and transposing kernels alone."""

from __future__ import annotations

from collections import Counter

import pytest

from electra_convert.errors import NamesError
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.layouts import LAYOUTS
from electra_convert.schemes.mapping import RULES, Rule, RuleTable, Scopes, dense, expand, norm, stacked
from electra_convert.tensors.op import Op

ALL_RULES = (
    *RULES.embeddings,
    *RULES.projection,
    *RULES.layer,
    *(rule for head in PRETRAINING.values() for rule in head.rules),
)


def test_the_table_has_a_rule_for_each_kind_of_tensor_and_no_more():
    assert len(ALL_RULES) == 32


def test_no_name_of_either_scheme_stands_twice_in_the_table():
    assert max(Counter(name for rule in ALL_RULES for name in rule.tf).values()) == 1
    assert max(Counter(rule.hf for rule in ALL_RULES).values()) == 1


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.hf)
def test_just_the_kernels_are_transposed(rule: Rule):
    assert (rule.op is Op.TRANSPOSE) == rule.tf[0].endswith("/kernel")
    assert len(rule.dims) == (
        2 if "kernel" in rule.tf[0] or ("embeddings." in rule.hf and "Norm" not in rule.hf) else 1
    )


@pytest.mark.parametrize("projects", [True, False])
@pytest.mark.parametrize("layers", [1, 12])
@pytest.mark.parametrize("variant", LAYOUTS.values(), ids=lambda variant: variant.name)
def test_every_network_of_every_layout_has_all_its_tensors(variant, layers, projects):
    for network in variant.networks:
        bindings = network.bindings(layers, projects)
        assert len(bindings) == 5 + (2 if projects else 0) + 16 * layers + len(network.head.rules)
        assert not [binding for binding in bindings if "{" in "".join(binding.tf) + binding.hf]


def test_a_table_that_is_not_one_to_one_is_refused():
    twice = RuleTable((*norm("a", "x", "hidden"), *norm("b", "x", "hidden")), (), ())
    with pytest.raises(NamesError, match=r"more than once: x\.weight, x\.bias"):
        expand(Scopes("electra", "electra"), 1, False, (), twice)


def test_a_dense_layer_is_a_transposed_kernel_and_a_kept_bias():
    kernel, bias = dense("a/dense", "a.dense", "hidden", "intermediate")
    assert (kernel.tf, kernel.hf, kernel.op) == (("a/dense/kernel",), "a.dense.weight", Op.TRANSPOSE)
    assert (bias.tf, bias.hf, bias.op, bias.dims) == (("a/dense/bias",), "a.dense.bias", Op.KEEP, ("intermediate",))


def test_dense_layers_over_one_input_are_stacked_row_by_row():
    kernel, bias = stacked(("start", "end"), "outputs", "hidden", "one")
    assert (kernel.tf, kernel.op, bias.tf, bias.op) == (
        ("start/kernel", "end/kernel"),
        Op.TRANSPOSE,
        ("start/bias", "end/bias"),
        Op.KEEP,
    )
    assert kernel.part_shape((2, 64)) == (64, 1)
    assert bias.part_shape((2,)) == (1,)
    assert kernel.part_shape((3, 64)) == (64, 3)  # what cannot be split is left for measure to refuse
