"""Checkpoints that Google's code fine-tuned: each task's head a model of its class, with its labels; and back."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from support import forward
from support.checkpoints import SIZES
from support.fine_tuned import TAGS, TASKS, TUNED, VOCABULARY, WRITTEN, texts_of

from electra_convert import convert, inspect
from electra_convert.errors import ConfigError, NamesError, UsageError
from electra_convert.formats.tf_bundle import open_source

IDS = [f"{folder}-{task}" for folder, task, *_ in TASKS]


def data_of(folder: Path) -> bytes:
    (data,) = folder.glob("*.data-*")
    return data.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "task", "within", "architecture", "labels"), TASKS, ids=IDS)
def test_transformers_class_computes_what_googles_graph_recorded(
    converted_tasks, folder: str, task: str, within: str, architecture: str, labels: list[str] | None
):
    import torch
    import transformers

    golden = np.load(TUNED / folder / "golden.npz")
    model, info = getattr(transformers, architecture).from_pretrained(
        converted_tasks[folder] / within, output_loading_info=True
    )
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    names = ("input_ids", "input_mask", "segment_ids")
    ids, mask, segments = (torch.from_numpy(golden[name]).long() for name in names)
    with torch.no_grad():
        outputs = model.eval()(ids, attention_mask=mask, token_type_ids=segments)
    logits = "logits" if "logits" in golden else f"{task}/logits"
    pairs = (
        [("logits", logits)] if labels else [(f"{end}_logits", f"{end}_logits_unmasked") for end in ("start", "end")]
    )
    for ours, theirs in pairs:
        assert np.abs(outputs[ours].numpy() - golden[theirs]).max() < 1e-5
    if labels:
        assert list(model.config.id2label.values()) == labels


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["mnli", "rte", "sst"])
def test_transformers_pipeline_says_of_plain_text_the_class_that_google_predicted(converted_tasks, folder: str):
    import transformers

    golden = np.load(TUNED / folder / "golden.npz")
    classify = transformers.pipeline("text-classification", model=str(converted_tasks[folder]))
    names = next(labels for name, *_, labels in TASKS if name == folder)
    for row, predicted in enumerate(golden["predictions"][:WRITTEN]):
        texts = dict(zip(("text", "text_pair"), texts_of(golden, row), strict=False))
        said = classify([texts], top_k=None)[0]
        assert max(said, key=lambda label: label["score"])["label"] == names[predicted]
        exponentials = np.exp(golden["logits"][row].astype(np.float64))
        scores = {label["label"]: label["score"] for label in said}
        assert [scores[name] for name in names] == pytest.approx(exponentials / exponentials.sum(), abs=1e-5)


@pytest.mark.slow
def test_transformers_pipeline_tags_the_words_of_plain_text_as_google_does(converted_tasks):
    import transformers

    golden = np.load(TUNED / "chunk" / "golden.npz")
    tag = transformers.pipeline("token-classification", model=str(converted_tasks["chunk"]), ignore_labels=[])
    for row, words in enumerate(golden["labels_mask"][:WRITTEN].astype(bool)):
        (text,) = texts_of(golden, row)
        first_pieces = [token for token in tag(text) if not token["word"].startswith("##")]
        recorded = golden["word_logits"][row][words].argmax(-1)
        assert [token["index"] for token in first_pieces] == golden["labeled_positions"][row][words].tolist()
        assert [token["entity"] for token in first_pieces] == [TAGS[label] for label in recorded]


@pytest.mark.parametrize(("folder", "task", "within", "architecture", "labels"), TASKS, ids=IDS)
def test_the_way_back_ends_at_the_very_bytes(
    converted_tasks, folder, task, within, architecture, labels, tmp_path: Path
):
    assert inspect(converted_tasks[folder] / within).models["discriminator"].architecture == architecture
    convert(converted_tasks[folder] / within, tmp_path / "back")
    if within == ".":
        assert data_of(tmp_path / "back") == data_of(TUNED / folder)
    else:
        one = convert(TUNED / folder, tmp_path / "one", task=task, to="tf", vocab=VOCABULARY)
        assert one.layout == "fine_tuned"
        assert data_of(tmp_path / "back") == data_of(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_head_under_algebra_is_rounded_as_its_two_variables_are(dtype: str, tmp_path: Path):
    """Of rounded weights the same head is made: the pairs stay exact."""
    convert(TUNED / "mnli", tmp_path / "rounded", dtype=dtype, vocab=VOCABULARY)
    convert(tmp_path / "rounded", tmp_path / "back")
    convert(TUNED / "mnli", tmp_path / "tf", to="tf", vocab=VOCABULARY)
    assert inspect(tmp_path / "back").layout == inspect(tmp_path / "tf").layout == "fine_tuned"


@pytest.mark.parametrize(
    ("name", "said"),
    [("sst", "exactly: all 64 units carry the logits through the gelu (16 pairs a class)."), ("mnli", "16 are zero")],
)
def test_units_of_a_classifier_that_learn_nothing_are_counted_where_there_are_any(name, said, tmp_path: Path):
    result = convert(TUNED / name, tmp_path / "out", vocab=VOCABULARY)
    assert [line for line in result.notices if said in line]


APART = "Heads of tasks, each of which is converted to a folder of its own: "


def test_heads_that_are_converted_are_not_called_left_out(tmp_path: Path):
    mrpc, chunk = (
        f"task_specific/{task}/dense/bias, task_specific/{task}/dense/kernel" for task in ("mrpc", "chunk")
    )
    result = convert(TUNED / "mrpc_chunk", tmp_path / "out", vocab=VOCABULARY)
    assert [line for line in result.notices if "task_specific" in line] == [
        f"chunk: {APART}{mrpc}.",
        f"mrpc: {APART}{chunk}.",
    ]
    record = json.loads((tmp_path / "out" / "mrpc" / "conversion.json").read_text())
    assert f"{APART}{chunk}." in record["notices"]
    assert inspect(TUNED / "mrpc_chunk").warnings == (f"{APART}{chunk}, {mrpc}.",)
    alone = convert(TUNED / "mrpc_chunk", tmp_path / "alone", vocab=VOCABULARY, task="mrpc")
    assert f"Left out, a fine-tuned task head: {chunk}." in alone.notices


def test_of_several_heads_one_that_stays_behind_is_called_left_out(written, tmp_path: Path):
    def change(tensors):
        for name in [name for name in tensors if name.startswith("task_specific/")]:
            del tensors[name]
        for task in ("chunk", "cola", "reviews"):
            tensors[f"task_specific/{task}/dense/kernel"] = np.zeros((16, 3), np.float32)
            tensors[f"task_specific/{task}/dense/bias"] = np.zeros(3, np.float32)

    notices = convert(written("fine_tuned", change=change), tmp_path / "out").notices
    left = "Left out, a fine-tuned task head: task_specific/reviews/dense/bias, task_specific/reviews/dense/kernel."
    assert left in notices
    assert len([line for line in notices if APART in line]) == 2


def test_a_reader_with_joint_prediction_converts_as_an_encoder_with_a_warning(tmp_path: Path):
    result = convert(TUNED / "squad_joint", tmp_path / "out", vocab=VOCABULARY)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["ElectraModel"]
    (warning,) = [line for line in result.warnings if "squad" in line]
    assert "joint_prediction" in warning
    with pytest.raises(NamesError, match=r"head of squad cannot be converted: .*joint_prediction"):
        convert(TUNED / "squad_joint", tmp_path / "asked", task="squad", vocab=VOCABULARY)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        ("text-classification", "ElectraForSequenceClassification"),
        ("token-classification", "ElectraForTokenClassification"),
    ],
)
def test_a_task_of_ones_own_name_is_what_it_is_said_to_be(tuned_for, kind: str, architecture: str, tmp_path: Path):
    source = tuned_for("reviews", labels=2)
    unsaid = convert(source, tmp_path / "unsaid")
    assert any("--task reviews=KIND" in line for line in unsaid.warnings)
    said = convert(source, tmp_path / "said", task=f"reviews={kind}", labels=["bad", "good"])
    config = json.loads((tmp_path / "said" / "config.json").read_text())
    assert (config["architectures"], config["id2label"]) == ([architecture], {"0": "bad", "1": "good"})
    assert not said.warnings
    convert(tmp_path / "said", tmp_path / "back")
    assert data_of(tmp_path / "back") == data_of(source)


def test_classes_without_names_are_told(tuned_for, tmp_path: Path):
    result = convert(tuned_for("reviews", labels=3), tmp_path / "out", task="reviews=text-classification")
    assert any("LABEL_0" in line for line in result.warnings)


def test_more_classes_than_the_gelu_leaves_room_for_are_refused(tuned_for, tmp_path: Path):
    with pytest.raises(NamesError, match="9 classes, more than half the hidden width 16"):
        convert(tuned_for("reviews", labels=9), tmp_path / "out", task="reviews=text-classification")
    assert convert(tmp_path / "written_fine_tuned", tmp_path / "tags", task="reviews=token-classification").files


@pytest.mark.parametrize(
    ("task", "error", "message"),
    [
        ("cola", NamesError, "fine-tuned for reviews, not for cola"),
        ("reviews=guess", UsageError, "expected NAME or NAME=KIND"),
        ("reviews=question-answering", NamesError, "cannot be converted as question answering"),
    ],
)
def test_a_task_that_is_not_there_is_refused(tuned_for, task: str, error, message: str, tmp_path: Path):
    with pytest.raises(error, match=message):
        convert(tuned_for("reviews", labels=2), tmp_path / "out", task=task)


def test_labels_that_do_not_fit_the_head_are_refused_and_nothing_is_left(tmp_path: Path):
    with pytest.raises(ConfigError, match="names 2 classes"):
        convert(TUNED / "mnli", tmp_path / "out", labels=["a", "b"], vocab=VOCABULARY)
    assert not (tmp_path / "out").exists()


def test_a_classifier_made_elsewhere_stays_behind_on_the_way_to_google_with_the_reason(
    converted_tasks, tmp_path: Path
):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "mine"
    shutil.copytree(converted_tasks["mnli"], folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.out_proj.weight"][0, 0] *= 3
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    result = convert(folder, tmp_path / "back")
    assert any("classifier.dense.weight" in line and "not of the form" in line for line in result.notices)
    assert inspect(tmp_path / "back").layout == "encoder"


# A classifier is at most half as wide as the hidden states; what is wider is refused in a test of its own.
@pytest.mark.parametrize(
    ("labels", "sizes"),
    [
        (labels, sizes)
        for labels, sizes in product([1, 2, 3, 5, 8], ["projected", "odd", "full_size_generator"])
        if 2 * labels <= SIZES[sizes].hidden
    ],
)
def test_every_number_of_classes_and_width_comes_back_to_the_bit(tuned_for, labels: int, sizes: str, tmp_path: Path):
    kind = "regression" if labels == 1 else "text-classification"
    source = tuned_for("mine", labels=labels, sizes=sizes)
    convert(source, tmp_path / "out", task=f"mine={kind}", labels=[f"c{i}" for i in range(labels)])
    convert(tmp_path / "out", tmp_path / "back")
    assert data_of(tmp_path / "back") == data_of(source)


@pytest.mark.parametrize(
    ("labels", "sizes", "copies"),
    [
        (1, "projected", 8),
        (1, "odd", 4),
        (1, "full_size_generator", 64),
        (2, "projected", 4),
        (3, "full_size_generator", 16),
        (7, "odd", 1),
    ],
)
def test_copies_of_a_head_are_the_largest_power_of_two_that_fits_and_give_googles_numbers(
    tuned_for, labels: int, sizes: str, copies: int, tmp_path: Path
):
    from safetensors.numpy import load_file

    hidden, kind = SIZES[sizes].hidden, "regression" if labels == 1 else "text-classification"
    assert 2 * copies * labels <= hidden < 4 * copies * labels
    source = tuned_for("mine", labels=labels, sizes=sizes)
    convert(source, tmp_path / "out", task=f"mine={kind}", labels=[f"c{i}" for i in range(labels)])
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["problem_type"] == "regression", len(config["id2label"])) == (labels == 1, labels)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    inner, out = (
        (weights[f"classifier.{name}.weight"], weights[f"classifier.{name}.bias"]) for name in ("dense", "out_proj")
    )
    assert np.abs(out[0])[out[0] != 0].tolist() == [1 / copies] * (2 * copies * labels)
    unused = (out[0] == 0).all(axis=0)
    assert unused.sum() == hidden - 2 * copies * labels
    assert not inner[0][unused].any()

    with open_source(source / "model.ckpt-1000") as bundle:
        kernel, bias = (bundle.tensors[f"task_specific/mine/dense/{part}"].read() for part in ("kernel", "bias"))
    states = np.random.default_rng(labels).standard_normal((100, hidden))
    answers = forward.gelu(states @ inner[0].T + inner[1]) @ out[0].T + out[1]
    np.testing.assert_allclose(answers, states @ kernel.astype(np.float64) + bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kept", [True, False])
def test_a_tagger_that_is_not_googles_keeps_the_segments_of_its_own(converted_tasks, kept: bool, tmp_path: Path):
    folder = tmp_path / "mine"
    shutil.copytree(converted_tasks["chunk"], folder)
    if not kept:
        for name in ("conversion.json", "tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink()
    convert(folder, tmp_path / "out", to="safetensors")
    single = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["post_processor"]["single"]
    assert {part[kind]["type_id"] for part in single for kind in part} == {1 if kept else 0}
