"""Fine-tuned heads: run by the reference model and by transformers, and any mistake in one of them is found out."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES
from support import checkpoints, forward, transformers_models
from support.checkpoints import SIZES
from support.pairs import Weights, change_config, change_weights

from electra_convert import convert, verify
from electra_convert.errors import NamesError, SourceError, UsageError
from electra_convert.formats.tf_bundle import open_source
from electra_convert.schemes import heads
from electra_convert.schemes.heads import QUESTION_ANSWERING, TOKEN_CLASSIFICATION, pairs
from electra_convert.tensors.op import Op
from electra_convert.verification.reference.graph import Arithmetic, Task

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_reference")]
TUNED = FIXTURES / "finetuned"
VOCABULARY = FIXTURES / "vocab.txt"
# Folder, the folder of the task in its conversion, and what the head answers with.
TASKS = [
    ("mnli", ".", ["logits"]),
    ("rte", ".", ["logits"]),
    ("sst", ".", ["logits"]),
    ("chunk", ".", ["logits"]),
    ("mrpc_chunk", "mrpc", ["logits"]),
    ("mrpc_chunk", "chunk", ["logits"]),
    ("squadv1_independent", ".", ["start logits", "end logits"]),
    ("squad_answerable", ".", ["start logits", "end logits"]),
    ("squad_joint", ".", []),
]
every_task = pytest.mark.parametrize(("name", "within", "answers"), TASKS, ids=lambda part: str(part))
ANSWERABLE = "answerable_head.safetensors"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("task_heads")
    for name in dict.fromkeys(name for name, *_ in TASKS):
        convert(TUNED / name, place / name, vocab=VOCABULARY)
    return {folder.name: folder for folder in place.iterdir()}


@pytest.fixture
def copied(converted: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """Copies the conversion of a task, for a test to change."""
    return lambda name, within=".": Path(shutil.copytree(converted[name] / within, tmp_path / f"copy_of_{name}"))


def outputs_of(report: Any) -> Any:
    return report.models["discriminator"].outputs


def stages_of(report: Any) -> list[str]:
    return [stage.name for stage in outputs_of(report).stages]


@every_task
def test_a_true_conversion_passes_and_its_answers_are_those_of_googles_graph(converted, name, within, answers):
    report = verify(TUNED / name, converted[name] / within)
    assert report.passed, report.reasons
    assert stages_of(report)[-1 - len(answers)].startswith("layer")
    assert stages_of(report)[len(stages_of(report)) - len(answers) :] == answers
    assert outputs_of(report).worst < 1e-5
    if answers:
        assert outputs_of(report).agreement.choices == 1.0
    states = {setting.key: setting.state for setting in report.models["discriminator"].settings}
    assert states.get("id2label") == ("equal" if answers == ["logits"] else None)


@every_task
@pytest.mark.parametrize("run", ["candidate", "both", "tensorflow"])
def test_a_recording_of_googles_code_is_what_either_computes(converted, name, within, answers, run):
    folder, golden = converted[name] / within, TUNED / name / "golden.npz"
    task = {"task": within} if name == "mrpc_chunk" and run == "tensorflow" else {}
    sides = {"candidate": (None, folder), "both": (TUNED / name, folder), "tensorflow": (None, TUNED / name)}[run]
    report = verify(*sides, golden=golden, **task)
    assert report.passed, report.reasons
    assert stages_of(report)[1:] == answers
    assert outputs_of(report).worst < 1e-5
    bare = any("since the candidate has none" in line for line in outputs_of(report).not_covered)
    assert bare == (not answers)


# Mistakes in what was written


def zero(name: str, weights: Weights) -> None:
    weights[name] = np.zeros_like(weights[name])


def transpose(name: str, weights: Weights) -> None:
    weights[name] = weights[name].T


def mistranspose(name: str, weights: Weights) -> None:
    """The numbers as they lie in Google's kernel, under the shape that transformers wants."""
    weights[name] = np.ascontiguousarray(weights[name].T).reshape(weights[name].shape)


