"""What counts as proof of parity: a record that passed, compared outputs, and is of these very files."""

from __future__ import annotations

import copy
import json
from itertools import product

import pytest
from support.parity_records import write_parity, write_training

from electra_convert import write_card
from electra_convert.errors import CorruptFileError, ParityError, SourceError
from electra_convert.hub.card.facts import gather_facts
from electra_convert.hub.card.model_folder import find_models, read_folder
from electra_convert.hub.card.proof import require_proof
from electra_convert.hub.card.template import render_card

MODEL = ("models", "generator")
STAGE = (*MODEL, "forward", "stages", "logits")


def unweighed(weights):
    stages = {"logits": {"max_abs": 1e-6}}
    return {"models": {"generator": {"weights": weights, "forward": {"stages": stages}}}}


def prove(folder, unverified=False, **choice):
    return require_proof(read_folder(folder, **choice), unverified)


def test_a_passed_record_of_these_files_is_proof(pair):
    for path in find_models(pair):
        proof = prove(path)
        assert (proof.state, proof.parity["verdict"]) == ("verified", "same")
        assert "All 43 weights are equal" in proof.line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "different"}, "the verdict is 'different'"),
        ({"verdict": None}, "the verdict is None"),
        ({"weights_only": True}, "compares weights alone"),
        ({"weights_only": None}, "compares weights alone"),
        ({"models": {"generator": {"forward": None}}}, "compares weights alone"),
        ({"models": {"generator": {"forward": {"stages": {}}}}}, "compares weights alone"),
        (unweighed(None), "compares recorded outputs alone, and no weights"),
        (unweighed({}), "compares recorded outputs alone, and no weights"),
        (unweighed([1]), "compares recorded outputs alone, and no weights"),
        ({"tolerance": 0.5}, r"made with a tolerance of 0\.5, expected at most 0\.0001"),
        ({"tolerance": 1.1e-4}, "made with a tolerance of"),
        ({"tolerance": "nan"}, "made with a tolerance of"),
        ({"models": {"discriminator": {}}}, "is of discriminator, the model is a generator"),
        ({"models": None}, "is of no model"),
        ({"files": {}}, "says nothing of"),
        ({"files": None}, "says nothing of"),
    ],
)
def test_a_record_that_does_not_show_parity_is_no_proof(generator, changes, said):
    write_parity(generator, **changes)
    with pytest.raises(ParityError, match=said):
        prove(generator)
    assert prove(generator, unverified=True).state == "unverified"


@pytest.mark.parametrize("tolerance", [None, 0, 0.0, 1e-6, 1e-4])
def test_a_tolerance_no_larger_than_the_rule_is_as_good_as_the_rule(generator, tolerance):
    write_parity(generator, tolerance=tolerance)
    assert prove(generator).state == "verified"


def test_a_record_of_before_tolerances_were_told_does_not_count_as_one_with_none(generator):
    record = json.loads((generator / "parity.json").read_text())
    del record["tolerance"]
    (generator / "parity.json").write_text(json.dumps(record))
    with pytest.raises(ParityError, match="does not say with what tolerance"):
        prove(generator)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "vocab.txt", "conversion.json", "tokenizer.json"]
)
def test_a_file_that_changed_since_is_no_longer_proven(generator, name):
    with (generator / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ParityError, match=f"is of other files: {name} changed since"):
        prove(generator)


def test_the_card_may_change_after_the_proof(generator):
    (generator / "README.md").write_text("mine")
    assert prove(generator).state == "verified"
    write_parity(generator)
    (generator / "README.md").write_text("mine again")
    assert prove(generator).state == "verified"
    (generator / "README.md").unlink()
    assert prove(generator).state == "verified"


def test_a_file_that_came_later_is_not_proven(generator):
    (generator / "special_tokens_map.json").write_text("{}")
    with pytest.raises(ParityError, match=r"says nothing of special_tokens_map\.json"):
        prove(generator)


def test_a_file_that_went_since_is_missed(generator):
    (generator / "tokenizer.json").unlink()
    with pytest.raises(ParityError, match=r"is of files that are gone: tokenizer\.json"):
        prove(generator)


