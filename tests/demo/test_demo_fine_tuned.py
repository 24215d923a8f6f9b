"""Fine-tuned models in the demo: their answers are those that Google's code recorded, and transformers' own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.fine_tuned import TAGS, TASKS, TUNED, VOCABULARY, WRITTEN, texts_of
from tokenizers import Tokenizer

from electra_convert import convert, open_model, score
from electra_convert.demo.filling import softmax
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.network import Architecture, Network, usable_device
from electra_convert.demo.tasks.question_answering import compute, read, without_answer
from electra_convert.errors import ConfigError, NamesError, TextError, UsageError

pytestmark = pytest.mark.slow
CASES = [(folder, task, within, origin) for folder, task, within, *_ in TASKS for origin in ("checkpoint", "folder")]
READERS = ["squadv1_independent", "squad_answerable"]
INPUTS = ("input_ids", "input_mask", "segment_ids")


@pytest.fixture(scope="module")
def opened(converted_tasks: dict[str, Path]) -> Callable[[str, str, str, str], LoadedModel]:
    """Opens a task, from Google's checkpoint or from its conversion, once."""

    @cache
    def model(folder: str, task: str, within: str, origin: str) -> LoadedModel:
        if origin == "folder":
            return open_model(converted_tasks[folder] / within)
        return open_model(TUNED / folder, vocab=VOCABULARY, task=task if within != "." else None)

    return model


def recorded(folder: str, task: str):
    """Google's recording, and what the names of a task's arrays begin with."""
    golden = np.load(TUNED / folder / "golden.npz")
    return golden, f"{task}/" if f"{task}/logits" in golden else ""


def rows_of(golden, folder: str, task: str) -> list[int]:
    """The rows that stand for texts of the task."""
    names = folder.split("_") if folder == "mrpc_chunk" else [task]
    return [row for row in range(WRITTEN) if names[golden["task_id"][row]] == task]


def difference(found, expected, mask) -> float:
    """The largest, where there are tokens: of padding nothing is computed."""
    assert found.shape == expected.shape
    apart = np.abs(found - expected)
    return apart[mask > 0].max() if apart.shape[:2] == mask.shape else apart.max()


@pytest.mark.parametrize(("folder", "task", "within", "origin"), CASES)
def test_logits_are_those_that_google_recorded(opened, folder, task, within, origin):
    golden, prefix = recorded(folder, task)
    model = opened(folder, task, within, origin)
    inputs = [golden[name].astype(np.int64) for name in INPUTS]
    mask = inputs[1]
    if folder not in READERS:
        assert difference(model.network.run(*inputs), golden[f"{prefix}logits"], mask) < 1e-5
        return
    ends, none = model.network.compute(read, *inputs)
    for place, name in enumerate(("start", "end")):
        unmasked = golden[f"{name}_logits_unmasked"]
        assert difference(model.network.run(*inputs)[..., place], unmasked, mask) < 1e-5
        # One step of float32 near -1000 is 6e-5.
        assert difference(ends[..., place], golden[f"{name}_logits"], mask) < 1e-4
    assert (none is None) == ("answerable_logit" not in golden)
    if none is not None:
        assert np.abs(none - golden["answerable_logit"]).max() < 1e-5


@pytest.mark.parametrize(
    ("folder", "task", "within", "origin"), [case for case in CASES if case[1] in {"mnli", "rte", "sst", "mrpc"}]
)
def test_classes_of_plain_texts_are_those_that_google_predicted(opened, folder, task, within, origin):
    golden, prefix = recorded(folder, task)
    model = opened(folder, task, within, origin)
    names = next(labels for name, one, *_, labels in TASKS if (name, one) == (folder, task))
    for row in rows_of(golden, folder, task):
        (said,) = model.classify(*texts_of(golden, row))
        assert said.labels == (names[golden[f"{prefix}predictions"][row]],)
        expected = dict(zip(names, softmax(golden[f"{prefix}logits"][row]), strict=True))
        assert {one.label: one.probability for one in said.classes} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("folder", "task", "within", "origin"), [case for case in CASES if case[1] == "chunk"])