def drop(names: tuple[str, ...], weights: Weights) -> None:
    for name in names:
        weights[name] = weights[name][:-1]


def swap(names: tuple[str, ...], weights: Weights) -> None:
    for name in names:
        weights[name] = weights[name][::-1]


def exchange(names: tuple[str, ...], weights: Weights) -> None:
    """Two classes change places."""
    for name in names:
        weights[name][[0, 1]] = weights[name][[1, 0]]


def leave_out(names: tuple[str, ...], weights: Weights) -> None:
    for name in names:
        del weights[name]


_OUT = ("classifier.out_proj.weight", "classifier.out_proj.bias")
_TAGS = ("classifier.weight", "classifier.bias")
_ENDS = ("qa_outputs.weight", "qa_outputs.bias")
CLASSES = {
    "its bias forgotten": partial(zero, "classifier.dense.bias"),
    "transposed": partial(transpose, "classifier.dense.weight"),  # it is square
    "two classes exchanged": partial(exchange, _OUT),
    "a class dropped": partial(drop, _OUT),
}
TAGS = {
    "its bias forgotten": partial(zero, "classifier.bias"),
    "transposed": partial(mistranspose, "classifier.weight"),
    "two classes exchanged": partial(exchange, _TAGS),
    "a class dropped": partial(drop, _TAGS),
}
ENDS = {
    "its bias forgotten": partial(zero, "qa_outputs.bias"),
    "transposed": partial(mistranspose, "qa_outputs.weight"),
    "start and end exchanged": partial(swap, _ENDS),
}
MISTAKES = {
    ("mnli", "."): CLASSES,
    ("rte", "."): CLASSES,
    ("sst", "."): CLASSES,
    ("mrpc_chunk", "mrpc"): CLASSES,
    ("chunk", "."): TAGS,
    ("mrpc_chunk", "chunk"): TAGS,
    ("squadv1_independent", "."): ENDS,
    ("squad_answerable", "."): ENDS,
}


@pytest.mark.parametrize(
    ("name", "within", "mistake"), [(*task, mistake) for task, kind in MISTAKES.items() for mistake in kind]
)
def test_a_mistake_in_a_head_is_a_difference_from_googles_checkpoint_and_from_its_recording(
    copied, name: str, within: str, mistake: str
):
    folder, task = copied(name, within), within if within != "." else None
    change_weights(folder, MISTAKES[name, within][mistake])
    report = verify(TUNED / name, folder, weights_only=True, task=task)
    assert report.verdict == "different"
    assert re.search("(classifier|qa_outputs)[.]", report.reasons[0]), report.reasons
    # The biases of the readers were hardly trained: they are 1.5e-5, which the usual limit of 1e-4 lets pass.
    recorded = verify(None, folder, golden=TUNED / name / "golden.npz", task=task, tolerance=1e-5)
    assert not recorded.passed
    assert re.search("parts? at (start )?logits|does not load every weight", recorded.reasons[0]), recorded.reasons


@pytest.mark.parametrize("gone", [_TAGS, _TAGS[1:]], ids=["all", "bias"])
def test_a_head_or_a_part_of_it_that_is_not_there_is_a_difference(copied, gone: tuple[str, ...]):
    folder = copied("chunk")
    change_weights(folder, partial(leave_out, gone))
    report = verify(TUNED / "chunk", folder)
    assert report.verdict == "different"
    assert "classifier.bias (not in the candidate)" in report.reasons[0]
    if gone != _TAGS:
        with pytest.raises(SourceError, match=r"records logits, and the candidate's head .* has classifier.weight"):
            verify(None, folder, golden=TUNED / "chunk" / "golden.npz")


def test_a_square_head_that_is_transposed_is_a_difference(tuned_for, tmp_path: Path):
    source = tuned_for("chunk", labels=SIZES["projected"].hidden)
    convert(source, tmp_path / "out")
    change_weights(tmp_path / "out", partial(transpose, "classifier.weight"))
    report = verify(source, tmp_path / "out")
    assert "classifier.weight" in report.reasons[0]
    assert outputs_of(report).first_differing.name == "logits"


