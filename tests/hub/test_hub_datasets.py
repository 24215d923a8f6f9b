"""hf://datasets/OWNER/NAME: which Parquet files are meant, and the corpus that they are."""

from __future__ import annotations

import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from conftest import FIXTURES

CONVERTED = "refs/convert/parquet"
# Reads a corpus in a process of its own; prints its lines, and what is told.
READ = """
import json, sys
from pathlib import Path
from electra_convert.cli.mistakes import told
from electra_convert.errors import ElectraConvertError
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.places import brought
from electra_convert.pretraining.progress import Relay, Silent
relay, column = Relay(Silent()), (sys.argv[2:] or [None])[0]
try:
    with brought([sys.argv[1]], column, Path("scratch"), relay) as files:
        print(json.dumps({"lines": list(lines_of_corpus(files)), "notes": relay.notes}))
except ElectraConvertError as error:
    print(*told(error)[:2], sep="\\nHint: ", file=sys.stderr)
    sys.exit(1)
"""


def parquet(*texts: str, **columns: list[str]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns or {"text": list(texts)}), file)
    return file.getvalue()


@pytest.fixture
def read(hub):
    """Reads a corpus from the Hub, which must succeed."""

    def lines(source, *column, **environment):
        ran = hub.python(READ, source, *column, **environment)
        assert ran.code == 0, ran.err
        found = json.loads(ran.out)
        return [line for line in found["lines"] if line], found["notes"]

    return lines


@pytest.fixture
def refused(hub):
    """Reads a corpus from the Hub, which must be refused."""

    def said(source, *column, **environment):
        ran = hub.python(READ, source, *column, **environment)
        assert ran.code == 1, ran.out
        return ran.err

    return said


def test_a_data_set_is_its_training_split_as_the_hub_converts_it(hub, read):
    hub.put("datasets/alice/birds", {"data.csv": "text\nnot this\n"})
    files = {
        "default/train/0000.parquet": parquet("one", "two\n\nthree"),
        "default/train/0001.parquet": parquet("four"),
    }
    hub.put("datasets/alice/birds", {**files, "default/test/0000.parquet": parquet("no")}, ref=CONVERTED)
    lines, [note] = read("hf://datasets/alice/birds")
    assert lines == ["one", "two", "three", "four"]
    size = sum(map(len, files.values())) / 1e6
    assert note == f"hf://datasets/alice/birds is default/train at {CONVERTED}: 2 Parquet files, {size:,.1f} MB."
    assert not [path for path in hub.requests("GET") if "test" in path]


# Tokenises a corpus in a process of its own, into a cache.
CACHE = """
import sys
from pathlib import Path
from electra_convert.pretraining.corpus.cache import open_corpus
from electra_convert.pretraining.corpus.places import as_places, brought
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import read_word_pieces
from electra_convert.pretraining.progress import Silent
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions
source, vocab, cache = sys.argv[1:]
how = Tokenisation(read_word_pieces(TokenizerOptions(vocab=Path(vocab)), None), 32, True)
with brought(as_places(source), None, Path("scratch"), Silent()) as files:
    open_corpus(files, how, Path(cache), None)
"""


def test_a_data_set_is_cached_as_the_bytes_of_the_same_text(hub, tmp_path):
    documents = (FIXTURES / "corpus" / "english.txt").read_text().split("\n\n")[:60]
    (tmp_path / "docs.txt").write_text("".join(f"{document}\n\n" for document in documents))
    names = {"0000": documents[:25], "0001": documents[25:]}
    files = {f"default/train/{name}.parquet": parquet(*texts) for name, texts in names.items()}
    hub.put("datasets/alice/birds", files, ref=CONVERTED)
    caches = []
    for source in ("hf://datasets/alice/birds", tmp_path / "docs.txt"):
        cache = tmp_path / f"cache-{len(caches)}"
        ran = hub.python(CACHE, source, FIXTURES / "vocab.txt", cache)
        assert ran.code == 0, ran.err
        [folder] = cache.iterdir()
        caches.append({name: (folder / name).read_bytes() for name in ("tokens.bin", "examples.bin")})
    assert caches[0] == caches[1]


def test_the_size_is_told_before_anything_is_downloaded(hub, refused):
    hub.put("datasets/alice/birds", {"default/train/0000.parquet": parquet("one")}, ref=CONVERTED)
    program = READ.replace("relay, column", "Relay.noticed = lambda _, line: sys.exit(line)\nrelay, column")
    ran = hub.python(program, "hf://datasets/alice/birds")
    assert not hub.requests("GET", "/resolve/")
    assert not hub.requests("HEAD", "/resolve/")
    assert ran.code == 1


