"""What pretraining has learnt helps: a few labelled lines teach more to a pretrained encoder than to a random one.

Labels say whether words stand in the planted order of support/planted.py, so that no word's form tells any.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run
from support.finetuning_models import random_encoder
from support.planted import HPARAMS, KINDS, order_of, write_planted

from electra_convert.finetuning.finetune import finetune
from electra_convert.finetuning.metrics import median_and_range

pytestmark = pytest.mark.long
WORDS = order_of(KINDS["words"])
# Lines that are labelled; of each split its own stream.
SIZES = {"train": 150, "dev": 150}


def line(draw: random.Random) -> list[str]:
    """Words of which each is the successor of the one before."""
    first = draw.randrange(len(WORDS))
    return [WORDS[(first + place) % len(WORDS)] for place in range(10)]


def tagged(split: str) -> str:
    """Lines in which some words were replaced by any other: what a label says of a word, only its neighbours tell."""
    draw, text = random.Random(f"tags {split}"), []
    for _ in range(SIZES[split]):
        for word in line(draw):
            other = draw.choice([one for one in WORDS if one != word])
            text.append(f"{other} ODD" if draw.random() < 0.25 else f"{word} FITS")
        text.append("")
    return "\n".join(text) + "\n"


def classified(split: str) -> str:
    """Lines as they are, and lines of the same words in another order."""
    draw, rows = random.Random(f"classes {split}"), ["text\tlabel"]
    for _ in range(SIZES[split]):
        words, label = line(draw), draw.choice(["ordered", "shuffled"])
        if label == "shuffled":
            draw.shuffle(words)
        rows.append(f"{' '.join(words)}\t{label}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A discriminator pretrained on the planted order, and the same with random weights."""
    import torch

    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("order")
    kind = KINDS["words"]
    ran = run(
        "pretrain", write_planted(kind, place / "corpus.txt"), place / "run", *kind.options, "--held-out", "0.1",
        "--hparams", json.dumps(HPARAMS), "--log-steps", "100", "--cache", place / "cache", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    pretrained = place / "run" / "model" / "discriminator"
    return {"pretrained": pretrained, "random": random_encoder(place / "random", pretrained)}


@pytest.mark.parametrize(
    ("task", "made", "name"),
    [("token-classification", tagged, "{}.conll"), ("text-classification", classified, "{}.tsv")],
)
def test_a_pretrained_encoder_is_well_above_a_random_one_and_the_majority(
    encoders, tmp_path, task, made, name, one_thread
):
    for split in SIZES:
        (tmp_path / name.format(split)).write_text(made(split))
    found = {
        which: finetune(
            task, source, tmp_path / name.format("train"), tmp_path / which,
            dev=tmp_path / name.format("dev"), seeds=5, epochs=10, learning_rate=1e-3,
        )
        for which, source in encoders.items()
    }  # fmt: skip
    medians = {which: median_and_range(list(_accuracies(one.output).values())) for which, one in found.items()}
    majority = found["random"].metrics["dev"]["majority_accuracy"]
    assert medians["pretrained"][0] >= max(medians["random"][0], majority) + 0.05, (medians, majority)


def _accuracies(output: Path) -> dict[str, float]:
    folders = sorted(output.glob("seed-*"))
    found = {one.name: json.loads((one / "evaluation.json").read_text()) for one in folders}
    return {name: one["metrics"]["dev"]["accuracy"] for name, one in found.items()}


def odd_one_out(split: str, count: int) -> str:
    """SQuAD's form: a line in which one word was replaced, and the question which."""
    draw, paragraphs = random.Random(f"answers {split}"), []
    for number in range(count):
        words, place = line(draw), draw.randrange(10)
        words[place] = draw.choice([one for one in WORDS if one not in words])
        start = len(" ".join(words[:place])) + bool(place)
        answer = {"text": words[place], "answer_start": start}
        asked = {"id": f"{split}{number}", "question": "?", "answers": [answer]}
        paragraphs.append({"context": " ".join(words), "qas": [asked]})
    return json.dumps({"data": [{"title": "lines", "paragraphs": paragraphs}]})


def test_answers_are_found_above_chance(encoders, tmp_path, one_thread):
    """Which of ten words does not fit; chance is a tenth."""
    for split, count in (("train", 300), ("dev", 100)):
        (tmp_path / f"{split}.json").write_text(odd_one_out(split, count))
    result = finetune(
        "question-answering", encoders["pretrained"], tmp_path / "train.json", tmp_path / "run",
        dev=tmp_path / "dev.json", epochs=10, learning_rate=1e-3, max_length=32,
    )  # fmt: skip
    assert result.metrics["dev"]["exact_match"] > 0.5


def test_perplexity_falls_by_the_adaptation_of_electras_generator(tmp_path, one_thread):
    result = finetune(
        "fill-mask", FIXTURES / "default", FIXTURES / "finetuning" / "reviews.txt", tmp_path / "run",
        vocab=FIXTURES / "vocab.txt", max_length=32, epochs=10, batch_size=8, learning_rate=2e-3,
    )  # fmt: skip
    evaluation = json.loads((result.output / "evaluation.json").read_text())
    assert evaluation["metrics"]["dev"]["perplexity"] < 0.7 * evaluation["before"]["dev"]["perplexity"]