def test_a_transposed_head_that_fits_nothing_is_refused(copied):
    folder = copied("chunk")
    change_weights(folder, partial(transpose, "classifier.weight"))
    with pytest.raises(NamesError, match="shape that does not fit"):
        verify(TUNED / "chunk", folder)


def test_what_says_that_there_is_no_answer_is_compared_though_not_run(copied):
    from safetensors.numpy import load_file, save_file

    folder = copied("squad_answerable")
    tensors = load_file(folder / ANSWERABLE)
    tensors["task_specific/squad/dense_2/bias"] += 1
    save_file(tensors, folder / ANSWERABLE)
    assert "dense_2/bias" in verify(TUNED / "squad_answerable", folder, weights_only=True).reasons[0]
    (folder / ANSWERABLE).unlink()
    report = verify(TUNED / "squad_answerable", folder, weights_only=True)
    assert any("no answer is not compared, since the other side has none" in note for note in report.notes)


# Mistakes in the conversion itself, which then makes them in reading the weights too: the reference model tells


def test_a_conversion_that_forgets_a_bias_is_found_out_by_the_outputs(monkeypatch, tmp_path: Path):
    real = pairs._paired
    forgetful = lambda values, *rest: real(values * (values.ndim > 1), *rest)  # noqa: E731
    monkeypatch.setattr(pairs, "_paired", forgetful)
    convert(TUNED / "mnli", tmp_path / "out", vocab=VOCABULARY)
    report = verify(TUNED / "mnli", tmp_path / "out")
    assert report.models["discriminator"].weights.differing == ()
    assert outputs_of(report).first_differing.name == "logits"


def test_a_table_with_start_and_end_exchanged_is_found_out_by_the_outputs(monkeypatch, tmp_path: Path):
    rules = tuple(replace(rule, tf=rule.tf[::-1]) for rule in QUESTION_ANSWERING.rules)
    wrong = replace(QUESTION_ANSWERING, rules=rules)
    monkeypatch.setitem(heads.HEADS, "question_answering", wrong)
    monkeypatch.setitem(heads.TASKS, "squadv1", wrong)
    convert(TUNED / "squadv1_independent", tmp_path / "out", vocab=VOCABULARY)
    report = verify(TUNED / "squadv1_independent", tmp_path / "out")
    assert report.models["discriminator"].weights.differing == ()
    assert outputs_of(report).first_differing.name == "start logits"


def test_a_table_that_transposes_no_square_head_is_found_out_by_the_outputs(monkeypatch, tuned_for, tmp_path: Path):
    source = tuned_for("chunk", labels=SIZES["projected"].hidden)
    rules = tuple(replace(rule, op=Op.KEEP) for rule in TOKEN_CLASSIFICATION.rules)
    wrong = replace(TOKEN_CLASSIFICATION, rules=rules)
    monkeypatch.setitem(heads.HEADS, "token_classification", wrong)
    monkeypatch.setitem(heads.TASKS, "chunk", wrong)
    convert(source, tmp_path / "out")
    report = verify(source, tmp_path / "out")
    assert report.models["discriminator"].weights.differing == ()
    assert outputs_of(report).first_differing.name == "logits"


# Labels


def exchanged(folder: Path) -> Path:
    ids = json.loads((folder / "config.json").read_text())["id2label"]
    change_config(folder, id2label={**ids, "0": ids["1"], "1": ids["0"]}, label2id=None)
    return folder