def test_a_file_that_is_not_published_may_change(generator):
    (generator / "optimizer.safetensors").write_bytes(b"other")
    assert prove(generator).state == "verified"
    with pytest.raises(ParityError, match=r"optimizer\.safetensors changed since"):
        prove(generator, optimizer=True)


def test_pickles_beside_the_weights_that_were_compared_are_not_proven_by_their_hash(generator):
    (generator / "pytorch_model.bin").write_bytes(b"another model")
    write_parity(generator)
    assert prove(generator).state == "verified"
    with pytest.raises(ParityError, match=r"compares the weights in safetensors, not pytorch_model\.bin") as refusal:
        prove(generator, pickles=True)
    assert "Leave --include-pickles out" in str(refusal.value.hint)
    assert write_card(generator)[0].verification == "verified"  # as it is uploaded without them
    (generator / "model.safetensors").unlink()
    write_parity(generator)
    assert prove(generator, pickles=True).state == "verified"
    assert write_card(generator)[0].verification == "verified"


def test_without_a_record_there_is_no_proof(generator):
    (generator / "parity.json").unlink()
    with pytest.raises(ParityError, match="was not verified") as refusal:
        prove(generator)
    assert "verify" in str(refusal.value.hint)
    assert "--unverified" in str(refusal.value.hint)
    assert prove(generator, unverified=True).state == "unverified"


def test_what_was_pretrained_here_needs_none_unless_it_was_converted_since(generator):
    write_training(generator)
    (generator / "README.md").write_text("mine")
    assert prove(generator).state == "pretrained"
    (generator / "conversion.json").write_text('{"schema": 1}')
    with pytest.raises(ParityError, match="was not verified"):
        prove(generator)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tool": None}, "was not written by electra_convert, but by None"),
        ({"tool": {"name": "mine"}}, "was not written by electra_convert, but by 'mine'"),
        ({"files": None}, r"training\.json says nothing of config\.json, model\.safetensors"),
        ({"files": {}}, r"training\.json says nothing of config\.json, model\.safetensors"),
    ],
)
def test_a_record_of_training_that_is_not_of_this_tool_or_these_files_excuses_nothing(generator, changes, said):
    write_training(generator, **changes)
    with pytest.raises(ParityError, match=said):
        prove(generator)
    assert prove(generator, unverified=True).state == "unverified"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_what_was_pretrained_here_and_changed_since_is_not_excused(generator, name):
    write_training(generator)
    with (generator / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ParityError, match=rf"training\.json is of other files: {name} changed since"):
        prove(generator)


@pytest.mark.parametrize("name", ["parity.json", "training.json"])
@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", CorruptFileError, "is not valid JSON"),
        (b"[]", CorruptFileError, "is not a JSON object"),
        (b'{"schema": NaN}', CorruptFileError, "NaN is not a JSON number"),
        (b'{"schema": 1, "schema": 1}', CorruptFileError, "appears 2 times"),
        (b"\xff{}", CorruptFileError, "is not valid JSON"),
        (b'{"schema": 2}', SourceError, "has schema 2, expected 1"),
        (b"{}", SourceError, "has schema None, expected 1"),
    ],
)
def test_a_damaged_record_is_told_and_never_passed_over(generator, name, content, kind, said):
    (generator / name).write_bytes(content)
    for unverified in (False, True):
        with pytest.raises(kind, match=said):
            prove(generator, unverified)


def test_any_json_at_all_in_a_record_makes_no_crash(generator):
    whole = json.loads((generator / "parity.json").read_text())
    folder, shown = read_folder(generator), 0
    for place in ([], ["models"], [*MODEL], [*MODEL, "forward"], [*MODEL, "forward", "stages"], STAGE, ["reference"]):
        for key, value in product(inner(whole, place), (None, [], "x", 3, [{}], {"a": [1]})):
            changed = copy.deepcopy(whole)
            inner(changed, place)[key] = value
            (generator / "parity.json").write_text(json.dumps(changed))
            try:
                proof = require_proof(folder, unverified=True)
            except SourceError:
                assert key == "schema"
                continue
            if proof.state == "verified":  # what proves nothing is not shown
                shown += 1
                assert "## Verification" in render_card(gather_facts(folder, proof, None, None))
    assert shown > 100


def inner(record, place):
    for key in place:
        record = record[key]
    return record
