"""A run as the best-known tutorial on pretraining ELECTRA for Spanish leaves it behind, oddities included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import write_bundle
from support import checkpoints
from support.command_line import run

SIZES = checkpoints.Sizes()
# The tutorial's, but for the sizes: texts for true and false; a config.json without a class, with a text for a size.
HPARAMS = {"do_train": "true", "do_eval": "false", "do_lower_case": "false", **checkpoints.hparams("default", SIZES)}
CONFIG = {
    "vocab_size": SIZES.vocabulary, "embedding_size": SIZES.embedding, "hidden_size": SIZES.hidden,
    "num_hidden_layers": SIZES.layers, "num_attention_heads": SIZES.heads, "intermediate_size": SIZES.intermediate,
    "generator_size": "0.25", "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": SIZES.positions, "type_vocab_size": SIZES.types, "initializer_range": 0.02,
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """data/models/electra-spanish, in the folder one is in; hparams.json and the cased vocabulary lie further up."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/models/electra-spanish")
    folder.mkdir(parents=True)
    write_bundle(folder / "model.ckpt-100", checkpoints.variables("default", SIZES))
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "/content/data/models/electra-spanish/model.ckpt-100"\n'
    )
    pieces = [piece if piece.startswith("[") else piece.upper() for piece in checkpoints.pieces(SIZES)]
    Path("data/vocab.txt").write_text("\n".join(pieces))
    Path("hparams.json").write_text(json.dumps(HPARAMS))
    return folder


def test_it_converts_and_keeps_upper_case(model):
    ran = run("convert", model, "out", "--vocab", "data/vocab.txt", "--hparams", "hparams.json")
    assert ran.code == 0
    assert 'Warning: --hparams hparams.json has do_lower_case "false", a text; it is taken for false' in ran.err
    assert json.loads(Path("out/discriminator/config.json").read_text())["num_attention_heads"] == SIZES.heads
    for role in ("discriminator", "generator"):
        assert json.loads(Path(f"out/{role}/tokenizer_config.json").read_text())["do_lower_case"] is False


def test_the_configuration_it_writes_beside_the_checkpoint_settles_the_heads(model):
    (model / "config.json").write_text(json.dumps(CONFIG))
    ran = run("convert", model, "out")
    assert ran.code == 0
    assert "guess" not in ran.err
    assert "the one two levels up may be it" in ran.err
    assert json.loads(Path("out/discriminator/config.json").read_text())["num_attention_heads"] == SIZES.heads


def test_a_conversion_by_another_tool_beside_it_is_told_apart(model):
    (model / "pytorch_model.bin").touch()
    said = run("convert", model, "out").refusal()
    assert "holds more than one checkpoint: model.ckpt-100, pytorch_model.bin" in said
    assert f"Give the one you mean, such as {model}/model.ckpt-100 (the latest)." in said


def test_the_folder_above_says_where_the_checkpoint_is(model):
    assert "give one of these: data/models/electra-spanish." in run("convert", "data", "out").refusal()