@pytest.mark.parametrize(
    ("name", "within", "told"),
    [
        ("mnli", ".", r"'0': 'contradiction', '1': 'entailment'} \(google-research/electra's mnli\)"),
        ("rte", ".", r"'0': 'entailment', '1': 'not_entailment'} \(google-research/electra's rte\)"),
        ("sst", ".", r"'0': '0', '1': '1'} \(google-research/electra's sst\)"),
        ("mrpc_chunk", "mrpc", r"'0': '0', '1': '1'} \(google-research/electra's mrpc\)"),
        ("mrpc_chunk", "chunk", r"'0': 'B-LOC', '1': 'B-PER'} \(chunk_label_mapping.pkl\)"),
        ("chunk", ".", r"'0': 'B-LOC', '1': 'B-PER'} \(chunk_label_mapping.pkl\)"),
    ],
)
def test_two_labels_that_changed_places_are_a_difference(copied, name: str, within: str, told: str):
    folder = exchanged(copied(name, within))
    for golden in (None, TUNED / name / "golden.npz"):
        report = verify(TUNED / name, folder, weights_only=golden is None, golden=golden)
        assert report.verdict == "different"
        assert re.search(f"id2label is .* the reference has {{{told}", report.reasons[0]), report.reasons


def test_labels_that_a_configuration_leaves_out_are_those_transformers_makes_up(copied):
    folder = copied("rte")
    change_config(folder, id2label=None, label2id=None)
    assert "id2label is {'0': 'LABEL_0'" in verify(TUNED / "rte", folder, weights_only=True).reasons[0]


def test_labels_of_two_transformers_models_are_compared(copied, converted):
    assert verify(converted["mnli"], converted["mnli"], weights_only=True).passed
    report = verify(converted["mnli"], exchanged(copied("mnli")), weights_only=True)
    assert "'1': 'entailment'} (config.json)" in report.reasons[0]


def test_labels_that_nothing_says_are_not_compared_unless_they_are_given(tuned_for, tmp_path: Path):
    source = tuned_for("reviews", labels=3)
    convert(source, tmp_path / "out", task="reviews=text-classification", labels=["bad", "fair", "good"])
    report = verify(source, tmp_path / "out", weights_only=True)
    assert report.passed
    assert any("3 classes are called is not compared" in note and "--labels" in note for note in report.notes)
    given = verify(source, tmp_path / "out", weights_only=True, labels="bad,fair,good")
    assert (given.passed, given.notes) == (True, ())
    assert not verify(source, tmp_path / "out", weights_only=True, labels=["fair", "bad", "good"]).passed


# Which task


@pytest.mark.parametrize("within", ["mrpc", "chunk"])
def test_of_several_tasks_the_one_that_was_converted_is_compared(copied, within: str):
    folder = copied("mrpc_chunk", within)
    assert verify(TUNED / "mrpc_chunk", folder, weights_only=True).passed
    (folder / "conversion.json").unlink()  # then its head tells
    assert verify(TUNED / "mrpc_chunk", folder, weights_only=True).passed
    other = {"mrpc": "chunk", "chunk": "mrpc"}[within]
    assert not verify(TUNED / "mrpc_chunk", folder, weights_only=True, task=other).passed


def test_which_of_two_alike_tasks_it_is_has_to_be_said(tuned_for, tmp_path: Path):
    source = tuned_for("rte", "sst", labels=2)
    convert(source, tmp_path / "out", task="sst")
    assert verify(source, tmp_path / "out", weights_only=True).passed
    (tmp_path / "out" / "conversion.json").unlink()
    with pytest.raises(UsageError, match="fine-tuned for rte, sst, and nothing says which"):
        verify(source, tmp_path / "out", weights_only=True)
    assert verify(source, tmp_path / "out", weights_only=True, task="sst").passed
    assert not verify(source, tmp_path / "out", weights_only=True, task="rte").passed


def test_a_task_of_ones_own_name_is_what_the_candidate_is(tuned_for, tmp_path: Path):
    source = tuned_for("reviews", labels=3)
    for kind in ("text-classification", "token-classification"):
        convert(source, tmp_path / kind, task=f"reviews={kind}")
        assert verify(source, tmp_path / kind).passed
        assert verify(source, tmp_path / kind, task=f"reviews={kind}", weights_only=True).passed
    report = verify(source, tmp_path / "text-classification", task="reviews=token-classification")
    assert report.verdict == "different"


