from collections import Counter

import pytest

from electra_convert.errors import NamesError
from electra_convert.schemes.layouts import VARIANTS
from electra_convert.schemes.mapping import RULES, Rule, RuleTable, dense, norm
from electra_convert.schemes.plan import Network, expand
from electra_convert.tensors.ops import Op

ALL_RULES = (
    *RULES.embeddings,
    *RULES.projection,
    *RULES.layer,
    *RULES.heads["discriminator"],
    *RULES.heads["generator"],
)


def test_the_table_has_a_rule_for_each_kind_of_tensor_and_no_more():
    assert len(ALL_RULES) == 32


def test_no_name_of_either_scheme_stands_twice_in_the_table():
    assert max(Counter(rule.tf for rule in ALL_RULES).values()) == 1
    assert max(Counter(rule.hf for rule in ALL_RULES).values()) == 1


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.tf)
def test_just_the_kernels_are_transposed(rule: Rule):
    assert (rule.op is Op.TRANSPOSE) == rule.tf.endswith("/kernel")
    assert len(rule.dims) == (2 if "kernel" in rule.tf or ("embeddings." in rule.hf and "Norm" not in rule.hf) else 1)


@pytest.mark.parametrize("op", Op)
def test_an_op_and_its_inverse_do_nothing(op: Op):
    assert op.then(op.inverse) is Op.KEEP
    assert op.inverse.shape(op.shape((3, 5))) == (3, 5)


@pytest.mark.parametrize("projects", [True, False])
@pytest.mark.parametrize("layers", [1, 12])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_every_network_of_every_layout_has_all_its_tensors(variant, layers, projects):
    for network in variant.networks:
        head = {"discriminator": 4, "generator": 5}[network.role] if network.head else 0
        bindings = expand(network, layers, projects)
        assert len(bindings) == 5 + (2 if projects else 0) + 16 * layers + head
        assert not [binding for binding in bindings if "{" in binding.tf + binding.hf]


def test_a_table_that_is_not_one_to_one_is_refused():
    twice = RuleTable((*norm("a", "x", "hidden"), *norm("b", "x", "hidden")), (), (), {"discriminator": ()})
    with pytest.raises(NamesError, match=r"more than once: x\.weight, x\.bias"):
        expand(Network("discriminator", "electra", "electra"), 1, False, twice)


def test_a_dense_layer_is_a_transposed_kernel_and_a_kept_bias():
    kernel, bias = dense("a/dense", "a.dense", "hidden", "intermediate")
    assert (kernel.tf, kernel.hf, kernel.op) == ("a/dense/kernel", "a.dense.weight", Op.TRANSPOSE)
    assert (bias.tf, bias.hf, bias.op, bias.dims) == ("a/dense/bias", "a.dense.bias", Op.KEEP, ("intermediate",))
