"""Small data that are made for a task: a word's label follows from the word before it, never from the word itself."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

from conftest import FIXTURES

# Whole pieces of the fixtures' vocabulary.
WORDS = tuple(
    word
    for word in (FIXTURES / "vocab.txt").read_text().split()[200:]
    if word.isascii() and word.isalpha() and word.islower() and len(word) > 2
)[:60]


def tagged(sentences: int, seed: int, labels: tuple[str, str] = ("O", "B-X")) -> str:
    """Sentences in columns: a word is of the second label where the one before is of the first half of all words."""
    draw = random.Random(seed)
    text = []
    for _ in range(sentences):
        before = ""
        for _ in range(draw.randint(4, 9)):
            word = draw.choice(WORDS)
            text.append(f"{word} {labels[before in WORDS[:30]]}")
            before = word
        text.append("")
    return "\n".join(text) + "\n"


def classified(texts: int, seed: int) -> list[dict[str, str]]:
    """Texts of which the first word says what they are; the same words stand in texts of every class."""
    draw = random.Random(seed)
    rows = []
    for _ in range(texts):
        words = [draw.choice(WORDS) for _ in range(6)]
        rows.append({"text": " ".join(words), "label": "good" if words[0] in WORDS[:30] else "bad"})
    return rows


def as_table(rows: list[dict[str, str]], delimiter: str = "\t") -> str:
    """Rows with a header."""
    lines = [delimiter.join(rows[0]), *(delimiter.join(row.values()) for row in rows)]
    return "\n".join(lines) + "\n"


def asked(questions: int, seed: int, words: Sequence[str] = WORDS) -> dict:
    """SQuAD's form: the answer to "where is A?" is the word after A."""
    draw = random.Random(seed)
    paragraphs = []
    for number in range(questions):
        chosen = draw.sample(words, 8)
        place = draw.randrange(7)
        passage = " ".join(chosen)
        start = len(" ".join(chosen[: place + 1])) + 1
        answers = [{"text": chosen[place + 1], "answer_start": start}]
        asked_for = {"id": f"q{seed}-{number}", "question": f"{chosen[place]}?", "answers": answers}
        paragraphs.append({"context": passage, "qas": [asked_for]})
    return {"data": [{"title": "words", "paragraphs": paragraphs}]}


def write_data(folder: Path) -> Path:
    """Files of every task, for training and to evaluate on."""
    folder.mkdir(exist_ok=True)
    for name, count, seed in (("train", 48, 1), ("dev", 12, 2)):
        (folder / f"{name}.conll").write_text(tagged(count, seed))
        (folder / f"{name}.tsv").write_text(as_table(classified(count, seed)))
        (folder / f"{name}.json").write_text(json.dumps(asked(count, seed)))
        scored = [
            {"sentence1": row["text"], "sentence2": row["text"].split()[0], "score": f"{len(row['text']) / 10}"}
            for row in classified(count, seed)
        ]
        (folder / f"{name}-scored.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored))
    return folder


def finetune_until_killed(step: int, task: str, train: Path, output: Path, options: dict) -> None:
    """Fine-tune, and be killed by the kernel's hand after a step."""
    import torch

    from electra_convert.finetuning.finetune import finetune
    from electra_convert.pretraining.progress import Silent

    class Killer(Silent):
        def stepped(self, number: int, total: int, losses: object) -> None:
            if number == step:
                os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    finetune(task, FIXTURES / "default", train, output, reporter=Killer(), **options)  # type: ignore[arg-type]
