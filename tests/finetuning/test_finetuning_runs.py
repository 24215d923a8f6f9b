"""Runs are resumed with the same final figures, repeated with other seeds, and shared by processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support.command_line import run
from support.finetuning import finetune_until_killed
from support.finetuning_models import without_dropout
from support.pretraining import pretrain_as_one_of_two, pretrain_until_signalled, start

from electra_convert.errors import CorpusError, TrainingError
from electra_convert.finetuning.finetune import finetune

pytestmark = pytest.mark.slow
VOCABULARY = FIXTURES / "vocab.txt"
# Three passes of three steps, in which every kind of state matters: order, dropout, masks, moments, schedule.
SHORT = {"epochs": 3, "batch_size": 16, "save_steps": 2}
TASKS = {
    "token-classification": "train.conll",
    "fill-mask": FIXTURES / "finetuning" / "reviews.txt",
}


def reports(output: Path) -> list[dict]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds_per_step"} for row in rows]


def arguments(task: str, labelled: Path) -> dict:
    more = {"max_length": 32} if task == "fill-mask" else {"dev": labelled / "dev.conll"}
    return {"vocab": VOCABULARY, **SHORT, **more}


def train_of(task: str, labelled: Path) -> Path:
    return labelled / TASKS[task]


@pytest.mark.parametrize("task", ["token-classification", pytest.param("fill-mask", marks=pytest.mark.long)])
def test_a_run_that_was_killed_ends_with_the_same_weights_and_figures(labelled, tmp_path, task, one_thread):
    given = arguments(task, labelled)
    whole = finetune(task, FIXTURES / "default", train_of(task, labelled), tmp_path / "whole", **given)
    output = tmp_path / "killed"
    process = start(finetune_until_killed, 5, task, train_of(task, labelled), output, given)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert not (output / "model").exists()
    # What was being written when the process died is not taken for a checkpoint.
    shutil.copytree(output / "checkpoints" / "checkpoint-4", output / "checkpoints" / "checkpoint-5")
    (output / "checkpoints" / "checkpoint-5" / "trainer_state.json").write_text('{"epoch": 1.')
    resumed = finetune(task, FIXTURES / "default", train_of(task, labelled), output, resume=True, **given)
    assert resumed.metrics == whole.metrics
    assert reports(output) == reports(whole.output)
    weights = "model.safetensors"
    assert (resumed.model / weights).read_bytes() == (whole.model / weights).read_bytes()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, -signal.SIGTERM, marks=pytest.mark.long)],
)
def test_a_signal_saves_the_run_and_says_how_to_go_on(labelled, tmp_path, number, code, one_thread):
    output = tmp_path / "run"
    told = ["finetune", "token-classification", FIXTURES / "default", labelled / "train.conll", output]
    told += ["--vocab", VOCABULARY, "--epochs", "3", "--batch-size", "16", "--save-steps", "50"]
    process = start(pretrain_until_signalled, number, 4, [str(one) for one in told])
    process.join(120)
    assert process.exitcode in (code, 128 + number)
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["checkpoint-5"]
    ran = run(*told, "--resume", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["finished"] is True


def test_a_limit_of_time_ends_a_run_that_can_be_continued(labelled, tmp_path, one_thread):
    given = arguments("token-classification", labelled)
    first = finetune(
        "token-classification",
        FIXTURES / "default",
        labelled / "train.conll",
        tmp_path / "run",
        time_limit=0.01,
        **given,
    )
    assert (first.finished, first.step) == (False, 1)
    assert first.notes[-1] == "The time is up: the run is saved, and resume=True continues it."
    again = finetune(
        "token-classification", FIXTURES / "default", labelled / "train.conll", tmp_path / "run", resume=True, **given
    )
    assert (again.finished, again.step) == (True, 9)


def test_a_run_that_ended_between_training_and_its_model_is_finished(labelled, tuned_once, tmp_path, one_thread):
    given = {"dev": labelled / "dev.conll", "vocab": VOCABULARY, "epochs": 1}
    whole = tuned_once("token-classification", "train.conll", "dev.conll")
    output = shutil.copytree(whole.output, tmp_path / "run")
    (output / "evaluation.json").unlink()
    resumed = finetune(
        "token-classification", FIXTURES / "default", labelled / "train.conll", output, resume=True, **given
    )
    assert resumed.metrics == whole.metrics
    assert (resumed.model / "training.json").read_bytes() == (whole.model / "training.json").read_bytes()


def test_a_run_is_not_resumed_with_other_settings(labelled, tuned_once, one_thread):
    result = tuned_once("token-classification", "train.conll", "dev.conll")
    with pytest.raises(TrainingError, match=r"recipe\.learning_rate\.value was 0\.0003 when the run began"):
        finetune(
            "token-classification", FIXTURES / "default", labelled / "train.conll", result.output,
            dev=labelled / "dev.conll", vocab=VOCABULARY, epochs=1, resume=True, learning_rate=1e-3,
        )  # fmt: skip


def test_a_run_is_not_resumed_with_other_examples_under_the_same_name(labelled, tuned_once, tmp_path, one_thread):
    result = tuned_once("token-classification", "train.conll", "dev.conll")
    changed = tmp_path / "train.conll"
    lines = (labelled / "train.conll").read_text().splitlines()
    changed.write_text("\n".join([f"another {lines[0].split()[-1]}", *lines[1:]]) + "\n")
    with pytest.raises(TrainingError, match=r"train\.conll held other examples when the run began than it does now"):
        finetune(
            "token-classification", FIXTURES / "default", changed, result.output,
            dev=labelled / "dev.conll", vocab=VOCABULARY, epochs=1, resume=True,
        )  # fmt: skip


def test_a_run_that_fails_before_its_first_checkpoint_leaves_what_was_there(
    labelled, tuned_once, tmp_path, one_thread
):
    result = tuned_once("token-classification", "train.conll", "dev.conll")
    output = shutil.copytree(result.output, tmp_path / "run")
    before = (output / "model" / "model.safetensors").read_bytes()
    with pytest.raises(CorpusError):
        finetune(
            "token-classification", FIXTURES / "default", tmp_path / "none", output, vocab=VOCABULARY, overwrite=True
        )
    with pytest.raises(TrainingError, match="is no number any more"):
        finetune(
            "token-classification", FIXTURES / "default", labelled / "train.conll", output,
            vocab=VOCABULARY, overwrite=True, learning_rate=1e30, save_steps=50,
        )  # fmt: skip
    assert (output / "model" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_several_seeds_tell_median_and_range_and_the_model_nearest_to_the_median_is_kept(
    labelled, tmp_path, one_thread
):
    given = {"dev": labelled / "dev.conll", "vocab": VOCABULARY, "epochs": 1}
    result = finetune(
        "token-classification", FIXTURES / "default", labelled / "train.conll", tmp_path / "run", seeds=3, **given
    )
    values = result.seeds["by_seed"]
    assert list(values) == ["0", "1", "2"]
    spread = (result.seeds["median"], result.seeds["least"], result.seeds["most"])
    assert spread == (np.median(list(values.values())), min(values.values()), max(values.values()))
    assert result.metrics["dev"]["f1"] == pytest.approx(result.seeds["median"])
    assert "3 seeds: median" in (result.model / "README.md").read_text()
    alone = finetune(
        "token-classification", FIXTURES / "default", labelled / "train.conll", tmp_path / "alone", seed=1, **given
    )
    assert alone.metrics["dev"]["f1"] == values["1"]


@pytest.fixture
def two(labelled, golden_pair, tmp_path, one_thread):
    """What two processes are told, and what one alone gives, of a model without dropout."""
    source = without_dropout(golden_pair / "discriminator", tmp_path / "still")
    # 47 sentences: the last batch of a pass cannot be shared evenly.
    text = (labelled / "train.conll").read_text().split("\n\n")
    (tmp_path / "train.conll").write_text("\n\n".join(text[:47]) + "\n")
    told = ["finetune", "token-classification", source, tmp_path / "train.conll"]
    options = ["--dev", labelled / "dev.conll", "--epochs", "2", "--batch-size", "16", "--json"]
    assert run(*told, tmp_path / "one", *options).code == 0
    return [str(one) for one in [*told, tmp_path / "two", *options]], tmp_path / "two", tmp_path / "one"


def require_alike(two: Path, one: Path) -> None:
    found, expected = reports(two), reports(one)
    assert [(row["kind"], row["step"]) for row in found] == [(row["kind"], row["step"]) for row in expected]
    for a, b in zip(found, expected, strict=True):
        for name in b.keys() & {"loss", "gradient_norm"}:
            assert a[name] == pytest.approx(b[name], rel=1e-5, abs=1e-6), (name, a["step"])


def test_two_processes_have_the_losses_of_one(two):
    told, output, alone = two
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = [start(pretrain_as_one_of_two, rank, port, told) for rank in range(2)]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]
    require_alike(output, alone)


@pytest.mark.long
def test_two_processes_that_accelerate_launches_have_the_losses_of_one(two):
    told, output, alone = two
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
        "-m", "electra_convert", *told,
    ]  # fmt: skip
    settings = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    require_alike(output, alone)
