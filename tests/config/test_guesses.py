"""A head count or an activation that nothing states: looked for wherever it may stand, and never taken for known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run

from electra_convert import convert, inspect, verify

BERT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "gelu", "vocab_size": 1500}


def heads_of(source: Path, role: str = "discriminator") -> tuple[int, str]:
    value = inspect(source).models[role].config["num_attention_heads"]
    return value.value, value.origin


@pytest.fixture
def bare(golden_copy) -> Path:
    """A checkpoint beside which nothing says its head count."""
    return golden_copy(without=("hparams.json", "model.ckpt-4000.meta"))


@pytest.mark.parametrize("name", ["bert_config.json", "my_electra_config.json", "config_small.json"])
def test_a_configuration_beside_the_checkpoint_is_used_where_its_sizes_fit(bare: Path, name: str):
    (bare / name).write_text(json.dumps(BERT))
    assert heads_of(bare) == (2, name)
    assert not inspect(bare).warnings
    assert heads_of(bare, "generator")[0] == 1  # Google's code gives it heads of its own


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({**BERT, "hidden_size": 128}, "hidden_size is 128 there and 64 here"),
        ({**BERT, "vocab_size": 30522}, "vocab_size is 30522 there and 1500 here"),
        ({"num_attention_heads": 2}, "does not state hidden_size"),
        ({"learning_rate": 1}, "states neither num_attention_heads nor hidden_act"),
        ({**BERT, "num_attention_heads": "2"}, "num_attention_heads is"),
    ],
)
def test_one_that_does_not_fit_is_named_and_not_used(bare: Path, config: dict, why: str):
    (bare / "bert_config.json").write_text(json.dumps(config))
    (line,) = [line for line in inspect(bare).warnings if "bert_config.json" in line]
    assert why in line
    assert "guess" in heads_of(bare)[1]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"num_attention_heads": NaN}', "[" * 100_000])
def test_one_that_is_damaged_is_named(bare: Path, text: str):
    (bare / "bert_config.json").write_text(text)
    assert any("bert_config.json beside the checkpoint is not used" in line for line in inspect(bare).warnings)


def test_what_the_run_itself_states_comes_before_a_configuration_that_lies_beside(golden_copy):
    folder = golden_copy()
    (folder / "bert_config.json").write_text(json.dumps({**BERT, "num_attention_heads": 4}))
    assert heads_of(folder) == (2, "hparams.json")


def test_a_configuration_that_names_the_generator_is_the_generators(bare: Path):
    (bare / "generator_config.json").write_text(
        json.dumps({"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2})
    )
    assert heads_of(bare, "generator") == (2, "generator_config.json")
    assert "guess" in heads_of(bare)[1]


def test_the_graph_of_a_saved_model_tells_as_that_of_a_checkpoint_does(tmp_path: Path):
    variables = tmp_path / "1606300000" / "variables"
    variables.mkdir(parents=True)
    prefix = FIXTURES / "default" / "model.ckpt-4000"
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{prefix}{suffix}", variables / f"variables{suffix}")
    graph = Path(f"{prefix}.meta").read_bytes()
    length, varint = len(graph), b""
    while length:
        varint += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
    (variables.parent / "saved_model.pb").write_bytes(b"\x08\x01\x12" + varint + graph)
    assert heads_of(variables.parent) == (2, "saved_model.pb")
    assert heads_of(variables.parent, "generator") == (1, "saved_model.pb")


def test_keys_of_a_fork_are_passed_over_with_a_warning_where_the_file_merely_lies_beside(golden_copy):
    folder = golden_copy()
    hparams = json.loads((folder / "hparams.json").read_text())
    hparams |= {"saved_model": True, "hidden_size": 1}
    hparams["model_hparam_overrides"] |= {"rotary": True}
    (folder / "hparams.json").write_text(json.dumps(hparams))
    (line,) = inspect(folder).warnings
    assert line.endswith("passed over: hidden_size, rotary, saved_model.")
    assert heads_of(folder) == (2, "hparams.json")
    assert "unknown hparam 'saved_model'" in run("inspect", folder, "--hparams", folder / "hparams.json").refusal()


@pytest.mark.parametrize("switch", ["uniform_generator", "untied_generator_embeddings", "do_lower_case", "debug"])
def test_a_switch_written_as_text_is_read_as_it_reads(golden_copy, switch: str):
    folder = golden_copy()
    hparams = json.loads((folder / "hparams.json").read_text())
    (folder / "hparams.json").write_text(json.dumps({**hparams, switch: "False"}))
    (line,) = inspect(folder).warnings
    assert f'{switch} "False", a text; it is taken for false' in line


@pytest.mark.parametrize("key", ["optimizer", "saved_model", "label_type", "xyz"])
def test_a_name_is_offered_only_where_it_is_near(golden_copy, key: str):
    source = golden_copy()
    assert "Did you mean" not in run("inspect", source, "--hparams", json.dumps({key: 1})).err
    assert "Did you mean model_size?" in run("inspect", source, "--hparams", '{"modelsize": 1}').err


def test_a_guess_is_no_proof(bare: Path, tmp_path: Path):
    convert(bare, tmp_path / "out", vocab=FIXTURES / "vocab.txt")
    report = verify(bare, tmp_path / "out", weights_only=True)
    assert (report.verdict, report.passed) == ("unproven", False)
    reason = report.reasons[0]
    assert "num_attention_heads is 1 in the candidate, and nothing but a guess says" in reason
    assert "--hparams" in reason
    ran = run("verify", bare, tmp_path / "out", "--weights-only")
    assert ran.code == 1
    stated = FIXTURES / "default" / "hparams.json"
    assert not verify(bare, tmp_path / "out", weights_only=True, hparams=stated).passed  # and the guess was wrong
    convert(bare, tmp_path / "right", vocab=FIXTURES / "vocab.txt", hparams=stated)
    assert verify(bare, tmp_path / "right", weights_only=True, hparams=stated).passed
