"""How gradients are measured is written down with a run, kept by older runs, and not told to Google's code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.pretraining import TINY

from electra_convert.errors import TrainingError

pytestmark = pytest.mark.slow

# Its embeddings are only looked up.
UNIFORM = {**TINY, "uniform_generator": True}


def hparams_in(path: Path) -> dict:
    return json.loads(path.read_text())["hparams"]


def forget(path: Path) -> None:
    """Make a record what it was before there was a choice."""
    record = json.loads(path.read_text())
    del record["hparams"]["clip_norm"]
    path.write_text(json.dumps(record))


def trained(output: Path) -> bytes:
    return (output / "model" / "model.safetensors").read_bytes()


def test_a_run_says_how_it_measures_and_googles_code_is_not_told(pretrained):
    result = pretrained(hparams={**UNIFORM, "num_train_steps": 1}, held_out=0.0, export="tf")
    assert hparams_in(result.output / "run.json")["clip_norm"] == "per_token"
    assert hparams_in(result.model / "training.json")["clip_norm"] == "per_token"
    assert json.loads((result.tensorflow / "hparams.json").read_text()) == {
        **UNIFORM, "num_train_steps": 1, "vocab_size": 1500,
    }  # fmt: skip


def test_a_run_that_began_before_there_was_a_choice_goes_on_with_summed_gradients(kept_run, pretrained, tmp_path):
    summed = kept_run(hparams={**UNIFORM, "clip_norm": "summed"}, held_out=0.0)
    assert trained(summed) != trained(kept_run(hparams=UNIFORM, held_out=0.0))
    older = shutil.copytree(summed, tmp_path / "older")
    for name in ("checkpoints/step-12", "checkpoints/step-10", "model"):
        shutil.rmtree(older / name)
    forget(older / "run.json")
    pretrained("older", hparams=None, held_out=0.0, resume=True)
    assert trained(older) == trained(summed)


def test_a_run_is_not_resumed_with_another_measure(kept_run, pretrained, tmp_path):
    shutil.copytree(kept_run(hparams=UNIFORM, held_out=0.0), tmp_path / "run")
    with pytest.raises(TrainingError, match='clip_norm was "per_token" when the run began, and is "summed" now'):
        pretrained(hparams={"clip_norm": "summed"}, held_out=0.0, resume=True)


@pytest.mark.parametrize(
    ("older", "given", "expected"),
    [(False, {}, "per_token"), (True, {}, "summed"), (True, {"clip_norm": "per_token"}, "per_token")],
)
def test_a_run_that_continues_another_measures_as_that_one_did(
    kept_run, pretrained, tmp_path, older, given, expected
):
    model = shutil.copytree(kept_run(hparams=UNIFORM, held_out=0.0) / "model", tmp_path / "model")
    if older:
        forget(model / "training.json")
    result = pretrained("more", init_from=model, vocab=None, hparams={"num_train_steps": 12, **given}, held_out=0.0)
    assert hparams_in(result.output / "run.json")["clip_norm"] == expected


def test_a_run_that_continues_googles_measures_as_google_does(pretrained):
    result = pretrained(init_from=FIXTURES / "default", hparams={"num_train_steps": 4000}, held_out=0.0)
    assert hparams_in(result.output / "run.json")["clip_norm"] == "per_token"
