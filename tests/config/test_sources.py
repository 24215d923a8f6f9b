"""Head counts and activations of checkpoints: found in what lies beside them, contradictions told, guesses marked."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from electra_convert import Inspection, convert, inspect
from electra_convert.errors import ConfigError
from electra_convert.formats.wire import encode_content, encode_number

META = "model.ckpt-4000.meta"


def heads(inspection: Inspection) -> dict[str, int]:
    return {role: model.config["num_attention_heads"].value for role, model in inspection.models.items()}


def origin(inspection: Inspection, key: str = "num_attention_heads", role: str = "discriminator") -> str:
    return inspection.models[role].config[key].origin


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def overrides(**changes: Any) -> str:
    return json.dumps({"model_hparam_overrides": changes})


# A trained checkpoint with heads that Google's rule would not give: 2 in the discriminator, 1 in the generator


@pytest.mark.parametrize(
    ("without", "source"),
    [((), "hparams.json"), ((META,), "hparams.json"), (("hparams.json",), META)],
)
def test_heads_come_from_hparams_or_from_the_graph_alone(golden_copy, without: tuple[str, ...], source: str):
    found = inspect(golden_copy(without=without))
    assert heads(found) == {"discriminator": 2, "generator": 1}
    assert origin(found) == origin(found, role="generator") == source
    assert found.warnings == ()


@pytest.mark.parametrize("name", ["full_size_generator", "untied_embeddings"])
def test_the_graph_and_hparams_of_every_trained_checkpoint_agree(golden_copy, name: str):
    source = golden_copy(name)
    whole = inspect(source)
    (source / "hparams.json").unlink()
    graph = inspect(source)
    assert heads(graph) == heads(whole) == {"discriminator": 2, "generator": 1}
    for role in graph.models:
        assert graph.models[role].config["hidden_act"].value == "gelu"
        assert origin(graph, "hidden_act", role).endswith(".meta")


def test_with_neither_heads_are_a_guess_and_that_is_told(golden_copy):
    found = inspect(golden_copy(without=(META, "hparams.json")))
    assert heads(found) == {"discriminator": 1, "generator": 1}
    assert "guess" in origin(found)
    (told,) = found.warnings
    assert told.startswith("The discriminator's head count 1 and its activation gelu are guesses by Google's rule")


def test_hparams_that_the_graph_contradicts_are_an_error(golden_copy):
    source = golden_copy()
    change(source / "hparams.json", model_hparam_overrides={"num_attention_heads": 4})
    with pytest.raises(ConfigError, match=rf"hparams.json says the discriminator's .* is 4, {META} says 2"):
        inspect(source)
    change(source / "hparams.json", model_hparam_overrides={})
    with pytest.raises(ConfigError, match=rf"hparams.json says the discriminator's .* is 1, {META} says 2"):
        inspect(source)


@pytest.mark.parametrize("without", [(), (META,), ("hparams.json",), (META, "hparams.json")])
def test_hparams_given_as_an_option_decide(golden_copy, without: tuple[str, ...]):
    found = inspect(golden_copy(without=without), hparams=overrides(num_attention_heads=4))
    assert heads(found) == {"discriminator": 4, "generator": 1}
    assert origin(found) == "--hparams"
    contradicted = [name for name in ("hparams.json", META) if name not in without]
    assert [name for name in contradicted if any(name in told for told in found.warnings)] == contradicted


def test_an_option_sets_a_damaged_hparams_file_aside(golden_copy):
    source = golden_copy(without=(META,))
    (source / "hparams.json").write_text("{")
    with pytest.raises(ConfigError, match=r"hparams.json is not JSON"):
        inspect(source)
    found = inspect(source, hparams=overrides(num_attention_heads=2))
    assert heads(found)["discriminator"] == 2
    assert any(
        told.startswith("Put aside, since an option decides: hparams.json is not JSON") for told in found.warnings
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vocab_size": 1501}, "says the discriminator's vocab_size is 1501, but the weights have 1500"),
        ({"generator_hidden_size": 0.25}, "says the generator's hidden_size is 16, but the weights have 32"),
        ({"untied_generator": False}, "asks for the tied_generator layout"),
    ],
)
def test_hparams_of_another_run_are_an_error_even_as_an_option(golden_copy, changes: dict[str, Any], complaint: str):
    source = golden_copy(without=(META,))
    change(source / "hparams.json", **changes)
    given = (source / "hparams.json").read_text()
    with pytest.raises(ConfigError, match=f"hparams.json {complaint}"):
        inspect(source)
    (source / "hparams.json").unlink()
    with pytest.raises(ConfigError, match=f"^hparams {complaint}"):
        inspect(source, hparams=given)


def config_json(source: Path, architecture: str, **values: Any) -> Path:
    path = source / "config.json"
    path.write_text(json.dumps({"model_type": "electra", "architectures": [architecture], **values}))
    return path


def test_a_config_json_beside_a_pair_speaks_for_the_model_it_names(golden_copy):
    source = golden_copy(without=(META, "hparams.json"))
    config_json(source, "ElectraForMaskedLM", num_attention_heads=4, layer_norm_eps=1e-7)
    found = inspect(source)
    assert heads(found) == {"discriminator": 1, "generator": 4}
    assert found.models["generator"].config["layer_norm_eps"].value == 1e-7
    config_json(source, "ElectraForPreTraining", num_attention_heads=4)
    found = inspect(source)
    assert heads(found) == {"discriminator": 4, "generator": 1}
    assert origin(found) == "config.json"


def test_a_config_json_that_hparams_contradict_is_an_error_unless_an_option_decides(golden_copy, tmp_path: Path):
    source = golden_copy(without=(META,))
    path = config_json(source, "ElectraForPreTraining", num_attention_heads=4)
    with pytest.raises(ConfigError, match=r"hparams.json says .* is 2, config.json says 4"):
        inspect(source)
    option = path.rename(tmp_path / "mine.json")
    found = inspect(source, config=option)
    assert heads(found)["discriminator"] == 4
    assert origin(found) == "--config mine.json"
    assert any("the option decides" in told for told in found.warnings)


# Graphs of our own making


def node(name: str, op: str, value: float | None = None) -> bytes:
    """A NodeDef of TensorFlow's graph.proto; a value makes it a constant of one float32."""
    tensor = encode_number(1, 1) + encode_content(4, struct.pack("<f", value or 0.0))
    attribute = encode_content(1, b"value") + encode_content(2, encode_content(8, tensor))
    constant = b"" if value is None else encode_content(5, attribute)
    return encode_content(1, name.encode()) + encode_content(2, op.encode()) + constant


