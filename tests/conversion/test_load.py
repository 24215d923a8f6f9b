"""Models in memory: what load_state_dict and load_model give is what convert writes, and nothing is written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, VARIANT_SIZES
from safetensors.numpy import load_file

from electra_convert import ElectraConvertError, convert, inspect, load_model, load_state_dict
from electra_convert.errors import ElectraWarning, MissingPackageError, NamesError, SourceError, UsageError
from electra_convert.pytorch import load_tensors

DEFAULT = FIXTURES / "default"
CLASSES = {"discriminator": "ElectraForPreTraining", "generator": "ElectraForMaskedLM"}


def same(first: dict, second: dict) -> bool:
    """Whether two state dicts have the same names in the same order, and the same bits in the same shapes."""
    return [(name, array.dtype, array.shape, array.tobytes()) for name, array in first.items()] == [
        (name, array.dtype, array.shape, array.tobytes()) for name, array in second.items()
    ]


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_a_state_dict_is_what_convert_writes(written, tmp_path: Path, variant: str, sizes: str):
    source = written(variant, sizes, slots=variant != "fine_tuned")
    for role in inspect(source).models:
        convert(source, tmp_path / role, model=role)
        assert same(
            load_state_dict(source, role), dict(sorted(load_file(tmp_path / role / "model.safetensors").items()))
        )


@pytest.mark.parametrize("part", ["", "discriminator"])
def test_a_state_dict_is_the_same_from_whatever_it_is_stored_in(golden_pair: Path, part: str):
    assert same(load_state_dict(golden_pair / part), load_state_dict(DEFAULT))


def test_arrays_are_of_numpys_own_types():
    assert {str(array.dtype) for array in load_state_dict(DEFAULT).values()} == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors_are_what_arrays_are(tmp_path: Path, dtype: str):
    import torch

    convert(DEFAULT, tmp_path / "out", model="generator", dtype=dtype)
    arrays = load_state_dict(tmp_path / "out", "generator")
    tensors = load_state_dict(tmp_path / "out", "generator", framework="torch")
    assert {str(tensor.dtype) for tensor in tensors.values()} == {f"torch.{dtype}"}
    assert {str(array.dtype) for array in arrays.values()} == {dtype}
    assert list(arrays) == list(tensors)
    for name, array in arrays.items():
        assert torch.equal(tensors[name].double(), torch.from_numpy(array.astype(np.float64)))


def test_arrays_of_bfloat16_take_a_package_and_the_refusal_says_which(tmp_path: Path, monkeypatch):
    convert(DEFAULT, tmp_path / "out", model="generator", dtype="bfloat16")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(MissingPackageError, match="ml_dtypes is needed to make arrays of bfloat16") as error:
        load_state_dict(tmp_path / "out", "generator")
    assert error.value.hint == 'pip install ml_dtypes, or take framework="torch".'


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"role": "critic"}, "role is 'critic', expected discriminator or generator"),
        ({"role": "both"}, "role is 'both'"),
        ({"framework": "jax"}, "framework is 'jax', expected numpy or torch"),
        ({"revision": "main"}, "default is a path; a source on the Hub alone has a revision$"),
        ({"token": "hf_secret", "subfolder": "a"}, "on the Hub alone has a token and a subfolder$"),
        ({"generator": DEFAULT}, "generator goes with a SOURCE that is one transformers model"),
    ],
)
def test_what_makes_no_sense_is_refused_in_pythons_words(options: dict, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        load_state_dict(DEFAULT, **options)


def test_a_model_that_is_not_there_is_refused(written):
    with pytest.raises(NamesError, match="holds no discriminator") as error:
        load_state_dict(written("masked_lm"))
    assert error.value.hint == 'The generator converts: role="generator".'


def test_a_tensor_that_nothing_accounts_for_is_refused(written):
    source = written(change=lambda tensors: tensors.update({"my_own/step": np.zeros(2, np.float32)}))
    with pytest.raises(NamesError, match="my_own/step"):
        load_state_dict(source)


def test_a_model_that_has_diverged_is_refused_unless_it_is_wanted(written):
    def change(tensors):
        tensors["generator_predictions/output_bias"][0] = np.nan

    source = written(change=change)
    with pytest.raises(NamesError, match="generator_predictions/output_bias holds NaN") as error:
        load_state_dict(source, "generator")
    assert "allow_nonfinite=True" in str(error.value.hint)
    assert np.isnan(load_state_dict(source, "generator", allow_nonfinite=True)["generator_lm_head.bias"][0])


def assert_as_converted(source: Path, place: Path, role: str) -> None:
    """What load_model gives is what from_pretrained makes of what convert writes."""
    import torch
    import transformers

    model = load_model(source, role)
    convert(source, place, model=role, to="safetensors")
    expected = getattr(transformers, type(model).__name__).from_pretrained(place, dtype=model.dtype)
    told = {"_name_or_path", "transformers_version"}
    configs = [{k: v for k, v in one.config.to_dict().items() if k not in told} for one in (model, expected)]
    assert configs[0] == configs[1]
    assert not model.training
    assert list(model.state_dict()) == list(expected.state_dict())
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in model.state_dict().items())
    assert {name: value.dtype for name, value in model.named_parameters()} == {
        name: value.dtype for name, value in expected.named_parameters()
    }


@pytest.mark.slow
@pytest.mark.parametrize("role", CLASSES)
@pytest.mark.parametrize("kind", ["tensorflow", "pair", "bfloat16", "pickled", "one file"])
def test_a_model_is_what_from_pretrained_makes_of_a_conversion(
    golden_pair: Path, tmp_path: Path, kind: str, role: str
):
    source = {"tensorflow": DEFAULT, "pair": golden_pair}.get(kind, tmp_path / "source")
    if kind in {"bfloat16", "pickled", "one file"}:
        convert(DEFAULT, source, **{"bfloat16": {"dtype": "bfloat16"}, "pickled": {"to": "torch"}}.get(kind, {}))
    assert_as_converted(source / role / "model.safetensors" if kind == "one file" else source, tmp_path / "out", role)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The head of squad is left out")
@pytest.mark.parametrize(("variant", "sizes"), [("fine_tuned", "projected"), ("uniform_generator", "relu")])
def test_a_layout_of_one_model_is_loaded_as_it_is_converted(written, tmp_path: Path, variant: str, sizes: str):
    assert_as_converted(written(variant, sizes), tmp_path / "out", "discriminator")


@pytest.mark.slow
def test_a_fine_tuned_model_of_transformers_keeps_its_class_and_its_labels(tmp_path: Path):
    import transformers

    labels = {0: "no", 1: "yes", 2: "perhaps"}
    sizes = {"vocab_size": 61, "embedding_size": 12, "hidden_size": 24, "num_attention_heads": 3}
    config = transformers.ElectraConfig(**sizes, num_hidden_layers=1, intermediate_size=40, id2label=labels)
    transformers.ElectraForSequenceClassification(config).save_pretrained(tmp_path / "tuned")
    assert_as_converted(tmp_path / "tuned", tmp_path / "out", "discriminator")
    model = load_model(tmp_path / "tuned")
    assert (type(model).__name__, model.config.id2label) == ("ElectraForSequenceClassification", labels)


@pytest.mark.slow
def test_a_generators_output_table_is_its_embeddings_once_it_is_loaded():
    model = load_model(DEFAULT, "generator")
    assert model.generator_lm_head.weight is model.electra.embeddings.word_embeddings.weight


@pytest.mark.slow
def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import tempfile

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted((path, path.stat().st_mtime_ns) for path in DEFAULT.iterdir())
    load_state_dict(DEFAULT)
    load_model(DEFAULT)
    assert list(tmp_path.iterdir()) == []
    assert sorted((path, path.stat().st_mtime_ns) for path in DEFAULT.iterdir()) == before


@pytest.mark.slow
def test_a_guess_is_warned_of_where_it_is_made_and_an_argument_settles_it(golden_copy, recwarn):
    source = golden_copy(without=("hparams.json", "model.ckpt-4000.meta"))
    with pytest.warns(ElectraWarning, match="guess") as told:
        assert load_model(source).config.num_attention_heads == 1
    assert {warning.filename for warning in told} == {__file__}
    recwarn.clear()
    assert load_model(source, hparams=(DEFAULT / "hparams.json")).config.num_attention_heads == 2
    assert not [one for one in recwarn if one.category is ElectraWarning]


@pytest.mark.slow
def test_a_generator_that_transformers_computes_otherwise_is_refused(written):
    with pytest.raises(ElectraConvertError, match="transformers computes the generator's head with gelu") as error:
        load_model(written(sizes="relu"), "generator")
    assert error.value.hint == 'The discriminator converts: role="discriminator".'


@pytest.fixture(scope="module")
def generator() -> tuple[dict, dict]:
    """A generator's configuration, and its tensors."""
    config = {**load_model(DEFAULT, "generator").config.to_dict(), "architectures": ["ElectraForMaskedLM"]}
    return {**config, "dtype": "float32"}, load_state_dict(DEFAULT, "generator", framework="torch")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda tensors: tensors.pop("generator_lm_head.bias"), "missing: generator_lm_head.bias"),
        (lambda tensors: tensors.pop("electra.embeddings.word_embeddings.weight"), "missing: .*word_embeddings"),
        (lambda tensors: tensors.update(own=tensors["generator_lm_head.bias"]), "unexpected: own"),
        (
            lambda tensors: tensors.update({"generator_lm_head.bias": tensors["generator_lm_head.bias"][:9]}),
            "mismatched: generator_lm_head.bias",
        ),
    ],
)
def test_no_weight_is_left_at_random_or_left_out(generator, change, complaint: str):
    config, tensors = generator
    changed = dict(tensors)
    change(changed)
    with pytest.raises(NamesError, match=f"^mine: transformers does not load every weight .*{complaint}"):
        load_tensors("mine", config, changed)


@pytest.mark.slow
def test_a_class_that_transformers_lacks_is_refused(generator):
    with pytest.raises(SourceError, match="has no class ElectraForDreams"):
        load_tensors("mine", {**generator[0], "architectures": ["ElectraForDreams"]}, generator[1])