def test_words_of_plain_text_get_the_tags_of_google(opened, folder, task, within, origin):
    golden, prefix = recorded(folder, task)
    model = opened(folder, task, within, origin)
    assert model.segment == 1
    for row in rows_of(golden, folder, task):
        (text,) = texts_of(golden, row)
        (said,) = model.tag(text)
        words = golden[f"{prefix}labels_mask"][row].astype(bool)
        logits = golden[f"{prefix}word_logits"][row][words]
        assert [word.text for word in said.words] == text.split()
        assert [word.tag for word in said.words] == [TAGS[label] for label in logits.argmax(-1)]
        expected = [softmax(one).max() for one in logits]
        assert [word.probability for word in said.words] == pytest.approx(expected, abs=1e-5)


def best_span(start: NDArray, end: NDArray, passage: range) -> tuple[int, int, float]:
    """The likeliest span within a passage of one window, found by trying all, and its probability."""
    spans = [(one, other) for one in passage for other in passage if one <= other < one + 30]
    first, last = max(spans, key=lambda span: start[span[0]] + end[span[1]])
    return first, last, softmax(start)[first] * softmax(end)[last]


@pytest.mark.parametrize(("folder", "task", "within", "origin"), [case for case in CASES if case[0] in READERS])
def test_answers_are_the_likeliest_spans_of_what_google_recorded(opened, folder, task, within, origin):
    golden, _ = recorded(folder, task)
    model = opened(folder, task, within, origin)
    for row in range(WRITTEN):
        question, passage = texts_of(golden, row)
        (said,) = model.answer(question, passage)
        begin = int(golden["segment_ids"][row].argmax())
        start, end = (golden[f"{name}_logits"][row].astype(np.float64) for name in ("start", "end"))
        first, last, probability = best_span(
            start, end, range(begin, begin + int(golden["segment_ids"][row].sum()) - 1)
        )
        # No word of these passages has two pieces, so a piece is a word.
        assert said.answers[0].text == " ".join(passage.split()[first - begin : last - begin + 1])
        assert said.answers[0].probability == pytest.approx(probability, abs=1e-5)
        none = golden["answerable_logit"][row] if "answerable_logit" in golden else None
        expected = softmax(start)[0] * softmax(end)[0] if none is None else 1 / (1 + np.exp(-none))
        assert said.no_answer == pytest.approx(expected, abs=1e-5)
        assert said.answered == (probability >= expected if none is None else none <= -2.75)
        assert (said.answer is None) != said.answered


def test_that_there_is_no_answer_may_depend_on_the_start():
    """dense_2 and dense_3 over [CLS] and the expected start, as qa_tasks.py has it, in numpy float64."""
    from math import erf

    rng = np.random.default_rng(1)
    hidden, start = rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5))
    shapes = {"dense_2.weight": (6, 8), "dense_2.bias": (6,), "dense_3.weight": (1, 6), "dense_3.bias": (1,)}
    weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    network = Network(
        Architecture("discriminator", compute, 0, 1, "gelu", "gelu", 1e-12),
        {f"beside.{name}": array.astype(np.float32) for name, array in weights.items()},
        usable_device("cpu", "discriminator"),
    )
    import torch

    found = without_answer(network, torch.tensor(hidden).float(), torch.tensor(start).float())
    expected = np.stack([softmax(one) @ states for one, states in zip(start, hidden, strict=True)])
    wide = np.concatenate([hidden[:, 0], expected], -1) @ weights["dense_2.weight"].T + weights["dense_2.bias"]
    activated = wide * np.vectorize(lambda x: 0.5 * (1 + erf(x / np.sqrt(2))))(wide)
    logits = activated @ weights["dense_3.weight"][0] + weights["dense_3.bias"]
    assert np.abs(found.numpy() - logits).max() < 1e-5


# What transformers makes of the same


def test_a_number_is_the_one_of_transformers_pipeline(tuned_for, tmp_path: Path):
    import transformers

    source = tuned_for("sts", labels=1)
    convert(source, tmp_path / "out")
    pipeline = transformers.pipeline("text-classification", model=str(tmp_path / "out"), function_to_apply="none")
    (expected,) = pipeline([{"text": "a b", "text_pair": "b c d"}])
    for place in (source, tmp_path / "out"):
        (said,) = open_model(place).estimate("a b", "b c d")
        assert said.value == pytest.approx(expected["score"], abs=1e-5)


