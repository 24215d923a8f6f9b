"""Scores of texts: any length, alone or in company; masks filled; texts corrupted as training does, and judged."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tokenizers import Tokenizer

from electra_convert import fill, score
from electra_convert.demo.corruption import _run_together, corrupt
from electra_convert.demo.examples import Labelled, judge, judge_corrupted, labelled, read_lines
from electra_convert.demo.filling import softmax, suggest
from electra_convert.demo.scoring import encode_text, in_batches, run, sigmoid
from electra_convert.errors import NamesError, TextError

pytestmark = pytest.mark.slow
TEXT = "Return the value of the purple attribute, or 日 caf\u00e9 👩\u200d👧."
LONG = " ".join(f"{word} {number}" for number in range(150) for word in ("value", "return"))


def direct(model, text: str):
    """The whole text in one input, without windows and batches."""
    ids = [[model.special["[CLS]"], *(piece.id for piece in encode_text(model, text).pieces), model.special["[SEP]"]]]
    return run(model, ids, np.ones_like(ids), np.zeros_like(ids))[0, 1:-1]


def test_tokens_are_scored_as_the_model_does_and_stand_where_they_are(opened_discriminator):
    found = score(opened_discriminator, [TEXT])[0]
    np.testing.assert_allclose(
        [token.probability for token in found.tokens], sigmoid(direct(opened_discriminator, TEXT)), atol=1e-7
    )
    assert all(token.text == TEXT[token.start : token.end] for token in found.tokens)
    assert [word.text for word in found.words][-5:] == ["or", "日", "café", "👩\u200d👧", "."]
    assert found.windows == 1


def test_special_tokens_of_a_text_are_seen_by_the_model_and_left_out(opened_discriminator):
    found = score(opened_discriminator, ["the [MASK] of [SEP]"])[0]
    assert [token.piece for token in found.tokens] == ["the", "of"]
    expected = sigmoid(direct(opened_discriminator, "the [MASK] of [SEP]"))[[0, 2]]
    np.testing.assert_allclose([token.probability for token in found.tokens], expected, atol=1e-7)


def test_company_changes_nothing(opened_discriminator):
    texts = [TEXT, "the", LONG, *(f"value {number}" for number in range(20))]
    together = score(opened_discriminator, texts)
    for text, found in zip(texts, together, strict=True):
        alone = score(opened_discriminator, [text])[0]
        assert found.text == text
        np.testing.assert_allclose(
            [token.probability for token in found.tokens], [token.probability for token in alone.tokens], atol=1e-6
        )


def test_a_text_longer_than_the_model_is_scored_in_windows(opened_discriminator):
    found = score(opened_discriminator, [LONG])[0]
    pieces = encode_text(opened_discriminator, LONG).pieces
    room = opened_discriminator.positions - 2
    assert found.windows == -(-(len(pieces) - room) // (room // 2)) + 1
    assert len(found.tokens) == len(pieces)
    # The beginning is what the model says of its first window.
    head = LONG[: pieces[room - 1].end]
    quarter = 3 * room // 4 - 1
    np.testing.assert_allclose(
        [token.probability for token in found.tokens[:quarter]],
        sigmoid(direct(opened_discriminator, head))[:quarter],
        atol=1e-6,
    )


def test_a_probability_above_one_half_is_a_logit_above_zero():
    logits = np.array([-90.0, -1e-6, -0.0, 0.0, 1e-6, 90.0], np.float32)
    assert (sigmoid(logits) > 0.5).tolist() == [False, False, False, False, True, True]
    assert sigmoid(logits)[[0, 5]] == pytest.approx([0, 1])


# The generator


def test_masks_are_filled_with_the_likeliest_pieces(opened_generator):
    text = "the [MASK] of [MASK]."
    found = fill(opened_generator, [text], 1500)[0]
    assert [text[mask.start : mask.end] for mask in found] == ["[MASK]", "[MASK]"]
    logits = direct(opened_generator, text)
    for mask, row in zip(found, (logits[1], logits[3]), strict=True):
        values = [candidate.probability for candidate in mask.candidates]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)
        assert mask.candidates[0].piece == opened_generator.tokenizer.id_to_token(int(row.argmax()))
        assert values[0] == pytest.approx(softmax(row).max())


def test_a_mask_far_into_a_long_text_is_filled(opened_generator):
    assert fill(opened_generator, [f"{LONG} the [MASK] of"], 3)[0][0].start == len(LONG) + 5


def test_of_a_long_text_the_logits_of_one_window_are_kept_at_a_time(opened_generator, monkeypatch):
    kept: list[weakref.ref] = []

    def watched(model, rows):
        for logits in in_batches(model, rows):
            assert not [one for one in kept if one() is not None]
            kept.append(weakref.ref(logits))
            yield logits
            del logits

    monkeypatch.setattr("electra_convert.demo.filling.in_batches", watched)
    corrupt(opened_generator, LONG, 1.0, seed=0)
    assert len(kept) > 3


def test_a_lone_text_is_not_taken_for_a_list_of_its_characters(opened_discriminator, opened_generator):
    for use, model in ((score, opened_discriminator), (fill, opened_generator)):
        with pytest.raises(TextError, match="one text is given, expected a list of texts"):
            use(model, "the [MASK]")
        with pytest.raises(TextError, match="a text is of type bytes, expected str"):
            use(model, [b"the [MASK]"])


def test_a_text_without_a_mask_is_refused(opened_generator):
    with pytest.raises(TextError, match=r"has no \[MASK\]"):
        fill(opened_generator, ["the mask"])


@pytest.mark.parametrize("text", ["the value of", "a[MASK] value [MASK]", "日value本", f"{LONG} value"])
def test_suggestions_are_words_for_the_place_asked_for(opened_generator, text):
    start = text.rindex("value")
    found = suggest(opened_generator, text, start, start + 5, 8)
    assert len(found) == 8
    assert not [one for one in found if one.piece.startswith(("##", "["))]
    # Every mask of the text is one for the model; that of the place is the one that counts.
    masked = f"{text[:start]}[MASK]{text[start + 5 :]}"
    expected = {mask.start: mask.candidates for mask in fill(opened_generator, [masked], 1500)[0]}[start]
    assert list(found) == [one for one in expected if one in found]


def greedy(model):
    """The model with a tokenizer.json whose special tokens take the space before them, as RoBERTa's does."""
    fields = json.loads(model.tokenizer.to_str())
    for token in fields["added_tokens"]:
        token["lstrip"] = True
    return replace(model, tokenizer=Tokenizer.from_str(json.dumps(fields)))


