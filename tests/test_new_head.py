"""A new head costs few places: no file of the product knows a fine-tuned head but those that CONTRIBUTING lists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import forward
from support.checkpoints import SIZES, inputs
from support.command_line import run, run_program
from support.onnx_models import run as run_onnx
from support.toys import TOY_HEAD, TOY_TASK, toy_answers, toy_class

from electra_convert import convert, open_model, verify, write_card
from electra_convert.demo.tasks import TASKS, Asked
from electra_convert.formats.tf_bundle import open_source
from electra_convert.frameworks import import_transformers
from electra_convert.schemes import heads
from electra_convert.verification.reference import graph
from electra_convert.verification.reference.session import Answer, ReferenceSession
from electra_convert.verification.reference.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "electra_convert"


def names() -> Iterator[str]:
    """What fine-tuned heads are called in code, as regular expressions."""
    for head in heads.HEADS.values():
        if head.is_of_a_task:
            yield from (rf"{head.suffix}\b", rf"\b{head.name.upper()}\b")
            for name in (head.name, str(head.kind)):
                # A single word is one of English too: in code it stands in quotes, or is a module.
                yield rf"\b{name}\b" if re.search("[_-]", name) else rf"[\"'./]{name}\b"


def knows_a_head(path: Path, named: re.Pattern[str]) -> bool:
    return named.search(f"{path.relative_to(PACKAGE)}\n{path.read_text()}") is not None


def test_no_file_knows_a_fine_tuned_head_but_those_that_a_contributor_is_told():
    named = re.compile("|".join(names()))
    files = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".md", ".html", ".js", ".css"}]
    found = {path.relative_to(PACKAGE).as_posix() for path in files if knows_a_head(path, named)}
    # What can be trained is chosen task by task, and no head has to be among it.
    trained = ("finetuning/", "cli/finetune.py")
    outside = {name for name in found if not name.startswith(("schemes/heads/", "demo/tasks/", *trained))}
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Adding a head\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `electra_convert/(.*?)`", section, re.MULTILINE))
    own = {"schemes/heads/NAME.py", "schemes/heads/__init__.py"}
    shown = {"demo/tasks/NAME.py", "demo/tasks/NAME.html", "demo/tasks/__init__.py"}
    assert {name.replace("question-answering", "TAG") for name in outside} == told - own - shown
    assert own | shown <= told
    assert len(outside) <= 5


# A toy head, which is registered for a test: every command takes it.

REGISTERED = """
from electra_convert.schemes import heads
heads.HEADS["toy"] = heads.Head("toy", "discriminator", "ForToys", kind="toy-comparison")
from electra_convert.cli import main
main(["convert", "--help-all"])
"""


def test_help_lists_the_kind_of_every_head_there_is():
    ran = run_program(REGISTERED)
    assert ran.code == 0, ran
    # A line may end at any hyphen.
    assert "regression,token-classification,question-answeringortoy-comparison." in "".join(ran.out.split())


class Here(ReferenceSession):
    """The reference model in this process, where the toy is registered."""

    def begin(self) -> None:
        pass

    def submit(self, prefix, folder, hparams, settled, role, task, arithmetic, batches) -> Callable[[], Answer]:
        """Run it at once, with the settings that it is given."""
        outputs = graph.run_reference(prefix, role, arithmetic, batches, task)
        return lambda: Answer(outputs, Settings(arithmetic.heads, arithmetic.activation, "given"), "of the test")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy head in its three registries, and in transformers."""
    monkeypatch.setitem(heads.HEADS, "toy", TOY_HEAD)
    monkeypatch.setitem(TASKS, "toy", TOY_TASK)
    monkeypatch.setitem(graph.TASK_ANSWERS, "toy", toy_answers)
    made = toy_class()
    # transformers puts another module in its own place as its classes are imported.
    monkeypatch.setattr(import_transformers("to be given a class"), made.__name__, made, raising=False)


@pytest.fixture
def tuned(tuned_for, registered: None) -> Path:
    return tuned_for("reviews", layers=("first", "second"))