def test_classes_of_which_several_may_be_true_are_those_of_transformers_pipeline(tuned_for, tmp_path: Path):
    import transformers

    convert(
        tuned_for("topics", labels=3), tmp_path / "out", task="topics=text-classification", labels=["x", "y", "z"]
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (tmp_path / "out" / "config.json").write_text(json.dumps(config))
    pipeline = transformers.pipeline("text-classification", model=str(tmp_path / "out"), top_k=None)
    expected = {one["label"]: one["score"] for one in pipeline("a b c")[0]}
    (said,) = open_model(tmp_path / "out").classify("a b c")
    assert {one.label: one.probability for one in said.classes} == pytest.approx(expected, abs=1e-5)
    assert set(said.labels) == {label for label, probability in expected.items() if probability > 0.5}


def test_a_tagger_of_transformers_own_kind_has_the_segments_of_its_tokenizer(converted_tasks, tmp_path: Path):
    folder = shutil.copytree(converted_tasks["chunk"], tmp_path / "mine")
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace('"type_id": 1', '"type_id": 0'))
    assert Tokenizer.from_file(str(file)).encode("a").type_ids == [0, 0, 0]
    mine, googles = (open_model(place).tag("range main hex")[0] for place in (folder, converted_tasks["chunk"]))
    assert [word.probability for word in mine.words] != pytest.approx([word.probability for word in googles.words])


# Long texts


def test_what_a_classifier_has_no_room_for_is_cut_off_and_said(opened):
    model = opened("sst", "sst", ".", "folder")
    (long,) = model.classify("value of the range " * 30)
    (short,) = model.classify(("value of the range " * 30)[: len("value of the range ") * 15 + len("value of")])
    assert long.unread == 120 - (model.positions - 2)
    assert long.note == f"longer than the model's input: its last {long.unread} tokens were not read."
    assert [one.probability for one in long.classes] == [one.probability for one in short.classes]
    assert short.note is None


def test_of_two_texts_the_longer_one_is_cut(opened):
    model = opened("mnli", "mnli", ".", "folder")
    (long,) = model.classify("value " * 100, "range of")
    (short,) = model.classify("value " * (model.positions - 5), "range of")
    assert long.classes == short.classes


def test_a_long_text_is_tagged_in_windows(opened):
    model = opened("chunk", "chunk", ".", "folder")
    text = "range main hex has eof " * 40
    (said,) = model.tag(text)
    assert [word.text for word in said.words] == text.split()
    assert said.windows > 1
    assert "tagged in" in str(said.note)


@pytest.mark.parametrize(("folder", "task"), [("squadv1_independent", "squadv1"), ("squad_answerable", "squad")])
def test_answers_are_found_wherever_in_a_long_passage_they_stand(opened, folder, task):
    """Every span that begins where its window counts is tried; one window with an answer is enough."""
    model = opened(folder, task, ".", "folder")
    words = [f"{word} {other}" for word in ("range", "value", "server", "index") for other in ("main", "hex", "eof")]
    question, passage = "write all var", " ".join(words * 4)
    (said,) = model.answer(question, passage)
    asked, laid = model.encode(question).pieces, model.encode(passage)
    found, nones = [], []
    for window in model.windows(laid, len(asked) + 1):
        row = model.row(asked, laid.pieces[window.start : window.stop])
        ends, none = model.network.compute(read, *next(model.batches([row])))
        starts, stops = ends[0, len(asked) + 2 :].astype(np.float64).T
        likely = softmax(ends[0, :, 0]), softmax(ends[0, :, 1])
        nones.append(likely[0][0] * likely[1][0] if none is None else 1 / (1 + np.exp(-float(none[0]))))
        for start in range(window.first - window.start, window.last - window.start):
            for stop in range(start, min(start + 30, window.stop - window.start)):
                span = laid.pieces[window.start + start].start, laid.pieces[window.start + stop].end
                found.append((starts[start] + stops[stop], *span))
    best = sorted(found, reverse=True)[: len(said.answers)]
    assert said.windows == len(nones) > 2
    assert [[one.start, one.end] for one in said.answers] == [span for _, *span in best]
    assert all(passage[one.start : one.end] == one.text for one in said.answers)
    assert said.no_answer == pytest.approx(min(nones), rel=1e-3)


