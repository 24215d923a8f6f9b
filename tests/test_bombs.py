"""Nothing small becomes large: what states a size, or unpacks to one, is refused before memory is taken for it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from support.bounded import COMMAND, measured

MOST_MEMORY = 1 << 30
MOST_SECONDS = 10
VOCABULARY = FIXTURES / "vocab.txt"

READ_CORPUS = """
from pathlib import Path
from electra_convert.errors import ElectraConvertError
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import corpus_files
try:
    column = sys.argv[3] if len(sys.argv) > 3 else None
    print(sum(1 for _ in lines_of_corpus(corpus_files([Path(sys.argv[2])], column))))
except ElectraConvertError as error:
    sys.exit(f"Error: {error}")
"""
TRAIN_VOCABULARY = """
from pathlib import Path
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.vocabulary import train_word_pieces
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions
files = corpus_files([Path(sys.argv[2])])
print(*train_word_pieces(lambda: lines_of_corpus(files), 100, TokenizerOptions()).vocabulary.pieces)
"""
READ_TOKENIZER = """
from pathlib import Path
from electra_convert.errors import ElectraConvertError
from electra_convert.tokenizer.saved import read_saved_tokenizer
try:
    read_saved_tokenizer(Path(sys.argv[2]))
except ElectraConvertError as error:
    sys.exit(f"Error: {error}")
"""


def bounded(tmp_path, program, *arguments):
    """What a program said, which stayed within the limits."""
    found = measured(program, tmp_path / "figures.json", *arguments)
    assert found.memory <= MOST_MEMORY, f"{found.memory >> 20} MB"
    assert found.seconds <= MOST_SECONDS, f"{found.seconds} s"
    assert "unexpected" not in found.ran.err
    assert "Traceback" not in found.ran.err
    return found.ran


def deflated(content: bytes, times: int) -> bytes:
    """A stream that unpacks to the content so many times over, packed once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    return once * times + packer.flush()


def gzip_bomb(path: Path, content: bytes, times: int) -> Path:
    """A gzip file that unpacks to the content so many times over; nobody gets as far as its checksum."""
    path.write_bytes(gzip.compress(b"")[:10] + deflated(content, times) + bytes(8))
    return path


def zip_bomb(path: Path, name: str, head: bytes, total: int, rest: tuple[tuple[str, bytes], ...] = ()) -> Path:
    """An archive with a record that begins in some way and is gigabytes of zeros after that."""
    chunk = 1 << 20
    packed = deflated(head, 1)[:-2] + deflated(bytes(chunk), total // chunk)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, b"\\" * len(packed))
        for other, content in rest:
            archive.writestr(other, content)
    data = bytearray(made.getvalue())
    data[30 + len(name) : 30 + len(name) + len(packed)] = packed
    # Its method and the length it unpacks to, in the directory and before the record.
    for place, method, length in ((0, 8, 22), (data.find(b"PK\1\2"), 10, 24)):
        data[place + method : place + method + 2] = (8).to_bytes(2, "little")
        data[place + length : place + length + 4] = (total + len(head)).to_bytes(4, "little")
    path.write_bytes(data)
    return path


# Corpora


@pytest.mark.parametrize(
    ("content", "times", "message"),
    [
        (b"a" * (1 << 20), 1024, "line 1 is longer than 16 MB"),
        (b"The birds sing.\n" * (1 << 16), 100, "unpacks to more than"),
    ],
    ids=["one line", "many lines"],
)
def test_a_packed_corpus_that_grows_a_thousandfold_is_refused(tmp_path, content, times, message):
    bomb = gzip_bomb(tmp_path / "bomb.txt.gz", content, times)
    ran = bounded(tmp_path, READ_CORPUS, bomb)
    assert ran.code == 1
    assert message in ran.err


def test_a_corpus_that_zstd_packed_is_refused_too(tmp_path):
    import pyarrow

    with (
        pyarrow.OSFile(str(tmp_path / "bomb.txt.zst"), "wb") as file,
        pyarrow.CompressedOutputStream(file, "zstd") as out,
    ):
        for _ in range(200):
            out.write(b"The birds sing.\n" * (1 << 15))
    ran = bounded(tmp_path, READ_CORPUS, tmp_path / "bomb.txt.zst")
    assert "unpacks to more than" in ran.err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda pyarrow: pyarrow.array(["a" * (1 << 28)]), "bytes in its column text, far more than"),
        (lambda pyarrow: pyarrow.array(["a" * (12 << 20)]).take(pyarrow.array([0] * 60)), "120"),
        (lambda pyarrow: pyarrow.array(["a"]).take(pyarrow.array(np.zeros(3_000_000, int))), "states 3000000 rows"),
    ],
    ids=["one text", "one text many times", "many rows"],
)
def test_a_parquet_file_that_grows_a_thousandfold_is_read_in_bounds_or_refused(tmp_path, values, message):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"text": values(pyarrow)})
    pyarrow.parquet.write_table(table, tmp_path / "bomb.parquet", compression="zstd", write_statistics=False)
    del table
    ran = bounded(tmp_path, READ_CORPUS, tmp_path / "bomb.parquet", "text")
    assert message in ran.err + ran.out


