"""Texts become rows: first pieces carry labels, long ones are windowed, every word and answer is asked of once."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FIXTURES
from support.finetuning import WORDS
from support.other_tokenizers import save_unigram

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import LabelledText, Question, TaggedSentence
from electra_convert.finetuning.encoding import IGNORED, Row, TextEncoder, collated, filled
from electra_convert.finetuning.tasks.fill_mask import FillMask, chunks_of
from electra_convert.finetuning.tasks.question_answering import QuestionAnswering
from electra_convert.finetuning.tasks.text_classification import (
    TextClassification,
    TextRegression,
    is_scale,
    require_numbers,
)
from electra_convert.finetuning.tasks.token_classification import TokenClassification, first_pieces
from electra_convert.tokenizer import TokenizerSettings, encode_tokenizer, encode_tokenizer_config, read_vocabulary
from electra_convert.tokenizer.saved import read_saved_tokenizer


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """ELECTRA's tokenizer of the fixtures, for rows of a length."""
    folder = tmp_path_factory.mktemp("tokenizer")
    vocabulary, settings = read_vocabulary(FIXTURES / "vocab.txt"), TokenizerSettings(True, None)
    (folder / "tokenizer.json").write_bytes(encode_tokenizer(vocabulary, settings))
    (folder / "tokenizer_config.json").write_bytes(encode_tokenizer_config(vocabulary, settings, 512))
    saved = read_saved_tokenizer(folder)
    return lambda longest=64: TextEncoder(saved, longest)


@pytest.fixture(scope="module")
def unigram(tmp_path_factory):
    """A tokenizer that counts the space before a word as the word's."""
    folder = save_unigram(tmp_path_factory.mktemp("other") / "unigram", ["the birds sing", "a bird is singing here"])
    return lambda longest=64: TextEncoder(read_saved_tokenizer(folder), longest)


SENTENCE = "Unbelievably, the co-operating birds sang 1,234 songs !".split()


@pytest.mark.parametrize("kind", ["encoder", "unigram"])
def test_each_word_is_asked_of_its_first_piece(kind, request):
    made = request.getfixturevalue(kind)()
    [window] = made.windows(" ".join(SENTENCE), None, 0)
    [firsts] = first_pieces(SENTENCE, [window])
    assert sorted(firsts.values()) == list(range(len(SENTENCE)))
    text = " ".join(SENTENCE)
    for piece, word in firsts.items():
        begin = len(" ".join(SENTENCE[:word])) + bool(word)
        start, end = window.offsets[piece]
        assert start <= begin < end, text[start:end]


@pytest.mark.parametrize("length", [12, 16, 40])
def test_a_long_sentence_is_asked_of_once_a_word_whatever_the_windows(encoder, length):
    draw = np.random.default_rng(length)
    words = tuple(draw.choice([*WORDS, "antidisestablishmentarianism", "xqzzy"], 60).tolist())
    example = TaggedSentence(words, tuple("AB"[index % 2] for index in range(60)), "here")
    rows = TokenClassification([example]).rows([example], encoder(length))
    assert len(rows) > 1
    assert max(len(row.ids) for row in rows) <= length
    asked = sorted(word for row in rows for word in row.asked.values())
    assert asked == list(range(60))
    for row in rows:
        assert [label != IGNORED for label in row.labels].count(True) == len(row.asked)
        assert all(row.labels[piece] == word % 2 for piece, word in row.asked.items())


def test_a_word_that_no_piece_stands_for_is_given_the_commonest_label(encoder):
    example = TaggedSentence(("birds", "\u200b\u200b", "sing"), ("A", "B", "A"), "here")
    task = TokenClassification([example])
    rows = task.rows([example], encoder())
    answers = task.answers([example], rows, [np.tile([0.0, 1.0], (len(rows[0].ids), 1))])
    assert answers == [("B", "A", "B")]


def question(words: list[str], place: int, at: str = "here") -> Question:
    passage = " ".join(words)
    start = len(" ".join(words[:place])) + bool(place)
    return Question("1", "which word?", passage, ((words[place], start),), at)


