"""Cards of every kind of model: each says what is true of that kind, claims its task, and has code that runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES
from huggingface_hub import ModelCard
from support.command_line import run
from support.fake_hub.metadata import faults_of
from support.parity_records import write_parity, write_training

from electra_convert import convert, write_card
from electra_convert.errors import ConfigError
from electra_convert.hub.card.model_folder import read_folder

pytestmark = pytest.mark.slow

LAYOUTS = {
    "masked_lm": ("without a discriminator, as BERT is", "none was trained with it"),
    "uniform_generator": ("discriminator: for every token", "of the kind it saw in training"),
    "fine_tuned": ("that was fine-tuned, without the heads of its tasks", "The heads of the tasks"),
}
UNTRUE = {
    "masked_lm": "partners of discriminators",
    "uniform_generator": "its generator made",
    "fine_tuned": "has to be fine-tuned first",
}
HEADS = {
    "ElectraForSequenceClassification": ("text-classification", "with a head for text classification"),
    "ElectraForTokenClassification": ("token-classification", "with a head for token classification"),
    "ElectraForQuestionAnswering": ("question-answering", "with a head for question answering"),
    "ElectraForMultipleChoice": (None, "of the transformers class `ElectraForMultipleChoice`"),
    "ElectraForCausalLM": (None, "of the transformers class `ElectraForCausalLM`"),
    "ElectraModel": ("feature-extraction", "encoder without a head"),
}


def rename(folder, architectures: object) -> None:
    """Have config.json name another class."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": architectures}))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_is_not_told_to_have_been_trained_in_another_way_than_its_layout_says(written, tmp_path, layout):
    convert(written(layout), tmp_path / "out")
    text = write_card(tmp_path / "out")[0].text
    assert all(words in text for words in LAYOUTS[layout])
    assert UNTRUE[layout] not in text


def test_a_masked_language_model_that_was_pretrained_here_is_not_called_a_generator(generator):
    write_training(generator, variant="masked_lm")
    assert "as BERT is" in write_card(generator)[0].text


@pytest.mark.parametrize("architecture", HEADS)
def test_a_model_with_another_head_is_not_called_headless_and_claims_its_task(generator, architecture):
    rename(generator, [architecture])
    text = write_card(generator)[0].text
    task, words = HEADS[architecture]
    assert words in text
    assert ("It has no head" in text) is (architecture == "ElectraModel")
    assert ModelCard(text).data.pipeline_tag == task
    assert faults_of(text) == []


def snippet_of(folder: Path) -> str:
    [snippet] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    return snippet


def test_the_code_of_every_card_runs_as_it_stands(pair, monkeypatch, capsys):
    """Weights of other heads are made up."""
    folders = [pair / "discriminator", pair / "generator"]
    for architecture in HEADS:
        folders.append(shutil.copytree(pair / "generator", pair / architecture))
        rename(folders[-1], [architecture])
    folders.append(shutil.copytree(folders[-1], pair / "bare"))
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):
        (pair / "bare" / name).unlink()
    for number, folder in enumerate(folders):
        write_card(folder, language=["ko"] * (number % 2))
    assert "The tokenizer's files are not here" in (pair / "bare" / "README.md").read_text()
    said, scopes = {}, {folder.name: dict[str, Any]() for folder in folders}
    for folder in folders:
        monkeypatch.chdir(folder)
        exec(snippet_of(folder), scopes[folder.name])
        said[folder.name] = capsys.readouterr().out
    for name in ("discriminator", "generator"):
        assert re.search(r"\S +[01]\.\d{3}\n", said[name])
    assert "torch.Size" in said["ElectraModel"]
    for name in ("ElectraForSequenceClassification", "ElectraForTokenClassification"):
        assert "'score'" in said[name]
    reader = scopes["ElectraForQuestionAnswering"]
    answer = slice(reader["start"], reader["end"] + 1)
    assert set(reader["inputs"].sequence_ids(0)[answer]) == {1}, "an answer is a span of the passage"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The quick brown fox ate over the lazy dog."),
        (["xx", "de", "en"], "Der Hund schreibt vor der T\u00fcr des Hauses."),
        ("ko", "\uac15\uc544\uc9c0\uac00 \uc9d1 \uc55e\uc5d0\uc11c \uc4f0\uace0 \uc788\ub2e4."),
    ],
)
def test_the_code_of_a_card_reads_a_sentence_of_the_model_s_language(discriminator, language, sentence):
    text = write_card(discriminator, language=language)[0].text
    assert f'inputs = tokenizer("{sentence}", return_tensors="pt")' in text
    assert "Write a sentence" not in text


def test_the_code_of_a_generator_s_card_masks_a_word_of_its_language(generator):
    text = write_card(generator, language="fr")[0].text
    assert 'text = f"Le chien {fill_mask.tokenizer.mask_token} devant la porte de la maison."' in text


@pytest.mark.parametrize("language", [(), "multilingual", "xx"])
def test_a_card_of_no_known_language_has_no_english_sentence(pair, language):
    for card in write_card(pair, language=language):
        assert "fox" not in card.text
        assert "# Write a sentence of the model's language here.\n" in card.text


