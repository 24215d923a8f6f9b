"""score --engine onnx: onnxruntime says what PyTorch says, without PyTorch, and what cannot be run is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run, run_program
from support.fine_tuned import TUNED, VOCABULARY
from test_import_rules import BLOCKED

from electra_convert import convert

pytestmark = pytest.mark.slow
WORDS = (FIXTURES / "corpus" / "english.txt").read_text().split()
# Lines of mixed length, an empty one, one twice, and one that takes several windows.
LINES = [" ".join(WORDS[:count]) for count in (1, 9, 3, 0, 20, 3, 250)]
# A model, what it is asked with each text, and the options for that.
ASKED = [
    (FIXTURES / "default", ["--tokens"]),
    (TUNED / "sst", []),
    (TUNED / "mnli", ["--pair-column", "other"]),
    (TUNED / "chunk", []),
    (TUNED / "squadv1_independent", ["--question", "Return the list?"]),
]


def close(one: object, other: object) -> bool:
    """The same to float32's digits, however deep."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, abs=1e-5) if isinstance(one, float) else one == other


@pytest.fixture(scope="module")
def discriminator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both models, of float32 and of int8; not to be changed."""
    folder = tmp_path_factory.mktemp("onnx") / "model"
    convert(FIXTURES / "default", folder, vocab=VOCABULARY, model="discriminator", to="onnx", quantize="int8")
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps({'text': text, 'other': 'the list'})}\n" for text in LINES))
    return path


def scored(*arguments: object) -> list[dict]:
    ran = run("score", *arguments, "-q")
    assert (ran.code, ran.err) == (0, ""), ran
    return [json.loads(line) for line in ran.out.splitlines()]


@pytest.mark.parametrize(("model", "more"), ASKED, ids=[model.name for model, _ in ASKED])
def test_the_numbers_are_those_of_pytorch(tmp_path, rows, model, more):
    convert(model, tmp_path / "out", vocab=VOCABULARY, to="onnx", model="discriminator")
    expected = scored(model, rows, "--vocab", VOCABULARY, *more)
    found = scored(tmp_path / "out", rows, "--engine", "onnx", *more)
    assert [one["text"] for one in found] == LINES
    for one, other in zip(found, expected, strict=True):
        assert close(one, other), (one, other)


def test_a_model_of_int8_is_run_where_it_is_named(discriminator, rows):
    exact, folder, named = (
        [one["replaced_mean"] for one in scored(model, rows, "--engine", "onnx")]
        for model in (discriminator, discriminator / "onnx", discriminator / "onnx" / "model_quantized.onnx")
    )
    assert exact == folder != named
    assert named == [value and pytest.approx(value, abs=0.05) for value in exact]


def test_pytorch_is_not_imported(discriminator, rows):
    ran = run_program(
        f"{BLOCKED}from electra_convert.cli import main\nmain()",
        *("score", discriminator, rows, "--engine", "onnx", "-q"),
    )
    assert (ran.code, ran.err, len(ran.out.splitlines())) == (0, "", len(LINES))


def test_an_output_that_pytorch_began_is_not_gone_on_with(tmp_path, discriminator, rows):
    output = tmp_path / "out.jsonl"
    scored(discriminator, rows, "--engine", "onnx", "-o", output)
    output.replace(tmp_path / "out.jsonl.partial")
    (tmp_path / "out.jsonl.partial.json").write_text('{"engine": "torch"}')
    again = ["score", discriminator, rows, "--engine", "onnx", "-o", output, "--resume"]
    assert "was begun with another engine" in run(*again).refusal()


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        (FIXTURES / "default", ["--engine", "onnx"], "convert {model} my-onnx --to onnx"),
        ("hf://owner/repo", ["--engine", "onnx"], "convert {model} my-onnx --to onnx"),
        ("no", ["--engine", "onnx"], "no does not exist"),
        ("{folder}", ["--engine", "onnx", "--vocab", VOCABULARY], "--vocab is for models that PyTorch runs"),
        ("{folder}", ["--engine", "onnx", "--device", "cuda"], "--device is for models that PyTorch runs"),
        ("{folder}/onnx/model.onnx", [], "Add --engine onnx"),
    ],
)
def test_what_cannot_be_run_is_told_with_what_to_do(discriminator, rows, model, more, said):
    model = str(model).format(folder=discriminator)
    refusal = run("score", model, rows, *more)
    assert refusal.code != 0
    assert said.format(model=model) in refusal.err
    assert "Traceback" not in refusal.err


def test_without_onnxruntime_it_says_what_to_install(monkeypatch, discriminator, rows):
    monkeypatch.setattr("electra_convert.frameworks._is_installed", lambda name: name != "onnxruntime")
    refusal = run("score", discriminator, rows, "--engine", "onnx")
    assert "pip install 'electra-convert[onnx]'" in refusal.err


@pytest.mark.parametrize(
    ("size", "named", "said"),
    [
        (1000, "PreTraining", "model.onnx is none that onnxruntime can run"),
        (None, "QuestionAnswering", "model.onnx gives logits, and"),
        (None, "MaskedLM", "config.json is of the class ElectraForMaskedLM, which gives no scores"),
    ],
)
def test_a_model_that_is_damaged_or_of_another_class_is_refused(tmp_path, discriminator, rows, size, named, said):
    (tmp_path / "model.onnx").write_bytes((discriminator / "onnx" / "model.onnx").read_bytes()[:size])
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((discriminator / name).read_bytes())
    config = (discriminator / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("ForPreTraining", f"For{named}"))
    assert f"{tmp_path}/{said}" in run("score", tmp_path / "model.onnx", rows, "--engine", "onnx").refusal()


def test_of_a_pair_the_discriminator_is_run(tmp_path, rows):
    convert(FIXTURES / "default", tmp_path / "pair", vocab=VOCABULARY, to="onnx")
    assert len(scored(tmp_path / "pair", rows, "--engine", "onnx")) == len(LINES)


def test_a_reader_with_a_part_of_its_head_beside_it_is_left_to_pytorch(tmp_path, rows):
    convert(TUNED / "squad_answerable", tmp_path / "reader", vocab=VOCABULARY)
    convert(tmp_path / "reader", tmp_path / "reader", to="onnx")
    refusal = run("score", tmp_path / "reader", rows, "--engine", "onnx", "--question", "a").refusal()
    assert "keeps a part of its head in answerable_head.safetensors" in refusal
