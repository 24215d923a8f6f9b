"""Which files a corpus has, and which are refused."""

from __future__ import annotations

import os

import pytest

from electra_convert.errors import CorpusError
from electra_convert.pretraining.corpus.files import CorpusFile, corpus_files


def test_linked_folders_are_searched_each_once(tmp_path):
    (tmp_path / "corpus" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "corpus" / "a" / "one.txt").write_text("one\n")
    (tmp_path / "elsewhere" / "deep" / "two.txt").write_text("two\n")
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "again").symlink_to(tmp_path / "corpus")
    (tmp_path / "elsewhere" / "deep" / "around").symlink_to(tmp_path / "elsewhere")
    found = corpus_files([tmp_path / "corpus"])
    assert [str(file.path.relative_to(tmp_path / "corpus")) for file in found] == ["a/one.txt", "linked/deep/two.txt"]


def test_what_is_neither_file_nor_folder_is_refused_unless_hidden(tmp_path):
    (tmp_path / "text.txt").write_text("text\n")
    (tmp_path / ".hidden").symlink_to(tmp_path / "nowhere")
    assert corpus_files([tmp_path]) == (CorpusFile(tmp_path / "text.txt", "text"),)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="broken is a link that leads nowhere"):
        corpus_files([tmp_path])
    (tmp_path / "broken").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="pipe is neither a file nor a folder"):
        corpus_files([tmp_path])


def test_a_pipe_is_told_apart_from_what_is_not_there(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="pipe is neither a file nor a folder") as raised:
        corpus_files([tmp_path / "pipe"])
    assert raised.value.hint == "A corpus is read several times; write what a pipe gives to a file."
