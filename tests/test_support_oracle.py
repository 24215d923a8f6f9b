"""The oracle agrees with what Google's code computed and wrote, and its made-up checkpoints hide no confusion."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import checkpoints, forward
from support.checkpoints import SIZES, VARIANTS, Sizes

FIXTURES = Path(__file__).parent.parent / "fixtures"
TRAINED = Sizes(1500, 32, 64, 2, 2, 256, 128, 2)


@dataclass(frozen=True)
class Trained:
    """A checkpoint of Google's code: its layout, what TensorFlow reads from it, and what that code computed."""

    variant: str
    sizes: Sizes
    hparams: dict[str, object]
    variables: dict[str, NDArray[np.generic]]
    golden: dict[str, NDArray[np.generic]]

    def run(self, role: str, heads: int | None = None, dtype: type = np.float32) -> forward.Outputs:
        network = forward.NETWORKS[self.variant][role]
        heads = heads or checkpoints.sizes_of(self.variant, role, self.sizes).heads
        ids = self.golden["disc_ids" if role == "discriminator" else "gen_ids"]
        masks = self.golden["input_mask"], self.golden["segment_ids"]
        return forward.forward(self.variables, network, heads, ids, *masks, dtype=dtype)


@pytest.fixture(
    scope="module",
    params=[
        ("default", "default", 0.5),
        ("full_size_generator", "default", 1.0),
        ("untied_embeddings", "untied_generator_embeddings", 0.5),
    ],
    ids=lambda parameters: parameters[0],
)
def trained(request: pytest.FixtureRequest, imported_tensorflow) -> Trained:
    folder, variant, generator_hidden_size = request.param
    reader = imported_tensorflow.train.load_checkpoint(str(FIXTURES / folder))
    with np.load(FIXTURES / folder / "golden.npz") as golden:
        return Trained(
            variant,
            replace(TRAINED, generator_hidden_size=generator_hidden_size),
            json.loads((FIXTURES / folder / "hparams.json").read_text()),
            {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()},
            dict(golden),
        )


def run(variant: str, role: str, sizes: Sizes, **options: object) -> forward.Outputs:
    """Run one model of a made-up checkpoint on made-up inputs."""
    variables = checkpoints.variables(variant, sizes, slots=False)
    heads = checkpoints.sizes_of(variant, role, sizes).heads
    arguments = {"activation": sizes.activation, **checkpoints.inputs(sizes), **options}
    return forward.forward(variables, forward.NETWORKS[variant][role], heads, **arguments)


def furthest(left: NDArray[np.generic], right: NDArray[np.generic]) -> float:
    assert left.shape == right.shape
    return float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max())


every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_size = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
every_model = pytest.mark.parametrize(
    ("variant", "role"), [(variant, role) for variant, models in forward.NETWORKS.items() for role in models]
)


@pytest.mark.slow
def test_the_discriminator_computes_what_google_s_code_computed_at_every_position(trained: Trained) -> None:
    outputs = trained.run("discriminator")
    assert furthest(outputs.hidden, trained.golden["disc_hidden"]) < 1e-5
    assert furthest(outputs.logits, trained.golden["disc_logits"]) < 1e-5


@pytest.mark.slow
def test_the_generator_computes_what_google_s_code_computed_at_every_position(trained: Trained) -> None:
    outputs = trained.run("generator")
    rows, columns = trained.golden["gen_positions"].T
    assert furthest(outputs.hidden, trained.golden["gen_hidden"]) < 1e-5
    assert furthest(outputs.logits[rows, columns], trained.golden["gen_logits"]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("role", "wrong", "recorded"), [("discriminator", 1, "disc"), ("generator", 2, "gen")])
def test_a_wrong_head_count_is_far_from_what_google_s_code_computed(
    trained: Trained, role: str, wrong: int, recorded: str
) -> None:
    assert furthest(trained.run(role, heads=wrong).hidden, trained.golden[f"{recorded}_hidden"]) > 1e-3


@pytest.mark.slow
def test_double_precision_agrees_with_google_s_single_precision(trained: Trained) -> None:
    outputs = trained.run("discriminator", dtype=np.float64)
    assert outputs.hidden.dtype == outputs.logits.dtype == np.float64
    assert furthest(outputs.hidden, trained.golden["disc_hidden"]) < 1e-5


@pytest.mark.slow
def test_made_up_variables_have_the_names_shapes_and_dtypes_that_google_s_code_wrote(trained: Trained) -> None:
    made = checkpoints.variables(trained.variant, trained.sizes)
    assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
        name: (np.shape(array), np.asarray(array).dtype) for name, array in trained.variables.items()
    }