@pytest.mark.parametrize(
    "line",
    [
        b'{"text": ' + b"[" * 100_000,
        b'{"text": "a", "b": ' + b'{"c":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"text": "a", "b": [' + b"{}," * 2_000_000 + b"{}]}",
    ],
    ids=["lists", "objects", "wide"],
)
def test_rows_of_json_that_are_deep_or_wide_are_read_or_refused(tmp_path, line):
    (tmp_path / "corpus.jsonl").write_bytes(line)
    bounded(tmp_path, READ_CORPUS, tmp_path / "corpus.jsonl", "text")


@pytest.mark.parametrize("word", ["a", "ab", "é"])
def test_a_word_that_is_unknown_in_any_case_is_no_word_to_train_a_vocabulary_on(tmp_path, word):
    (tmp_path / "corpus.txt").write_text(f"birds sing {word * 300_000} birds sing\n")
    ran = bounded(tmp_path, TRAIN_VOCABULARY, tmp_path / "corpus.txt")
    assert ran.code == 0, ran.err
    assert "birds" in ran.out


def test_words_that_punctuation_or_the_tokenizer_parts_are_trained_on(tmp_path):
    (tmp_path / "corpus.txt").write_text("birds-sing," * 200 + "鳥歌" * 200 + "\n")
    ran = bounded(tmp_path, TRAIN_VOCABULARY, tmp_path / "corpus.txt")
    assert {"birds", "sing", "鳥", "歌"} <= set(ran.out.split())


# verify


def npy(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def archive_of(path: Path, **records: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"{name}.npy", content)
    return path


SHAPE = "{'descr': '<i8', 'fortran_order': False, 'shape': (%s), }"
HOSTILE = {
    "rows without elements": npy(SHAPE % "1099511627776, 0"),
    "more rows than bytes": npy(SHAPE % "1099511627776, 4", bytes(64)),
    "a negative dimension": npy(SHAPE % "-1, 4", bytes(64)),
    "a dimension that is no number": npy(SHAPE % "2.5, 4", bytes(64)),
    "a dimension that is true": npy(SHAPE % "True, 4", bytes(32)),
    "elements of no bytes": npy(SHAPE.replace("<i8", "|S0") % "1073741824, 8"),
    "elements of many bytes": npy(SHAPE.replace("<i8", "|V1073741824") % "4, 4", bytes(64)),
    "pickled objects": npy(SHAPE.replace("<i8", "|O") % "4, 4", bytes(128)),
    "nested brackets": npy("(" * 4000 + ")" * 4000),
    "half a literal": npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,"),
    "another literal": npy("{'descr': '<i8'}"),
    "another version": npy(SHAPE % "2, 4", bytes(64), b"\x09\0"),
    "an archive": b"PK\3\4" + bytes(60),
    "bytes": b"bytes",
}


@pytest.fixture(scope="module")
def limits_program():
    return """
from pathlib import Path
from electra_convert.errors import ElectraConvertError
from electra_convert.verification.inputs import Limits, read_inputs
for path in map(Path, sys.argv[2:]):
    try:
        read_inputs(path, Limits(100, 8, 2))
        print(path.stem, "was read")
    except ElectraConvertError as error:
        print(path.stem, "refused:", error)
"""


def test_arrays_that_state_more_than_they_hold_are_refused(tmp_path, limits_program):
    paths = [
        archive_of(tmp_path / f"{number}.npz", input_ids=content) for number, content in enumerate(HOSTILE.values())
    ]
    ran = bounded(tmp_path, limits_program, *paths)
    assert ran.code == 0, ran.err
    read = [name for name, line in zip(HOSTILE, ran.out.splitlines(), strict=True) if " refused: " not in line]
    assert not read


def test_an_archive_of_gigabytes_of_zeros_is_refused(tmp_path, limits_program):
    total = (1 << 30) * 3
    head = npy(SHAPE % f"{total // 8192}, 1024")
    ran = bounded(tmp_path, limits_program, zip_bomb(tmp_path / "bomb.npz", "input_ids.npy", head, total))
    assert "bomb refused" in ran.out
    assert f"states {total + len(head)} bytes of content" in ran.out


def test_rows_beyond_any_comparison_are_refused(tmp_path, limits_program):
    np.savez_compressed(tmp_path / "rows.npz", input_ids=np.ones((300_000, 1), np.int8))
    assert (
        "300000 rows, a comparison takes at most 32768"
        in bounded(tmp_path, limits_program, tmp_path / "rows.npz").out
    )


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((6, 8), 1, "is encrypted"),
        ((8, 10), 9, "packed by zip's method 9"),
        ((8, 10), 12, "packed by zip's method 12"),
        ((4, 6), 250, "is not an .npz of plain arrays"),
    ],
    ids=["encrypted", "deflate64", "bzip2", "of a later zip"],
)
def test_archives_of_other_kinds_are_refused_as_such(tmp_path, limits_program, place, value, message):
    path = archive_of(tmp_path / "odd.npz", input_ids=npy(SHAPE % "2, 4", bytes(64)))
    data = bytearray(path.read_bytes())
    for start, offset in zip((0, data.find(b"PK\1\2")), place, strict=True):
        data[start + offset] = value
    path.write_bytes(data)
    assert message in bounded(tmp_path, limits_program, path).out


