"""The sample model's corpus: how sentences are found in what packages hold, and which of them are held out."""

from __future__ import annotations

import importlib.util
import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = Path(__file__).parent.parent / "docs" / "sample" / "corpus.py"
SPECIFICATION = importlib.util.spec_from_file_location("sample_corpus", SCRIPT)
assert SPECIFICATION is not None
assert SPECIFICATION.loader is not None
corpus = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(corpus)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. We  went\nhome.", ["It rained.", "We went home."]),
        ('"Mr. Elton came. He sat."', ['"Mr. Elton came.', 'He sat."']),
        ("Mrs. Elton and Dr. Perry met the Rev. J. Browne.", ["Mrs. Elton and Dr. Perry met the Rev. J. Browne."]),
        ('"Oh! Why?" she said. “No.” Then: so.', ['"Oh!', 'Why?" she said.', "“No.”", "Then: so."]),
        ("It cost $1.50. In all.", ["It cost $1.50.", "In all."]),
        ("_Never_ mind.", ["Never mind."]),
        ("", []),
    ],
)
def test_a_paragraph_is_cut_where_sentences_end(text, expected):
    assert corpus.sentences(text) == expected


@given(st.text(alphabet="aB.!? \n"))
def test_cutting_loses_no_letter(text):
    assert "".join("".join(corpus.sentences(text)).split()) == "".join(text.split())


def test_a_synset_is_its_words_with_their_definition_and_its_examples(tmp_path):
    folder = tmp_path / "package/dict"
    folder.mkdir(parents=True)
    spin = '00344075 04 n 02 spin 0 top_spin(a) 2 000 | a rapid turn; "he gave it a spin"; "it spun!"; or so  \n'
    for part in ("noun", "verb", "adj", "adv"):
        (folder / f"data.{part}").write_text("  1 a licence  \n" + (spin if part == "noun" else ""))
    expected = ["spin, top spin: a rapid turn; or so.", "he gave it a spin.", "it spun!"]
    assert next(corpus.read_wordnet(tmp_path)) == expected


def r_string(text: str) -> bytes:
    return b"\x00\x04\x00\x09" + struct.pack(">i", len(text)) + text.encode()


def test_novels_are_read_out_of_a_data_base_of_r(tmp_path):
    folder = tmp_path / "usr/lib/R/site-library/janeaustenr/data"
    folder.mkdir(parents=True)
    novels = [["Emma was", "handsome. And rich.", "", "The end."], ["Persuasion."]]
    blocks = [b"".join(map(r_string, lines)) for lines in novels]
    packed = b"".join(struct.pack(">I", len(block)) + zlib.compress(block) for block in blocks)
    (folder / "Rdata.rdb").write_bytes(packed)
    assert list(corpus.read_austen(tmp_path)) == [["Emma was handsome.", "And rich.", "The end."], ["Persuasion."]]


def test_verses_are_read_out_of_a_module_of_sword(tmp_path):
    folder = tmp_path / "usr/share/sword/modules/texts/ztext/engWEB2015eb"
    folder.mkdir(parents=True)
    verses = [
        b"<title>Psalm</title>In the <w>beginning</w>, <note>x</note>there was.",
        b"He said , \xe2\x80\x9cGo.\xe2\x80\x9d",
    ]
    packed = zlib.compress(b"".join(verses))
    for testament in ("ot", "nt"):
        (folder / f"{testament}.bzz").write_bytes(packed)
        (folder / f"{testament}.bzs").write_bytes(struct.pack("<III", 0, len(packed), sum(map(len, verses))))
        places = [(0, 0, 0), (0, 0, len(verses[0])), (0, len(verses[0]), len(verses[1]))]
        (folder / f"{testament}.bzv").write_bytes(b"".join(struct.pack("<IIH", *place) for place in places))
    assert list(corpus.read_web(tmp_path)) == 2 * [["In the beginning, there was.", "He said, “Go.”"]]


def test_chapters_and_addresses_come_in_their_order(tmp_path):
    folder = tmp_path / "package/data"
    folder.mkdir(parents=True)
    for number in (2, 10, 1):
        (folder / f"chapter_{number}.json").write_text(json.dumps({"text": f"Chapter {number}."}))
    for year in (1901, 1899, 1950):
        (folder / f"{year}_somebody_n.txt").write_text(f"Of {year}.")
    assert list(corpus.read_moby_dick(tmp_path)) == [["Chapter 1."], ["Chapter 2."], ["Chapter 10."]]
    assert list(corpus.read_addresses(tmp_path)) == [["Of 1901."], ["Of 1950."]]


@given(st.lists(st.integers(1, 3000), max_size=5))
def test_every_sentence_is_trained_on_or_held_out_one_part_in_many(sizes):
    documents = [[f"{number} {line}" for line in range(size)] for number, size in enumerate(sizes)]
    trained, held_out = corpus.split(documents)
    lines = [line for document in [*trained, *held_out] for line in document]
    assert sorted(lines) == sorted(line for document in documents for line in document)
    parts = sum(-(-size // corpus.PART) for size in sizes)
    assert len(held_out) == parts // corpus.HELD_OUT_EVERY
    assert all(document for document in trained)


def test_a_package_that_is_not_the_one_is_refused(tmp_path):
    source = corpus.SOURCES[0]
    (tmp_path / source.file).write_bytes(b"another")
    with pytest.raises(SystemExit, match=f"{source.file}: SHA-256 .*, expected {source.sha256}"):
        corpus.bring(source, tmp_path)


@pytest.mark.long
def test_the_corpus_is_made_as_it_is_told(tmp_path):
    """From the registries: the same bytes on any machine."""
    made = subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, capture_output=True, text=True).stdout
    told = SCRIPT.with_name("README.md").read_text()
    assert made.splitlines()[-1].removeprefix("SHA-256 of all: ") in told
    for line in made.splitlines()[:-1]:
        (size,) = re.findall(r": ([\d.]+) MB ", line)
        assert f"| {size} |" in told