@pytest.mark.slow
def test_made_up_hparams_say_what_google_s_code_was_given(trained: Trained) -> None:
    made = checkpoints.hparams(trained.variant, trained.sizes)
    given = {key: value for key, value in trained.hparams.items() if key in made and key != "max_seq_length"}
    overrides = given.pop("model_hparam_overrides")
    assert made.items() >= given.items()
    assert made["model_hparam_overrides"].items() >= overrides.items()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "kind", "arrays"),
    [
        ("mnli", "mnli", "classes", {"logits": "logits"}),
        ("mrpc_chunk", "mrpc", "classes", {"logits": "mrpc/logits"}),
        ("mrpc_chunk", "chunk", "tags", {"logits": "chunk/logits"}),
        (
            "squad_answerable",
            "squad",
            "ends",
            {f"{end}_logits": f"{end}_logits_unmasked" for end in ("start", "end")},
        ),
    ],
)
def test_fine_tuned_heads_compute_what_google_s_code_computed(
    imported_tensorflow, name: str, task: str, kind: str, arrays: dict[str, str]
) -> None:
    folder = FIXTURES / "finetuned" / name
    reader = imported_tensorflow.train.load_checkpoint(str(folder))
    variables = {variable: reader.get_tensor(variable) for variable in reader.get_variable_to_shape_map()}
    golden = np.load(folder / "golden.npz")
    inputs = (golden[array] for array in ("input_ids", "input_mask", "segment_ids"))
    hidden = forward.forward(variables, forward.ENCODER, 2, *inputs).hidden[-1]
    assert furthest(hidden, golden["last_hidden"]) < 1e-5
    found = forward.task_answers(variables, task, kind, hidden)
    assert {field: furthest(found[field], golden[array]) < 1e-5 for field, array in arrays.items()} == dict.fromkeys(
        found, True
    )


@every_size
@every_model
def test_every_model_of_every_layout_runs_and_stays_near_one(variant: str, role: str, sizes: Sizes) -> None:
    outputs = run(variant, role, sizes)
    own = checkpoints.sizes_of(variant, role, sizes)
    assert outputs.hidden.shape == (own.layers, 8, own.positions, own.hidden)
    assert outputs.hidden.dtype == np.float32
    assert 0.5 < np.square(outputs.hidden).mean() < 2.0
    if outputs.logits is not None:
        positions = (8, own.positions)
        assert outputs.logits.shape == (positions if role == "discriminator" else (*positions, own.vocabulary))
        assert outputs.logits.dtype == np.float32
        assert 0.01 < np.square(outputs.logits).mean() < 4.0


@every_model
def test_single_precision_stays_close_to_double(variant: str, role: str) -> None:
    single, double = (run(variant, role, SIZES["deep"], dtype=dtype) for dtype in (np.float32, np.float64))
    assert furthest(single.hidden, double.hidden) < 1e-5


def test_padding_does_not_reach_the_tokens() -> None:
    sizes = SIZES["odd"]
    batch = checkpoints.inputs(sizes)
    padding = batch["input_mask"] == 0
    other = {"input_ids": np.where(padding, 7, batch["input_ids"]), "segment_ids": np.where(padding, 2, 0)}
    plain = run("default", "discriminator", sizes, segment_ids=np.zeros_like(batch["segment_ids"]))
    changed = run("default", "discriminator", sizes, **other)
    np.testing.assert_array_equal(plain.hidden[:, ~padding], changed.hidden[:, ~padding])
    assert not np.array_equal(plain.hidden[:, padding], changed.hidden[:, padding])


@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_every_activation_gives_another_result(role: str) -> None:
    logits = [run("default", role, SIZES["projected"], activation=name).logits for name in forward.ACTIVATIONS]
    assert all(furthest(left, right) > 1e-2 for left, right in combinations(logits, 2))


# The softmax does not see a bias that all keys share, so no outputs can.
@pytest.mark.parametrize("sizes", [SIZES["projected"], SIZES["odd"]], ids=["projected", "odd"])
@every_model
def test_every_weight_but_the_key_biases_moves_the_outputs(variant: str, role: str, sizes: Sizes) -> None:
    network, batch = forward.NETWORKS[variant][role], checkpoints.inputs(sizes)
    heads = checkpoints.sizes_of(variant, role, sizes).heads
    variables = checkpoints.variables(variant, sizes, slots=False)
    scopes = (f"{network.embeddings}/embeddings/", f"{network.encoder}/e", f"{network.head}/")
    own = [name for name in variables if name.startswith(scopes) and not name.endswith("key/bias")]
    plain = forward.forward(variables, network, heads, **batch)
    for name in own:
        other = {**variables, name: variables[name][::-1] + np.float32(0.1)}
        moved = forward.forward(other, network, heads, **batch)
        assert not same(plain, moved), name


def same(left: forward.Outputs, right: forward.Outputs) -> bool:
    return np.array_equal(left.hidden, right.hidden) and np.array_equal(left.logits, right.logits)


