"""electra-convert demo of fine-tuned models as a user meets it: what it prints, and what it refuses."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper

import pytest
from support.command_line import run
from support.fine_tuned import TUNED, VOCABULARY, texts_of

from electra_convert import open_model

pytestmark = pytest.mark.slow
TEXT, PAIR = "range group token", "group range"


def demo(*arguments) -> list[str]:
    ran = run("demo", *arguments)
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out.splitlines()


def test_classes_are_shown_with_their_probabilities(converted_tasks):
    lines = demo(converted_tasks["mnli"], TEXT, "--pair", PAIR)
    assert lines[:3] == [TEXT, PAIR, ""]
    shown = [(line.split()[0], line.split()[-1]) for line in lines[3:]]
    (said,) = open_model(converted_tasks["mnli"]).classify(TEXT, PAIR)
    assert shown == [(f"{one.probability:.3f}", one.label) for one in said.classes]
    assert demo(TUNED / "mnli", TEXT, "--pair", PAIR, "--vocab", VOCABULARY) == lines


def test_one_line_for_each_text_is_enough_for_many(converted_tasks, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("range\n\ngroup value\n")
    lines = demo(converted_tasks["sst"], "--file", file, "--no-table")
    assert [line.rpartition("]]  ")[2] for line in lines] == ["range", "group value"]
    assert all(line.split()[1] in {"[[0]]", "[[1]]"} for line in lines)


def test_tags_stand_at_their_words(converted_tasks):
    text = "main (hex) does-one; supp"
    said = json.loads("\n".join(demo(converted_tasks["chunk"], text, "--json")))
    assert (said["model"], said["task"], said["schema"]) == ("chunk", "token-classification", 1)
    (found,) = said["texts"]
    assert [word["text"] for word in found["words"]] == ["main", "(", "hex", ")", "does-one", ";", "supp"]
    lines = demo(converted_tasks["chunk"], text)
    assert [line.split()[-2:] for line in lines[2:]] == [[word["tag"], word["text"]] for word in found["words"]]
    named = text
    for word in reversed(found["words"]):
        if word["tag"] != "O":
            named = f"{named[: word['start']]}[[{word['text']} {word['tag']}]]{named[word['end'] :]}"
    assert lines[0] == named != text


def test_a_question_is_answered_from_the_whole_of_a_file(converted_tasks, tmp_path, monkeypatch):
    passage = "clear syn all items\n\nauth lib with def.\n"
    (tmp_path / "article.txt").write_text(passage)
    asked = (converted_tasks["squadv1_independent"], "--question", "write all var", "--json")
    said = json.loads("\n".join(demo(*asked, "--file", tmp_path / "article.txt")))
    (answer,) = said["texts"]
    assert answer.keys() == {"question", "text", "windows", "answer", "answers", "no_answer"}
    assert (answer["question"], answer["text"]) == ("write all var", passage)
    assert answer["answer"] == answer["answers"][0]["text"]
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(passage.encode())))
    assert json.loads("\n".join(demo(*asked))) == said
    assert json.loads("\n".join(demo(*asked, passage))) == said


def test_a_passage_without_an_answer_is_said_to_have_none(converted_tasks):
    import numpy as np

    question, passage = texts_of(np.load(TUNED / "squad_answerable" / "golden.npz"), 0)
    lines = demo(converted_tasks["squad_answerable"], passage, "--question", question)
    assert lines[:2] == [question, passage]
    assert lines[3].endswith("(no answer in the passage)")
    assert (
        "  no answer" in demo(converted_tasks["squad_answerable"], passage, "--question", question, "--no-table")[0]
    )


def test_a_page_of_answers_is_written(converted_tasks, tmp_path):
    page = tmp_path / "page.html"
    ran = run("demo", converted_tasks["sst"], "range <b>", "--html", page)
    assert (ran.code, ran.err) == (0, f"Note: Wrote {page}\n")
    assert "&lt;b&gt;" in page.read_text()
    assert str(tmp_path) not in page.read_text()
    assert "already exists" in run("demo", converted_tasks["sst"], "range", "--html", page).refusal()


def test_of_several_tasks_one_is_named(converted_tasks):
    asked = (TUNED / "mrpc_chunk", TEXT, "--vocab", VOCABULARY)
    said = run("demo", *asked).refusal()
    assert "was fine-tuned for 2 tasks: chunk, mrpc" in said
    assert "--task 'chunk'" in said
    assert demo(*asked, "--task", "chunk") == demo(converted_tasks["mrpc_chunk"] / "chunk", TEXT)
    assert "give one of these: " in run("demo", converted_tasks["mrpc_chunk"], TEXT).refusal()


def test_labels_are_given_their_names(converted_tasks):
    lines = demo(TUNED / "sst", TEXT, "--vocab", VOCABULARY, "--labels", "bad,good")
    assert {line.split()[-1] for line in lines[2:]} == {"bad", "good"}


def test_what_should_be_known_of_an_answer_is_said(converted_tasks):
    assert run("demo", converted_tasks["mnli"], TEXT, "--no-table").err == (
        "Note: mnli is about two texts: give the second with --pair.\n"
    )
    assert "tokens were not read" in run("demo", converted_tasks["sst"], "value " * 100, "--no-table").err
    assert "tagged in" in run("demo", converted_tasks["chunk"], "value " * 100, "--no-table").err
    assert "put quotes around" in run("demo", converted_tasks["sst"], "the", "value", "--no-table").err
    assert run("demo", converted_tasks["chunk"], "the", "value " * 100, "--no-table", "-q").err == ""


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (
            "mnli",
            ["a", "--corrupt", "15%"],
            "--corrupt is for a pretrained model, and mnli is fine-tuned to classify",
        ),
        ("mnli", ["a", "--original", "a"], "--original is for a pretrained model"),
        ("mnli", ["a [MASK]", "--fill", "3"], "is fine-tuned to classify texts, and has no generator"),
        ("mnli", ["a", "--words"], "--words is for a pretrained model"),
        ("chunk", ["a", "--threshold", "0.4"], "--threshold is for a pretrained model"),
        ("mnli", ["a", "--question", "b"], "--question is for a model fine-tuned to answer questions, and mnli is"),
        ("chunk", ["a", "--pair", "b"], "--pair is for a model fine-tuned to classify texts, or to give them"),
        ("squad_answerable", ["a"], "fine-tuned to answer questions, and there is no question"),
        ("squad_answerable", ["a", "--web", "--pair", "b"], "--pair is for a model fine-tuned to classify texts"),
    ],
)
def test_options_of_another_kind_of_model_are_refused_with_what_this_one_takes(
    converted_tasks, model, arguments, said
):
    refusal = run("demo", converted_tasks[model], *arguments).refusal(2)
    assert said in refusal
    assert "Hint: It takes " in refusal


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        ("mnli", ["  "], "the text is empty"),
        ("mnli", ["a", " ", "b"], "sentence 2: the text is empty"),
        ("mnli", ["a", "--pair", ""], "the second text: the text is empty"),
        ("chunk", ["a", "[MASK]"], "sentence 2: the text has nothing to tag"),
        ("squad_answerable", ["a", "--question", " "], "the question: the text is empty"),
        ("squad_answerable", [" ", "--question", "a"], "the passage: the text is empty"),
        ("squad_answerable", ["a", "--question", "value " * 99], "the question has 99 tokens, expected at most 30"),
    ],
)
def test_what_a_fine_tuned_model_cannot_be_asked_is_refused(converted_tasks, model, arguments, said):
    ran = run("demo", converted_tasks[model], *arguments)
    assert ran.code == 1
    assert said in ran.err


def test_a_pretrained_model_has_no_use_for_a_question(golden_pair):
    for option in ("--pair", "--question"):
        said = run("demo", golden_pair, "a", option, "b").refusal(2)
        assert f"{option} is for a model fine-tuned" in said
        assert said.rstrip().endswith("is a discriminator")


@pytest.mark.parametrize("stdin", [None, TextIOWrapper(BytesIO(b"\n"))], ids=["closed", "empty"])
def test_a_question_without_a_passage_says_where_it_goes(converted_tasks, monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    said = run("demo", converted_tasks["squad_answerable"], "--question", "Who?").refusal(2)
    assert "there is no passage to find the answer in" in said


@pytest.mark.parametrize(
    "options", [["a", "--pair", "b", "--question", "c"], ["a", "--fill", "3", "--question", "b"]]
)
def test_options_that_never_go_together_are_wrong_usage(tmp_path, options):
    ran = run("demo", tmp_path, *options)
    assert (ran.code, ran.out) == (2, "")