@pytest.mark.slow
def test_every_kind_is_named_where_one_is_mistaken(tuned: Path):
    said = run("inspect", tuned).err
    assert "left out" not in said
    assert "token-classification, question-answering, toy-comparison" in run(
        "convert", tuned, tuned.parent / "out", "--task", "reviews=guess"
    ).refusal(2)


@pytest.mark.slow
def test_verify_runs_a_new_head_on_both_sides_and_tells_its_rows_apart(
    tuned: Path, tmp_path: Path, monkeypatch, imported_tensorflow
):
    from safetensors.numpy import load_file, save_file

    monkeypatch.setattr("electra_convert.verification.verify.ReferenceSession", Here)
    convert(tuned, tmp_path / "out", task="reviews=toy-comparison", verify=True)
    weights = tmp_path / "out" / "model.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "toys.bias": tensors["toys.bias"][::-1].copy()}, weights, {"format": "pt"})
    report = verify(tuned, tmp_path / "out")
    assert report.models["discriminator"].outputs.first_differing.name == "logits"


@pytest.mark.slow
def test_demo_shows_what_a_new_head_computes(tuned: Path, tmp_path: Path):
    convert(tuned, tmp_path / "out")
    model = open_model(tmp_path / "out")
    (answer,) = model.answers(TOY_TASK, [Asked("a b")])
    ((ids, mask, types),) = model.batches([model.row(model.encode("a b").pieces)])
    with open_source(tuned / "model.ckpt-1000") as bundle:
        variables = {name: tensor.read() for name, tensor in bundle.tensors.items()}
    hidden = forward.forward(variables, forward.ENCODER, SIZES["projected"].heads, ids, mask, types).hidden[-1][:, 0]
    first, second = (
        hidden @ variables[f"task_specific/reviews/{layer}/kernel"] + variables[f"task_specific/reviews/{layer}/bias"]
        for layer in ("first", "second")
    )
    assert answer.value == pytest.approx((first - second).item(), abs=1e-5)
    shown = run("demo", tuned, "a b", "--json", "--html", tmp_path / "page.html")
    said = json.loads(shown.out)
    assert (said["task"], said["texts"][0]["value"]) == ("toy-comparison", pytest.approx(answer.value, abs=1e-5))
    assert f"<strong>{answer.value:.3f}</strong>" in (tmp_path / "page.html").read_text()
    assert "fine-tuned to compare its layers" in run("demo", tuned, "a b", "--question", "c").refusal(2)


@pytest.mark.slow
def test_a_new_head_becomes_an_onnx_model(tuned: Path, tmp_path: Path):
    convert(tuned, tmp_path / "out", to="onnx")
    given = inputs(SIZES["projected"])
    computed, layers = run_onnx(tmp_path / "out" / "onnx" / "model.onnx", *given.values())
    with open_source(tuned / "model.ckpt-1000") as bundle:
        variables = {name: tensor.read() for name, tensor in bundle.tensors.items()}
    hidden = forward.forward(variables, forward.ENCODER, SIZES["projected"].heads, **given).hidden[-1]
    answers = [
        hidden[:, 0] @ variables[f"task_specific/reviews/{layer}/kernel"]
        + variables[f"task_specific/reviews/{layer}/bias"]
        for layer in ("first", "second")
    ]
    np.testing.assert_allclose(layers[-1], hidden, atol=1e-5)
    np.testing.assert_allclose(computed["logits"], np.concatenate(answers, axis=1), atol=1e-5)


@pytest.mark.slow
def test_a_card_says_what_a_new_head_is_for_and_has_code_that_runs(tuned: Path, tmp_path: Path, monkeypatch):
    convert(tuned, tmp_path / "out")
    (card,) = write_card(tmp_path / "out")
    assert "with a head for toy comparison." in card.text
    assert "pipeline_tag: toy-comparison" in card.text
    monkeypatch.chdir(tmp_path / "out")
    scope: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)[0], scope)
    assert type(scope["model"]).__name__ == "ElectraForToys"
