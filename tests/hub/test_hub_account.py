"""inspect of a whole account, or of a folder: every row is right, little is read, and what fails stops nothing."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO

import pytest
from conftest import FIXTURES
from support.fake_hub.account import kinds

from electra_convert import survey

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory):
    return kinds(tmp_path_factory.mktemp("kinds"))


@pytest.fixture
def tiny(discriminator):
    """The files of a small model in safetensors."""
    return {path.name: path.read_bytes() for path in discriminator.iterdir() if path.name != "parity.json"}


def inspected(hub, *arguments, **environment):
    """The rows that inspect --json prints, by name."""
    ran = hub.run_without_waiting("inspect", *arguments, "--json", **environment)
    assert ran.code == 0, ran.err
    return {row["name"]: row for row in json.loads(ran.out)["models"]}


def wrong(rows, every_kind):
    """What is not said as it should be; a name ends with the kind."""
    found = []
    for name, row in rows.items():
        expected = every_kind[re.split("[/-]", name)[-1]].expected
        found += [(name, key, row[key], value, row["error"]) for key, value in expected.items() if row[key] != value]
    return found


def test_every_row_is_right_and_less_than_a_hundredth_is_read(hub, every_kind):
    for name, kind in every_kind.items():
        kind.put(hub, f"alice/{name}")
    before = len(hub.record)
    rows = inspected(hub, "hf://alice")
    assert rows.keys() == {f"alice/{name}" for name in every_kind}
    assert not wrong(rows, every_kind)
    for name, kind in every_kind.items():
        sent = sum(one["sent"] for one in hub.record[before:] if f"alice/{name}/resolve/" in one["path"])
        assert (rows[f"alice/{name}"]["read"], rows[f"alice/{name}"]["size"] // 1000) == (sent, kind.size // 1000)
        assert sent < kind.size / 100, name
    assert {one["method"] for one in hub.record[before:]} == {"GET"}


@pytest.mark.long
def test_of_three_hundred_repositories_every_row_is_right_and_memory_stays_flat(hub, every_kind):
    for number in range(25):
        for name, kind in every_kind.items():
            kind.put(hub, f"alice/n{number:02}-{name}")
    before = len(hub.record)
    program = (
        "import resource, electra_convert.hub.account.survey as account\n"
        "of = account.look_at_repository\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "seen = []\n"
        "account.look_at_repository = lambda *asked: (of(*asked), seen.append(most()))[0]\n"
        "from electra_convert.cli import main\n"
        "try: main()\n"
        "finally: print(seen[59], seen[-1], file=__import__('sys').stderr)"
    )
    ran = hub.python(program, "inspect", "hf://alice", "--json")
    assert ran.code == 0, ran.err
    rows = {row["name"]: row for row in json.loads(ran.out)["models"]}
    assert len(rows) == 300
    assert not wrong(rows, every_kind)
    sent = sum(one["sent"] for one in hub.record[before:])
    assert sent < 25 * sum(kind.size for kind in every_kind.values()) / 100
    early, late = map(int, ran.err.split())
    assert late < 1.1 * early


def test_a_folder_has_the_rows_that_its_models_have_on_the_hub(hub, tmp_path, tiny):
    models = {
        "alice/good": tiny,
        "alice/bert": {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x" * 100},
        "alice/cut": {**tiny, "model.safetensors": tiny["model.safetensors"][:-1]},
        "alice/mnli": {path.name: path.read_bytes() for path in (FIXTURES / "finetuned" / "mnli").iterdir()},
    }
    models["alice/proposed"] = {**models["alice/mnli"], **tiny}
    for name, files in models.items():
        hub.put(name, files)
        (tmp_path / "models" / name).mkdir(parents=True)
        for file, content in files.items():
            (tmp_path / "models" / name / file).write_bytes(content)
    there, here = inspected(hub, "hf://alice"), inspected(hub, tmp_path / "models")
    own = {"commit", "size", "read"}
    for name in models:
        assert {**there[name], **dict.fromkeys(own)} == {**here[name], **dict.fromkeys(own)}
    assert [row["action"] for row in here.values()] == ["leave", "look", "nothing", "convert", "nothing"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "access to it has to be asked for"),
        ({"status": 429, "headers": {"Retry-After": "1"}}, "too many requests"),
        ({"status": 500}, "the Hub is in trouble"),
        ({"status": 404, "headers": {"X-Error-Code": "EntryNotFound"}}, "there is no such repository or revision"),
    ],
)
def test_a_repository_that_fails_is_a_row_with_its_error_and_stops_nothing(hub, tiny, fault, said):
    for name in ("a", "b", "c"):
        hub.put(f"alice/{name}", tiny)
    hub.order("status", "GET", "/alice/b/resolve/", times=999, **fault)
    rows = inspected(hub, "hf://alice")
    assert [row["action"] for row in rows.values()] == ["nothing", "look", "nothing"]
    assert said in rows["alice/b"]["error"]


def test_a_file_that_came_changed_is_an_error_of_its_row(hub, tiny):
    hub.put("alice/a", tiny)
    hub.order("edit", "GET", "/alice/a/resolve/.*/config.json", edit={"find": "hidden_size", "put": "hidden_sizE"})
    assert "with another hash than the Hub states" in inspected(hub, "hf://alice")["alice/a"]["error"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"find": '"vocab.txt"', "put": '"config.json/x.safetensors"'}, "cannot be laid out here"),
        ({"find": '"vocab.txt"', "put": '"../vocab.txt"'}, "which no file of a repository can be"),
        ({"find": '"vocab.txt"', "put": f'"{"x" * 300}.safetensors"'}, "cannot be laid out here"),
    ],
)
def test_a_listing_of_what_cannot_be_is_an_error_of_its_row(hub, tiny, edit, said):
    for name in ("a", "b"):
        hub.put(f"alice/{name}", tiny)
    hub.order("edit", "GET", "/api/models/alice/a/revision/", times=9, edit=edit)
    rows = inspected(hub, "hf://alice")
    assert said in rows["alice/a"]["error"]
    assert rows["alice/b"]["action"] == "nothing"


def test_what_nobody_foresaw_is_an_error_of_its_row(hub, tiny):
    for name in ("a", "b"):
        hub.put(f"alice/{name}", tiny)
    program = (
        "import electra_convert.hub.account.survey as account\n"
        "of = account.looked_at\n"
        "account.looked_at = lambda row, *more: 1 // 0 if row.name == 'alice/a' else of(row, *more)\n"
        "from electra_convert.cli import main; main()"
    )
    rows = json.loads(hub.python(program, "inspect", "hf://alice", "--json").out)["models"]
    assert [(row["action"], row["error"] and row["error"][:28]) for row in rows] == [
        ("look", "unexpected ZeroDivisionError"),
        ("nothing", None),
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"headers": {"Content-Range": "bytes 99-199/1000"}, "body": "x"}, "where a part was asked for"),
        ({"headers": {"Content-Range": "bytes 0-16383/99999"}, "body": "x"}, "1 bytes came, expected 16384"),
    ],
)
def test_a_part_that_was_not_asked_for_or_is_too_short_is_an_error_of_its_row(hub, tiny, answer, said):
    for name in ("a", "b"):
        hub.put(f"alice/{name}", tiny)
    hub.order("raw", "GET", "/a/resolve/.*/model.safetensors", times=9, status=206, **answer)
    rows = inspected(hub, "hf://alice")
    assert said in rows["alice/a"]["error"]
    assert rows["alice/b"]["action"] == "nothing"


@pytest.mark.parametrize("other", ["bob/b", "alice/../b"])
def test_a_listing_of_what_is_not_the_accounts_is_refused(hub, tiny, other):
    hub.put("alice/b", tiny)
    hub.order("edit", "GET", "/api/models", times=9, edit={"find": '"alice/b"', "put": f'"{other}"'})
    assert f"the Hub lists '{other}' among the models of alice" in hub.run("inspect", "hf://alice").refusal()


def test_a_repository_that_is_listed_twice_is_looked_at_once(hub, tiny):
    for name in ("a", "b"):
        hub.put(f"alice/{name}", tiny)
    hub.order("edit", "GET", "/api/models", edit={"find": '"alice/b"', "put": '"alice/a"'})
    ran = hub.run("inspect", "hf://alice", "--csv")
    assert [row["name"] for row in csv.DictReader(StringIO(ran.out))] == ["alice/a"]


def test_what_contradicts_itself_is_no_model_as_it_should_be(hub, tiny):
    def config(**changed):
        return {**tiny, "config.json": json.dumps({**json.loads(tiny["config.json"]), **changed}).encode()}

    models = {
        "elsewhere": {f"discriminator/{name}": content for name, content in tiny.items()},
        "other_class": config(architectures=["ElectraForMaskedLM"]),
        "type_in_a_list": config(model_type=["electra"]),
        "unstated": {"model.safetensors": tiny["model.safetensors"]},
    }
    for name, files in models.items():
        own = {place: content for place, content in files.items() if "conversion.json" not in place}
        hub.put(f"alice/{name}", own)
    rows = inspected(hub, "hf://alice")
    found = [(row["action"], row["why"][-1]) for row in rows.values()]
    assert found == [
        ("by hand", "from_pretrained loads it only with subfolder=, its folder"),
        (
            "convert",
            "config.json names the class ElectraForMaskedLM, and its tensors are those of ElectraForPreTraining",
        ),
        ("leave", "it is no ELECTRA model: config.json says ['electra']"),
        (
            "by hand",
            "nothing says its hidden_act and num_attention_heads: convert it with --hparams or --config",
        ),
    ]


def test_what_a_file_says_is_no_formula_in_csv_and_no_wider_than_a_name(hub, tiny):
    settings = json.loads(tiny["tokenizer_config.json"])
    for name, said in {"formula": '=HYPERLINK("http://a,b")', "wide": "A" * 5000}.items():
        named = json.dumps({**settings, "tokenizer_class": said}).encode()
        hub.put(f"alice/{name}", {**tiny, "tokenizer_config.json": named})
    rows = list(csv.DictReader(StringIO(hub.run("inspect", "hf://alice", "--csv").out)))
    assert [row["tokenizer"] for row in rows] == ['\'=HYPERLINK("http://a,b")', "A" * 80]


def test_errors_of_a_folder_keep_their_words_whatever_it_is_called(tmp_path, monkeypatch):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n"
    for name in ("lfs", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text(pointer)
    monkeypatch.chdir(tmp_path)
    said = "model.safetensors is a Git LFS pointer, which stands for a file that was not downloaded"
    for row in survey(".").rows:
        assert (row.error, *row.why) == (said, "Run git lfs pull in the repository, or download the file itself.")
    monkeypatch.chdir(tmp_path / "lfs")
    assert [(row.name, row.error) for row in survey(".").rows] == [(".", said)]


def test_a_private_repository_is_seen_by_those_who_may(hub, tiny):
    hub.put("alice/open", tiny)
    hub.put("alice/own", tiny, private=True)
    assert list(inspected(hub, "hf://alice")) == ["alice/open", "alice/own"]
    assert list(inspected(hub, "hf://alice", HF_TOKEN=None)) == ["alice/open"]


def test_an_account_without_models_is_an_error(hub):
    ran = hub.run("inspect", "hf://nobody")
    assert ran.refusal().startswith("Error: hf://nobody has no models that can be seen")


def test_the_table_tells_what_is_to_be_done_and_why_and_csv_has_a_line_each(hub, tiny):
    hub.put("alice/good", tiny)
    hub.put("alice/bert", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"})
    ran = hub.run("inspect", "hf://alice")
    assert "alice/good  safetensors  ElectraForPreTraining  ElectraTokenizer, up to 128  none   nothing" in ran.out
    assert "alice/bert: it is no ELECTRA model: config.json says bert" in ran.out
    assert ran.out.endswith("nothing: 1, leave: 1.\n")
    ran = hub.run("inspect", "hf://alice", "--csv")
    rows = list(csv.DictReader(StringIO(ran.out)))
    assert [(row["name"], row["action"], row["pieces"]) for row in rows] == [
        ("alice/bert", "leave", ""),
        ("alice/good", "nothing", "1500"),
    ]


def test_a_proof_counts_only_for_the_files_that_it_is_of(hub, tiny, discriminator):
    parity = (discriminator / "parity.json").read_bytes()
    hub.put("alice/proved", {**tiny, "parity.json": parity})
    hub.put("alice/changed", {**tiny, "config.json": tiny["config.json"] + b"\n", "parity.json": parity})
    rows = inspected(hub, "hf://alice")
    assert (rows["alice/proved"]["proof"], rows["alice/changed"]["proof"]) == ("verified", "of other files")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("hf://alice", "--check"), 2, "--check is for one model"),
        (("hf://alice", "--csv", "--json"), 2, "--json and --csv are both given"),
        (("hf://alice/a@main/b", "--csv"), 2, "is one place in a repository"),
        ((FIXTURES / "corpus", "--csv"), 1, "holds no models"),
    ],
)
def test_what_makes_no_sense_is_refused(hub, arguments, code, said):
    assert said in hub.run("inspect", *arguments).refusal(code)


def test_a_hub_that_answers_with_whole_files_is_read_as_far_as_is_needed_or_refused(hub, tiny):
    hub.put("alice/a", {**tiny, "model.safetensors": tiny["model.safetensors"]})
    hub.order("unranged", "GET", "/resolve/", times=999)
    assert inspected(hub, "hf://alice")["alice/a"]["action"] == "nothing"
