"""What finetune wrote is uploaded on a proof of its own, ELECTRA or not; once a file of it has changed it is not."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import FIXTURES
from support.fake_hub.process import commits
from support.finetuning_models import save_tiny

from electra_convert.finetuning.finetune import finetune

pytestmark = pytest.mark.slow
SENT = [
    "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    "training.json",
]  # fmt: skip


def test_a_fine_tuned_model_is_uploaded_and_its_card_says_from_what(any_hub, tuned_once, tmp_path):
    model = shutil.copytree(tuned_once("token-classification", "train.conll", "dev.conll").model, tmp_path / "tagger")
    ran = any_hub.run("upload", "alice/tagger", model, "--license", "mit", "--json")
    assert ran.code == 0, ran.err
    [one] = json.loads(ran.out)["uploads"]
    assert (sorted(one["sent"]), one["verification"]) == (sorted(SENT), "fine-tuned")
    [_, made] = commits(any_hub, "alice/tagger")
    assert "Fine-tuned with electra_convert for token-classification on train.conll, from default" in made["message"]
    card = (model / "README.md").read_text()
    assert "dev.conll (dev):" in card
    assert "| `f1` | " in card


def test_a_file_that_changed_since_is_refused(tuned_once, tmp_path, hub):
    model = shutil.copytree(tuned_once("token-classification", "train.conll", "dev.conll").model, tmp_path / "tagger")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "id2label": {"0": "O", "1": "B-X"}}))
    ran = hub.run("upload", "alice/tagger", model)
    assert "training.json is of other files: config.json changed since" in ran.refusal()
    assert hub.run("upload", "alice/tagger", model, "--unverified", "--license", "mit").code == 0


def test_a_model_of_another_architecture_is_uploaded_as_well(hub, golden_pair, tmp_path, one_thread):
    source = save_tiny(tmp_path / "bert", "bert", "AutoModelForMaskedLM", golden_pair / "generator")
    data = FIXTURES / "finetuning" / "reviews-train.tsv"
    result = finetune("text-classification", source, data, tmp_path / "run", epochs=1)
    ran = hub.run("upload", "alice/reviews", result.model, "--license", "mit", "--json")
    assert ran.code == 0, ran.err
    [one] = json.loads(ran.out)["uploads"]
    assert (one["verification"], one["role"]) == ("fine-tuned", "discriminator")
    assert "It was not converted by this tool." in (result.model / "README.md").read_text()
