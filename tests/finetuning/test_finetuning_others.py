"""Models of other architectures learn the same tasks; their cards say less, and uploads take them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run
from support.finetuning_models import save_tiny

from electra_convert.errors import UsageError
from electra_convert.finetuning.finetune import finetune

pytestmark = pytest.mark.slow
REVIEWS = FIXTURES / "finetuning"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, golden_pair):
    """A tiny model of an architecture, saved once."""
    made: dict[tuple[str, str], Path] = {}

    def save(kind: str, auto_class: str = "AutoModelForMaskedLM") -> Path:
        if (kind, auto_class) not in made:
            place = tmp_path_factory.mktemp("other") / kind
            made[kind, auto_class] = save_tiny(place, kind, auto_class, golden_pair / "generator")
        return made[kind, auto_class]

    return save


@pytest.mark.parametrize(
    ("kind", "task", "train", "dev"),
    [
        ("bert", "text-classification", "reviews-train.tsv", "reviews-dev.tsv"),
        ("distilbert", "token-classification", "esperanto-train.conll", "esperanto-dev.conll"),
        ("roberta", "token-classification", "esperanto-train.conll", "esperanto-dev.conll"),
        ("roberta", "question-answering", "questions-train.json", "questions-dev.json"),
    ],
)
def test_another_architecture_learns_a_task_by_transformers_defaults(
    tiny, tmp_path, kind, task, train, dev, one_thread
):
    from support.transformers_models import load

    result = finetune(task, tiny(kind), REVIEWS / train, tmp_path / "run", dev=REVIEWS / dev, epochs=1)
    record = json.loads((result.model / "training.json").read_text())
    assert record["recipe"]["learning_rate"] == {"value": 5e-05, "origin": "transformers' Trainer"}
    assert record["recipe"]["layer_decay"]["value"] == 0
    assert load(result.model).config.model_type == kind
    assert (result.model / "tokenizer.json").read_bytes() == (tiny(kind) / "tokenizer.json").read_bytes()
    assert set(result.metrics) == {"dev"}


def test_masks_are_filled_better_after_adaptation(tiny, tmp_path, one_thread):
    result = finetune(
        "fill-mask", tiny("distilbert"), REVIEWS / "reviews.txt", tmp_path / "run",
        epochs=6, batch_size=8, learning_rate=5e-3, max_length=32,
    )  # fmt: skip
    evaluation = json.loads((result.output / "evaluation.json").read_text())
    assert evaluation["metrics"]["dev"]["perplexity"] < evaluation["before"]["dev"]["perplexity"] / 2
    assert len(result.filled) == 5


def test_a_card_of_another_architecture_says_less_and_an_upload_takes_it(tiny, tmp_path, one_thread):
    result = finetune("text-classification", tiny("bert"), REVIEWS / "reviews-train.tsv", tmp_path / "run", epochs=1)
    card = (result.model / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "tags:\n- bert\n" in card
    assert "electra_convert" in card
    assert "Pre-training Text Encoders" not in card
    told = run("card", result.model, "--license", "mit", "--json")
    assert json.loads(told.out)["cards"][0]["verification"] == "fine-tuned", told


def test_googles_head_is_for_electra_alone(tiny, tmp_path):
    with pytest.raises(UsageError, match="google_head=True is ELECTRA's, and bert is none"):
        finetune(
            "text-classification", tiny("bert"), REVIEWS / "reviews-train.tsv", tmp_path / "run", google_head=True
        )


@pytest.mark.parametrize(
    ("kind", "auto_class", "task", "said"),
    [
        ("bert", "AutoModel", "fill-mask", "bert lacks weights of BertForMaskedLM"),
        ("t5", None, "text-classification", "has no tokenizer beside it"),
        ("gpt2", None, "question-answering", "has no tokenizer beside it"),
        (
            "resnet",
            "with a tokenizer",
            "token-classification",
            "is a resnet model, of which transformers has no class",
        ),
    ],
)
def test_a_model_without_such_a_class_or_its_weights_is_one_clear_error(
    tiny, tmp_path, golden_pair, kind, auto_class, task, said
):
    if auto_class == "AutoModel":
        source = tiny(kind, auto_class)
    else:
        source = tmp_path / kind
        source.mkdir()
        (source / "config.json").write_text(json.dumps({"model_type": kind}))
        for name in ("tokenizer.json", "tokenizer_config.json") if auto_class else ():
            (source / name).write_bytes((golden_pair / "generator" / name).read_bytes())
    train = {"fill-mask": "reviews.txt", "text-classification": "reviews-train.tsv"}.get(
        task, "esperanto-train.conll"
    )
    train = "questions-train.json" if task == "question-answering" else train
    place = tmp_path / "place"
    place.mkdir()
    assert said in run("finetune", task, source, REVIEWS / train, place / "out", "-q").refusal()
    assert list(place.iterdir()) == []