@pytest.mark.parametrize("named", [None, [], "ElectraModel", [3], ["BertModel"], ["ElectraModel\n```\n# Evil"], [""]])
def test_a_folder_that_does_not_name_its_class_is_refused_and_not_guessed_at(generator, named):
    rename(generator, named)
    with pytest.raises(ConfigError, match=r"config\.json: architectures is .*, expected a class"):
        read_folder(generator)


def test_a_generator_for_reading_on_is_proven_as_a_generator(generator):
    rename(generator, ["ElectraForCausalLM"])
    write_parity(generator)
    record = json.loads((generator / "parity.json").read_text())
    record["models"] = {"generator": record["models"].pop("discriminator")}
    (generator / "parity.json").write_text(json.dumps(record))
    assert write_card(generator)[0].verification == "verified"


def test_what_the_comparison_left_out_is_on_the_card(discriminator):
    write_parity(discriminator, notes=["A fine-tuned head is not compared: classifier.dense.bias."])
    assert "\n- A fine-tuned head is not compared: classifier.dense.bias.\n" in write_card(discriminator)[0].text


def test_what_rounding_changed_is_not_hidden_behind_the_figures_of_two_rounded_models(discriminator):
    write_parity(discriminator)
    assert "by rounding" not in write_card(discriminator)[0].text
    record = json.loads((discriminator / "parity.json").read_text())
    record["models"]["discriminator"]["forward"]["rounding"] = {"logits": {"max_abs": 0.0016051}, "embeddings": 3}
    (discriminator / "parity.json").write_text(json.dumps(record))
    text = write_card(discriminator)[0].text
    assert "| limit | by rounding |" in text
    assert "| logits | 2.9e-06 | 1.9e-07 | 3.1e-07 | 1.0000000 | 0.0001 | 0.0016 |" in text
    assert "Both were run with the rounded weights." in text


@pytest.mark.parametrize("notes", [None, 3, "x", {}, [3], [None]])
def test_notes_of_any_other_form_do_no_harm(discriminator, notes):
    write_parity(discriminator, notes=notes)
    assert write_card(discriminator)[0].verification == "verified"


def test_a_model_that_was_not_converted_is_not_told_to_have_been(generator):
    for name in ("parity.json", "conversion.json"):
        (generator / name).unlink()
    assert "have not been compared with those of any other copy" in write_card(generator)[0].text


@pytest.mark.parametrize("content", ["", "\n\n", "---\nlicense: mit\n---\n", "---\r\nlicense: mit\r\n---\r\n"])
def test_a_card_with_nothing_but_a_front_matter_gets_every_section(generator, content):
    (generator / "README.md").write_bytes(content.encode())
    text = write_card(generator)[0].text
    assert all(f"electra_convert:{name} -->" in text for name in ("model", "use", "verification", "limits"))
    assert ("license: mit" in text) is ("license" in content)


def test_a_heading_made_before_the_repository_was_known_is_made_anew_and_no_other(pair):
    assert [card.text.count("# tiny-") for card in write_card(pair, "alice/tiny")] == [1, 1]
    for card in write_card(pair, "bob/other"):
        assert "# tiny-" in card.text  # the name of a repository once, which may be the user's choice by now
    (pair / "generator" / "README.md").unlink()
    assert "\n# generator\n" in write_card(pair)[1].text
    assert "\n# tiny-generator\n" in write_card(pair, "alice/tiny")[1].text
    assert "\n# generator\n" not in (pair / "generator" / "README.md").read_text()


def test_an_empty_option_is_not_taken_for_none(generator):
    for option in ("--license", "--language", "--base-model"):
        assert "empty" in run("card", generator, option, "").refusal()


def test_a_language_is_stated_once_and_what_yaml_makes_of_norwegian_is_explained(generator):
    assert "language:\n- en\n- de\n" in write_card(generator, language=["en", "de", "en"])[0].text
    (generator / "README.md").write_text("---\nlanguage: no\n---\n# Min\n")
    assert 'write "no" in quotes' in run("card", generator).refusal()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("rte", "| classes | entailment, not\\_entailment |"),
        ("chunk", "| classes | B-LOC, B-PER, "),
        ("squadv1_independent", None),
    ],
)
def test_the_card_of_a_fine_tuned_checkpoint_names_its_classes(tmp_path, name, row):
    convert(FIXTURES / "finetuned" / name, tmp_path / "model", vocab=FIXTURES / "vocab.txt")
    (card,) = write_card(tmp_path / "model")
    assert (row in card.text) if row else "| classes |" not in card.text


@pytest.mark.slow
def test_the_code_of_a_readers_card_runs(tmp_path, monkeypatch, capsys):
    convert(FIXTURES / "finetuned" / "squadv1_independent", tmp_path / "model", vocab=FIXTURES / "vocab.txt")
    write_card(tmp_path / "model", language="en")
    code = snippet_of(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    exec(code, {})
    assert "outputs.end_logits" in code
