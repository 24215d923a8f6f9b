"""What is not uploaded: refused with what to do, before anything is sent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.command_line import run
from support.fake_hub.process import BOB, READER, FakeHub, commits, writes
from support.parity_records import write_training

pytestmark = pytest.mark.slow


def refusal(hub: FakeHub, *arguments: str | Path, **environment: str | None) -> str:
    said = hub.run("upload", *arguments, "-q", **environment).refusal()
    assert writes(hub) == []
    return said


def test_without_a_token_there_is_no_upload(hub, generator):
    assert "there is no token" in refusal(hub, "alice/small", generator, HF_TOKEN=None)


def test_a_token_that_can_only_read_is_refused(hub, generator):
    assert "the token can only read" in refusal(hub, "alice/small", generator, HF_TOKEN=READER)


def test_a_token_that_is_not_valid_is_refused(hub, generator):
    assert "does not accept the token" in refusal(hub, "alice/small", generator, HF_TOKEN="hf_nobody")


def test_a_card_that_the_hub_does_not_accept_is_refused(hub, generator):
    (generator / "README.md").write_text("---\npipeline_tag: juggling\n---\n# Mine\n")
    said = refusal(hub, "alice/small", generator)
    assert '"pipeline_tag" is not one of the known tasks' in said
    assert "README.md" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--license", "made-up"], '"license" must be one of the listed ones'),
        (["--language", "xx"], '"language" with value'),
    ],
)
def test_a_licence_or_language_that_the_hub_does_not_know_is_refused_by_it(hub, generator, options, said):
    assert said in refusal(hub, "alice/small", generator, *options)
    assert not (generator / "README.md").exists()


def test_a_licence_in_capitals_goes_as_the_hub_lists_it(hub, generator):
    assert hub.run("upload", "alice/small", generator, "--license", "MIT", "--language", "EN").code == 0
    assert "license: mit\nlanguage:\n- en\n" in (generator / "README.md").read_text()


@pytest.mark.parametrize("token", [READER, None])
def test_without_the_network_the_upload_is_refused_plainly(hub, generator, token):
    said = refusal(hub, "alice/small", generator, HF_HUB_OFFLINE="1", HF_TOKEN=token)
    assert "HF_HUB_OFFLINE is set" in said


def test_an_unverified_model_is_refused_and_goes_with_a_word_about_it(hub, generator):
    (generator / "parity.json").unlink()
    assert "has no parity.json" in refusal(hub, "alice/small", generator)
    ran = hub.run("upload", "alice/small", generator, "--unverified")
    assert ran.code == 0
    assert "**Not verified.**" in (generator / "README.md").read_text()
    assert commits(hub, "alice/small")[-1]["message"].startswith("Not verified against the model")


def test_a_model_that_was_pretrained_here_needs_no_parity(hub, generator):
    write_training(generator, corpus={"name": "prose"})
    assert hub.run("upload", "alice/small", generator).code == 0
    card = (generator / "README.md").read_text()
    assert "| `corpus.name` | `prose` |" in card
    assert "pretrained with electra_convert, not converted" in card
    assert "model.safetensors" not in card


def test_one_half_that_is_not_verified_keeps_the_other_back_too(hub, pair):
    (pair / "generator" / "parity.json").unlink()
    assert "has no parity.json" in refusal(hub, "alice/tiny", pair)


@pytest.mark.parametrize("name", ["small", "alice/", "alice/a/b", "alice/sm all", "alice/--", "alice/" + "x" * 97])
def test_a_name_that_no_repository_can_have_is_wrong_usage(generator, name):
    assert "is not the name of a repository" in run("upload", name, generator, "-q").refusal(2)


def test_a_tensorflow_checkpoint_is_not_uploaded(hub, golden_copy):
    assert "holds a TensorFlow checkpoint" in refusal(hub, "alice/small", golden_copy())


def test_the_namespace_of_another_is_refused_with_what_to_do(hub, generator):
    hub.put("alice/small", {})
    said = hub.run("upload", "alice/small", generator, "-q", HF_TOKEN=BOB).refusal()
    assert "the token may not do it (403" in said
    assert "--create-pr" in said


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "notaurl",
        "ftp://host",
        "http://",
        "http://[::1",
        "http://me:geheim@h:x",
    ],
)
def test_a_hub_whose_address_is_none_is_wrong_usage(hub, generator, endpoint):
    for command in (("upload", "alice/small", generator), ("inspect", "hf://alice/small")):
        said = hub.run(*command, HF_ENDPOINT=endpoint).refusal(2)
        assert "HF_ENDPOINT is " in said
        assert "https://huggingface.co" in said
        assert "geheim" not in said


@pytest.mark.parametrize("command", [["upload", "alice/small"], ["card"]])
def test_a_folder_on_the_hub_is_wrong_usage(command):
    said = run(*command, "hf://alice/other").refusal(2)
    assert "which is on the Hub, expected a folder here" in said
    assert "Convert it first" in said


def test_a_file_that_changes_while_it_is_sent_is_found_out(hub, generator, tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom electra_convert.hub import upload\n"
        "folder = Path(sys.argv[1])\nbefore = upload.create\n"
        "def create(*given):\n"
        "    with (folder / 'vocab.txt').open('a') as file: file.write('late\\n')\n"
        "    return before(*given)\n"
        "upload.create = create\nsys.argv[1:] = ['upload', 'alice/small', str(folder), '-q']\n"
        "from electra_convert.cli import main; main()\n"
    )
    assert "does not hold what was to be sent: vocab.txt" in hub.python(program, generator).refusal()


def test_a_folder_may_come_and_go_and_nothing_but_the_card_is_added_to_it(hub, generator, tmp_path):
    before = tmp_path / "before"
    shutil.copytree(generator, before)
    assert hub.run("upload", "alice/small", generator).code == 0
    names = {path.name for path in generator.iterdir()}
    assert names == {path.name for path in before.iterdir()} | {"README.md"}
    assert all((before / name).read_bytes() == (generator / name).read_bytes() for name in names - {"README.md"})
