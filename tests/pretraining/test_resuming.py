"""A run that is killed and resumed ends as if nothing had happened; damage is recognised; good states are kept."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import FIXTURES
from support.pretraining import TINY, pretrain_until_killed, pretrain_until_signalled, start

from electra_convert import pretrain
from electra_convert.checkpoint import open_checkpoint
from electra_convert.errors import CorruptFileError, ElectraConvertError, OutputError, TrainingError
from electra_convert.output import locked
from electra_convert.pretraining.progress import Silent

pytestmark = pytest.mark.slow


def killed(
    place: Path, step: int, while_saving: bool = False, resume: bool = True, cache: Path | None = None
) -> None:
    """Pretrain as the fixture does, up to there."""
    options = {"vocab": FIXTURES / "vocab.txt", "hparams": TINY, "log_steps": 1, "held_out": 0.1, "resume": resume}
    cache = cache or place.parent / "cache"
    process = start(
        pretrain_until_killed, step, while_saving, FIXTURES / "corpus", place, {**options, "cache": cache}
    )
    process.join(240)
    assert process.exitcode == -signal.SIGKILL


def reports(output: Path) -> list[dict]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    timed = {"tokens_per_second", "seconds_per_step"}
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


def models(output: Path) -> dict[str, bytes]:
    folder = output / "model"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_killed_again_and_again_ends_as_one_that_was_not(pretrained, kept_run, tmp_path):
    """Before its first checkpoint, between two, within a save, and right after one."""
    whole = kept_run(log_steps=1)
    place = tmp_path / "killed"
    killed(place, 3, resume=False)
    assert not (place / "checkpoints").exists()
    killed(place, 8)
    assert [path.name for path in (place / "checkpoints").iterdir()] == ["step-5"]
    killed(place, 0, while_saving=True)
    assert sorted(path.name for path in (place / "checkpoints").iterdir() if path.name[0] != ".") == ["step-5"]
    killed(place, 11)
    result = pretrained("killed", log_steps=1, resume=True, cache=tmp_path / "cache")
    assert result.step == 12
    assert models(place) == models(whole)
    assert reports(place) == reports(whole)


@pytest.mark.long
@pytest.mark.parametrize("while_saving", [False, True])
@pytest.mark.parametrize("step", range(1, 12))
def test_a_run_killed_anywhere_ends_as_one_that_was_not(pretrained, kept_run, tmp_path, step, while_saving):
    whole = kept_run(log_steps=1)
    place = tmp_path / "killed"
    killed(place, step, resume=False)
    if while_saving:
        killed(place, 0, while_saving=True)
    pretrained("killed", log_steps=1, resume=True, cache=tmp_path / "cache")
    assert models(place) == models(whole)
    assert reports(place) == reports(whole)


def signalled(place: Path, number: int, step: int, **options: str) -> int:
    """Run the command up to a signal, as the fixture would; gives its exit status."""
    given = {"vocab": FIXTURES / "vocab.txt", "hparams": json.dumps(TINY), "log-steps": 1, "held-out": 0.1, **options}
    arguments = [f"--{name}={value}" for name, value in given.items()]
    arguments += [f"--cache={place.parent / 'cache'}"]
    process = start(
        pretrain_until_signalled, number, step, ["pretrain", str(FIXTURES / "corpus"), str(place), *arguments]
    )
    process.join(240)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_loses_no_step_and_the_run_ends_as_one_that_was_not_stopped(
    pretrained, kept_run, tmp_path, number, status
):
    whole = kept_run(log_steps=1)
    place, step = tmp_path / "stopped", random.randint(1, 10)
    assert signalled(place, number, step) == status
    # The signal came while a step was reported; the one after it was finished.
    assert (place / "checkpoints" / f"step-{step + 1}").is_dir()
    assert not (place / "model").exists()
    result = pretrained("stopped", log_steps=1, resume=True, cache=tmp_path / "cache")
    assert f"The run of model.safetensors continues at step {step + 1} of 12." in result.notes
    assert models(place) == models(whole)
    assert reports(place) == reports(whole)


def test_a_signal_in_python_is_an_interrupt_that_says_how_to_go_on(pretrained, kept_run):
    class Interrupting(Silent):
        def stepped(self, step: int, total: int, losses: dict[str, float]) -> None:
            if step == 2:
                signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            pretrained(reporter=Interrupting(), log_steps=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert raised.value.__notes__ == ["--resume continues the run from step 3."]
    result = pretrained(log_steps=1, resume=True)
    assert models(result.output) == models(kept_run(log_steps=1))


def test_a_run_whose_time_is_up_is_saved_and_goes_on_where_it_was(pretrained, kept_run):
    """A limit that is over before the first step: each of the parts computes one."""
    whole = kept_run()
    result = pretrained(time_limit="0.001s")
    assert (result.step, result.finished) == (1, False)
    assert (
        "The time is up: the run is saved at step 1 of 12, and resume=True continues it from there." in result.notes
    )
    assert (result.model / "discriminator").is_dir()
    assert pretrained(resume=True, time_limit=1e-3).step == 2
    result = pretrained(resume=True)
    assert (result.step, result.finished) == (12, True)
    assert models(result.output) == models(whole)
    assert reports(result.output) == reports(whole)


def test_a_run_is_saved_every_quarter_of_an_hour_whatever_its_steps_are(pretrained, kept_run, monkeypatch):
    from electra_convert.pretraining import pauses

    whole = kept_run()
    monkeypatch.setattr(pauses, "_SAVED_EVERY", 0.0)
    result = pretrained()
    found = {path.name for path in (result.output / "checkpoints").iterdir()}
    assert found == {f"step-{step}" for step in (8, 9, 10, 11, 12)}
    assert models(result.output) == models(whole)
    assert reports(result.output) == reports(whole)


def test_reports_that_span_a_checkpoint_are_the_same_after_resuming(pretrained, kept_run, tmp_path):
    """log_steps 4 and checkpoints every 5: the losses of step 5 wait in the checkpoint for the report at 8."""
    whole = kept_run()
    place = shutil.copytree(whole, tmp_path / "again")
    for step in (10, 12):
        remove(place / "checkpoints" / f"step-{step}")
    pretrained("again", resume=True)
    assert reports(place) == reports(whole)
    assert models(place) == models(whole)


def remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def change_losses(path: Path) -> None:
    """Change what waits to be reported."""
    path.write_text(path.read_text().replace('"pending": []', '"pending": [[9.0, 9.0, 9.0]]'))


DAMAGE = {
    "a flipped bit in the weights": lambda at: flip(at / "model" / "discriminator" / "model.safetensors"),
    "a flipped bit in the slots": lambda at: flip(at / "model" / "generator" / "optimizer.safetensors"),
    "weights cut short": lambda at: os.truncate(at / "model" / "generator" / "model.safetensors", 1000),
    "weights missing": lambda at: (at / "model" / "generator" / "model.safetensors").unlink(),
    "no state": lambda at: (at / "state.json").unlink(),
    "half a state": lambda at: os.truncate(at / "state.json", 40),
    "other losses in the state": lambda at: change_losses(at / "state.json"),
    "an empty folder": lambda at: (remove(at), at.mkdir()),
    "the state of another step": lambda at: at.rename(at.with_name("step-99")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(finished_run, tmp_path, damage):
    from electra_convert.pretraining.checkpoints import latest

    DAMAGE[damage](finished_run / "checkpoints" / "step-12")
    saved, notices = latest(finished_run / "checkpoints")
    assert saved.step == 10
    assert len(notices) == 1
    assert "is damaged and passed over" in notices[0]


FILE = {"bytes": 1, "crc32c": "0"}


@pytest.mark.parametrize(
    "changed",
    [
        {"files": []},
        {"files": None},
        {"files": "model"},
        {"files": {"model": 5}},
        {"files": {"../../run.json": FILE}},
        {"files": {"/etc/passwd": FILE}},
        {"files": {"model": FILE}},
        {"pending": "x"},
        {"pending": [1]},
        {"pending": [["x", 1]]},
        {"step": [12]},
        {"step": None},
    ],
    ids=str,
)
def test_a_state_that_makes_no_sense_under_a_right_checksum_is_passed_over(finished_run, changed):
    from electra_convert.pretraining.checkpoints import _checksum, latest

    path = finished_run / "checkpoints" / "step-12" / "state.json"
    state = {**json.loads(path.read_text()), **changed}
    del state["crc32c"]
    path.write_text(json.dumps({"crc32c": _checksum(state), **state}))
    saved, [notice] = latest(finished_run / "checkpoints")
    assert saved.step == 10
    assert "step-12 is damaged and passed over" in notice


def test_a_run_goes_on_from_the_checkpoint_before_the_damaged_one_and_says_so(finished_run, pretrained):
    before = models(finished_run)
    flip(finished_run / "checkpoints" / "step-12" / "model" / "generator" / "model.safetensors")
    result = pretrained(held_out=0.0, resume=True)
    assert result.step == 12
    [damaged] = result.warnings
    assert "step-12 is damaged and passed over" in damaged
    assert "The run of model.safetensors continues at step 10 of 12." in result.notes
    assert models(finished_run) == before


def test_where_every_checkpoint_is_damaged_nothing_is_started_silently(finished_run, pretrained):
    for place in (finished_run / "checkpoints").iterdir():
        (place / "state.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"every checkpoint in .* is damaged"):
        pretrained(held_out=0.0, resume=True)


def test_what_killed_runs_left_among_the_checkpoints_goes_with_the_next(finished_run, pretrained):
    place = finished_run / "checkpoints"
    remove(place / "step-12")
    for name in (".step-3.removed", ".step-12.abcd1234.partial", ".step-12.abcd1234.replaced"):
        (place / name / "model").mkdir(parents=True)
    pretrained(held_out=0.0, resume=True)
    assert sorted(path.name for path in place.iterdir()) == ["step-10", "step-12", "step-5"]


def test_a_run_that_was_resumed_leaves_the_same_files(finished_run, pretrained):
    before = contents(finished_run)
    remove(finished_run / "checkpoints" / "step-12")
    pretrained(held_out=0.0, export="tf", resume=True)
    assert contents(finished_run) == before


def test_a_run_that_goes_on_from_a_checkpoint_and_was_resumed_leaves_the_same_files(pretrained):
    hparams = {"num_train_steps": 4004, "save_checkpoints_steps": 2, "train_batch_size": 4}
    given = {"init_from": FIXTURES / "default", "hparams": hparams, "held_out": 0.0, "export": "tf"}
    result = pretrained(**given)
    before = contents(result.output)
    remove(result.output / "checkpoints" / "step-4004")
    pretrained(**given, resume=True)
    assert contents(result.output) == before


def contents(output: Path) -> dict[str, bytes]:
    """All files but those with times in them."""
    files = {str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    timed = ("metrics.jsonl", "curves.png", "tensorboard/")
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(timed)}


def test_only_the_last_checkpoints_are_kept(pretrained):
    kept = {"num_train_steps": 4, "save_checkpoints_steps": 1, "keep_checkpoint_max": 2}
    result = pretrained(hparams={**TINY, **kept}, held_out=0.0)
    assert sorted(path.name for path in (result.output / "checkpoints").iterdir()) == ["step-3", "step-4"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1}, "seed was 0 when the run began, and is 1 now"),
        ({"hparams": {**TINY, "learning_rate": 0.1}}, "learning_rate was 0.001 when the run began, and is 0.1 now"),
        ({"corpus": FIXTURES / "corpus" / "english.txt"}, "corpus was"),
    ],
)
def test_a_run_is_not_resumed_as_another(finished_run, pretrained, other, said):
    with pytest.raises(TrainingError, match=said):
        pretrained(**{"held_out": 0.0, "resume": True, **other})


def test_a_run_is_neither_overwritten_nor_resumed_unasked(finished_run, pretrained, tmp_path):
    with pytest.raises(OutputError, match="already holds a pretraining run") as raised:
        pretrained()
    assert "resume=True continues it" in raised.value.hint
    with pytest.raises(OutputError, match="no run to resume"):
        pretrained("nothing", resume=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="holds no pretraining run"):
        pretrained("mine", overwrite=True)
    (finished_run / "run.json").write_text("{")
    with pytest.raises(CorruptFileError, match=r"run\.json is not valid JSON"):
        pretrained(resume=True, held_out=0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hparams": []}, r"run\.json has no hparams"),
        ({"hparams": {"train_batch_siz": 8}}, r"run\.json: unknown hparam 'train_batch_siz'"),
        ({"origins": {"generator": 3}}, r"run\.json has origins of another kind"),
    ],
)
def test_a_damaged_record_of_a_run_is_named(finished_run, pretrained, change, said):
    path = finished_run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ElectraConvertError, match=said):
        pretrained(resume=True, held_out=0.0, hparams=None)


def test_a_run_may_be_replaced(finished_run, pretrained):
    result = pretrained(overwrite=True, hparams={**TINY, "num_train_steps": 1}, held_out=0.0)
    assert [path.name for path in (result.output / "checkpoints").iterdir()] == ["step-1"]


def test_a_folder_belongs_to_one_run_at_a_time(finished_run, pretrained):
    with locked(finished_run), pytest.raises(OutputError, match="is being written to by another run"):
        pretrained(resume=True, held_out=0.0)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint_before(pretrained, monkeypatch, tmp_path):
    from electra_convert.pretraining import loop

    genuine = loop.set_learning_rate
    steps = iter(range(1, 100))

    def exploding(optimizer, rate):
        genuine(optimizer, float("inf") if next(steps) == 8 else rate)

    monkeypatch.setattr(loop, "set_learning_rate", exploding)
    with pytest.raises(TrainingError, match="step 9 went wrong: masked_lm_loss nan") as raised:
        pretrained(held_out=0.0)
    found = list((tmp_path / "run" / "checkpoints").iterdir())
    assert [path.name for path in found] == ["step-5"]
    assert "The run's checkpoints, the last of step 5, are from before it." in raised.value.hint
    with open_checkpoint(found[0] / "model") as checkpoint:
        assert checkpoint.step == 5


def test_where_a_loss_is_no_number_before_the_first_checkpoint_it_is_said_that_there_is_none(pretrained, tmp_path):
    with pytest.raises(TrainingError, match=r"went wrong: .*nan") as raised:
        pretrained(hparams={**TINY, "num_warmup_steps": 0, "learning_rate": 1e11})
    assert raised.value.hint == (
        "The run had no checkpoint yet, so that nothing of it is left; start anew with a lower learning_rate= or a "
        "longer warm-up."
    )
    assert not (tmp_path / "run").exists()


def test_a_model_that_evaluates_to_no_number_is_not_kept(pretrained, monkeypatch, tmp_path):
    """The last update before a checkpoint is looked at by no later step, but by the evaluation."""
    from electra_convert.pretraining import loop

    genuine = loop.set_learning_rate
    steps = iter(range(1, 100))
    monkeypatch.setattr(
        loop, "set_learning_rate", lambda optimizer, rate: genuine(optimizer, 1e38 if next(steps) == 10 else rate)
    )
    with pytest.raises(TrainingError, match="evaluating after step 10 went wrong: masked_lm_loss nan"):
        pretrained()
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-5"]


@pytest.mark.parametrize(
    ("step", "told"), [(3, "The run had no checkpoint yet."), (7, "continues the run from step 5.")]
)
def test_an_interruption_says_what_is_left_of_the_run(step, told):
    class Interrupting(Silent):
        def stepped(self, number: int, total: int, losses: dict[str, float]) -> None:
            if number == step:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised, TemporaryDirectory() as place:
        pretrain(
            FIXTURES / "corpus", Path(place) / "run", Interrupting(), vocab=FIXTURES / "vocab.txt", hparams=TINY,
            log_steps=1, held_out=0.0, cache=Path(place) / "cache",
        )  # fmt: skip
    assert told in raised.value.__notes__[0]


@pytest.fixture
def before_its_first_checkpoint(pretrained, tmp_path):
    """A run that was killed early."""
    pretrained(held_out=0.0, hparams={**TINY, "num_train_steps": 2}, accumulate=2)
    remove(tmp_path / "run" / "checkpoints")
    return tmp_path / "run"


@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_resumed_run_has_the_hparams_it_began_with_whether_they_are_given_again_or_not(
    finished_run, pretrained, checkpoint
):
    before = models(finished_run)
    remove(finished_run / "checkpoints" / "step-12" if checkpoint else finished_run / "checkpoints")
    remove(finished_run / "model")
    pretrained(held_out=0.0, resume=True, hparams=None, vocab=None)
    assert models(finished_run) == before


def test_hparams_that_the_run_did_not_begin_with_are_refused_before_a_checkpoint_too(
    before_its_first_checkpoint, pretrained
):
    with pytest.raises(TrainingError, match=r"temperature was null when the run began, and is 2\.0 now"):
        pretrained(held_out=0.0, resume=True, hparams={"temperature": 2.0})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vocab": "other.txt"}, r"other\.txt is not the vocabulary that the run began with"),
        ({"vocab": None, "train_vocab": 300}, "^train_vocab was null when the run began, and is 300 now"),
        ({"cased": True}, "lower_case was true when the run began, and is false now"),
        ({"strip_accents": False}, "strip_accents was true when the run began, and is false now"),
        ({"tokenize_chinese_chars": False}, "tokenize_chinese_chars was true when the run began, and is false now"),
        ({"added_tokens": ["the"]}, r"added_tokens was \[\] when the run began, and is \[\"the\"\] now"),
    ],
)
def test_a_run_is_not_resumed_with_another_tokenizer(finished_run, pretrained, tmp_path, given, said):
    *lines, last = (FIXTURES / "vocab.txt").read_text().splitlines()
    (tmp_path / "other.txt").write_text("\n".join([*lines[:-1], last, lines[-1]]) + "\n")
    if given.get("vocab"):
        given = {"vocab": tmp_path / given["vocab"]}
    with pytest.raises(TrainingError, match=said):
        pretrained(held_out=0.0, resume=True, **given)


def test_a_run_is_resumed_with_the_tokenizer_it_began_with_given_again(pretrained):
    options = {"vocab": None, "train_vocab": 300, "cased": True, "strip_accents": True, "held_out": 0.0}
    options["hparams"] = {**TINY, "num_train_steps": 1}
    pretrained(**options)
    assert pretrained(**options, resume=True).step == 1


def test_another_way_to_compute_it_is_warned_of(before_its_first_checkpoint, pretrained):
    result = pretrained(held_out=0.0, accumulate=4, resume=True, hparams=None)
    assert "accumulate was 2 when the run began, and is 4 now: from here on it is no longer the same to the bit." in (
        result.warnings
    )
