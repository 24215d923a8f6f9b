"""A run leaves a model folder as convert writes it, and all that belongs to it; bad input leaves nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support.command_line import run
from support.finetuning import WORDS, tagged
from support.parity_records import write_parity

from electra_convert import convert, open_model, verify
from electra_convert.cli.finetune import finetuning_fields, finetuning_text
from electra_convert.config.labels import configured_labels
from electra_convert.errors import TrainingError
from electra_convert.finetuning.evaluation import doubts
from electra_convert.finetuning.finetune import finetune

pytestmark = pytest.mark.slow

VOCABULARY = FIXTURES / "vocab.txt"
TASKS = {
    "token-classification": ("train.conll", "dev.conll"),
    "text-classification": ("train.tsv", "dev.tsv"),
    "question-answering": ("train.json", "dev.json"),
}
CLASSES = {
    "token-classification": "ElectraForTokenClassification",
    "text-classification": "ElectraForSequenceClassification",
    "question-answering": "ElectraForQuestionAnswering",
}


@pytest.mark.parametrize("task", TASKS)
def test_a_run_leaves_a_model_predictions_a_curve_and_its_record(tuned_once, task, one_thread):
    result = tuned_once(task, *TASKS[task])
    assert sorted(path.name for path in result.output.iterdir()) == [
        "checkpoints", "curves.png", "evaluation.json", "finetuning.json", "metrics.jsonl", "model",
        "predictions-dev.jsonl", "tensorboard",
    ]  # fmt: skip
    assert sorted(path.name for path in result.model.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json",
        "vocab.txt",
    ]  # fmt: skip
    config = json.loads((result.model / "config.json").read_text())
    assert config["architectures"] == [CLASSES[task]]
    lines = (result.output / "predictions-dev.jsonl").read_text().splitlines()
    assert len(lines) == 12
    record = json.loads((result.model / "training.json").read_text())
    assert (record["base"]["format"], record["base"]["step"]) == ("tensorflow", 4000)
    assert record["evaluation"]["metrics"] == result.metrics
    assert record["recipe"]["learning_rate"] == {"value": 3e-4, "origin": "the paper"}
    assert any("layer_decay 0.8" in note and "google-research/electra" in note for note in result.notes)
    assert sum("learned nothing" in note for note in result.notes) == len(doubts(result.metrics))


@pytest.mark.parametrize("task", TASKS)
def test_transformers_pipelines_and_the_demo_load_what_comes_out(tuned_once, task, one_thread):
    from support.transformers_models import load

    result = tuned_once(task, *TASKS[task])
    model = load(result.model)
    assert type(model).__name__ == CLASSES[task]
    opened = open_model(result.model)
    text = " ".join(WORDS[:5])
    if task == "token-classification":
        [tags] = opened.tag(text)
        assert {word.tag for word in tags.words} <= {"O", "B-X"}
        assert [word.text for word in tags.words] == list(WORDS[:5])
    elif task == "text-classification":
        assert opened.labels == ("bad", "good")
    assert configured_labels(model.config.to_dict(), model.config.num_labels)


def test_predictions_are_what_the_demo_says(tuned_once, one_thread):
    result = tuned_once("token-classification", *TASKS["token-classification"])
    opened = open_model(result.model)
    for line in (result.output / "predictions-dev.jsonl").read_text().splitlines()[:4]:
        row = json.loads(line)
        [tags] = opened.tag(" ".join(row["words"]))
        assert [word.tag for word in tags.words] == row["predictions"]


def test_metrics_are_those_of_the_predictions_file(tuned_once):
    result = tuned_once("text-classification", *TASKS["text-classification"])
    rows = [json.loads(line) for line in (result.output / "predictions-dev.jsonl").read_text().splitlines()]
    right = sum(row["label"] == row["prediction"] for row in rows) / len(rows)
    assert result.metrics["dev"]["accuracy"] == pytest.approx(right)


def test_numbers_as_labels_are_estimated(tuned_once, one_thread):
    result = tuned_once("text-classification", "train-scored.jsonl", "dev-scored.jsonl")
    assert list(result.metrics["dev"]) == ["pearson", "spearman", "mean_squared_error"]
    config = json.loads((result.model / "config.json").read_text())
    assert (config["problem_type"], list(config["id2label"])) == ("regression", ["0"])
    [number] = open_model(result.model).estimate("a text", "another")
    assert np.isfinite(number.value)


@pytest.mark.parametrize(
    ("task", "google", "kind"),
    [
        ("token-classification", True, "token_classification=token-classification"),
        ("text-classification", True, "sequence_classification=text-classification"),
        ("question-answering", False, "question_answering=question-answering"),
    ],
)
def test_it_converts_to_tensorflow_and_back_to_the_bit(tuned_once, task, google, kind, tmp_path, one_thread):
    options = {"google_head": True} if google else {}
    result = tuned_once(task, *TASKS[task], **options)
    convert(result.model, tmp_path / "tf")
    labels = ("B-X", "O") if task == "token-classification" else ("bad", "good")
    named = {} if task == "question-answering" else {"labels": labels}
    back = convert(tmp_path / "tf", tmp_path / "back", task=kind, **named).output
    assert verify(result.model, back, weights_only=True).passed
    assert (back / "model.safetensors").stat().st_size > 100_000


def test_googles_head_computes_what_one_dense_layer_on_the_first_token_does(tuned_once, tmp_path, one_thread):
    import torch
    from support.transformers_models import load

    model = load(tuned_once("text-classification", *TASKS["text-classification"], google_head=True).model)
    dense = model.classifier.dense
    ids = torch.randint(5, 1500, (3, 12))
    with torch.no_grad():
        outputs = model(ids, output_hidden_states=True)
        direct = torch.nn.functional.linear(outputs.hidden_states[-1][:, 0], dense.weight[:2], dense.bias[:2])
    torch.testing.assert_close(outputs.logits, direct, atol=1e-5, rtol=1e-5)


def test_transformers_pipeline_says_what_is_predicted(tuned_once, one_thread):
    from transformers import pipeline

    result = tuned_once("text-classification", *TASKS["text-classification"])
    classify = pipeline("text-classification", model=str(result.model))
    rows = [json.loads(line) for line in (result.output / "predictions-dev.jsonl").read_text().splitlines()]
    assert [one["label"] for one in classify([row["text"] for row in rows])] == [row["prediction"] for row in rows]


def test_what_is_known_of_the_model_that_it_was_made_from_goes_with_it(labelled, golden_pair, tmp_path, one_thread):
    pair = shutil.copytree(golden_pair, tmp_path / "pair")
    write_parity(pair / "discriminator")
    result = finetune("text-classification", pair, labelled / "train.tsv", tmp_path / "run", epochs=1)
    base = json.loads((result.model / "training.json").read_text())["base"]
    assert (base["name"], base["state"]) == ("pair", "verified")
    assert base["line"] in (result.model / "README.md").read_text()


def test_a_run_of_pretrain_is_a_model_to_start_from(labelled, kept_run, tmp_path, one_thread):
    result = finetune(
        "token-classification", kept_run() / "model", labelled / "train.conll", tmp_path / "run", epochs=1
    )
    record = json.loads((result.model / "training.json").read_text())
    assert record["base"]["state"] == "pretrained"
    assert record["recipe"]["layer_decay"]["value"] == 0.8


def test_the_same_words_are_masked_and_filled_before_and_after(tmp_path, one_thread):
    from transformers import pipeline

    data = FIXTURES / "finetuning" / "reviews.txt"
    given = {"vocab": VOCABULARY, "max_length": 32, "batch_size": 8, "samples": 16}
    result = finetune(
        "fill-mask", FIXTURES / "default", data, tmp_path / "run", epochs=2, learning_rate=1e-3, **given
    )
    rows = [json.loads(line) for line in (result.output / "predictions-dev.jsonl").read_text().splitlines()]
    assert [row["text"].count("[MASK]") for row in rows] == [1] * 5
    assert all(row["text"].replace("[MASK]", row["word"]) in data.read_text() for row in rows)
    assert [len(row[when]) for row in rows for when in ("before", "after")] == [3] * 10
    fill = pipeline("fill-mask", model=str(result.model), top_k=3)
    for row in rows:
        assert [one["token_str"] for one in fill(row["text"])] == [piece for piece, _ in row["after"]]
    assert json.loads((result.model / "config.json").read_text())["architectures"] == ["ElectraForMaskedLM"]
    evaluation = json.loads((result.output / "evaluation.json").read_text())
    assert result.before == evaluation["before"] == finetuning_fields(result)["before"]
    assert f"perplexity, before {result.before['dev']['perplexity']:.4f}" in finetuning_text(result)
    again = finetune("fill-mask", FIXTURES / "default", data, tmp_path / "again", epochs=1, **given)
    before = json.loads((again.output / "evaluation.json").read_text())["before"]
    assert before == evaluation["before"]


def test_the_command_prints_measures_and_what_it_trained_with(labelled, tmp_path, one_thread):
    told = run(
        "finetune", "text-classification", FIXTURES / "default", labelled / "train.tsv", tmp_path / "run",
        "--test", labelled / "dev.tsv", "--vocab", VOCABULARY, "--epochs", "0.5", "--batch-size", "8",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert told.out.splitlines()[:2] == ["Trained to step 3.", "On test:"]
    assert told.out.splitlines()[-1] == f"Wrote {tmp_path / 'run' / 'model'}"
    assert "epochs 0.5 (option)" in told.err.replace("batch_size 8, ", "")
    assert "learning_rate 0.0003 (the paper)" in told.err
    assert "Step: 3 of 3: loss 0." in told.err


# Bad input


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


BAD = {
    "a label unknown in dev": ("token-classification", "train.conll", "bad.conll", "the label 'B-Y' does not occur"),
    "an empty file": ("text-classification", "empty.tsv", None, "empty.tsv is empty"),
    "missing columns": ("text-classification", "train.conll", None, "is no table"),
    "an answer not at its offset": ("question-answering", "bad.json", None, "does not stand at character"),
    "one label alone": ("token-classification", "alone.conll", None, "every word has the label 'O'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_one_clear_error_and_nothing_is_left(labelled, tmp_path, case):
    task, train, dev, said = BAD[case]
    data = shutil.copytree(labelled, tmp_path / "data")
    (data / "bad.conll").write_text(tagged(2, 1, ("O", "B-Y")))
    (data / "alone.conll").write_text("a O\nb O\n")
    (data / "empty.tsv").write_text("")
    squad = json.loads((data / "train.json").read_text())
    squad["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] += 1
    (data / "bad.json").write_text(json.dumps(squad))
    place = tmp_path / "place"
    place.mkdir()
    options = ["--dev", data / dev] if dev else []
    told = run(
        "finetune", task, FIXTURES / "default", data / train, place / "out", "--vocab", VOCABULARY, "-q", *options
    )
    assert said in told.refusal()
    assert (dev or train) in told.err
    assert left(place) == []


@pytest.mark.parametrize(
    ("source", "task", "said"),
    [
        ("uniform", "fill-mask", "holds a discriminator and no generator"),
        ("nothing", "token-classification", "does not exist"),
    ],
)
def test_a_model_that_cannot_is_one_clear_error(labelled, tmp_path, golden_pair, source, task, said):
    models = {"uniform": golden_pair / "discriminator", "nothing": tmp_path / "none"}
    train = {"fill-mask": FIXTURES / "corpus" / "english.txt"}.get(task, labelled / "train.conll")
    place = tmp_path / "place"
    place.mkdir()
    assert said in run("finetune", task, models[source], train, place / "out", "-q").refusal()
    assert left(place) == []


def test_memory_that_ran_out_is_told_with_what_takes_less(labelled, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr("electra_convert.finetuning.run._run", fail)
    with pytest.raises(TrainingError, match="memory ran out: ") as told:
        finetune(
            "token-classification", FIXTURES / "default", labelled / "train.conll", tmp_path / "run", vocab=VOCABULARY
        )
    assert told.value.hint == "Give a smaller batch_size= or max_length=."


def test_an_output_that_is_there_is_left_alone_unless_it_is_to_be_replaced(labelled, tmp_path, tuned_once):
    result = tuned_once("token-classification", *TASKS["token-classification"])
    arguments = ("finetune", "token-classification", FIXTURES / "default", labelled / "train.conll")
    (tmp_path / "other").mkdir()
    said = run(*arguments, tmp_path / "other", "--vocab", VOCABULARY).refusal()
    assert "already exists, and holds no fine-tuning run" in said
    said = run(*arguments, result.output, "--vocab", VOCABULARY).refusal()
    assert "already holds a fine-tuning run" in said
    assert "--resume continues it, --overwrite starts anew" in said
    said = run(*arguments[:2], result.model, labelled / "train.conll", result.output, "--overwrite").refusal()
    assert "holds the source" in said
    said = run(*arguments, tmp_path / "new", "--resume", "--vocab", VOCABULARY).refusal()
    assert "so there is no run to resume" in said


def test_a_checkpoint_without_vocabulary_says_what_to_give(labelled, tmp_path, golden_copy):
    source = golden_copy(without=("vocab.txt",))
    said = run("finetune", "token-classification", source, labelled / "train.conll", tmp_path / "out").err
    assert "has no tokenizer beside it" in said
    assert "--vocab" in said