@pytest.mark.parametrize(
    ("path", "expected"), [("/es/train", "dos"), ("/es", "dos"), ("/en/test", "three"), ("@main/fr/train", "quatre")]
)
def test_a_config_a_split_and_a_revision_are_chosen(hub, read, path, expected):
    names = {"en/train": "one", "es/train": "dos", "en/test": "three"}
    hub.put("datasets/alice/birds", {"fr/train-00000-of-00001.parquet": parquet("quatre")})
    files = {f"{name}/0000.parquet": parquet(text) for name, text in names.items()}
    hub.put("datasets/alice/birds", files, ref=CONVERTED)
    assert read(f"hf://datasets/alice/birds{path}")[0] == [expected]


def test_what_is_not_converted_is_read_from_its_own_parquet_files(hub, read):
    names = ("data/train-00000-of-00002-0a1b.parquet", "data/train-00001-of-00002-0a1b.parquet")
    hub.put("datasets/alice/birds", {names[0]: parquet("one"), names[1]: parquet("two"), "README.md": "# Birds\n"})
    lines, [note] = read("hf://datasets/alice/birds")
    assert lines == ["one", "two"]
    assert "is default/train at main: 2 Parquet files" in note


def test_of_a_large_data_set_the_first_part_is_told_to_be_that(hub, read):
    hub.put("datasets/alice/birds", {"default/partial-train/0000.parquet": parquet("one")}, ref=CONVERTED)
    lines, [note] = read("hf://datasets/alice/birds")
    assert lines == ["one"]
    assert "the Hub has the first part of it alone as Parquet" in note


def test_another_column_is_read_where_it_is_named(hub, read):
    hub.put("datasets/alice/birds", {"default/train/0000.parquet": parquet(title=["a"], body=["b"])}, ref=CONVERTED)
    assert read("hf://datasets/alice/birds", "body")[0] == ["b"]


def test_a_column_that_is_not_there_is_told_before_the_other_files_are_downloaded(hub, refused):
    files = {f"default/train/000{number}.parquet": parquet(body=["b"]) for number in range(3)}
    hub.put("datasets/alice/birds", files, ref=CONVERTED)
    assert "has no 'text' among its columns: body" in refused("hf://datasets/alice/birds")
    assert not [path for path in hub.requests("GET", "/resolve/") if "0001" in path or "0002" in path]


def test_what_was_downloaded_once_is_there_offline(hub, read, refused):
    hub.put("datasets/alice/birds", {"default/train/0000.parquet": parquet("one")}, ref=CONVERTED)
    assert "Unset HF_HUB_OFFLINE" in refused("hf://datasets/alice/birds", HF_HUB_OFFLINE="1")
    online, _ = read("hf://datasets/alice/birds")
    offline, [note] = read("hf://datasets/alice/birds", HF_HUB_OFFLINE="1")
    assert offline == online
    assert note.endswith("1 Parquet file, from the cache.")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "",
            "leaves open which config is meant: en, es\nHint: It goes like this: hf://datasets/OWNER/NAME/CONFIG/SPLIT",
        ),
        ("/enn/train", "there is no config called enn; there are en, es\nHint: Did you mean en?"),
        ("/en", "leaves open which split of en is meant: dev, test"),
        ("/en/train", "there is no split of en called train; there are dev, test"),
    ],
)
def test_what_an_address_leaves_open_is_asked_for(hub, refused, path, said):
    names = ("en/dev", "en/test", "es/train")
    hub.put("datasets/alice/birds", {f"{name}/0000.parquet": parquet("a") for name in names}, ref=CONVERTED)
    assert said in refused(f"hf://datasets/alice/birds{path}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://datasets/alice/nothing", "there is no such repository or revision"),
        ("hf://datasets/alice/birds@v9", "it has no such revision"),
        ("hf://datasets/alice/birds", "has no Parquet files at main\nHint: Download its files"),
        ("hf://alice/birds", "is no corpus\nHint: A corpus on the Hub is a data set: hf://datasets/OWNER/NAME"),
        ("https://huggingface.co/datasets/alice/birds/tree/main", "Give it as hf://datasets/alice/birds."),
        ("hf://datasets/birds", "is not a place on the Hub"),
    ],
)
def test_what_is_no_data_set_of_parquet_files_is_refused(hub, refused, source, said):
    hub.put("datasets/alice/birds", {"data.csv": "text\none\n"})
    assert said in refused(source)
