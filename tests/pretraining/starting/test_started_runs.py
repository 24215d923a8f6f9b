"""Runs of every way to start: killed and resumed, in two processes, and read back in both layouts."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support.pretraining import pretrain_as_one_of_two, pretrain_until_killed, start

from electra_convert import convert, load_model
from electra_convert.checkpoint import open_checkpoint
from electra_convert.errors import TrainingError

pytestmark = pytest.mark.slow

SHORT = {
    "num_train_steps": 4, "num_warmup_steps": 1, "train_batch_size": 4, "eval_batch_size": 4,
    "save_checkpoints_steps": 2, "max_seq_length": 32,
}  # fmt: skip
PIECES = ("covid", "##qzx", "remdesivir")


@pytest.fixture(scope="module")
def new_pieces(tmp_path_factory):
    file = tmp_path_factory.mktemp("pieces") / "new.txt"
    file.write_text("".join(f"{piece}\n" for piece in PIECES))
    return file


@pytest.fixture(scope="module")
def ways(pairs, new_pieces):
    """Every way to start, by name: the options of a run."""
    pair, tuned = pairs["default"], FIXTURES / "finetuned" / "mnli"
    more = {"extend_vocabulary": new_pieces, "extend_positions": 160}
    return {
        "a discriminator alone": {"init_from": pair / "discriminator"},
        "without a generator": {"init_from": pair / "discriminator", "hparams": {**SHORT, "uniform_generator": True}},
        "two folders": {"init_from": pair / "discriminator", "init_generator": pair / "generator"},
        "more pieces": {"init_from": pair, "extend_vocabulary": new_pieces},
        "more positions": {"init_from": pair, "extend_positions": 160},
        "a fine-tuned encoder": {"init_from": tuned, "vocab": FIXTURES / "vocab.txt"},
        "all that is new at once": {"init_from": tuned, "vocab": FIXTURES / "vocab.txt", **more},
    }


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed(place: Path, step: int, options: dict, resume: bool = True) -> None:
    process = start(pretrain_until_killed, step, False, FIXTURES / "corpus", place, {**options, "resume": resume})
    process.join(240)
    assert process.exitcode == -signal.SIGKILL


def require_the_same_after_being_killed(pretrained, tmp_path, way: dict) -> None:
    """Killed before its first checkpoint, when it starts from its sources again, and after it."""
    options = {"vocab": None, "hparams": SHORT, "log_steps": 1, "held_out": 0.1, **way}
    whole = pretrained("whole", **options)
    place = tmp_path / "killed"
    given = {**options, "cache": tmp_path / "cache"}
    killed(place, 1, given, resume=False)
    assert not (place / "checkpoints").exists()
    killed(place, 3, given)
    again = pretrained("killed", **{**given, "resume": True})
    assert files(again.model) == files(whole.model)
    assert (place / "run.json").read_bytes() == (whole.output / "run.json").read_bytes()


def test_a_run_with_all_that_is_new_ends_the_same_when_it_is_killed(pretrained, tmp_path, ways):
    require_the_same_after_being_killed(pretrained, tmp_path, ways["all that is new at once"])


@pytest.mark.long
@pytest.mark.parametrize(
    "way",
    [
        "a discriminator alone", "without a generator", "two folders", "more pieces", "more positions",
        "a fine-tuned encoder",
    ],
)  # fmt: skip
def test_a_run_that_starts_in_any_way_ends_the_same_when_it_is_killed(pretrained, tmp_path, ways, way):
    require_the_same_after_being_killed(pretrained, tmp_path, ways[way])


def test_two_processes_have_the_losses_of_one(pretrained, tmp_path, ways):
    plain = {"model_hparam_overrides": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}}
    way = ways["all that is new at once"]
    alone = pretrained("alone", **{**way, "hparams": {**SHORT, **plain}, "log_steps": 1})
    given = [
        "--init-from", way["init_from"], "--vocab", way["vocab"], "--extend-vocabulary", way["extend_vocabulary"],
        "--extend-positions", "160", "--hparams", json.dumps({**SHORT, **plain}), "--log-steps", "1",
        "--held-out", "0.1", "--cache", tmp_path / "cache", "--json",
    ]  # fmt: skip
    arguments = ["pretrain", *map(str, [FIXTURES / "corpus", tmp_path / "two", *given])]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = [start(pretrain_as_one_of_two, rank, port, arguments) for rank in range(2)]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]
    found, expected = (
        [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
        for place in (tmp_path / "two", alone.output)
    )
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for one, other in zip(found, expected, strict=True):
        for name in ("masked_lm_loss", "disc_loss"):
            assert one[name] == pytest.approx(other[name], rel=2e-5), (name, one["step"])


@pytest.fixture
def extended(kept_run, golden_pair, new_pieces, tmp_path):
    """A run of one step, whose rate is zero, with more of both; and its options."""
    way = {"init_from": golden_pair, "extend_vocabulary": new_pieces, "extend_positions": 160, "vocab": None}
    way |= {"held_out": 0.0, "hparams": {**SHORT, "num_train_steps": 1}}
    return shutil.copytree(kept_run(**way), tmp_path / "run"), way


def test_the_tables_of_an_extended_run_are_read_back_from_both_layouts(extended, tmp_path, golden_pair):
    """What is old is what it was to the bit, and nothing gets lost on the way."""
    model = extended[0] / "model"
    convert(model, tmp_path / "tf", optimizer=True)
    convert(tmp_path / "tf", tmp_path / "pair")
    for place in (model, tmp_path / "tf", tmp_path / "pair"):
        with open_checkpoint(golden_pair) as before, open_checkpoint(place) as after:
            for role, one in before.models.items():
                for name, weight in one.weights.items():
                    old, new = weight.read_float32(), after.models[role].weights[name].read_float32()
                    assert new[: len(old)].tobytes() == old.tobytes()
                    grown = {"word_embeddings": 3, "position_embeddings": 32, "lm_head": 3}
                    assert len(new) - len(old) == sum(more for part, more in grown.items() if part in name)
        assert (place if place.name == "tf" else place / "generator").joinpath("vocab.txt").read_text().split() == [
            *(FIXTURES / "vocab.txt").read_text().split(), *PIECES,
        ]  # fmt: skip
    config = json.loads((tmp_path / "pair" / "discriminator" / "config.json").read_text())
    assert (config["vocab_size"], config["max_position_embeddings"]) == (1503, 160)
    tokenizer = json.loads((model / "discriminator" / "tokenizer_config.json").read_text())
    assert tokenizer["model_max_length"] == 160
    hparams = json.loads((tmp_path / "tf" / "hparams.json").read_text())
    assert (hparams["vocab_size"], hparams["model_hparam_overrides"]["max_position_embeddings"]) == (1503, 160)


def test_a_new_head_and_a_new_generator_are_drawn_and_the_rest_is_what_it_was(pretrained, ways):
    result = pretrained(**ways["a fine-tuned encoder"], held_out=0.0, hparams={**SHORT, "num_train_steps": 1})
    with open_checkpoint(FIXTURES / "finetuned" / "mnli") as before, open_checkpoint(result.model) as after:
        encoder, model = before.models["discriminator"].weights, after.models["discriminator"]
        for name, weight in model.weights.items():
            if name.startswith("electra."):
                np.testing.assert_array_equal(weight.read_float32(), encoder[name].read_float32())
        drawn = after.models["generator"].weights["electra.encoder.layer.0.output.dense.weight"].read_float32()
        assert 0.01 < drawn.std() < 0.02
        shared = "electra.embeddings.word_embeddings.weight"
        np.testing.assert_array_equal(
            after.models["generator"].weights[shared].read_float32(), encoder[shared].read_float32()
        )
    config = json.loads((result.model / "discriminator" / "config.json").read_text())
    assert config["architectures"] == ["ElectraForPreTraining"]
    assert "id2label" not in config
    assert type(load_model(result.model / "discriminator")).__name__ == "ElectraForPreTraining"
    record = json.loads((result.output / "run.json").read_text())
    assert [line.partition(" is ")[0] for line in record["start"]] == ["The discriminator's encoder", "The generator"]
    assert record["origins"]["generator"]["hidden_size"] == "hparams"


def test_a_run_goes_on_as_that_of_its_halves(pretrained, tmp_path):
    """The pair and its two folders are one start: the same weights, slots and step."""
    convert(FIXTURES / "default", tmp_path / "pair", vocab=FIXTURES / "vocab.txt", optimizer=True)
    given = {"vocab": None, "held_out": 0.0, "hparams": {**SHORT, "num_train_steps": 4002}}
    whole = pretrained("whole", init_from=tmp_path / "pair", **given)
    halves = {"init_from": tmp_path / "pair" / "discriminator", "init_generator": tmp_path / "pair" / "generator"}
    result = pretrained("halves", **halves, **given)
    for role in ("discriminator", "generator"):
        for name in ("model.safetensors", "optimizer.safetensors"):
            assert (result.model / role / name).read_bytes() == (whole.model / role / name).read_bytes()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"extend_positions": 200}, "extend_positions was 160 when the run began, and is 200 now"),
        ({"extend_positions": None}, "extend_positions was 160 when the run began, and is null now"),
        ({"extend_vocabulary": "other.txt"}, r"other\.txt is not what the vocabulary was extended by"),
        ({"init_generator": "generator"}, 'init_generator was null when the run began, and is "generator" now'),
    ],
)
def test_a_run_is_not_resumed_from_another_start(extended, pretrained, tmp_path, other, said):
    (tmp_path / "other.txt").write_text("covid\ncytokine\nremdesivir\n")
    changed = {name: tmp_path / value if isinstance(value, str) else value for name, value in other.items()}
    with pytest.raises(TrainingError, match=said):
        pretrained(**{**extended[1], **changed, "resume": True})


@pytest.mark.parametrize("again", [{"extend_vocabulary": None}, {"vocab": FIXTURES / "vocab.txt"}, {}])
def test_new_pieces_may_be_given_again_or_not(extended, pretrained, again):
    assert pretrained(**{**extended[1], **again, "resume": True}).step == 1
