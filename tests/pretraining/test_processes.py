"""Two processes, and a batch computed in parts, train as one process does with the same batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import FIXTURES
from support.pretraining import TINY, pretrain_as_one_of_two, start

from electra_convert.errors import ConfigError

pytestmark = pytest.mark.slow

# Dropout draws other numbers in another process; without it every sum is the same but for its order.
PLAIN = {
    **TINY,
    "num_train_steps": 8,
    "learning_rate": 5e-3,
    "model_hparam_overrides": {
        **TINY["model_hparam_overrides"],
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
}

# The embeddings that the generator does not share are measured token by token, each process its own tokens.
UNTIED = {**PLAIN, "untied_generator_embeddings": True}
SAMPLED = {**PLAIN, "sampled_softmax": 200}


def reports(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def require_alike(found: list[dict], expected: list[dict]) -> None:
    assert [(row["kind"], row["step"]) for row in found] == [(row["kind"], row["step"]) for row in expected]
    for one, other in zip(found, expected, strict=True):
        for name in ("masked_lm_loss", "disc_loss"):
            assert one[name] == pytest.approx(other[name], rel=2e-5), (name, one["step"])
        # Clipping would hide gradients of another scale.
        if one["kind"] == "train":
            assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-4), one["step"]


@pytest.fixture
def two(tmp_path):
    """What a command trains that runs in two processes, and what it is told; given the hparams."""

    def told(hparams, train_vocab=None):
        output = tmp_path / "two"
        vocabulary = ["--train-vocab", train_vocab] if train_vocab else ["--vocab", FIXTURES / "vocab.txt"]
        options = [*vocabulary, "--hparams", json.dumps(hparams), "--log-steps", "1"]
        options += ["--held-out", "0.1", "--cache", tmp_path / "cache", "--json"]
        return output, ["pretrain", *map(str, [FIXTURES / "corpus", output, *options])]

    return told


def require_like_one(output: Path, alone: Path) -> None:
    assert json.loads((output / "run.json").read_text())["computed"]["processes"] == 2
    require_alike(reports(output), reports(alone))
    assert sorted(path.name for path in (output / "model").iterdir()) == ["discriminator", "generator"]


def run_as_two(arguments: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = [start(pretrain_as_one_of_two, rank, port, arguments) for rank in range(2)]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.parametrize("hparams", [UNTIED, SAMPLED], ids=["untied", "sampled"])
def test_two_processes_have_the_losses_of_one(kept_run, two, hparams):
    output, arguments = two(hparams)
    run_as_two(arguments)
    require_like_one(output, kept_run(hparams=hparams, log_steps=1))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["whitespace", "characters"])
def test_two_processes_have_the_tokens_and_words_of_one(kept_run, two, kind):
    """Both read the tokenizer, and which words are masked as a whole, from what the first wrote down."""
    hparams = {**PLAIN, "tokenizer": kind, "whole_word_masking": kind == "whitespace"}
    output, arguments = two(hparams, train_vocab=900)
    run_as_two(arguments)
    require_like_one(output, kept_run(hparams=hparams, log_steps=1, vocab=None, train_vocab=900))


@pytest.mark.long
def test_two_processes_that_accelerate_launches_have_the_losses_of_one(kept_run, two):
    output, arguments = two(PLAIN)
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
        "-m", "electra_convert", *arguments,
    ]  # fmt: skip
    settings = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 8
    require_like_one(output, kept_run(hparams=PLAIN, log_steps=1))


@pytest.mark.parametrize("hparams", [PLAIN, SAMPLED], ids=["plain", "sampled"])
def test_a_batch_in_parts_has_the_losses_of_one_as_a_whole(pretrained, kept_run, hparams):
    whole = kept_run(hparams=hparams, log_steps=1)
    parts = pretrained("parts", hparams=hparams, log_steps=1, accumulate=4)
    require_alike(reports(parts.output), reports(whole))


def test_accelerates_environment_changes_nothing_that_is_an_option_here(monkeypatch):
    from electra_convert.pretraining.options import PretrainOptions
    from electra_convert.pretraining.processes import accelerator_of

    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    accelerator = accelerator_of(PretrainOptions())
    assert accelerator.gradient_accumulation_steps == 1
    assert accelerator.state.dynamo_plugin.backend.value == "NO"
    assert accelerator.mixed_precision == "no"


def test_processes_wait_for_the_one_that_tokenises_however_long_it_takes(monkeypatch):
    import accelerate

    from electra_convert.pretraining.options import PretrainOptions
    from electra_convert.pretraining.processes import accelerator_of

    asked = {}

    def make(**given):
        asked.update(given)
        return SimpleNamespace(distributed_type=SimpleNamespace(value="MULTI_GPU"))

    monkeypatch.setattr(accelerate, "Accelerator", make)
    accelerator_of(PretrainOptions())
    [patience] = [handler.timeout for handler in asked["kwargs_handlers"] if hasattr(handler, "timeout")]
    assert patience > timedelta(hours=24)


@pytest.mark.parametrize("distribution", ["FSDP", "DEEPSPEED", "MEGATRON_LM", "XLA"])
def test_processes_that_do_not_hold_whole_models_are_refused(distribution):
    from electra_convert.pretraining.processes import _require_whole_copies

    _require_whole_copies("MULTI_GPU")
    _require_whole_copies("NO")
    with pytest.raises(ConfigError, match=f"accelerate is configured for {distribution}") as raised:
        _require_whole_copies(distribution)
    assert "--multi_gpu" in raised.value.hint


def test_a_batch_that_cannot_be_split_evenly_is_refused(pretrained):
    with pytest.raises(ConfigError, match="a batch of 8 sequences cannot be split evenly"):
        pretrained(accumulate=3)
