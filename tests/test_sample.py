"""The model that comes with the tool is what docs/sample.md says: its figures, its outcomes, its size, its proof."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from support.command_line import run

from electra_convert.demo.sample import SAMPLE, examples_for
from electra_convert.hub.card.model_folder import find_models, read_folder
from electra_convert.hub.card.proof import require_proof
from electra_convert.tokenizer.sentences import EXAMPLES

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "sample.md").read_text()
pytestmark = pytest.mark.slow
OUTCOMES = list(
    csv.DictReader((ROOT / "fixtures" / "sample" / "exchanged.tsv").read_text().splitlines(), delimiter="\t")
)


# What is drawn and rounded differs a little from one processor to another.
TOLERANCES = {
    "disc_auc": 0.01, "frequency_auc": 0.01, "masked_lm_accuracy": 0.005, "masked_lm_loss": 0.03,
    "frequency_masked_lm_loss": 0.03,
}  # fmt: skip


def figures() -> dict[str, float]:
    """The first column of the table of figures, of text that lies in fixtures/."""
    rows = re.findall(r"^\| `(\w+)`[^|]*\| ([\d.]+) \| [\d.]+ \|$", DOCUMENT, re.MULTILINE)
    return {name: float(figure) for name, figure in rows}


@pytest.fixture(scope="module")
def discriminator():
    from electra_convert import open_model

    return open_model(SAMPLE)


def test_the_figures_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"^electra-convert (pretrain .* evaluated .*--evaluate-only)$", DOCUMENT, re.MULTILINE)
    arguments = [str(tmp_path / "evaluated") if part == "evaluated" else part for part in shlex.split(command)]
    measured = json.loads(run(*arguments, "--json").out)["metrics"]
    told = figures()
    assert set(told) == set(TOLERANCES)
    for name, figure in told.items():
        assert measured[name] == pytest.approx(figure, abs=TOLERANCES[name]), name


def test_every_outcome_of_the_fifty_sentences_is_the_recorded_one(discriminator):
    scored = discriminator.score([row["after"] for row in OUTCOMES])
    suspected = [max(one.words, key=lambda word: word.probability) for one in scored]
    assert [word.text for word in suspected] == [row["most suspicious"] for row in OUTCOMES]
    found = sum(row["exchanged"] == row["most suspicious"] for row in OUTCOMES)
    assert f"In {found} of them" in DOCUMENT
    assert len(OUTCOMES) == 50


def test_the_examples_are_of_the_fifty_and_come_out_right(discriminator):
    right = {row["after"] for row in OUTCOMES if row["exchanged"] == row["most suspicious"]}
    offered = examples_for(discriminator)
    assert len(offered) == 4
    assert set(offered) <= right
    assert set(offered) <= {example.changed for example in EXAMPLES["en"]}


def test_demo_without_arguments_shows_hits(discriminator):
    ran = run("demo")
    lines = ran.out.splitlines()
    assert [line.replace("[[", "").replace("]]", "") for line in lines] == list(examples_for(discriminator))
    assert all("[[" in line for line in lines)
    assert "the model that comes with the tool" in ran.err


def test_it_goes_to_tensorflow_and_back_to_the_bit(tmp_path: Path):
    assert run("convert", SAMPLE, tmp_path / "tf").code == 0
    assert run("convert", tmp_path / "tf", tmp_path / "back", "--dtype", "float16").code == 0
    for name in ("discriminator", "generator"):
        path = f"{name}/model.safetensors"
        assert (tmp_path / "back" / path).read_bytes() == (SAMPLE / path).read_bytes()


def test_its_cards_have_a_proof_that_its_files_hold():
    for path in find_models(SAMPLE):
        folder = read_folder(path)
        assert require_proof(folder, unverified=False).state == "verified"
        assert "WordNet 3.1 Copyright" in (folder.path / "README.md").read_text()


def test_the_wheel_is_small_enough():
    """A wheel is a zip of the package."""
    packed = io.BytesIO()
    package = ROOT / "electra_convert"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT))
    assert len(packed.getvalue()) < 10_000_000
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*.safetensors")) < 6_000_000