def test_what_a_task_is_its_own_name_says_before_the_candidate(tuned_for, tmp_path: Path):
    source = tuned_for("sst", labels=2)
    convert(source, tmp_path / "out", task="sst=token-classification")
    assert verify(source, tmp_path / "out").verdict == "different"
    assert verify(source, tmp_path / "out", task="sst=token-classification").passed


def test_a_task_that_no_side_was_fine_tuned_for_is_refused(converted):
    with pytest.raises(NamesError, match=r"cola, but .* were fine-tuned for mnli"):
        verify(TUNED / "mnli", converted["mnli"], task="cola")
    with pytest.raises(NamesError, match="fine-tuned for no task by Google's code"):
        verify(converted["mnli"], converted["mnli"], task="mnli")


# Several tasks at once


@pytest.mark.parametrize("golden", [None, TUNED / "mrpc_chunk" / "golden.npz"], ids=["run", "recorded"])
def test_a_whole_checkpoint_is_held_against_the_folder_convert_made_of_it(converted, golden: Path | None):
    report = verify(TUNED / "mrpc_chunk", converted["mrpc_chunk"], golden=golden)
    assert report.passed, report.reasons
    assert list(report.models) == ["chunk", "mrpc"]
    assert all(model.weights.differing == () for model in report.models.values())
    assert [model.outputs.stages[-1].name for model in report.models.values()] == ["logits", "logits"]
    assert (report.candidate.path, report.candidate.name) == (str(converted["mrpc_chunk"]), "mrpc_chunk")
    assert (report.reference.name, report.title) == ("mrpc_chunk", "Same model")


def test_of_a_recording_alone_every_task_is_compared(converted):
    golden = TUNED / "mrpc_chunk" / "golden.npz"
    for side in (converted["mrpc_chunk"], TUNED / "mrpc_chunk"):
        report = verify(None, side, golden=golden)
        assert report.passed, report.reasons
        assert {name: model.outputs.positions_of_logits for name, model in report.models.items()} == {
            "chunk": 448,
            "mrpc": 7,
        }


def test_a_task_whose_folder_is_missing_is_a_difference_that_is_named(copied):
    folder = copied("mrpc_chunk")
    shutil.rmtree(folder / "chunk")
    report = verify(TUNED / "mrpc_chunk", folder, weights_only=True)
    assert (report.verdict, report.reasons) == ("different", ("chunk: copy_of_mrpc_chunk has no folder chunk",))
    assert report.models["mrpc"].reasons == ()


def test_a_mistake_in_one_of_several_tasks_is_a_difference_of_that_task(copied):
    folder = copied("mrpc_chunk")
    change_weights(folder / "mrpc", CLASSES["its bias forgotten"])
    report = verify(TUNED / "mrpc_chunk", folder)
    assert report.verdict == "different"
    assert [reason.partition(":")[0] for reason in report.reasons] == ["mrpc", "mrpc"]
    assert report.models["chunk"].reasons == ()


def test_a_task_in_the_folder_of_another_is_a_difference(copied):
    folder = copied("mrpc_chunk")
    shutil.rmtree(folder / "chunk")
    shutil.copytree(folder / "mrpc", folder / "chunk")
    report = verify(TUNED / "mrpc_chunk", folder, weights_only=True)
    assert {reason.partition(":")[0] for reason in report.reasons} == {"chunk"}


def test_two_checkpoints_of_several_tasks_are_compared_with_all_their_heads(tuned_for, tmp_path: Path):
    tasks = [("rte", "sst"), ("rte", "cola"), ("mrpc", "cola")]
    one, two, three = (tuned_for(*names, labels=2).rename(tmp_path / "_".join(names)) for names in tasks)
    assert list(verify(one, one, weights_only=True).models) == ["rte", "sst"]
    assert verify(one, two, weights_only=True).reasons == (
        "cola: rte_sst was not fine-tuned for cola",
        "sst: rte_cola was not fine-tuned for sst",
    )
    with pytest.raises(NamesError, match=r"no task in common: .* is of rte, sst and .* is of cola, mrpc"):
        verify(one, three)
    with pytest.raises(UsageError, match="rte_sst is fine-tuned for rte, sst"):
        verify(one, one, save=True)


