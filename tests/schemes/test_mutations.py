"""The rule table is honest: every way to break it shows in the names, the shapes, or what the model computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from support import checkpoints, forward
from support.checkpoints import SIZES

from electra_convert.errors import NamesError
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.layouts import LAYOUTS, Layout, count_layers, recognise
from electra_convert.schemes.mapping import RULES, Rule, measure
from electra_convert.tensors.op import Op

pytestmark = pytest.mark.slow
VARIANT, MADE = "default", SIZES["projected"]
ENCODER = ("embeddings", "projection", "layer")
GROUPS = {group: getattr(RULES, group) for group in ENCODER} | {
    head.name: head.rules for head in PRETRAINING.values()
}
# A table in which one group of rules is another.
Mutant = tuple[str, tuple[Rule, ...]]


def dropped() -> Iterator[tuple[str, Mutant]]:
    for group, rules in GROUPS.items():
        for index, rule in enumerate(rules):
            yield f"without {rule.tf[0]}", (group, rules[:index] + rules[index + 1 :])


def not_transposed() -> Iterator[tuple[str, Mutant]]:
    for group, rules in GROUPS.items():
        for index, rule in enumerate(rules):
            if rule.op is Op.TRANSPOSE:
                kept = replace(rule, op=Op.KEEP)
                yield f"{rule.tf[0]} kept", (group, (*rules[:index], kept, *rules[index + 1 :]))


def swapped() -> Iterator[tuple[str, Mutant]]:
    for group, rules in GROUPS.items():
        for one, other in combinations(range(len(rules)), 2):
            changed = list(rules)
            changed[one] = replace(rules[one], tf=rules[other].tf)
            changed[other] = replace(rules[other], tf=rules[one].tf)
            yield f"{rules[one].tf[0]} for {rules[other].tf[0]}", (group, tuple(changed))


def with_heads(layout: Layout, name: str, rules: tuple[Rule, ...]) -> Layout:
    networks = (
        replace(network, head=replace(network.head, rules=rules)) if network.head.name == name else network
        for network in layout.networks
    )
    return replace(layout, networks=tuple(networks))


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


def is_caught(mutant: Mutant) -> bool:
    group, rules = mutant
    variables = checkpoints.variables(VARIANT, MADE, slots=False)
    table = replace(RULES, **{group: rules}) if group in ENCODER else RULES
    with mock.patch.dict(LAYOUTS, {VARIANT: with_heads(LAYOUTS[VARIANT], group, rules)}):
        found = recognise(variables.keys(), rules=table)
    if found.missing or found.unexpected:
        return True
    for network in found.layout.networks:
        bindings = found.bindings[network.role]
        dims = {binding.tf[0]: binding.dims for binding in bindings}
        layers = count_layers(variables, network.scopes.encoder)
        try:
            measure({name: variables[name].shape for name in dims}, dims, layers)
            state = {binding.hf: binding.op.apply(variables[binding.tf[0]]) for binding in bindings}
            logits = computed(network.role, state)
        except (NamesError, RuntimeError):
            return True
        if np.abs(logits - expected(network.role)).max() > 1e-4:
            return True
    return False


def test_the_table_as_it_is_computes_what_the_oracle_does():
    assert not is_caught(("layer", RULES.layer))


def test_there_are_as_many_mutants_as_the_table_allows():
    sizes = [len(rules) for rules in GROUPS.values()]
    assert len(MUTANTS) == sum(sizes) + 10 + sum(size * (size - 1) // 2 for size in sizes)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_every_broken_table_is_caught(mutant: str):
    assert is_caught(MUTANTS[mutant])