def test_a_mask_that_takes_the_space_before_it_is_filled_and_suggested_for_as_any(opened_generator):
    other = greedy(opened_generator)
    assert fill(other, ["the [MASK] of [MASK]"]) == fill(opened_generator, ["the [MASK] of [MASK]"])
    assert suggest(other, "the value of", 4, 9, 8) == suggest(opened_generator, "the value of", 4, 9, 8)


def test_a_place_whose_mask_is_not_read_as_one_is_refused(opened_generator):
    fields = {**json.loads(opened_generator.tokenizer.to_str()), "added_tokens": []}
    blind = replace(opened_generator, tokenizer=Tokenizer.from_str(json.dumps(fields)))
    with pytest.raises(TextError, match=r"a \[MASK\] in place of characters 4 to 9 of the text is not read as one"):
        suggest(blind, "the value of", 4, 9, 8)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2), (0, 99)])
def test_a_place_that_is_not_in_the_text_is_refused(opened_generator, start, end):
    with pytest.raises(TextError, match="the text has no characters"):
        suggest(opened_generator, "the value", start, end, 3)


# Corruption


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("text", [TEXT, "the", "the [MASK] of", LONG])
def test_corruption_replaces_what_it_says_and_nothing_else(opened_generator, text, share):
    found = corrupt(opened_generator, text, share, seed=3)
    before, after = encode_text(opened_generator, text).pieces, found.encoded.pieces
    plain = [index for index, piece in enumerate(before) if not piece.special]
    changed = {index for index in range(len(before)) if before[index].id != after[index].id}
    assert len(before) == len(after)
    assert found.masked == max(1, round(share * len(plain)))
    assert {one.piece for one in found.replacements} == changed
    assert [index for index, new in zip(plain, found.truth.replaced, strict=True) if new] == sorted(changed)
    assert not [one for one in found.replacements if one.after in opened_generator.special]
    for one in found.replacements:
        piece = after[one.piece]
        assert (one.before, one.after) == (before[one.piece].text, piece.text)
        assert found.encoded.text[piece.start : piece.end] == one.after.removeprefix("##")
    for index in set(range(len(before))) - changed:
        old, new = before[index], after[index]
        assert text[old.start : old.end] == found.encoded.text[new.start : new.end]


