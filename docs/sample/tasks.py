"""Makes two small labelled tasks out of the sample model's corpus, of which no word's form tells the label.

python docs/sample/tasks.py CORPUS FOLDER reads what corpus.py made, and writes FOLDER/noun-or-verb-{train,dev}.conll
and FOLDER/exchanged-{train,dev}.tsv, the same on any machine.
"""

import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SIZES = {"train": 800, "dev": 400}
WORD = re.compile(r"\w+|[^\w\s]")
# How long a sentence may be, in words.
SHORTEST, LONGEST = 4, 30


@dataclass(frozen=True)
class Use:
    """A word in an example of WordNet's: where it stands, and as which part of speech."""

    words: tuple[str, ...]
    place: int
    label: str


def uses(wordnet: Path) -> Iterator[Use]:
    """The examples of nouns and of verbs in which a word stands as it does in a dictionary, once."""
    for label in ("noun", "verb"):
        for line in (wordnet / "package" / "dict" / f"data.{label}").read_text("latin-1").splitlines():
            if line.startswith("  "):
                continue
            data, _, gloss = line.partition(" | ")
            fields = data.split()
            defined = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
            for example in re.findall(r"\"([^\"]+)\"", gloss):
                words = tuple(WORD.findall(example))
                found = [place for place, word in enumerate(words) if word in defined]
                if len(found) == 1 and SHORTEST <= len(words) <= LONGEST:
                    yield Use(words, found[0], label)


def balanced(found: Sequence[Use], draw: random.Random) -> dict[str, list[Use]]:
    """Of each word as many uses as a noun as there are as a verb, three at most, so that the word tells nothing."""
    by_word: dict[str, dict[str, list[Use]]] = defaultdict(lambda: {"noun": [], "verb": []})
    for use in found:
        by_word[use.words[use.place]][use.label].append(use)
    kept = {}
    for word in sorted(by_word):
        count = min(3, *(len(group) for group in by_word[word].values()))
        if count:
            kept[word] = [use for group in by_word[word].values() for use in draw.sample(group, count)]
    return kept


def noun_or_verb(wordnet: Path) -> dict[str, str]:
    """Sentences in which a word that may be a noun or a verb is labelled as it is; the splits share no such word."""
    draw = random.Random("noun or verb")
    kept = balanced(list(uses(wordnet)), draw)
    words = sorted(kept)
    draw.shuffle(words)
    texts = {}
    for split, size in SIZES.items():
        chosen: list[Use] = []
        while len(chosen) < size:
            chosen += kept[words.pop()]
        draw.shuffle(chosen)
        texts[split] = "\n".join("".join(columns(use)) for use in chosen)
    return texts


def columns(use: Use) -> Iterator[str]:
    """A sentence, a word and its label on each line."""
    for place, word in enumerate(use.words):
        yield f"{word} {f'B-{use.label.upper()}' if place == use.place else 'O'}\n"


def exchanged(held_out: str) -> dict[str, str]:
    """Sentences held out from pretraining, half of them with a word exchanged for one that is as frequent."""
    draw = random.Random("exchanged")
    counts = Counter(word.lower() for word in WORD.findall(held_out) if word.isalpha())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    rank = {word: place for place, word in enumerate(ranked)}
    lines = [line for line in held_out.splitlines() if '"' not in line and SHORTEST < len(line.split()) <= LONGEST]
    draw.shuffle(lines)
    texts = {}
    for split, size in SIZES.items():
        rows = ["text\tlabel"]
        for number in range(size):
            line = lines.pop()
            rows.append(f"{exchange(line, rank, ranked, draw)}\texchanged" if number % 2 else f"{line}\toriginal")
        texts[split] = "\n".join(rows) + "\n"
    return texts


def exchange(line: str, rank: dict[str, int], ranked: Sequence[str], draw: random.Random) -> str:
    """A sentence with one word exchanged, in the case that it had."""
    places = [match for match in re.finditer(r"\b[^\W\d_]+\b", line) if match[0].lower() in rank]
    match = draw.choice(places)
    word = match[0]
    at = rank[word.lower()]
    near = [other for other in ranked[max(0, at - 20) : at + 21] if other != word.lower()]
    other = draw.choice(near)
    return line[: match.start()] + (other.capitalize() if word[0].isupper() else other) + line[match.end() :]


def main(corpus: Path, folder: Path) -> None:
    """Makes both tasks in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {"noun-or-verb": (noun_or_verb(corpus / "packages" / "wordnet"), "conll")}
    made["exchanged"] = (exchanged((corpus / "held-out.txt").read_text("utf-8")), "tsv")
    for name, (texts, ending) in made.items():
        for split, text in texts.items():
            (folder / f"{name}-{split}.{ending}").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
