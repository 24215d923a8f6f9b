"""plan.json: what inspect writes is what upload reads, and whatever else it may say is refused."""

from __future__ import annotations

import json
import time

import pytest

from electra_convert.errors import CorruptFileError, ElectraConvertError, OutputError, SourceError, UsageError
from electra_convert.hub.account.journal import open_journal
from electra_convert.hub.account.plan import check_plan, plan_of, read_plan, write_plan
from electra_convert.hub.account.row import ModelRow, TokenizerFindings
from electra_convert.hub.account.survey import Survey

COMMIT = "0123456789" * 4
ROWS = (
    ModelRow("alice/good", "nothing", commit=COMMIT),
    ModelRow("alice/gone", "look", ("Check its name.",), error="there is no such repository"),
    ModelRow("alice/old", "convert", ("its weights are pickles",), COMMIT, tokenizer=TokenizerFindings(pieces=5)),
    ModelRow("alice/pair", "convert", ("TensorFlow",), COMMIT, converted="generator"),
)


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "plan.json"
    write_plan(plan_of(Survey("hf://alice", ROWS, "https://huggingface.co")), place)
    return place


def edited(path, keys, value):
    plan = json.loads(path.read_text())
    at = plan
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    path.write_text(json.dumps(plan))


def test_what_is_written_is_what_is_read(path):
    plan = read_plan(path)
    assert plan == plan_of(Survey("hf://alice", ROWS, "https://huggingface.co"))
    assert [(step.repo, step.model, "vocab.txt" in step.files) for step in plan.convert] == [
        ("alice/old", None, True),
        ("alice/pair", "generator", False),
    ]
    assert [(left.repo, left.why) for left in plan.leave] == [
        ("alice/good", ("nothing is to be done",)),
        ("alice/gone", ("there is no such repository", "Check its name.")),
    ]


def test_a_plan_that_cannot_be_written_or_would_take_the_place_of_something_is_refused(path):
    with pytest.raises(UsageError, match="--plan is for models on the Hub"):
        check_plan(path.parent, path.with_name("other.json"))
    with pytest.raises(OutputError, match="is there already"):
        check_plan("hf://alice", path)
    with pytest.raises(OutputError, match="is no folder"):
        check_plan("hf://alice", path / "plan.json")
    check_plan("hf://alice", path.with_name("other.json"))


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("schema",), 2, "schema is 2, expected 1"),
        (("more",), 1, "it has 'more', which no plan has"),
        (("endpoint",), "file:///etc", "endpoint is 'file:///etc', expected the address of a Hub"),
        (("convert",), {}, r"convert is \{\}, expected a list"),
        (("convert", 0), "alice/old", r"convert\[0\] is 'alice/old', expected an object"),
        (("convert", 0, "repo"), "../../etc", r"convert\[0\].repo is '../../etc', expected OWNER/REPO"),
        (("convert", 0, "repo"), "alice/pair", "names alice/pair more than once"),
        (("convert", 0, "commit"), "main", r"convert\[0\].commit is 'main', expected 40 hexadecimal digits"),
        (("convert", 0, "commit"), None, r"convert\[0\].commit is None"),
        (("convert", 0, "model"), "both", r"convert\[0\].model is 'both', expected null, discriminator or generator"),
        (("convert", 0, "files"), ["/etc/passwd"], r"convert\[0\].files is '/etc/passwd'"),
        (("convert", 0, "why"), "because", r"convert\[0\].why is 'because', expected a list of texts"),
        (("convert", 0, "token"), "hf_x", r"convert\[0\] has 'token', which no plan has"),
        (("leave", 0, "commit"), 7, r"leave\[0\].commit is 7"),
        (("leave", 0, "why"), [1], r"leave\[0\].why is \[1\]"),
    ],
)
def test_what_no_plan_says_is_refused(path, keys, value, said):
    edited(path, keys, value)
    with pytest.raises(SourceError, match=said):
        read_plan(path)


def test_a_plan_of_as_many_models_as_an_account_may_have_is_read_at_once(path):
    step = json.loads(path.read_text())["convert"][0]
    edited(path, ("convert",), [{**step, "repo": f"alice/{number}"} for number in range(10_000)])
    before = time.process_time()
    assert len(read_plan(path).convert) == 10_000
    assert time.process_time() - before < 1


def test_a_key_that_is_missing_is_named(path):
    plan = json.loads(path.read_text())
    del plan["convert"][1]["why"]
    path.write_text(json.dumps(plan))
    with pytest.raises(SourceError, match=r"convert\[1\] lacks why"):
        read_plan(path)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1, "schema": 1}', '{"schema": NaN}', "[" * 10_000])
def test_what_is_no_json_object_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(CorruptFileError) as refused:
        read_plan(path)
    assert refused.value.hint == "Write it anew: electra-convert inspect hf://OWNER --plan FILE."


def test_a_plan_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        read_plan(tmp_path / "plan.json")


def test_a_journal_keeps_what_was_noted_whatever_cuts_it_short(path):
    with open_journal(path) as journal:
        journal.note("alice/old", COMMIT, "https://huggingface.co/alice/old/discussions/1")
    kept = path.with_name("plan.json.journal")
    with kept.open("a") as file:
        file.write('{"repo": "alice/pair", "com')
    with open_journal(path) as journal:
        journal.note("alice/more", COMMIT, "there")
    with open_journal(path) as journal:
        assert journal.url_of("alice/old", COMMIT) == "https://huggingface.co/alice/old/discussions/1"
        assert journal.url_of("alice/more", COMMIT) == "there"
        assert journal.url_of("alice/pair", COMMIT) is None
        assert journal.url_of("alice/old", COMMIT[::-1]) is None


def test_two_runs_of_a_plan_do_not_meet(path):
    with open_journal(path), pytest.raises(ElectraConvertError, match="another run carries out"), open_journal(path):
        pass