def test_a_substitute_that_begins_a_word_does_not_run_into_its_neighbours(opened_generator):
    texts = [corrupt(opened_generator, "cafe,the (of)purple", 1.0, seed).encoded for seed in range(15)]
    for encoded in texts:
        for before, after in pairwise(encoded.pieces):
            letters = encoded.text[before.end - 1].isalnum() and encoded.text[after.start].isalnum()
            if before.end == after.start and letters:
                assert after.text.startswith("##")
                assert before.word == after.word


def test_the_same_line_is_not_corrupted_alike_each_time(opened_discriminator, opened_generator):
    lines = labelled([LONG] * 3)
    judged = list(judge_corrupted(opened_discriminator, opened_generator, lines, 0.3, 0))
    assert len({one.scored.text for one in judged}) == 3


@pytest.mark.parametrize(
    ("before", "after", "together"),
    [
        ("e", "a", True),
        ("e\u0301", "a", True),
        ("\u0915\u093e", "a", True),
        (",\u0301", "a", False),
        ("e", ",", False),
    ],
)
def test_a_combining_mark_is_part_of_its_letter(before, after, together):
    assert _run_together(before, after) == together


def test_a_text_of_special_tokens_alone_can_no_more_be_corrupted_than_scored(opened_discriminator, opened_generator):
    lines = labelled(["the value", "[CLS] [SEP]"])
    with pytest.raises(TextError, match=r"^sentence 2: the text has nothing to score: special tokens alone"):
        list(judge_corrupted(opened_discriminator, opened_generator, lines, 0.5, 0))


def test_corruption_is_decided_by_the_seed_and_the_text(opened_generator):
    texts = {corrupt(opened_generator, LONG, 0.3, seed).encoded.text for seed in (1, 1, 2)}
    assert len(texts) == 2


def test_substitutes_are_drawn_from_the_generators_distribution(opened_generator):
    drawn = [
        one.after for seed in range(240) for one in corrupt(opened_generator, "the value of", 0.3, seed).replacements
        if one.piece == 1
    ]  # fmt: skip
    expected = {
        one.piece: one.probability for one in fill(opened_generator, ["the [MASK] of"], 1500)[0][0].candidates
    }
    # About 80 of the seeds mask this place; five standard deviations of what they draw are allowed.
    assert len(drawn) == pytest.approx(80 * (1 - expected["value"]), abs=40)
    likeliest = max(expected, key=expected.__getitem__)
    share = expected[likeliest]
    assert drawn.count(likeliest) == pytest.approx(80 * share, abs=5 * (80 * share) ** 0.5)


def test_a_generator_of_another_vocabulary_is_refused(opened_discriminator, written):
    from electra_convert import open_model

    other = open_model(written("masked_lm"), "generator")
    with pytest.raises(NamesError, match="have different vocabularies"):
        list(judge_corrupted(opened_discriminator, other, labelled(["the"]), 0.5, 0))


def test_the_generator_fools_the_discriminator_less_than_chance(opened_discriminator, opened_generator):
    """Trained models: replaced tokens of their own kind of prose score higher than original ones."""
    from electra_convert.demo.evaluation import evaluate

    prose = [
        "Return the value of the named attribute of object.",
        "If the string is the name of one of the object's attributes, the result is True.",
        "This function is the same as the one above, except that it returns a list of the names.",
    ] * 10
    texts = [Labelled(f"{text} {number}") for number, text in enumerate(prose)]
    judged = list(judge_corrupted(opened_discriminator, opened_generator, texts, 0.2, 0))
    assert evaluate([(one.scored, one.truth) for one in judged], 0.5).auc > 0.55


# Lines


def test_lines_are_read_and_numbered_and_blank_ones_passed_over():
    assert read_lines("\ufeffa\r\n\n  \nb\u2028c".encode(), "x") == [
        Labelled("a", "x, line 1"),
        Labelled("b\u2028c", "x, line 4"),
    ]


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "x holds no text"), (b"\n \n", "x holds no text"), (b"a\n\xff", "x, line 2: not UTF-8")]
)
def test_lines_that_are_none_are_refused(data, said):
    with pytest.raises(TextError, match=said):
        read_lines(data, "x")


def test_the_text_that_cannot_be_scored_is_named(opened_discriminator):
    with pytest.raises(TextError, match=r"^f, line 2: the text has nothing in it"):
        list(judge(opened_discriminator, [Labelled("a", "f, line 1"), Labelled("\x00", "f, line 2")]))
