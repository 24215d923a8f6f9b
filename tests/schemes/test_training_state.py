"""What training leaves beside a model is told from the model by names and shapes, and nothing else goes with it."""

from __future__ import annotations

import pytest

from electra_convert.schemes.training_state import find_training_state

KERNEL, BIAS = "electra/encoder/layer_0/output/dense/kernel", "electra/encoder/layer_0/output/dense/bias"
MODEL = {KERNEL: (8, 4), BIAS: (4,), "electra/embeddings/word_embeddings": (30, 8)}


def found(**added: tuple[int, ...]):
    shapes = {**MODEL, **added}
    return find_training_state(set(shapes), shapes)


@pytest.mark.parametrize(
    "slot",
    """
    Adam Adam_1 BERTAdam BERTAdam_1 AdamWeightDecayOptimizer_1 lamb_m LAMBOptimizer Momentum RMSProp_1 Adagrad
    ExponentialMovingAverage next_m accum_grad m v
    """.split(),
)
def test_a_slot_is_named_after_its_variable_and_has_its_shape(slot: str):
    name = f"{KERNEL}/{slot}"
    assert found(**{name: (8, 4)}).slots == {name: (KERNEL, slot)}
    assert name not in found(**{name: (7, 4)}).names


@pytest.mark.parametrize("scope", ["accum_grad", "training/Adam", "AdamWeightDecayOptimizer", "gradient_accumulator"])
def test_a_slot_may_lie_in_a_scope_of_its_own(scope: str):
    names = [f"{scope}/{KERNEL}", f"{scope}/{BIAS}/m"]
    assert found(**{names[0]: (8, 4), names[1]: (4,)}).slots.keys() == set(names)


def test_the_state_of_adafactor_has_the_shape_of_rows_and_columns():
    assert len(found(**{f"{KERNEL}/Adafactor": (8,), f"{KERNEL}/Adafactor_1": (4,)}).slots) == 2


@pytest.mark.parametrize(
    "name",
    """
    loss_scale current_loss_scale good_steps bad_steps num_good_steps mixed_precision/bad_steps local_step accum_step
    Adam/iter training/Adam/learning_rate
    """.split(),
)
def test_a_counter_is_a_scalar(name: str):
    assert found(**{name: ()}).counters == {name}
    assert name not in found(**{name: (5,)}).names


def test_gradients_without_a_name_are_those_of_variables_by_their_shapes():
    sums = {"Variable": (8, 4), "Variable_1": (4,), "Variable_2": (30, 8)}
    assert found(**sums).gradients == sums.keys()
    assert found(**{"accum_grads/Variable_3": (4,)}).gradients == {"accum_grads/Variable_3"}


def test_a_variable_without_a_name_and_of_no_variables_shape_is_not_a_gradient():
    assert not found(Variable=(12,)).names
    assert not found(Variable=()).names
    assert not found(Variable=(4,), Variable_1=(4,)).names  # one more than there are variables of that shape


@pytest.mark.parametrize(
    "name", [f"teacher/{KERNEL}", f"{KERNEL}/mask", "electra/pooler/kernel", "temperature", "electra/nothing/Adam"]
)
def test_what_is_not_known_to_be_of_training_stays(name: str):
    assert not found(**{name: (8, 4)}).names
