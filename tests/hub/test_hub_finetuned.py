"""What finetune wrote is uploaded on a proof of its own, ELECTRA or not; once a file of it has changed it is not."""

from __future__ import annotations

import io
import json
import shutil
from importlib import import_module

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
    result = finetune("text-classification", source, data, tmp_path / "film-critic", epochs=1)
    assert "\n# film-critic\n" in (result.model / "README.md").read_text()
    ran = hub.run("upload", "alice/reviews", result.model, "--license", "mit", "--json")
    assert ran.code == 0, ran.err
    [one] = json.loads(ran.out)["uploads"]
    assert (one["verification"], one["role"]) == ("fine-tuned", "discriminator")
    assert "It was not converted by this tool." in (result.model / "README.md").read_text()


def test_model_and_data_come_from_the_hub_and_the_card_names_both(hub, golden_pair, tmp_path, one_thread):
    rows = [line.split("\t") for line in (FIXTURES / "finetuning" / "reviews-train.tsv").read_text().splitlines()[1:]]
    splits = {"default/train": rows[:40], "default/validation": rows[40:60]}
    files = {f"{name}/0000.parquet": labelled_parquet(part) for name, part in splits.items()}
    hub.put("datasets/alice/reviews", files, ref="refs/convert/parquet")
    source = save_tiny(tmp_path / "bert", "bert", "AutoModelForMaskedLM", golden_pair / "generator")
    hub.put("alice/bert", {path.name: path.read_bytes() for path in source.iterdir()})
    ran = hub.run(
        "finetune", "text-classification", "hf://alice/bert", "hf://datasets/alice/reviews", tmp_path / "run",
        "--dev", "hf://datasets/alice/reviews/default/validation", "--epochs", "1", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert set(json.loads(ran.out)["metrics"]) == {"dev"}
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "base_model: alice/bert\n" in card
    assert "datasets:\n- alice/reviews\n" in card


def labelled_parquet(rows: list[list[str]]) -> bytes:
    """Texts with numbered classes, as the library `datasets` pushes them."""
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    names = ["negative", "positive"]
    features = {"text": {"_type": "Value"}, "label": {"names": names, "_type": "ClassLabel"}}
    table = pyarrow.table({"text": [text for text, _ in rows], "label": [names.index(label) for _, label in rows]})
    file = io.BytesIO()
    parquet.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), file
    )
    return file.getvalue()
