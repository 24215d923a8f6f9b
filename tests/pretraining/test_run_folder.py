"""A run touches nothing that it reads, replaces another once it can be resumed, and leaves no half of one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.pretraining import TINY

from electra_convert.errors import ElectraConvertError, OutputError, TrainingError
from electra_convert.pretraining import run_folder as place
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.run_folder import begun, identity

pytestmark = pytest.mark.slow

SHORT = {**TINY, "num_train_steps": 2}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


READ_FROM_WITHIN = {
    "corpus": {"corpus": "mine.txt"},
    "vocabulary": {"vocab": "vocab.txt"},
    "checkpoint": {"vocab": None, "init_from": "model", "hparams": {**SHORT, "num_train_steps": 14}},
    "cache": {"cache": "cache"},
}


@pytest.mark.parametrize("what", READ_FROM_WITHIN)
@pytest.mark.parametrize("linked", [False, True])
def test_what_the_new_run_reads_is_not_deleted_with_the_old(finished_run, pretrained, tmp_path, what, linked):
    (finished_run / "mine.txt").write_text("The birds are singing.\n" * 500)
    (finished_run / "cache").mkdir()
    before = contents(finished_run)
    place = finished_run
    if linked:
        place = tmp_path / "link"
        place.symlink_to(finished_run)
    within = {
        name: place / value if isinstance(value, str) else value for name, value in READ_FROM_WITHIN[what].items()
    }
    with pytest.raises(OutputError, match=f"holds the {what} .*, which the run reads"):
        pretrained(**{"held_out": 0.0, "hparams": SHORT, "overwrite": True, **within})
    assert contents(finished_run) == before


def test_a_link_to_a_run_is_not_replaced(finished_run, pretrained, tmp_path):
    (tmp_path / "link").symlink_to(finished_run)
    with pytest.raises(OutputError, match="link is not a folder, so it is not replaced"):
        pretrained("link", overwrite=True, held_out=0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"accumulate": 3},
        {"corpus": Path("nowhere")},
        {"hparams": {**SHORT, "max_seq_length": 600}},
        {"init_from": FIXTURES / "default", "hparams": {"num_train_steps": 300}},
    ],
)
def test_a_start_that_fails_leaves_the_old_run_and_no_new_one(finished_run, pretrained, tmp_path, wrong):
    before, names = contents(finished_run), sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ElectraConvertError):
        pretrained(**{"held_out": 0.0, "overwrite": True, **wrong})
    with pytest.raises(ElectraConvertError):
        pretrained("new", **{"held_out": 0.0, **wrong})
    assert contents(finished_run) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_training_that_fails_before_a_checkpoint_leaves_all_as_it_was(
    finished_run, pretrained, tmp_path, monkeypatch
):
    from electra_convert.pretraining import loop

    before = contents(finished_run)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "set_learning_rate", exploding)
        for name, overwrite in (("run", True), ("deep/new", False)):
            with pytest.raises(TrainingError, match="went wrong"):
                pretrained(name, overwrite=overwrite, held_out=0.0)
    assert contents(finished_run) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert pretrained("deep/new", hparams=SHORT, held_out=0.0).step == 2


def exploding(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = float("inf")


def test_the_old_run_goes_with_the_first_checkpoint_of_the_new(finished_run, pretrained, tmp_path, monkeypatch):
    from electra_convert.pretraining import checkpoints

    seen = []
    genuine = checkpoints.save

    def save(*arguments):
        seen.append([(path / "run" / "run.json").is_file() for path in tmp_path.glob(".run.*.replaced")])
        genuine(*arguments)

    monkeypatch.setattr(checkpoints, "save", save)
    pretrained(overwrite=True, held_out=0.0, hparams={**TINY, "num_train_steps": 6})
    assert seen == [[True], []]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("file", [True, False])
def test_what_appeared_meanwhile_is_not_removed(tmp_path, file):
    place = tmp_path / "out"
    place.mkdir()
    looked_at = identity(place)
    kept = tmp_path / "elsewhere"
    place.rename(kept)
    place.write_text("mine") if file else shutil.copytree(FIXTURES / "corpus", place)
    before = place.read_bytes() if file else contents(place)
    for replaced in (None, looked_at):
        with (
            pytest.raises(OutputError, match="was made by something else meanwhile"),
            begun(place, replaced, lambda folder: None),
        ):
            pass
    assert (place.read_bytes() if file else contents(place)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out"]


@pytest.mark.parametrize("writable", [True, False])
def test_a_place_that_cannot_be_written_to_is_refused_before_the_corpus_is_read(tmp_path, monkeypatch, writable):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(place.os, "access", lambda path, mode: writable)
    said = "file is not a folder, so" if writable else "may not be written to, so"
    with pytest.raises(OutputError, match=said):
        place.require_place([Path("nowhere")], tmp_path / ("file" if writable else ".") / "run", PretrainOptions())


@pytest.mark.parametrize("what", ["output", "cache"])
def test_nothing_is_written_into_the_corpus(pretrained, tmp_path, what):
    corpus = shutil.copytree(FIXTURES / "corpus", tmp_path / "corpus")
    before = contents(corpus)
    given = {"cache": corpus / "tokenised"} if what == "cache" else {}
    with pytest.raises(OutputError, match=r"lies inside the corpus .*corpus, and would be read as a part of it"):
        pretrained("corpus/run" if what == "output" else "run", corpus, **given)
    assert contents(corpus) == before