@pytest.mark.parametrize("place", [0, 20, 59])
def test_an_answer_is_found_again_in_whichever_window_holds_it(encoder, place):
    words = [WORDS[index] for index in range(60)]
    example, task = question(words, place), QuestionAnswering()
    rows = task.rows([example], encoder(32))
    assert len(rows) > 2
    holding = [row for row in rows if row.labels[:2] != (0, 0)]
    assert holding
    outputs = []
    for row in rows:
        logits = np.zeros((len(row.ids), 2), np.float32)
        logits[row.labels[0], 0] = logits[row.labels[1], 1] = 5 if row in holding else 1
        outputs.append(logits)
    [answer] = task.answers([example], rows, outputs)
    assert answer.text == words[place]
    assert task.metrics([example], [answer]) == {"exact_match": 1.0, "f1": 1.0}


def test_no_answer_is_given_where_some_question_has_none_and_nothing_is_likelier(encoder):
    example, task = question(list(WORDS[:6]), 2), QuestionAnswering()
    none = Question("2", "which?", example.passage, (), "here")
    rows = task.rows([example, none], encoder())
    outputs = [np.zeros((len(row.ids), 2), np.float32) for row in rows]
    outputs[1][0] = 3
    assert [answer.text == "" for answer in task.answers([example, none], rows, outputs)] == [False, True]
    assert rows[1].labels[:2] == (0, 0)


def test_a_question_that_leaves_no_room_for_the_passage_is_refused(encoder):
    example = Question("1", " ".join(WORDS[:40]), "a passage", (), "file.json, question 1")
    with pytest.raises(CorpusError, match=r"file\.json, question 1: beside the question, \d+ tokens of 16"):
        QuestionAnswering().rows([example], encoder(16))


@pytest.mark.parametrize("pair", [None, "the birds"])
def test_a_text_that_just_fills_a_row_is_not_cut(encoder, pair):
    text = " ".join(WORDS[:9])
    length = len(encoder(64).cut(text, pair).ids)
    assert not encoder(length).is_cut(text, pair)
    assert encoder(length - 1).is_cut(text, pair)
    assert len(encoder(length).cut(text, pair).ids) == length


def test_a_label_that_was_never_trained_is_named_with_the_nearest(encoder):
    task = TextClassification([LabelledText("a", None, label, "train") for label in ("positive", "negative")])
    with pytest.raises(CorpusError, match=r"dev, line 3: the label 'positve' does not occur") as refused:
        task.rows([LabelledText("a", None, "positve", "dev, line 3")], encoder())
    assert refused.value.hint == "Is positive meant?"


def test_whole_numbers_are_classes_and_others_a_scale():
    assert not is_scale(["0", "1", "2"])
    assert is_scale(["0", "0.5"])
    assert is_scale([str(number) for number in range(30)])
    assert not is_scale(["1", "good"])


@pytest.mark.parametrize("labels", [["0.5", "1", "n/a"], ["1", "0", "nan"], ["0.1", "inf", "0.2"]])
def test_labels_of_which_some_are_no_numbers_are_not_taken_for_classes_where_the_others_are_a_scale(labels):
    examples = [LabelledText("a", None, label, f"line {number}") for number, label in enumerate(labels, 1)]
    stray = next(label for label in labels if label in ("n/a", "nan", "inf"))
    line = labels.index(stray) + 1
    with pytest.raises(
        CorpusError, match=f"line {line}: the label is '{stray}', expected a number, as 2 of 3 labels"
    ):
        require_numbers(examples)


@pytest.mark.parametrize("labels", [["1", "2", "good"], ["good", "bad"], ["0.5", "1.0"], ["1.5", "x", "y"], ["nan"]])
def test_classes_and_numbers_stay_what_they_are(labels):
    require_numbers([LabelledText("a", None, label, "here") for label in labels])


def test_masks_are_of_whole_words_and_differ_from_pass_to_pass_but_not_between_runs(encoder):
    made = encoder(64)
    task = FillMask(made)
    chunk = chunks_of([" ".join(["antidisestablishmentarianism", *WORDS[:40]])], made, "here")[0]
    rows = [task.masked(chunk, 0, (0, 7, epoch, 0)) for epoch in (0, 0, 1)]
    assert rows[0] == rows[1]
    assert rows[0].labels != rows[2].labels
    words = [IGNORED, *chunk.words, IGNORED]
    for row in rows:
        asked = {word for word, label in zip(words, row.labels, strict=True) if label != IGNORED}
        assert all((word in asked) == (label != IGNORED) for word, label in zip(words, row.labels, strict=True))
        share = sum(label != IGNORED for label in row.labels) / len(chunk.ids)
        assert 0.1 < share < 0.5
    many = [task.masked(chunk, 0, (0, 1, epoch, 0)) for epoch in range(300)]
    given = [(got, label) for row in many for got, label in zip(row.ids, row.labels, strict=True) if label != IGNORED]
    masked = sum(got == made.special["[MASK]"] for got, _ in given) / len(given)
    kept = sum(got == label for got, label in given) / len(given)
    assert (masked, kept) == pytest.approx((0.8, 0.1), abs=0.02)


