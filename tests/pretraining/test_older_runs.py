"""A run that an earlier version began goes on as it began: what its cache is called is no part of what it learns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.pretraining import TINY

from electra_convert.errors import CorpusError, TrainingError
from electra_convert.pretraining import prepare

pytestmark = pytest.mark.slow

# As the first version wrote it down, of fixtures/corpus in sequences of 64.
FIRST_KEY = "9c443b4c7125997437695d9b6cd2d8b929f66b3ca427b8fea9550ceef006be47"
SHORT = {**TINY, "num_train_steps": 2}


def trained(output: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (output / "model").glob("*/model.safetensors")}


def rewrite_corpus(output: Path, **changes: object) -> None:
    """Change what a run's record says of its corpus; None takes a key away."""
    path = output / "run.json"
    record = json.loads(path.read_text())
    corpus = {**record["corpus"], **changes}
    record["corpus"] = {key: value for key, value in corpus.items() if value is not None}
    path.write_text(json.dumps(record))


def back_at_step_5(output: Path) -> None:
    for name in ("checkpoints/step-12", "checkpoints/step-10", "model"):
        shutil.rmtree(output / name)


@pytest.mark.parametrize(
    "corpus", [{"key": FIRST_KEY, "crc32c": None}, {"key": "of a schema yet to come"}], ids=["older", "newer"]
)
def test_a_run_of_another_version_resumes_to_the_same_bits(finished_run, pretrained, corpus):
    before = trained(finished_run)
    back_at_step_5(finished_run)
    rewrite_corpus(finished_run, **corpus)
    pretrained(held_out=0.0, resume=True)
    assert trained(finished_run) == before


@pytest.mark.parametrize(
    "corpus",
    [
        {"key": FIRST_KEY[::-1], "crc32c": None},
        {"key": FIRST_KEY, "crc32c": None, "tokens": 7},
        {"crc32c": {"tokens.bin": "00000000", "examples.bin": "00000000"}},
    ],
)
def test_a_run_of_another_version_is_resumed_on_no_other_sequences(finished_run, pretrained, corpus):
    rewrite_corpus(finished_run, **corpus)
    with pytest.raises(TrainingError, match=r"corpus was .* when the run began"):
        pretrained(held_out=0.0, resume=True)


def test_a_run_that_began_on_a_corpus_which_is_refused_now_goes_on(pretrained, tmp_path, monkeypatch):
    lines = (FIXTURES / "corpus" / "english.txt").read_text().split("\n")
    (tmp_path / "long.txt").write_text("\n".join(" ".join(lines[at : at + 40]) for at in range(0, len(lines), 40)))
    given = {"corpus": tmp_path / "long.txt", "hparams": SHORT, "held_out": 0.0}
    with pytest.raises(CorpusError, match="most of the corpus would be cut off"):
        pretrained(**given, cache=tmp_path / "cache")
    with monkeypatch.context() as earlier:
        earlier.setattr(prepare, "require_usable", lambda *_: None)
        pretrained(**given, cache=tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    assert pretrained(**given, cache=tmp_path / "cache", resume=True).step == 2
