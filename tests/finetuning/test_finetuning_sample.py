"""The sample model's encoder is worth something: fine-tuned on tasks of context, it is far above a random one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.finetuning_models import random_encoder

from electra_convert.demo.sample import SAMPLE
from electra_convert.finetuning.finetune import finetune
from electra_convert.finetuning.metrics import median_and_range

pytestmark = pytest.mark.long
# The task, its files, what it is measured by, passes and rate; as in docs/finetuning.md.
TASKS = [
    ("token-classification", "noun-or-verb-{}.conll", "f1", 4, 1e-3),
    ("text-classification", "exchanged-{}.tsv", "accuracy", 6, 5e-4),
]


@pytest.fixture(scope="module")
def tasks(sample_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tasks, made out of the sample's corpus."""
    folder = tmp_path_factory.mktemp("tasks")
    script = FIXTURES.parent / "docs" / "sample" / "tasks.py"
    subprocess.run([sys.executable, script, sample_corpus, folder], check=True)
    return folder


@pytest.mark.parametrize(("task", "name", "measure", "epochs", "rate"), TASKS)
def test_the_sample_is_well_above_a_random_encoder_and_the_majority(
    tasks, tmp_path, task, name, measure, epochs, rate, one_thread
):
    encoders = {"sample": SAMPLE / "discriminator"}
    encoders["random"] = random_encoder(tmp_path / "random-model", encoders["sample"])
    train, dev = (tasks / name.format(split) for split in ("train", "dev"))
    medians = {}
    for which, source in encoders.items():
        run = finetune(task, source, train, tmp_path / which, dev=dev, seeds=5, epochs=epochs, learning_rate=rate)
        measured = [json.loads((seed / "evaluation.json").read_text()) for seed in sorted(run.output.glob("seed-*"))]
        medians[which] = median_and_range([one["metrics"]["dev"][measure] for one in measured])[0]
    # Of spans, what always says "no name" finds none.
    majority = 0.0 if measure == "f1" else measured[0]["metrics"]["dev"]["majority_accuracy"]
    assert medians["sample"] >= max(medians["random"], majority) + 0.05, (medians, majority)