@every_size
@every_variant
def test_no_two_tensors_of_a_checkpoint_can_be_confused(variant: str, sizes: Sizes) -> None:
    alike = defaultdict(list)
    for name, array in checkpoints.variables(variant, sizes).items():
        alike[array.size].append((name, np.sort(array, axis=None).tobytes()))
    for tensors in alike.values():
        assert len({values for _, values in tensors}) == len(tensors)


@every_variant
def test_made_up_values_are_those_of_a_trained_model_s_kinds(variant: str) -> None:
    made = checkpoints.variables(variant, SIZES["odd"])
    assert made.pop("global_step") == checkpoints.STEP
    for name, array in made.items():
        assert array.dtype == np.float32, name
        assert np.all(array > 0) if name.endswith(("adam_v", "LayerNorm/gamma")) else np.all(array != 0), name
    trainable = {name for name in made if not name.endswith(("/adam_m", "/adam_v"))}
    assert set(made) == {name + slot for name in trainable for slot in ("", "/adam_m", "/adam_v")}
    assert trainable == set(checkpoints.variables(variant, SIZES["odd"], slots=False))


def test_a_tensor_s_values_follow_from_its_name_and_the_seed() -> None:
    default = checkpoints.variables("default", SIZES["projected"])
    tied = checkpoints.variables("tied_generator", SIZES["projected"])
    other = checkpoints.variables("default", SIZES["projected"], seed=1)
    name = "electra/encoder/layer_1/output/dense/kernel"
    np.testing.assert_array_equal(default[name], tied[name])
    assert not np.array_equal(default[name], other[name])


@pytest.mark.parametrize(
    ("variant", "hidden", "layers", "heads", "intermediate", "embedding"),
    [
        ("default", 4, 2, 1, 16, 6),
        ("untied_generator_embeddings", 4, 2, 1, 16, 4),
        ("two_tower_generator", 4, 2, 1, 16, 6),
        ("two_tower_untied_embeddings", 4, 2, 1, 16, 4),
        ("tied_generator", 15, 5, 5, 22, 6),
        ("masked_lm", 15, 5, 5, 22, 6),
    ],
)
def test_a_generator_is_sized_as_get_generator_config_sizes_it(
    variant: str, hidden: int, layers: int, heads: int, intermediate: int, embedding: int
) -> None:
    own = checkpoints.sizes_of(variant, "generator", SIZES["odd"])
    assert (own.hidden, own.layers, own.heads) == (hidden, layers, heads)
    assert (own.intermediate, own.embedding) == (intermediate, embedding)


def test_a_full_size_generator_has_heads_of_its_own() -> None:
    sizes = SIZES["full_size_generator"]
    assert checkpoints.sizes_of("default", "generator", sizes).heads == 2
    assert checkpoints.sizes_of("default", "discriminator", sizes).heads == 4


@every_size
def test_inputs_have_full_and_padded_rows_and_the_whole_range_of_ids(sizes: Sizes) -> None:
    batch = checkpoints.inputs(sizes)
    lengths = batch["input_mask"].sum(axis=1)
    assert list(lengths[:3]) == [sizes.positions] * 3
    assert np.all((lengths[3:] >= 1) & (lengths[3:] < sizes.positions))
    assert (batch["input_ids"].min(), batch["input_ids"].max()) == (0, sizes.vocabulary - 1)
    assert set(batch["segment_ids"].flat) == set(range(sizes.types))
    assert all(np.all(array[batch["input_mask"] == 0] == 0) for array in batch.values())


@pytest.mark.slow
@every_variant
def test_tensorflow_finds_and_reads_back_a_folder(variant: str, tmp_path: Path, imported_tensorflow) -> None:
    sizes = SIZES["odd"]
    prefix = checkpoints.write_folder(tmp_path / "run", variant, sizes)
    latest = imported_tensorflow.train.latest_checkpoint(str(tmp_path / "run"))
    reader = imported_tensorflow.train.load_checkpoint(latest)
    made = checkpoints.variables(variant, sizes)
    assert set(reader.get_variable_to_shape_map()) == set(made)
    for name, array in made.items():
        np.testing.assert_array_equal(reader.get_tensor(name), array)
    assert sorted(path.name for path in prefix.parent.iterdir()) == [
        "checkpoint",
        "hparams.json",
        "model.ckpt-1000.data-00000-of-00001",
        "model.ckpt-1000.index",
        "vocab.txt",
    ]
    assert json.loads((prefix.parent / "hparams.json").read_text()) == checkpoints.hparams(variant, sizes)
    lines = (prefix.parent / "vocab.txt").read_text().splitlines()
    assert len(lines) == len(set(lines)) == sizes.vocabulary


def test_the_oracle_takes_nothing_from_the_package() -> None:
    for module in (forward, checkpoints):
        assert "electra_convert" not in Path(module.__file__).read_text()