# The way back, and what stays behind


@pytest.mark.parametrize(("name", "within"), [(name, within) for name, within, answers in TASKS if answers])
def test_the_way_back_is_verified_with_its_head(converted, tmp_path: Path, name: str, within: str):
    convert(converted[name] / within, tmp_path / "back", verify=True)
    report = verify(TUNED / name, tmp_path / "back")
    assert report.passed, report.reasons
    assert stages_of(report)[-1].endswith("logits")


def test_a_head_that_googles_code_has_no_place_for_is_told_and_not_counted(copied, tmp_path: Path):
    folder = copied("mnli")
    change_weights(folder, lambda weights: weights["classifier.out_proj.weight"].__imul__(3))
    convert(folder, tmp_path / "back", verify=True)
    report = verify(folder, tmp_path / "back")
    assert report.passed
    assert any("is not compared, since the other side has none: classifier.dense" in note for note in report.notes)
    assert stages_of(report)[-1] == "layer 2"


def test_every_task_is_verified_as_it_is_converted_by_one_process_of_tensorflow(
    tmp_path: Path, shared_reference, monkeypatch
):
    started = []
    session = lambda: started.append(1) or nullcontext(shared_reference)  # noqa: E731
    monkeypatch.setattr("electra_convert.verification.verify.ReferenceSession", session)
    result = convert(TUNED / "mrpc_chunk", tmp_path / "out", vocab=VOCABULARY, verify=True)
    assert started == [1]
    assert "Left out" not in str(result.notices)
    for task in ("mrpc", "chunk"):
        parity = json.loads((tmp_path / "out" / task / "parity.json").read_text())
        assert (parity["verdict"], parity["candidate"]["name"]) == ("same", f"out/{task}")
        assert "logits" in parity["models"]["discriminator"]["forward"]["stages"]


@pytest.mark.parametrize("name", ["mnli", "chunk", "squad_answerable"])
def test_a_rounded_head_is_compared_with_one_rounded_alike(tmp_path: Path, name: str):
    convert(TUNED / name, tmp_path / "out", vocab=VOCABULARY, dtype="bfloat16", verify=True)
    report = verify(None, tmp_path / "out", golden=TUNED / name / "golden.npz")
    assert report.passed, report.reasons
    assert outputs_of(report).worst > 1e-3


# Recordings


def test_a_recording_of_another_task_fails(converted):
    assert outputs_of(verify(None, converted["rte"], golden=TUNED / "sst" / "golden.npz")).first_differing is not None
    with pytest.raises(SourceError, match=r"records no outputs of the candidate: .* not start_logits_unmasked"):
        verify(None, converted["squad_answerable"], golden=TUNED / "mnli" / "golden.npz")


def test_of_a_recording_of_several_tasks_one_has_to_be_named(copied):
    folder, golden = copied("mrpc_chunk", "chunk"), TUNED / "mrpc_chunk" / "golden.npz"
    (folder / "conversion.json").unlink()
    with pytest.raises(SourceError, match="records chunk, mrpc, not a task without a name"):
        verify(None, folder, golden=golden)
    assert verify(None, folder, golden=golden, task="chunk").passed


def test_of_a_reader_with_joint_prediction_the_start_alone_can_be_held_to_a_recording(converted):
    report = verify(None, converted["squad_answerable"], golden=TUNED / "squad_joint" / "golden.npz")
    assert "end logits, which were not recorded" in outputs_of(report).not_covered


