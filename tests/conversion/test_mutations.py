"""The rule table is honest: every way to break it shows in the names, the shapes, or what the model computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from support import checkpoints, forward
from support.checkpoints import SIZES

from electra_convert.errors import NamesError
from electra_convert.schemes.layouts import count_layers, recognise
from electra_convert.schemes.mapping import RULES, Rule, RuleTable
from electra_convert.schemes.plan import measure
from electra_convert.tensors.ops import Op

pytestmark = pytest.mark.slow
VARIANT, MADE = "default", SIZES["projected"]
GROUPS = {
    "embeddings": RULES.embeddings,
    "projection": RULES.projection,
    "layer": RULES.layer,
    "discriminator": RULES.heads["discriminator"],
    "generator": RULES.heads["generator"],
}


def with_group(group: str, rules: tuple[Rule, ...]) -> RuleTable:
    if group in RULES.heads:
        return replace(RULES, heads={**RULES.heads, group: rules})
    return replace(RULES, **{group: rules})


def dropped() -> Iterator[tuple[str, RuleTable]]:
    for group, rules in GROUPS.items():
        for index, rule in enumerate(rules):
            yield f"without {rule.tf}", with_group(group, rules[:index] + rules[index + 1 :])


def not_transposed() -> Iterator[tuple[str, RuleTable]]:
    for group, rules in GROUPS.items():
        for index, rule in enumerate(rules):
            if rule.op is Op.TRANSPOSE:
                kept = replace(rule, op=Op.KEEP)
                yield f"{rule.tf} kept", with_group(group, (*rules[:index], kept, *rules[index + 1 :]))


def swapped() -> Iterator[tuple[str, RuleTable]]:
    for group, rules in GROUPS.items():
        for one, other in combinations(range(len(rules)), 2):
            changed = list(rules)
            changed[one] = replace(rules[one], tf=rules[other].tf)
            changed[other] = replace(rules[other], tf=rules[one].tf)
            yield f"{rules[one].tf} for {rules[other].tf}", with_group(group, tuple(changed))


MUTANTS = {**dict(dropped()), **dict(not_transposed()), **dict(swapped())}


@cache
def torch_model(role: str):
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    sizes = checkpoints.sizes_of(VARIANT, role, MADE)
    config = ElectraConfig(
        vocab_size=sizes.vocabulary,
        embedding_size=sizes.embedding,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
    )
    return (ElectraForPreTraining if role == "discriminator" else ElectraForMaskedLM)(config).eval()


@cache
def expected(role: str) -> np.ndarray:
    heads = checkpoints.sizes_of(VARIANT, role, MADE).heads
    variables = checkpoints.variables(VARIANT, MADE, slots=False)
    return forward.forward(variables, forward.NETWORKS[VARIANT][role], heads, **checkpoints.inputs(MADE)).logits


def computed(role: str, state: dict[str, np.ndarray]) -> np.ndarray:
    import torch

    model = torch_model(role)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    if role == "generator":
        tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"]
    model.load_state_dict(tensors)
    inputs = {name: torch.from_numpy(array).long() for name, array in checkpoints.inputs(MADE).items()}
    with torch.no_grad():
        outputs = model(inputs["input_ids"], inputs["input_mask"], inputs["segment_ids"])
    return outputs.logits.numpy()


def is_caught(table: RuleTable) -> bool:
    variables = checkpoints.variables(VARIANT, MADE, slots=False)
    found = recognise(variables.keys(), rules=table)
    if found.missing or found.unexpected:
        return True
    for network in found.variant.networks:
        bindings = found.bindings[network.role]
        dims = {binding.tf: binding.dims for binding in bindings}
        try:
            measure({name: variables[name].shape for name in dims}, dims, count_layers(variables, network.encoder))
            state = {
                binding.hf: variables[binding.tf].T if binding.op is Op.TRANSPOSE else variables[binding.tf]
                for binding in bindings
            }
            logits = computed(network.role, state)
        except (NamesError, RuntimeError):
            return True
        if np.abs(logits - expected(network.role)).max() > 1e-4:
            return True
    return False


def test_the_table_as_it_is_computes_what_the_oracle_does():
    assert not is_caught(RULES)


def test_there_are_as_many_mutants_as_the_table_allows():
    sizes = [len(rules) for rules in GROUPS.values()]
    assert len(MUTANTS) == sum(sizes) + 10 + sum(size * (size - 1) // 2 for size in sizes)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_every_broken_table_is_caught(mutant: str):
    assert is_caught(MUTANTS[mutant])
