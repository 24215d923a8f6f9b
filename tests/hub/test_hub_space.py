"""upload of a page that convert --to web made: a static Space, published with the care of a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.fake_hub.process import commits, writes

pytestmark = pytest.mark.slow

FILES = {
    "index.html": "<!doctype html>",
    "app.js": "1",
    "runtime/run.wasm": "\0" * 50,
    "discriminator/onnx/model.onnx": "m",
}


@pytest.fixture
def page(tmp_path) -> Path:
    """A folder as convert --to web lays one out."""
    folder = tmp_path / "page"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    sizes = {name: len(content) for name, content in FILES.items()}
    (folder / "settings.json").write_text(json.dumps({"sizes": sizes}))
    (folder / "README.md").write_text("---\ntitle: a page\nsdk: static\napp_file: index.html\n---\n# A page\n")
    return folder


def test_a_page_becomes_a_static_space_by_one_commit_and_a_second_run_makes_none(any_hub, page):
    (page / "notes.txt").write_text("mine")
    ran = any_hub.run("upload", "alice/page", page, "--json")
    assert (ran.code, ran.err) == (0, "")
    [one] = json.loads(ran.out)["uploads"]
    assert (one["verification"], one["left"], one["url"]) == (
        "page",
        ["notes.txt"],
        f"{any_hub.base}/spaces/alice/page",
    )
    assert list(any_hub.repositories) == ["spaces/alice/page"]
    start, made = commits(any_hub, "spaces/alice/page")
    assert made["files"] == sorted({*start["files"], *FILES, "settings.json", "README.md"})
    before = len(writes(any_hub))
    again = any_hub.run("upload", "alice/page", page)
    assert "no commit, nothing changed: all 6 files found there by size and hash" in again.out
    assert len(writes(any_hub)) == before


def test_files_of_a_page_before_go_and_words_written_into_its_readme_there_do_not(hub, page):
    assert hub.run("upload", "alice/page", page).code == 0
    hub.put("spaces/alice/page", {"generator/onnx/model.onnx": "old", "answers.js": "old", "mine.txt": "kept"})
    assert hub.run("upload", "alice/page", page).code == 0
    there = commits(hub, "spaces/alice/page")[-1]["files"]
    assert "mine.txt" in there
    assert not {"generator/onnx/model.onnx", "answers.js"} & {*there}
    hub.put("spaces/alice/page", {"README.md": (page / "README.md").read_text() + "My words.\n"})
    refused = hub.run("upload", "alice/page", page)
    assert "has lines that the card here has not: 'My words.'" in refused.err
    assert "--repo-type space" in refused.err
    assert hub.run("upload", "alice/page", page, "--overwrite-card").code == 0


def test_a_pull_request_and_a_branch_work_as_for_models(hub, page):
    assert hub.run("upload", "alice/page", page, "--private").code == 0
    (page / "app.js").write_text("2")
    ran = hub.run("upload", "alice/page", page, "--create-pr", "-q")
    assert ran.out.startswith(f"{hub.base}/spaces/alice/page/discussions/1"), ran
    assert hub.run("upload", "alice/page", page, "--revision", "next", "-q").code == 0


@pytest.mark.parametrize(
    ("options", "change", "said"),
    [
        (("--license", "mit"), None, "are for a model's card, and this is a page"),
        ((), "app.js", "app.js is missing or was changed"),
        ((), "settings.json", "is no page that convert --to web made"),
    ],
)
def test_a_page_that_is_not_as_it_was_made_is_refused_before_anything_is_asked(hub, page, options, change, said):
    if change:
        (page / change).unlink()
    ran = hub.run("upload", "alice/page", page, *options)
    assert ran.code != 0
    assert said in ran.err
    assert not hub.record


def test_a_file_that_lies_elsewhere_is_not_published_as_one_of_the_page(hub, page, tmp_path):
    (tmp_path / "secret").write_text("s")
    (page / "settings.json").write_text(json.dumps({"sizes": {"../secret": 1}}))
    ran = hub.run("upload", "alice/page", page)
    assert "../secret is missing or was changed" in ran.err
    assert not hub.record


def test_a_dry_run_shows_what_would_go_where(hub, page):
    ran = hub.run("upload", "alice/page", page, "--dry-run")
    assert (ran.code, writes(hub)) == (0, [])
    assert "alice/page, main" in ran.out
    assert "sdk: static" in ran.out
