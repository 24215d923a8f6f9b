"""A card that is on the Hub already: its words go into the new one, or the upload is refused; none is lost."""

from __future__ import annotations

import json

import pytest
from support.fake_hub.process import commits

pytestmark = pytest.mark.slow

THEIRS = "---\nlicense: mit\n---\n# Theirs\n\nWords that took a day.\n"


def card_on_hub(hub, name: str, revision: str = "main") -> str:
    fetch = (
        "import sys, huggingface_hub as h\n"
        "print(open(h.hf_hub_download(sys.argv[1], 'README.md', revision=sys.argv[2])).read())"
    )
    return hub.python(fetch, name, revision).out


@pytest.mark.parametrize("options", [(), ("--revision", "next"), ("--create-pr",)])
def test_without_a_card_here_that_on_the_hub_is_completed(hub, generator, options):
    hub.put("alice/small", {"README.md": THEIRS})
    ran = hub.run("upload", "alice/small", generator, "--json", *options)
    assert ran.code == 0, ran.err
    revision = json.loads(ran.out)["uploads"][0]["revision"]
    text = card_on_hub(hub, "alice/small", revision)
    assert "# Theirs\n\nWords that took a day.\n" in text
    assert "license: mit\n" in text
    assert "electra_convert:verification" in text
    assert (generator / "README.md").read_text() == text.removesuffix("\n")
    assert "no commit" in hub.run("upload", "alice/small", generator, *options).out


def test_a_card_there_that_states_a_licence_and_nothing_else_gets_every_section(hub, generator):
    hub.put("alice/small", {"README.md": "---\nlicense: mit\n---\n"})
    assert hub.run("upload", "alice/small", generator).code == 0
    text = card_on_hub(hub, "alice/small")
    assert text.startswith("---\nlicense: mit\n")
    assert "# small\n\n<!-- electra_convert:model -->" in text


@pytest.mark.parametrize("options", [(), ("--revision", "next"), ("--create-pr",), ("--dry-run",)])
def test_a_card_here_that_lacks_lines_of_the_one_there_is_refused_with_what_to_do(hub, generator, options):
    hub.put("alice/small", {"README.md": THEIRS})
    (generator / "README.md").write_text("# Mine\n")
    before = len(commits(hub, "alice/small"))
    said = hub.run("upload", "alice/small", generator, "-q", *options).refusal()
    assert "has lines that the card here has not: 'license: mit', '# Theirs', 'Words that took a day.'" in said
    assert f"hf download alice/small README.md --revision main --local-dir {generator}" in said
    assert len(commits(hub, "alice/small")) == before
    assert (generator / "README.md").read_text() == "# Mine\n"


def test_lines_may_go_when_asked_and_their_card_is_not_taken_over_then(hub, generator):
    hub.put("alice/small", {"README.md": THEIRS})
    assert hub.run("upload", "alice/small", generator, "--overwrite-card").code == 0
    assert "Words that took a day" not in card_on_hub(hub, "alice/small")


def test_a_card_here_with_every_line_of_the_one_there_and_more_goes(hub, generator):
    hub.put("alice/small", {"README.md": THEIRS})
    (generator / "README.md").write_text(f"{THEIRS}\r\nMine.\r\n")
    assert hub.run("upload", "alice/small", generator).code == 0
    assert "Mine." in card_on_hub(hub, "alice/small")


def test_words_added_to_an_open_pull_request_are_kept_too(hub, generator):
    hub.put("bob/small", {"NOTES.md": "x"})
    assert hub.run("upload", "bob/small", generator, "--create-pr").code == 0
    text = (generator / "README.md").read_text()
    edit = (
        "import sys, huggingface_hub as h\n"
        "h.HfApi().upload_file(path_or_fileobj=sys.argv[1].encode(), path_in_repo='README.md',"
        " repo_id='bob/small', revision='refs/pr/1')\n"
    )
    assert hub.python(edit, f"{text}\nA reviewer's words.\n").code == 0
    said = hub.run("upload", "bob/small", generator, "--create-pr", "-q").refusal()
    assert 'README.md of bob/small at refs/pr/1 has lines that the card here has not: "A reviewer\'s words."' in said
    (generator / "README.md").unlink()
    assert hub.run("upload", "bob/small", generator, "--create-pr").code == 0
    assert "A reviewer's words." in card_on_hub(hub, "bob/small", "refs/pr/1")


def test_a_card_written_there_while_the_files_are_sent_is_not_replaced(hub, generator):
    hub.put("alice/small", {"NOTES.md": "x"})
    program = (
        "import sys\nfrom electra_convert.hub import upload\nbefore = upload.save_card\n"
        "def save(card):\n"
        "    import huggingface_hub as h\n"
        "    h.HfApi().upload_file(path_or_fileobj=b'# Late', path_in_repo='README.md', repo_id='alice/small')\n"
        "    return before(card)\n"
        "upload.save_card = save\n"
        "from electra_convert.cli import main; main()\n"
    )
    said = hub.python(program, "upload", "alice/small", generator, "-q").refusal()
    assert "README.md of alice/small was changed meanwhile" in said
    assert card_on_hub(hub, "alice/small") == "# Late\n"