def test_a_number_is_recorded_as_google_predicts_it_one_for_each_text(tuned_for, tmp_path: Path):
    source, inputs = tuned_for("sts", seed=3), checkpoints.inputs(SIZES["projected"])
    convert(source, tmp_path / "out")
    with open_source(source / "model.ckpt-1000") as bundle:
        variables = {name: tensor.read() for name, tensor in bundle.tensors.items()}
    hidden = forward.forward(variables, forward.ENCODER, SIZES["projected"].heads, **inputs).hidden[-1]
    predictions = forward.task_answers(variables, "sts", "number", hidden)["logits"][:, 0]
    np.savez(tmp_path / "golden.npz", **inputs, last_hidden=hidden, predictions=predictions)
    report = verify(None, tmp_path / "out", golden=tmp_path / "golden.npz")
    assert report.passed, report.reasons
    assert stages_of(report) == ["layer 2", "logits"]
    np.savez(tmp_path / "golden.npz", **inputs, last_hidden=hidden, predictions=predictions * 5)
    assert not verify(None, tmp_path / "out", golden=tmp_path / "golden.npz").passed


# Inputs


def test_a_tagger_is_run_on_the_segment_that_google_gives_every_token(converted):
    report = verify(TUNED / "chunk", converted["chunk"], text="the fox")
    own, short, _ = report.batches
    assert (own.segment_ids == own.input_mask).all()
    assert short.rows[-1] == "all of segment 1"
    assert not verify(TUNED / "mnli", converted["mnli"], text="the fox").batches[0].segment_ids.any()


# Other tasks, numbers of labels, widths, activations and seeds, by the oracle


OTHERS = [
    ("cola", "classes", 2, "projected", 1),
    ("mnli", "classes", 3, "odd", 2),
    ("qqp", "classes", 2, "relu", 3),
    ("reviews=text-classification", "classes", 8, "one_layer", 4),
    ("topics=text-classification", "classes", 64, "full_size_generator", 5),
    ("sts", "number", 1, "odd", 6),
    ("stars=regression", "number", 1, "tanh", 7),
    ("chunk", "tags", 5, "projected", 8),
    ("pos=token-classification", "tags", 17, "odd", 9),
    ("squadv1", "ends", 1, "odd", 10),
    ("mine=question-answering", "ends", 1, "full_size_generator", 11),
]
KINDS = {
    "classes": "sequence_classification",
    "number": "regression",
    "tags": "token_classification",
    "ends": "question_answering",
}


@pytest.mark.parametrize(("task", "kind", "labels", "sizes", "seed"), OTHERS)
def test_every_kind_computes_what_the_oracle_does(
    tuned_for, reference_session, tmp_path: Path, task: str, kind: str, labels: int, sizes: str, seed: int
):
    import torch

    made, name = SIZES[sizes], task.partition("=")[0]
    layers = ("dense", "dense_1") if kind == "ends" else ("dense",)
    source = tuned_for(name, labels=labels, sizes=sizes, layers=layers, seed=seed)
    convert(source, tmp_path / "out", task=task, verify=True)
    inputs = checkpoints.inputs(made, seed)
    with open_source(prefix := source / "model.ckpt-1000") as bundle:
        variables = {variable: tensor.read() for variable, tensor in bundle.tensors.items()}
    hidden = forward.forward(variables, forward.ENCODER, made.heads, activation=made.activation, **inputs).hidden[-1]
    expected = forward.task_answers(variables, name, kind, hidden)

    batch = tuple(inputs[key] for key in ("input_ids", "input_mask", "segment_ids"))
    arithmetic, kept = Arithmetic(made.heads, made.activation), Task(name, KINDS[kind])
    answer = reference_session.submit(prefix, source, None, True, "discriminator", kept, arithmetic, [batch])()
    ids, mask, segments = (torch.from_numpy(array).long() for array in batch)
    with torch.no_grad():
        found = transformers_models.load(tmp_path / "out")(ids, attention_mask=mask, token_type_ids=segments)
    assert answer.outputs[0].answers.keys() == expected.keys()
    for field, array in expected.items():
        np.testing.assert_allclose(answer.outputs[0].answers[field], array, rtol=0, atol=1e-5)
        np.testing.assert_allclose(found[field].numpy(), array, rtol=0, atol=1e-5)