def encoder(scope: str, width: float, ops: Iterable[str]) -> list[bytes]:
    layer = f"{scope}/encoder/layer_0"
    scale = node(f"{layer}/attention/self/Mul/y", "Const", 1 / sqrt(width))
    return [scale, *(node(f"{layer}/intermediate/dense/{op}", op) for op in ("MatMul", "BiasAdd", *ops))]


def with_graph(source: Path, *encoders: list[bytes]) -> Path:
    graph = b"".join(encode_content(1, each) for nodes in encoders for each in nodes)
    (source / "model.ckpt-1000.meta").write_bytes(encode_content(2, graph))
    return source


ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "gelu": ("truediv", "Erf", "Mul"),
    "relu": ("Relu",),
    "tanh": ("Tanh",),
    "linear": (),
    "gelu_new": ("Pow", "Tanh", "Mul"),
}


@pytest.mark.parametrize("scope", ["electra", "tpu/electra", "electra_1", "tower_0/while/body/electra_2"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("count", [1, 2, 4, 16])
def test_heads_and_activation_are_those_of_the_graph(written, scope: str, activation: str, count: int):
    source = with_graph(
        written("uniform_generator", hparams=False), encoder(scope, 16 / count, ACTIVATIONS[activation])
    )
    found = inspect(source)
    config = found.models["discriminator"].config
    assert (config["num_attention_heads"].value, config["hidden_act"].value) == (count, activation)
    assert origin(found) == origin(found, "hidden_act") == "model.ckpt-1000.meta"
    assert found.warnings == ()


def test_each_model_has_the_heads_of_its_own_scope(written):
    source = with_graph(
        written(hparams=False),
        encoder("electra", 4, ["Erf"]),
        encoder("generator", 8, ["Erf"]),
        encoder("other", 3, []),
    )
    assert heads(inspect(source)) == {"discriminator": 4, "generator": 1}


def test_a_graph_that_leaves_the_activation_open_says_the_heads_alone(written):
    found = inspect(with_graph(written("uniform_generator", hparams=False), encoder("electra", 4, ["Relu", "Tanh"])))
    config = found.models["discriminator"].config
    assert (config["num_attention_heads"].value, config["hidden_act"].value) == (4, "gelu")
    assert origin(found, "hidden_act") == "google-research/electra's default"


def test_an_activation_that_hparams_and_graph_disagree_on_is_an_error(written):
    with pytest.raises(ConfigError, match=r"hparams.json says .*hidden_act is gelu, model.ckpt-1000.meta says relu"):
        inspect(with_graph(written("uniform_generator"), encoder("electra", 8, ["Relu"])))


@pytest.mark.parametrize(
    ("width", "complaint"),
    [
        (3, "heads of width 3, which do not divide the discriminator's hidden width 16"),
        (32, "heads of width 32, which do not divide"),
        (7.5, "expected one over the square root of a head width"),
        (0.1, "expected one over the square root of a head width"),
        (1e13, "expected one over the square root of a head width"),
    ],
)
def test_a_graph_of_another_checkpoint_is_an_error(written, width: float, complaint: str):
    source = with_graph(written("uniform_generator", hparams=False), encoder("electra", width, ["Erf"]))
    with pytest.raises(ConfigError, match=complaint):
        inspect(source)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 0.0, 1e-45])
