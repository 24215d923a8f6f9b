"""The card: what it says is what the folder holds, a reader's code runs, and what a user wrote stays."""

from __future__ import annotations

import json
import re

import pytest
from huggingface_hub import ModelCard
from support.command_line import run
from support.fake_hub.metadata import faults_of
from support.parity_records import write_parity
from support.records import rewrite

from electra_convert import write_card
from electra_convert.errors import CardError, OutputError, UsageError

pytestmark = pytest.mark.slow

SECTIONS = ["model", "use", "conversion", "verification", "tokenizer", "limits"]


def text_of(folder, **given) -> str:
    [card] = write_card(folder, **given)
    assert (folder / "README.md").read_text() == card.text
    return card.text


def sections(text: str) -> list[str]:
    return re.findall(r"<!-- electra_convert:(\w+) -->", text)


def test_a_pair_gets_a_card_each_that_names_the_other(pair):
    cards = write_card(pair, "alice/tiny", "apache-2.0", "en")
    assert [card.path for card in cards] == [pair / role / "README.md" for role in ("discriminator", "generator")]
    assert "[alice/tiny-generator](https://huggingface.co/alice/tiny-generator)" in cards[0].text
    assert "[alice/tiny-discriminator](https://huggingface.co/alice/tiny-discriminator)" in cards[1].text
    assert [sections(card.text) for card in cards] == [SECTIONS, SECTIONS]


def test_the_front_matter_says_what_follows_from_the_model(pair):
    discriminator, generator = (ModelCard(card.text).data for card in write_card(pair, "alice/tiny", "mit", ["en"]))
    assert discriminator.library_name == generator.library_name == "transformers"
    assert discriminator.pipeline_tag is None
    assert discriminator.tags == ["electra", "replaced-token-detection"]
    assert (generator.pipeline_tag, generator.tags) == ("fill-mask", ["electra"])
    assert all(not faults_of((pair / role / "README.md").read_text()) for role in ("discriminator", "generator"))


def test_the_card_says_what_the_files_say(discriminator):
    text = text_of(discriminator)
    config = json.loads((discriminator / "config.json").read_text())
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "embedding_size"):
        assert f"| {config[key]} |" in text
    assert "(`model.ckpt-4000` at step 4,000) by electra_convert 0.1.0" in text.replace("\\_", "_")
    assert "uncased: texts are lower-cased. Accents are stripped." in text
    assert "| layer 2 | 2.9e-06 | 1.9e-07 | 3.1e-07 | 1.0000000 | 0.0001 |" in text
    assert "All 43 weights are equal bit for bit." in text
    assert "electra-convert verify model.ckpt-4000 ." in text


@pytest.mark.parametrize(
    ("reference", "command"),
    [
        ({"name": "golden.npz", "format": "npz"}, "verify --golden golden.npz ."),
        ({"name": "hf://google/run@refs/pr/1", "format": "tensorflow"}, "verify hf://google/run@refs/pr/1 ."),
        ({"name": "my run", "format": "tensorflow"}, "verify 'my run' ."),
    ],
)
def test_the_comparison_is_made_again_by_the_command_that_the_card_names(discriminator, reference, command):
    write_parity(discriminator, reference=reference)
    assert f"electra-convert {command}\n" in text_of(discriminator)


def test_the_name_on_the_hub_is_in_the_code(pair):
    text = write_card(pair, "alice/tiny")[0].text
    assert 'name = "alice/tiny-discriminator"' in text
    assert "electra-convert verify model.ckpt-4000 hf://alice/tiny-discriminator" in text


def test_the_source_files_are_listed_and_whoever_has_them_can_repeat_the_conversion(pair):
    text = write_card(pair, "alice/tiny")[0].text
    digest = "48adeba1ba8e83621a13e387b9dc94ad95e4d8f9be4db4d2fa2e8b57f71a757c"
    assert f"| `model.ckpt-4000.data-00000-of-00001` | 2,238,692 | `{digest}` |\n" in text
    assert "electra-convert verify hf://alice/tiny-discriminator --source model.ckpt-4000\n" in text
    (pair / "generator" / "parity.json").unlink()
    assert "electra-convert verify . --source model.ckpt-4000\n" in text_of(pair / "generator")


def test_of_a_source_on_the_hub_the_card_has_the_commit_and_the_command_needs_no_more(generator):
    place = {"repository": "alice/run", "commit": "c" * 40, "path": "one"}
    rewrite(generator, lambda record: record["provenance"].update(place))
    text = write_card(generator, "alice/tiny")[0].text
    assert f"Source: `hf://alice/run@{'c' * 40}/one`\n" in text
    assert "electra-convert verify hf://alice/tiny\n" in text


def test_a_hash_that_parity_json_has_alone_is_on_the_card_too(generator):
    data = "model.ckpt-4000.data-00000-of-00001"
    row = {"name": data, "size": 2238692, "sha256": None}
    rewrite(generator, lambda record: record["provenance"].update(files=[row]))
    write_parity(generator)
    assert f"| `{data}` | 2,238,692 |  |\n" in text_of(generator)
    write_parity(generator, provenance={"files": [{**row, "sha256": "a" * 64}]})
    assert f"| `{data}` | 2,238,692 | `{'a' * 64}` |\n" in text_of(generator)


