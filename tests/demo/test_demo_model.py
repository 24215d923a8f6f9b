"""Texts scored, of any length, alone or in company; masks filled, and words suggested for a place."""

from __future__ import annotations

import json
import re
import weakref
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from tokenizers import Tokenizer

from electra_convert import fill, score
from electra_convert.demo.corruption import corrupt
from electra_convert.demo.filling import softmax
from electra_convert.demo.network import Network
from electra_convert.demo.scoring import sigmoid
from electra_convert.errors import TextError

pytestmark = pytest.mark.slow
TEXT = "Return the value of the purple attribute, or 日 caf\u00e9 👩\u200d👧."
LONG = " ".join(f"{word} {number}" for number in range(150) for word in ("value", "return"))


def direct(model, text: str):
    """The whole text in one input, without windows and batches."""
    inside = [piece.id for piece in model.encode(text).pieces]
    ids = np.array([[model.special["[CLS]"], *inside, model.special["[SEP]"]]])
    return model.network.run(ids, np.ones_like(ids), np.zeros_like(ids))[0, 1:-1]


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
    pieces = opened_discriminator.encode(LONG).pieces
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


# In a notebook


def test_what_comes_of_a_model_is_short_to_look_at(opened_discriminator, opened_generator, golden_pair):
    assert repr(opened_discriminator) == f"<LoadedModel: discriminator of {golden_pair} on cpu>"
    shown = repr(score(opened_discriminator, TEXT)[0])
    assert re.fullmatch(
        r"<ScoredText 'Return the value of the purple attribut…': \d+ of \d+ tokens called replaced>", shown
    )
    assert len(repr(fill(opened_generator, "the [MASK]", 1000))) < 200


def test_a_notebook_shows_scored_texts_as_a_page_whose_styles_and_scripts_stay_its_own(opened_discriminator):
    scored = opened_discriminator.score(["the <b>value</b>", 'a "purple"'])
    for shown, texts in ((scored[0], 1), (scored, 2)):
        frame = shown._repr_html_()
        assert re.fullmatch(r'<iframe srcdoc="[^"]*" sandbox style="[^"]*" title="[^"]*"></iframe>', frame)
        page = unescape(re.search('srcdoc="([^"]*)"', frame)[1])
        assert page.startswith("<!doctype html>")
        assert page.count('<section class="card">') == texts
        assert "<b>" not in page
    assert opened_discriminator.score([])._repr_html_() is None


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


def test_of_a_long_text_the_logits_of_one_place_are_kept_at_a_time(opened_generator, monkeypatch):
    kept: list[weakref.ref] = []
    at = Network.at

    def watched(network, *arguments):
        for logits in at(network, *arguments):
            kept.append(weakref.ref(logits))
            yield logits
            del logits
            assert sum(one() is not None for one in kept) <= 1

    monkeypatch.setattr(Network, "at", watched)
    corrupt(opened_generator, LONG, 1.0, seed=0)
    assert len(kept) > 3


def test_a_lone_text_is_one_and_several_may_come_from_anywhere(opened_discriminator, opened_generator):
    assert score(opened_discriminator, TEXT) == score(opened_discriminator, [TEXT])
    assert fill(opened_generator, "the [MASK]") == opened_generator.fill(iter(["the [MASK]"]))
    texts = ["the value", "of it"]
    assert opened_discriminator.score(line for line in texts) == opened_discriminator.score(texts)
    assert opened_discriminator.score([]) == []


@pytest.mark.parametrize("texts", [[b"the [MASK]"], b"the [MASK]", [["the [MASK]"]]], ids=repr)
def test_what_is_no_text_is_refused(opened_discriminator, opened_generator, texts):
    for use in (opened_discriminator.score, opened_generator.fill):
        with pytest.raises(TextError, match=r"a text is of type (bytes|int|list), expected str"):
            use(texts)


def test_a_text_without_a_mask_is_refused(opened_generator):
    with pytest.raises(TextError, match=r"has no \[MASK\]"):
        fill(opened_generator, ["the mask"])


@pytest.mark.parametrize("text", ["the value of", "a[MASK] value [MASK]", "日value本", f"{LONG} value"])
def test_suggestions_are_words_for_the_place_asked_for(opened_generator, text):
    start = text.rindex("value")
    found = opened_generator.suggest(text, start, start + 5, 8)
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
    assert other.suggest("the value of", 4, 9, 8) == opened_generator.suggest("the value of", 4, 9, 8)


def test_a_place_whose_mask_is_not_read_as_one_is_refused(opened_generator):
    fields = {**json.loads(opened_generator.tokenizer.to_str()), "added_tokens": []}
    blind = replace(opened_generator, tokenizer=Tokenizer.from_str(json.dumps(fields)))
    with pytest.raises(TextError, match=r"a \[MASK\] in place of characters 4 to 9 of the text is not read as one"):
        blind.suggest("the value of", 4, 9, 8)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2), (0, 99)])
def test_a_place_that_is_not_in_the_text_is_refused(opened_generator, start, end):
    with pytest.raises(TextError, match="the text has no characters"):
        opened_generator.suggest("the value", start, end, 3)
