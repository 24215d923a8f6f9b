"""Runs with candidates in place of the vocabulary, and runs that stay within a limit of memory."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import FIXTURES
from support.pretraining import TINY

from electra_convert.errors import ConfigError, TrainingError, UsageError
from electra_convert.pretraining.memory import most_within

SAMPLED = {**TINY, "sampled_softmax": 200}


def weights(output) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (output / "model").rglob("model.safetensors")}


def rows(output, kind: str) -> list[dict]:
    told = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [row for row in told if row["kind"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("replacements", ["full", "candidates"])
def test_a_run_with_candidates_that_was_stopped_ends_as_one_that_was_not(
    kept_run, pretrained, tmp_path, replacements
):
    whole = kept_run(hparams={**SAMPLED, "sampled_replacements": replacements})
    place = shutil.copytree(whole, tmp_path / "again")
    for name in ("checkpoints/step-12", "checkpoints/step-10", "model"):
        shutil.rmtree(place / name)
    pretrained("again", hparams=None, resume=True)
    assert weights(place) == weights(whole)
    assert rows(place, "eval") == rows(whole, "eval")


@pytest.mark.slow
def test_a_run_with_candidates_learns_and_is_evaluated_over_the_whole_vocabulary(kept_run):
    """After a dozen steps the loss is above that of guessing among 200, and not that of one that knows nothing."""
    import math

    output = kept_run(hparams={**SAMPLED, "sampled_replacements": "full"})
    trained, evaluated = rows(output, "train"), rows(output, "eval")
    assert trained[-1]["masked_lm_loss"] < trained[0]["masked_lm_loss"]
    assert math.log(200) < evaluated[-1]["masked_lm_loss"] < math.log(1500) + 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hparams", "said"),
    [
        ({"sampled_softmax": 5000}, "sampled_softmax is 5000, more than the 1500 pieces of the vocabulary"),
        ({"sampled_softmax": 1}, "sampled_softmax is 1, expected 0, or a whole number from 2 up"),
        ({"sampled_softmax": -2}, "sampled_softmax is -2, expected a whole number from 0 up"),
        ({"sampled_softmax": 200, "uniform_generator": True}, "sampled_softmax is about a generator's loss"),
        ({"sampled_replacements": "some"}, 'sampled_replacements is "some", expected full or candidates'),
    ],
)
def test_candidates_that_cannot_be_are_refused(pretrained, tmp_path, hparams, said):
    with pytest.raises(ConfigError, match=said):
        pretrained(hparams={**TINY, **hparams})
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_vocabulary_that_is_not_sorted_by_frequency_is_warned_of(pretrained, tmp_path):
    pieces = (FIXTURES / "vocab.txt").read_text().splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join([*pieces[:5], *reversed(pieces[5:])]) + "\n")
    given = {"hparams": {**SAMPLED, "num_train_steps": 1}, "held_out": 0.0}
    [warning] = [
        line for line in pretrained("reversed", vocab=tmp_path / "vocab.txt", **given).warnings if "sorted" in line
    ]
    assert warning.startswith("The vocabulary is not sorted by frequency, as sampled_softmax supposes")
    assert not any("sorted" in line for line in pretrained("sorted", **given).warnings)


def test_the_largest_parts_that_are_known_to_fit_are_taken():
    assert most_within(1000, [1, 2, 4, 8], lambda size: 100 + 200 * size, 100) == 4
    assert most_within(10_000, [1, 2, 4, 8], lambda size: 100 + 200 * size, 100) == 8


def test_no_part_is_tried_that_is_expected_not_to_fit():
    tried = []
    most_within(1000, [1, 2, 4, 8], lambda size: tried.append(size) or 100 + 200 * size, 100)
    assert tried == [1, 2, 4]


def test_a_part_that_takes_more_than_was_expected_is_not_taken():
    assert most_within(1000, [1, 2, 4], {1: 300, 2: 320, 4: 980}.__getitem__, 250) == 2


def test_where_even_one_sequence_does_not_fit_that_is_said():
    with pytest.raises(
        TrainingError, match=r"computing 1 sequence at a time takes 3\.00 GB, .* of 2\.00 GB"
    ) as raised:
        most_within(2_000_000_000, [1, 2], lambda size: size * 3_000_000_000, 0)
    assert "--max-length" in raised.value.hint


@pytest.mark.slow
def test_a_run_within_a_limit_says_its_parts_and_goes_on_with_them(pretrained, monkeypatch, tmp_path):
    """A step takes a gigabyte for each sequence, as it is told."""
    from electra_convert.pretraining import fitting

    def take_a_gigabyte_each(*_):
        return lambda sequences: sequences * 10**9

    monkeypatch.setattr(fitting, "trial", take_a_gigabyte_each)
    given = {"memory_limit": "5GB", "held_out": 0.0}
    first = pretrained(**given)
    assert "Each batch is computed in 2 parts, 4 sequences at a time, to stay below 5.00 GB." in first.notes
    assert json.loads((first.output / "run.json").read_text())["computed"]["accumulate"] == 2
    before = weights(first.output)
    shutil.rmtree(first.output / "checkpoints" / "step-12")
    monkeypatch.setattr(fitting, "trial", lambda *_: pytest.fail("what is known is tried again"))
    again = pretrained(**given, resume=True)
    assert not again.warnings
    assert weights(again.output) == before


@pytest.mark.slow
def test_a_run_is_tried_before_anything_is_written(pretrained, tmp_path):
    with pytest.raises(TrainingError, match=r"computing 1 sequence at a time takes .* memory limit of 0\.05 GB"):
        pretrained(memory_limit="50MB")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_is_no_size_is_refused(pretrained):
    with pytest.raises(UsageError, match="'much' is not a size"):
        pretrained(memory_limit="much")


@pytest.mark.slow
def test_a_trial_leaves_no_trace(pretrained, kept_run):
    tried = pretrained(memory_limit="100GB", held_out=0.0)
    assert "Batches are computed whole, 8 sequences at a time, to stay below 100.00 GB." in tried.notes
    assert weights(tried.output) == weights(kept_run(held_out=0.0, export="tf"))