def test_a_record_of_an_earlier_version_has_no_command_that_repeats_it(generator):
    rewrite(generator, lambda record: record.pop("provenance"))
    write_parity(generator)
    assert "converts it again" not in text_of(generator)


def test_a_model_that_was_not_verified_says_so(generator):
    for change in ({"verdict": "different"}, {"weights_only": True}):
        write_parity(generator, **change)
        assert "**Not verified.**" in text_of(generator)
    (generator / "parity.json").unlink()
    assert "**Not verified.**" in text_of(generator)


def test_what_the_user_wrote_stays(generator):
    text_of(generator, license="mit")
    card = generator / "README.md"
    mine = (
        card.read_text()
        .replace("# generator", "# My own title\n\nMy words.")
        .replace("license: mit", "license:   mit")
    )
    mine = re.sub(
        r"<!-- electra_convert:limits -->.*?<!-- /electra_convert:limits -->", "My limits.", mine, flags=re.S
    )
    card.write_text(mine + "\nMore of mine.\n")
    (generator / "parity.json").unlink()
    again = text_of(generator, license="mit", language="en")
    for kept in ("# My own title\n\nMy words.", "license:   mit\n", "My limits.", "\nMore of mine.\n"):
        assert kept in again
    assert sections(again) == [name for name in SECTIONS if name != "limits"]
    assert "**Not verified.**" in again


def test_a_card_of_the_users_own_gets_the_word_on_verification_and_no_other(generator):
    (generator / "README.md").write_text("# Mine\n\nAll of it.")
    text = text_of(generator)
    assert text.startswith("---\nlibrary_name: transformers\n")
    assert "---\n# Mine\n\nAll of it.\n\n<!-- electra_convert:verification -->" in text
    assert sections(text) == ["verification"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_writing_twice_changes_nothing(generator, newline):
    (generator / "README.md").write_bytes(newline.join(["---", "license: mit", "---", "# Mine", ""]).encode())
    write_card(generator)
    before = (generator / "README.md").read_bytes()
    [card] = write_card(generator)
    assert (card.changed, (generator / "README.md").read_bytes()) == (False, before)
    assert before.count(b"\r\n") == (before.count(b"\n") if newline == "\r\n" else 0)


def test_a_byte_order_mark_does_not_hide_the_front_matter(generator):
    (generator / "README.md").write_bytes(b"\xef\xbb\xbf---\nlicense: mit\n---\n# Mine\n")
    assert text_of(generator).startswith("---\nlicense: mit\nlibrary_name")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"<!-- electra_convert:use -->", "does not end"),
        (b"---\na: [\n---\n", "front"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused_and_left(generator, content, said):
    (generator / "README.md").write_bytes(content)
    with pytest.raises(CardError, match=said):
        write_card(generator)
    assert (generator / "README.md").read_bytes() == content


def test_a_card_that_cannot_be_written_is_told_and_nothing_is_left_over(generator, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    before = sorted(generator.iterdir())
    with pytest.raises(OutputError, match="No space left on device"):
        write_card(generator)
    assert sorted(generator.iterdir()) == before


def test_a_name_that_the_hub_does_not_allow_is_wrong_usage(generator):
    with pytest.raises(UsageError, match="is not the name of a repository"):
        write_card(generator, 'alice/a"b')


# The command


def test_the_command_says_what_it_wrote_and_what_is_missing(pair):
    ran = run("card", pair, "--repo-id", "alice/tiny", "--language", "en")
    assert ran.code == 0
    assert ran.out == f"Wrote {pair}/discriminator/README.md\nWrote {pair}/generator/README.md\n"
    assert ran.err.splitlines() == [
        f"Note: {pair}/{role}/README.md states no license; --license adds it."
        for role in ("discriminator", "generator")
    ]
    assert "is as it should be" in run("card", pair, "--repo-id", "alice/tiny").out
    assert run("card", pair, "--repo-id", "alice/tiny", "-q").out == (
        f"{pair}/discriminator/README.md\n{pair}/generator/README.md\n"
    )


def test_a_dry_run_of_the_command_shows_the_card_and_writes_none(generator):
    ran = run("card", generator, "--license", "mit", "--language", "en", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert "# generator\n" in ran.out
    assert not (generator / "README.md").exists()


def test_the_json_of_the_command_is_one_object_with_the_promised_keys(generator):
    ran = run("card", generator, "--json")
    report = json.loads(ran.out)
    assert (ran.code, ran.err, report.keys()) == (0, "", {"schema", "cards", "dry_run"})
    [card] = report["cards"]
    assert card.keys() == {"path", "changed", "verification", "text", "notices"}
    assert (card["verification"], card["changed"], len(card["notices"])) == ("verified", True, 2)


def test_what_is_no_model_is_refused(golden_copy, tmp_path):
    assert "holds a TensorFlow checkpoint" in run("card", golden_copy()).refusal()
    assert "does not exist" in run("card", tmp_path / "nothing").refusal()