def test_company_changes_no_answer(opened):
    model = opened("squadv1_independent", "squadv1", ".", "folder")
    passages = ["range main hex", "value of the server " * 40, "index"]
    together = model.answer(["write var"] * 3, passages)
    for passage, found in zip(passages, together, strict=True):
        (alone,) = model.answer("write var", passage)
        assert [one.text for one in found.answers] == [one.text for one in alone.answers]
        assert found.answers[0].probability == pytest.approx(alone.answers[0].probability, abs=1e-6)


# Mistakes


def test_of_several_tasks_one_has_to_be_named():
    with pytest.raises(NamesError, match="was fine-tuned for 2 tasks: chunk, mrpc") as caught:
        open_model(TUNED / "mrpc_chunk", vocab=VOCABULARY)
    assert "task='chunk'" in str(caught.value.hint)


def test_a_reader_that_cannot_be_run_says_why():
    with pytest.raises(NamesError, match=r"head of squad cannot be run: .*joint_prediction"):
        open_model(TUNED / "squad_joint", vocab=VOCABULARY)


def test_a_converted_encoder_says_that_its_head_was_left_out(tmp_path: Path):
    convert(TUNED / "squad_joint", tmp_path / "out", vocab=VOCABULARY)
    with pytest.raises(NamesError, match="is a fine-tuned encoder without the head of its task, which") as caught:
        open_model(tmp_path / "out")
    assert "conversion.json says why" in str(caught.value.hint)
    assert "joint_prediction" in (tmp_path / "out" / "conversion.json").read_text()


def test_a_head_that_nothing_here_computes_is_named(converted_tasks, tmp_path: Path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(converted_tasks["chunk"], tmp_path / "mine")
    tensors = load_file(folder / "model.safetensors")
    tensors["sequence_summary.summary.weight"] = tensors.pop("classifier.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NamesError, match=r"a head that the demo does not know: .*sequence_summary"):
        open_model(folder)


def test_a_task_of_ones_own_name_is_what_it_is_said_to_be(tuned_for):
    source = tuned_for("reviews", labels=2)
    with pytest.raises(NamesError, match="head of reviews cannot be run") as caught:
        open_model(source)
    assert "task='reviews=text-classification'" in str(caught.value.hint)
    said = open_model(source, task="reviews=text-classification", labels=["bad", "good"]).classify("a b")[0]
    assert {one.label for one in said.classes} == {"bad", "good"}
    assert any("LABEL_0" in line for line in open_model(source, task="reviews=token-classification").notices)
    with pytest.raises(ConfigError, match="names 1 classes"):
        open_model(source, task="reviews=text-classification", labels=["bad"])


def test_a_model_is_asked_only_what_it_was_fine_tuned_for(converted_tasks, opened_discriminator):
    classifier, reader = open_model(converted_tasks["sst"]), open_model(converted_tasks["squad_answerable"])
    with pytest.raises(NamesError, match="fine-tuned to tag words is needed, and this is fine-tuned to classify"):
        classifier.tag("a")
    with pytest.raises(NamesError, match="a discriminator is needed, and this is fine-tuned to classify texts"):
        score(classifier, "a")
    with pytest.raises(NamesError, match="is needed, and this is a discriminator"):
        opened_discriminator.classify("a")
    with pytest.raises(UsageError, match="is fine-tuned to answer questions, and has no generator"):
        open_model(converted_tasks["squad_answerable"], "generator")
    with pytest.raises(UsageError, match="labels names classes"):
        open_model(converted_tasks["squad_answerable"], labels=["a"])
    with pytest.raises(UsageError, match="2 texts are paired with 1"):
        classifier.classify(["a", "b"], "c")
    with pytest.raises(TextError, match="the question: the text is empty"):
        reader.answer(" ", "a passage")
    with pytest.raises(TextError, match="the question has 200 tokens, expected at most"):
        reader.answer("value " * 200, "a passage")


def test_answers_show_themselves_briefly_and_in_a_notebook(converted_tasks):
    (classified,) = open_model(converted_tasks["mnli"]).classify(["range <b>" * 9], ["group"])
    assert str(classified).startswith("<Classification 'range <b>range <b>range <b>range <b>ran…': ")
    tagged = open_model(converted_tasks["chunk"]).tag(["range main", "<i>hex</i>"])
    assert tagged._repr_html_().startswith("<iframe srcdoc=")
    assert "<i>hex" not in tagged._repr_html_()
    assert "<Tagging 'range main'" in repr(tagged)