def test_what_is_no_array_of_golden_outputs_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "golden.npz", "w") as archive:
        archive.writestr("disc_logits", b"abc")
    ran = bounded(tmp_path, COMMAND, "verify", "--golden", tmp_path / "golden.npz", FIXTURES / "default")
    assert "is not an .npz of plain arrays: it holds 'disc_logits'" in ran.err


# PyTorch


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def saved(torch, folder, state, **settings):
    torch.save(state, folder / "pytorch_model.bin", **settings)
    return folder


@pytest.mark.slow
def test_a_torch_file_that_was_packed_to_a_thousandth_is_refused(torch, tmp_path):
    saved(torch, tmp_path, {"w": torch.zeros(1)})
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin") as archive:
        records = {record.filename: archive.read(record) for record in archive.infolist()}
    [data] = [name for name in records if name.endswith("/data/0")]
    del records[data]
    zip_bomb(tmp_path / "pytorch_model.bin", data, b"", 3 << 30, tuple(records.items()))
    ran = bounded(tmp_path, COMMAND, "inspect", tmp_path)
    assert "pytorch_model.bin states 3221225" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "state",
    [
        lambda torch: {"w": torch.zeros(1).expand(30_000, 8000)},
        lambda torch: {"w": torch.zeros(9000).as_strided((8000, 30_000), (1, 0))},
        lambda torch: dict.fromkeys(map(str, range(200)), torch.zeros(1 << 16).expand(8, 1 << 16)),
    ],
    ids=["one value", "a row", "many names"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickles"])
def test_tensors_that_repeat_what_the_file_holds_are_refused(torch, tmp_path, state, zipped):
    saved(torch, tmp_path, state(torch), _use_new_zipfile_serialization=zipped)
    ran = bounded(tmp_path, COMMAND, "inspect", tmp_path, "--check")
    assert "bytes of tensors, far more than the file holds" in ran.err


@pytest.mark.slow
def test_tensors_that_share_what_the_file_holds_are_read(torch, tmp_path):
    weights = torch.zeros(1000, 1000)
    saved(
        torch,
        tmp_path,
        {"electra.a": weights, "electra.b": weights.t(), "electra.c": torch.zeros(1).expand(512, 512)},
    )
    assert "holds" not in bounded(tmp_path, COMMAND, "inspect", tmp_path).err


# JSON


@pytest.mark.parametrize("name", ["config.json", "conversion.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    "content",
    [b'{"a": ' * 100_000, b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}"],
)
def test_json_that_nests_deeper_than_any_model_s_is_refused_or_passed_over(tmp_path, name, content):
    folder = model_folder(tmp_path)
    (folder / name).write_bytes(content)
    ran = bounded(tmp_path, COMMAND, "inspect", folder)
    assert ran.code == 0 or "nests deeper than 100 levels" in ran.err or "is not" in ran.err


@pytest.mark.parametrize("name", ["config.json", "conversion.json"])
def test_a_configuration_of_gigabytes_is_not_read(tmp_path, name):
    folder = model_folder(tmp_path)
    with (folder / name).open("wb") as file:
        file.truncate(8 << 30)  # which takes nothing on the disk
    ran = bounded(tmp_path, COMMAND, "inspect", folder)
    assert "it is longer than 16 MB" in ran.err


def model_folder(tmp_path: Path) -> Path:
    from electra_convert import convert

    return convert(FIXTURES / "finetuned" / "rte", tmp_path / "model", tokenizer=False).output


@pytest.mark.parametrize("index", [4_294_967_295, 1 << 24])
def test_a_token_of_an_id_beyond_all_embeddings_is_refused(tmp_path, index):
    tokens = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": index}
    made = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "WordLevel", "vocab": tokens, "unk_token": "[UNK]"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(made))
    ran = bounded(tmp_path, READ_TOKENIZER, tmp_path)
    assert f"a token of the id {index}" in ran.err
