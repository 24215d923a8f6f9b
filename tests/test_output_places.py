"""Where an output must not go: refused before any work is done, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from electra_convert.errors import OutputError
from electra_convert.output import check_target, new_folder


def make(target: Path) -> None:
    with new_folder(target, overwrite=False):
        pass


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A source with a checkpoint and a folder in it, and things beside it that are no new names."""
    (tmp_path / "source" / "inner").mkdir(parents=True)
    (tmp_path / "source" / "model.ckpt-1.index").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "way_in").symlink_to(tmp_path / "source")
    return tmp_path


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("target", "source", "complaint"),
    [
        ("source/out", "source", "lies inside the source"),
        ("source/inner/a/b", "source", "lies inside the source"),
        ("way_in/out", "source", "lies inside the source"),
        ("source/out", "way_in", "lies inside the source"),
        ("folder/../source/out", "source", "lies inside the source"),
        ("source", "source", "holds the source"),
        ("way_in", "source", "holds the source"),
        ("source", "source/model.ckpt-1", "holds the source"),
        ("source", "source/model.ckpt-1.index", "holds the source"),
        (".", "source", "holds the source"),
        ("file/out", "source", "file is not a folder, so .*out cannot be made"),
        ("file/a/b/out", "source", "file is not a folder, so .*out cannot be made"),
        ("dangling/out", "source", "dangling is not a folder, so .*out cannot be made"),
        ("loop/out", "source", "is not a path that can be followed|is not a folder"),
        ("loop", "source", "is not a path that can be followed|already exists|is not a folder"),
        ("nul\0", "source", "is not a path that can be followed"),
    ],
)
def test_a_place_that_must_not_be_written_to_is_refused(places: Path, target, source, complaint, overwrite: bool):
    with pytest.raises(OutputError, match=complaint):
        check_target(places / target, places / source, overwrite)


@pytest.mark.parametrize("name", ["", ".", "..", "out/.."])
def test_an_output_needs_a_name_of_its_own(places: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    """The empty text is what a variable of the shell that was never set gives: it would mean the folder one is in."""
    monkeypatch.chdir(places / "folder")
    with pytest.raises(OutputError, match="names no new folder"):
        check_target(Path(name), places / "source", overwrite=True)


@pytest.mark.parametrize("name", ["folder", "file", "link", "dangling"])
def test_what_exists_is_refused_and_only_a_folder_may_be_replaced(places: Path, name: str):
    with pytest.raises(OutputError, match=f"{name} already exists") as error:
        check_target(places / name, places / "source", overwrite=False)
    assert "--overwrite" in error.value.hint
    if name == "folder":
        check_target(places / name, places / "source", overwrite=True)
    else:
        with pytest.raises(OutputError, match=f"{name} is not a folder, so it is not replaced"):
            check_target(places / name, places / "source", overwrite=True)


def test_a_place_where_a_disk_is_mounted_is_not_replaced(places: Path):
    with pytest.raises(OutputError, match=r"a disk is mounted at .*, so it is not replaced"):
        check_target(Path("/proc"), places / "source", overwrite=True)


@pytest.mark.parametrize(
    ("target", "source"),
    [("out", "source"), ("a/b/out", "source"), ("source_2", "source"), ("source/out", "source/model.ckpt-1")],
)
def test_any_other_new_name_will_do(places: Path, target: str, source: str):
    check_target(places / target, places / source, overwrite=False)
    make(places / target)
    assert (places / target).is_dir()


@pytest.mark.parametrize("target", ["x" * 300, f"{'x' * 300}/out", f"a/{'x' * 300}/out", "a/../b/out"])
def test_a_place_that_cannot_be_made_is_refused_and_nothing_is_left(tmp_path: Path, target: str):
    with pytest.raises(OutputError, match=r"cannot be (made|written)"):
        make(tmp_path / target)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files, even from root")
def test_a_parent_that_takes_no_files_is_refused():
    with pytest.raises(OutputError, match="out cannot be made"):
        make(Path("/proc/self/out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_may_not_be_written_to_is_refused(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="out cannot be made: Permission denied"):
        make(tmp_path / "locked" / "out")
