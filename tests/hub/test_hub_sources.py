"""hf:// as a source: only what is needed comes here, from any kind of repository, and offline from the cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run, run_program
from support.fake_hub.process import ALICE, BOB, FakeHub

from electra_convert.errors import UsageError
from electra_convert.hub.download import as_source, parse_address

pytestmark = pytest.mark.slow

PUSH = (
    "import sys, huggingface_hub as h\n"
    "h.create_repo(sys.argv[1], exist_ok=True)\n"
    "h.upload_folder(repo_id=sys.argv[1], folder_path=sys.argv[2])"
)


def push(hub: FakeHub, name: str, folder: Path, **environment: str) -> None:
    """Put a folder on the Hub as anybody would."""
    ran = hub.python(PUSH, name, folder, **environment)
    assert ran.code == 0, ran.err


def fetched(hub: FakeHub) -> set[str]:
    return {path.partition("/resolve/")[2].partition("/")[2] for path in hub.requests("GET", "/resolve/")}


def report(hub: FakeHub, source: str, **environment) -> dict:
    ran = hub.run("inspect", source, "--json", **environment)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def contents(folder: Path) -> dict[str, bytes | dict]:
    """What a folder holds; of records all but where on the Hub the source lay, and the sum over them."""
    found: dict[str, bytes | dict] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.name == "conversion.json":
            record = json.loads(path.read_text())
            del record["sha256"]
            record["provenance"] = {key: record["provenance"][key] for key in ("files", "options")}
            found[name] = record
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def place(pair: Path) -> dict[str, str]:
    """Where on the Hub the source of a pair lay, by its record."""
    provenance = json.loads((pair / "generator" / "conversion.json").read_text())["provenance"]
    return {key: value for key, value in provenance.items() if key not in {"files", "options"}}


def test_a_tensorflow_checkpoint_is_converted_from_the_hub_and_proposed_back(hub, golden_copy, tmp_path):
    source, out, here = golden_copy(), tmp_path / "out", tmp_path / "here"
    push(hub, "alice/run", source)
    ran = hub.run("convert", "hf://alice/run", out, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["source"] == "hf://alice/run"
    assert hub.run("convert", source, here, "-q").code == 0
    assert contents(out) == contents(here)
    (commit,) = (one["oid"] for one in hub.repositories["alice/run"]["commits"][-1:])
    assert place(out) == {"repository": "alice/run", "commit": commit, "path": ""}
    assert place(here) == {}
    ran = hub.run("upload", "alice/run", out / "discriminator", "--create-pr", "--unverified", "--json")
    assert json.loads(ran.out)["uploads"][0]["url"].endswith("/alice/run/discussions/1")
    assert report(hub, "hf://alice/run@refs/pr/1")["format"] == "safetensors"


def test_a_repository_of_pickles_becomes_safetensors_and_goes_back_as_a_pull_request(hub, converted, tmp_path):
    folder = converted("pickled", to="torch")
    push(hub, "bob/old", folder, HF_TOKEN=BOB)
    out = tmp_path / "safe"
    assert hub.run("convert", "hf://bob/old", out, "--to", "safetensors", "-q").code == 0
    ran = hub.run("upload", "bob/old", out, "--create-pr", "--unverified", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["uploads"][0]["url"].endswith("/bob/old/discussions/1")
    assert report(hub, "hf://bob/old@refs/pr/1")["format"] == "safetensors"
    [_, pushed, proposed] = hub.repositories["bob/old"]["commits"]
    assert hub.repositories["bob/old"]["refs"] == {"main": pushed["oid"], "refs/pr/1": proposed["oid"]}


def test_only_what_is_needed_is_downloaded(any_hub, generator):
    (generator / "pytorch_model.bin").write_bytes(b"not read" * 100)
    (generator / "tf_model.h5").write_bytes(b"not read either")
    (generator / "notes.md").write_text("nor this")
    push(any_hub, "alice/mixed", generator)
    assert report(any_hub, "hf://alice/mixed")["slots"] == "full"
    assert not fetched(any_hub) & {"pytorch_model.bin", "tf_model.h5", "notes.md", ".gitattributes"}


def test_what_is_too_large_to_be_carried_is_not_downloaded(hub, generator, tmp_path):
    (generator / "large.json").write_bytes(b" " * ((1 << 20) + 1))
    (generator / "small.json").write_text("[]")
    (generator / "own.py").write_text("")
    push(hub, "alice/beside", generator)
    assert hub.run("convert", "hf://alice/beside", tmp_path / "out", "--to", "safetensors", "-q").code == 0
    assert (tmp_path / "out" / "small.json").read_text() == "[]"
    assert not fetched(hub) & {"large.json", "own.py"}


def test_a_checkpoint_beside_a_model_does_not_confuse(hub, generator, golden_copy):
    folder = golden_copy()
    push(hub, "alice/both", folder)
    push(hub, "alice/both", generator)
    assert report(hub, "hf://alice/both")["format"] == "safetensors"
    assert report(hub, "hf://alice/both/model.ckpt-4000")["format"] == "tensorflow"


def test_a_pair_in_one_repository_and_a_folder_of_one_are_sources_too(hub, pair):
    push(hub, "alice/pair", pair)
    assert list(report(hub, "hf://alice/pair")["models"]) == ["discriminator", "generator"]
    assert list(report(hub, "hf://alice/pair/generator")["models"]) == ["generator"]
    assert list(report(hub, "hf://alice/pair@main/generator/")["models"]) == ["generator"]


def test_the_generator_that_goes_with_a_discriminator_may_be_on_the_hub_as_well(hub, pair, tmp_path):
    assert hub.run("upload", "alice/tiny", pair, "--include-optimizer", "-q").code == 0
    sources = ["hf://alice/tiny-discriminator", tmp_path / "run", "--generator", "hf://alice/tiny-generator"]
    assert hub.run("convert", *sources, "--optimizer", "-q").code == 0
    data = "model.ckpt-4000.data-00000-of-00001"
    assert (tmp_path / "run" / data).read_bytes() == (FIXTURES / "default" / data).read_bytes()


def test_what_was_downloaded_once_is_there_offline(any_hub, generator, tmp_path):
    push(any_hub, "alice/small", generator)
    online = report(any_hub, "hf://alice/small")
    before = len(any_hub.record)
    assert report(any_hub, "hf://alice/small", HF_HUB_OFFLINE="1") == online
    ran = any_hub.run("convert", "hf://alice/small", tmp_path / "out", "-q", HF_HUB_OFFLINE="1")
    assert (ran.code, len(any_hub.record)) == (0, before)


def test_what_was_not_downloaded_is_refused_offline(hub, generator):
    push(hub, "alice/small", generator)
    said = hub.run("inspect", "hf://alice/small", HF_HUB_OFFLINE="1").refusal()
    assert "hf://alice/small is not in huggingface_hub's cache, and HF_HUB_OFFLINE is set" in said


def test_everything_that_does_not_upload_works_offline(hub, pair, tmp_path):
    for arguments in (
        ["inspect", pair, "-q"],
        ["convert", pair, tmp_path / "back", "-q"],
        ["card", pair, "--repo-id", "alice/tiny", "--license", "mit", "--language", "en"],
        ["upload", "alice/tiny", pair, "--dry-run"],
    ):
        ran = hub.run(*arguments, HF_HUB_OFFLINE="1")
        assert (ran.code, ran.err) == (0, ""), ran
    assert "not looked up (offline)" in ran.out
    assert hub.record == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://datasets/alice/small", "is a dataset, expected a model"),
        ("hf://alice", "electra-convert inspect hf://alice shows all of an account."),
        ("hf://", "is not a place on the Hub"),
        ("hf://alice/small@", "is not a place on the Hub"),
        ("hf://alice/small/../../etc", "leaves the repository"),
        ("https://huggingface.co/alice/small/tree/main", "Give it as hf://alice/small."),
        ("http://huggingface.co", "Give it as hf://OWNER/REPO."),
    ],
)
def test_what_is_no_place_of_a_model_is_wrong_usage(tmp_path, source, said):
    refusal = run("convert", source, tmp_path / "out").refusal(2)
    assert said in refusal
    assert source in refusal


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://alice/nothing", "no such repository"),
        ("hf://alice/small@no-such-branch", "it has no such revision"),
        ("hf://alice/small/no/such/folder", "holds no checkpoint that can be read"),
        ("hf://alice/empty", "holds no checkpoint that can be read"),
    ],
)
def test_what_is_not_on_the_hub_is_told(hub, source, said):
    hub.put("alice/small", {"config.json": "{}", "model.safetensors": "", "tf_model.h5": ""})
    hub.put("alice/empty", {"rust_model.ot": "", "README.md": ""})
    refusal = hub.run("inspect", source).refusal()
    assert said in refusal
    assert source in refusal
    if source.endswith("empty"):
        assert "It holds .gitattributes, README.md, rust_model.ot." in refusal


def test_a_repository_that_is_private_is_read_by_its_owner_alone(hub, generator):
    hub.put("alice/small", {}, private=True)
    push(hub, "alice/small", generator)
    assert report(hub, "hf://alice/small")
    for token in (BOB, None):
        assert "no such repository" in hub.run("inspect", "hf://alice/small", HF_TOKEN=token).refusal()


def test_a_download_that_breaks_off_is_resumed(hub, generator):
    push(hub, "alice/small", generator)
    hub.order("cut", "GET", "model.safetensors", after=200_000)
    assert report(hub, "hf://alice/small")


def test_a_full_disk_is_told_and_leaves_nothing_that_is_taken_for_a_model(any_hub, generator):
    push(any_hub, "alice/small", generator)
    limited = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from electra_convert.cli import main; main()"
    )
    said = any_hub.python(limited, "inspect", "hf://alice/small").refusal()
    assert "downloading hf://alice/small: the disk is full (File too large)" in said
    assert "HF_HOME" in said
    assert not list(any_hub.home.rglob("snapshots/*/model.safetensors"))
    assert report(any_hub, "hf://alice/small")


def test_a_slash_too_many_or_too_few_is_a_path_and_not_the_hub(hub, tmp_path):
    assert "hf:/alice/small does not exist" in hub.run("inspect", "hf:/alice/small").refusal()
    assert hub.record == []


def test_a_python_caller_gives_the_same_address(hub, generator):
    push(hub, "alice/small", generator)
    program = "from electra_convert import inspect; print(inspect('hf://alice/small').source)"
    assert hub.python(program).out == "hf://alice/small\n"


def test_without_the_hubs_client_the_extra_is_named(tmp_path):
    program = (
        "import sys\nsys.modules['huggingface_hub'] = None\nfrom electra_convert.cli import main\n"
        "main([sys.argv[1], *sys.argv[2:]])"
    )
    for arguments in (["inspect", "hf://a/b"], ["upload", "a/b", FIXTURES / "default"]):
        said = run_program(program, *arguments).refusal()
        assert "pip install 'electra-convert[hub]'" in said


def test_either_side_of_verify_may_be_on_the_hub_and_is_called_by_its_place(hub, golden_copy, converted, tmp_path):
    push(hub, "alice/run", golden_copy())
    push(hub, "alice/gen", converted("made"))
    ran = hub.run("verify", "hf://alice/run", "hf://alice/gen", "--weights-only", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert (found["reference"]["path"], found["candidate"]["path"]) == ("hf://alice/run", "hf://alice/gen")
    assert (found["reference"]["name"], found["verdict"]) == ("hf://alice/run", "same")


def test_a_model_on_the_hub_is_demonstrated(hub, pair):
    push(hub, "alice/pair", pair)
    ran = hub.run("demo", "hf://alice/pair", "the value of the name", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["model"] == "hf://alice/pair"


def test_what_convert_verified_is_uploaded_and_is_the_same_when_it_comes_back(hub, golden_copy, tmp_path):
    source, pair = "hf://alice/run@main", tmp_path / "pair"
    push(hub, "alice/run", golden_copy())
    ran = hub.run("convert", source, pair, "--verify", "-q")
    assert ran.code == 0, ran.err
    ran = hub.run("upload", "alice/electra", pair, "--private", "--json")
    assert (ran.code, ran.err) == (0, ""), ran
    for role in ("discriminator", "generator"):
        back = f"hf://alice/electra-{role}"
        assert f"electra-convert verify {source} {back}\n" in (pair / role / "README.md").read_text()
        ran = hub.run("verify", source, back, "--weights-only", "--json")
        assert (ran.code, json.loads(ran.out)["verdict"]) == (0, "same")
    recorded = FIXTURES / "default" / "golden.npz"
    ran = hub.run("verify", "--golden", recorded, "hf://alice/electra-discriminator", "--json")
    assert (ran.code, json.loads(ran.out)["verdict"]) == (0, "same")


READ = """
import sys
from electra_convert import convert, inspect, load_state_dict, open_checkpoint