def test_a_scale_that_is_no_scale_is_an_error(written, value: float):
    nodes = [node("electra/encoder/layer_0/attention/self/Mul/y", "Const", value)]
    with pytest.raises(ConfigError, match="expected one over the square root of a head width"):
        inspect(with_graph(written("uniform_generator", hparams=False), nodes))


def test_graphs_with_different_heads_are_an_error(written):
    source = written("uniform_generator", hparams=False)
    with pytest.raises(ConfigError, match=r"graphs with different head widths: \[4, 8\]"):
        inspect(with_graph(source, encoder("electra", 4, []), encoder("electra_1", 8, [])))


def test_a_graph_of_something_else_says_nothing(written):
    found = inspect(with_graph(written("uniform_generator", hparams=False), encoder("bert", 4, ["Relu"])))
    assert "guess" in origin(found)


# transformers models have a configuration of their own


def test_the_config_of_a_transformers_model_is_its_evidence(golden_copy, tmp_path: Path):
    convert(golden_copy(), tmp_path / "pair")
    found = inspect(tmp_path / "pair")
    assert heads(found) == {"discriminator": 2, "generator": 1}
    assert origin(found) == origin(found, role="generator") == "config.json"
    assert found.warnings == ()
    (tmp_path / "pair" / "discriminator" / "config.json").unlink()
    (told,) = inspect(tmp_path / "pair").warnings
    assert told.startswith("The discriminator's head count 1 and its activation gelu are guesses")


def test_a_config_that_does_not_fit_its_weights_is_an_error(golden_copy, tmp_path: Path):
    convert(golden_copy(), tmp_path / "one", model="discriminator")
    change(tmp_path / "one" / "config.json", vocab_size=1499)
    with pytest.raises(ConfigError, match=r"config.json says the discriminator's vocab_size is 1499"):
        inspect(tmp_path / "one")