def test_a_mark_between_texts_is_never_asked_for(encoder):
    made = encoder(16)
    chunks = chunks_of([WORDS[0]] * 40, made, "here")
    task = FillMask(made)
    for chunk in chunks:
        labels = task.masked(chunk, 0, (0,)).labels
        assert made.special["[SEP]"] not in labels
    assert {len(chunk.ids) for chunk in chunks} == {14}


def test_what_is_left_of_a_text_is_a_chunk_only_where_it_is_the_first(encoder):
    assert [len(one.ids) for one in chunks_of(["a b c"], encoder(16), "here")] == [4]
    assert [len(one.ids) for one in chunks_of(["a b c d e f g h i j k l m n o p"], encoder(16), "here")] == [14]
    assert chunks_of([], encoder(16), "here") == []


def test_rows_that_fill_up_a_batch_ask_nothing():
    rows = [
        Row([2, 9, 3], [0, 0, 0], (IGNORED, 4, IGNORED), 0),
        Row([2, 9, 9, 3], [0] * 4, (IGNORED, 1, 1, IGNORED), 1),
    ]
    whole = filled(rows, 4)
    assert len(whole) == 4
    labels = collated(whole, 0)["labels"]
    assert (labels != IGNORED).sum() == 3
    numbers = filled([Row([2, 3], [0, 0], 1.5, 0)], 3)
    assert collated(numbers, 0)["labels"].tolist() == [1.5, IGNORED, IGNORED]


@pytest.mark.parametrize("place", range(0, 55, 6))
def test_an_answer_that_a_window_cuts_is_not_asked_for_there(encoder, place):
    words = [WORDS[index] for index in range(60)]
    passage = " ".join(words)
    answer = " ".join(words[place : place + 5])
    example = Question("1", "which?", passage, ((answer, passage.index(answer)),), "here")
    found = 0
    for row in QuestionAnswering().rows([example], encoder(24)):
        start, end, length = row.labels
        assert length == len(row.ids)
        if (start, end) != (0, 0):
            offsets = row.asked.offsets
            first = row.asked.first
            assert passage[offsets[start - first, 0] : offsets[end - first, 1]] == answer
            found += 1
        else:
            inside = passage[row.asked.offsets[0, 0] : row.asked.offsets[-1, 1]]
            assert answer not in inside
    assert found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tags", "classes", "numbers", "answers", "masks"])
def test_a_loss_is_the_sum_of_its_rows_and_rows_that_fill_up_add_nothing(encoder, kind):
    import torch

    made = encoder(32)
    sentences = [TaggedSentence(tuple(WORDS[:length]), ("A", "B") * (length // 2), "here") for length in (4, 8, 2)]
    texts = [LabelledText(WORDS[number], None, label, "here") for number, label in enumerate("101")]
    scored = [LabelledText(WORDS[number], None, label, "here") for number, label in enumerate(["0.5", "2", "-3.25"])]
    asked = [question([WORDS[index] for index in range(6)], place) for place in (0, 3, 5)]
    task, examples, outputs = {
        "tags": (TokenClassification(sentences), sentences, 2),
        "classes": (TextClassification(texts), texts, 2),
        "numbers": (TextRegression(), scored, 1),
        "answers": (QuestionAnswering(), asked, 2),
        "masks": (FillMask(made), chunks_of([" ".join(WORDS[:50])] * 3, made, "here")[:3], 1500),
    }[kind]
    rows = task.rows(examples, made)

    def loss(chosen: list[Row], width: int) -> float:
        labels = torch.from_numpy(collated(chosen, 0)["labels"])
        random = torch.randn(8, 40, outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        values = random[[row.example for row in chosen], :width]
        return float(task.loss(values[:, 0] if kind in ("classes", "numbers") else values, labels))

    width = max(len(row.ids) for row in rows)
    whole = loss(rows, width)
    assert loss(filled(rows, 8), width) == pytest.approx(whole, rel=1e-6)
    assert sum(loss([row], len(row.ids)) for row in rows) == pytest.approx(whole, rel=1e-6)
    assert whole > 0