token, out = sys.argv[1:]
place = {"revision": "refs/pr/1", "token": token, "subfolder": "models"}
found = inspect("hf://alice/run", **place)
print(found.source, found.format)
print(convert("hf://alice/run", out, model="generator", **place).source)
print(len(load_state_dict("hf://alice/run", "generator", **place)))
with open_checkpoint("hf://alice/run/models", revision="refs/pr/1", token=token) as checkpoint:
    print(checkpoint.format)
"""


def test_a_program_names_a_revision_and_a_folder_and_brings_its_own_token(hub, golden_copy, tmp_path):
    (tmp_path / "sent").mkdir()
    golden_copy().rename(tmp_path / "sent" / "models")
    hub.put("alice/run", {}, private=True)
    proposed = PUSH.replace("sys.argv[2])", "sys.argv[2], create_pr=True)")
    assert hub.python(proposed, "alice/run", tmp_path / "sent").code == 0
    ran = hub.python(READ, ALICE, tmp_path / "out", HF_TOKEN=None, HF_HUB_DISABLE_PROGRESS_BARS="1")
    assert (ran.code, ran.err) == (0, "")
    address = "hf://alice/run@refs/pr/1/models"
    assert ran.out.split() == [address, "tensorflow", address, "42", "tensorflow"]
    ran = hub.python(READ, "hf_AnotherToken", tmp_path / "out", HF_TOKEN=None)
    assert "hf_AnotherToken" not in ran.err
    assert ran.code == 1


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("hf://alice/run@main", {"revision": "main"}, "names a revision, and so does revision='main'"),
        ("hf://alice/run", {"subfolder": "../other"}, "leaves the repository"),
        ("hf://datasets/alice/run", {"revision": "main"}, "is a dataset, expected a model"),
        ("alice/run", {"revision": "main", "token": "secret"}, "alone has a revision and a token"),
    ],
)
def test_a_place_on_the_hub_is_named_once_and_there_alone(source, options, said):
    with pytest.raises(UsageError, match=said):
        parse_address(str(as_source(source, **options)))


@pytest.mark.parametrize(
    ("source", "options", "address"),
    [
        ("hf://alice/run", {}, "hf://alice/run"),
        ("hf:alice/run", {}, "hf://alice/run"),
        ("hf:alice/run@v1", {"subfolder": "a"}, "hf://alice/run@v1/a"),
        ("hf://alice/run", {"token": "secret"}, "hf://alice/run"),
        ("hf://alice/run", {"revision": "v1"}, "hf://alice/run@v1"),
        ("hf://alice/run", {"revision": "feature/x"}, "hf://alice/run@feature%2Fx"),
        ("hf://alice/run@v1", {"subfolder": "a/b/"}, "hf://alice/run@v1/a/b"),
        ("hf://models/alice/run@v1/a", {"subfolder": "b"}, "hf://alice/run@v1/a/b"),
        ("hf://alice/run/a", {"revision": "refs/pr/2", "subfolder": "b"}, "hf://alice/run@refs/pr/2/a/b"),
    ],
)
def test_what_is_given_beside_an_address_becomes_part_of_it(source, options, address):
    assert as_source(source, **options) == address
    assert parse_address(address).revision == options.get("revision", parse_address(str(as_source(source))).revision)


START = (
    "import sys\n"
    "from electra_convert.hub.download import local_source\n"
    "from electra_convert.pretraining.options import PretrainOptions\n"
    "from electra_convert.pretraining.starting.start import opened\n"
    "one, other = map(local_source, sys.argv[1:])\n"
    "with opened(None, PretrainOptions(init_from=one, init_generator=other)) as start:\n"
    "    print(*start.told)\n"
)


def test_pretraining_starts_from_two_repositories_and_knows_them_by_their_names(hub, pair):
    for role in ("discriminator", "generator"):
        push(hub, f"alice/small-{role}", pair / role)
    ran = hub.python(START, "hf://alice/small-discriminator", "hf://alice/small-generator")
    assert ran.code == 0, ran.err
    assert ran.out == (
        "The discriminator is that of hf://alice/small-discriminator, the generator that of "
        "hf://alice/small-generator.\n"
    )
