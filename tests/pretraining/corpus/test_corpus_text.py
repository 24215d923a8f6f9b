"""Text files: unpacked, bounded, and refused by line and byte where they are not UTF-8, and how to convert them."""

from __future__ import annotations

import gzip
import shlex
import shutil
import subprocess

import pyarrow
import pytest

from electra_convert.errors import CorpusError
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import CorpusFile, corpus_files

GERMAN = "Das Wetter ist schön.\r\nMüller geht über die Straße.\r\n"


def zstd(content: bytes) -> bytes:
    return pyarrow.Codec("zstd").compress(content, asbytes=True)


def lines_of(path):
    return list(lines_of_corpus([CorpusFile(path, "text")]))


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("windows-1252", "line 1: byte 0xf6 is not UTF-8"),
        ("latin-1", "line 1: byte 0xf6 is not UTF-8"),
        ("utf-16", "is text in UTF-16, not UTF-8"),
        ("utf-32", "is text in UTF-32, not UTF-8"),
        ("utf-16-le", "a zero byte at every other place, as in UTF-16LE"),
        ("utf-16-be", "a zero byte at every other place, as in UTF-16BE"),
    ],
)
@pytest.mark.parametrize("name", ["my text.txt", "text.gz", "text.txt.zst"])
def test_text_in_another_encoding_is_refused_with_the_command_that_converts_it(tmp_path, name, encoding, said):
    packer = {".gz": gzip.compress, ".zst": zstd}.get(name[name.rindex(".") :], bytes)
    (tmp_path / name).write_bytes(packer(GERMAN.encode(encoding)))
    with pytest.raises(CorpusError, match=said) as raised:
        lines_of(tmp_path / name)
    command = raised.value.hint.removeprefix("Convert it first: ").partition(", with its own")[0]
    assert "iconv -f " in command
    if shutil.which("iconv") and not (name.endswith(".zst") and not shutil.which("zstd")):
        subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], check=True)
        assert lines_of(shlex.split(command)[-1] and tmp_path / shlex.split(command)[-1]) == GERMAN.split("\r\n")[:-1]


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "euc_kr", "koi8-r", "windows-1251"])
def test_other_encodings_are_refused_with_one_to_put_in(tmp_path, encoding):
    words = {"shift_jis": "鳥が歌う。", "gb18030": "鸟在唱歌。", "euc_kr": "새가 노래한다."}.get(
        encoding, "Птицы поют."
    )
    (tmp_path / "text.txt").write_bytes(b"It is spring.\n" + words.encode(encoding))
    with pytest.raises(CorpusError, match=r"line 2: byte 0x.. is not UTF-8") as raised:
        lines_of(tmp_path / "text.txt")
    assert "iconv -f WINDOWS-1252 -t UTF-8" in raised.value.hint
    assert "with its own encoding in place of WINDOWS-1252" in raised.value.hint


@pytest.mark.parametrize("content", [b"text\nPNG\0\0\r\n", b"\x89PNG\r\n\x1a\n\x01", b"\x7fELF\x02\x01\xff"])
def test_what_is_no_text_at_all_is_not_to_be_converted(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorpusError, match="line ") as raised:
        lines_of(tmp_path / "file")
    assert raised.value.hint.startswith("A corpus is text in UTF-8")


@pytest.mark.parametrize("packer", [bytes, gzip.compress, zstd])
def test_a_line_that_would_fill_the_memory_is_refused_before_it_does(tmp_path, packer):
    (tmp_path / "bomb").write_bytes(packer(b"short\n" + b"0" * (1 << 25)))
    with pytest.raises(CorpusError, match="line 2 is longer than 16 MB"):
        lines_of(tmp_path / "bomb")


@pytest.mark.parametrize("packer", [gzip.compress, zstd])
def test_packed_files_are_read_to_their_last_part(tmp_path, packer):
    (tmp_path / "text").write_bytes(packer(b"one\ntwo\n") + packer(b"three\n"))
    assert lines_of(tmp_path / "text") == ["one", "two", "three"]


@pytest.mark.parametrize("packer", [gzip.compress, zstd])
@pytest.mark.parametrize("missing", [1, 12, 200])
def test_packed_files_that_are_cut_short_are_refused(tmp_path, packer, missing):
    content = b"".join(b"%d\n" % (number**3) for number in range(500))
    (tmp_path / "text").write_bytes(packer(content)[:-missing])
    with pytest.raises(CorpusError, match="text cannot be read after line"):
        lines_of(tmp_path / "text")


@pytest.mark.parametrize(
    ("start", "packer"), [(b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0\0", "xz"), (b"PK\3\4\x14", "zip")]
)
def test_what_something_else_packed_is_named(tmp_path, start, packer):
    (tmp_path / "text").write_bytes(start * 9)
    with pytest.raises(CorpusError, match=f"is packed by {packer}"):
        corpus_files([tmp_path / "text"])
