"""A Hub as the real one answers: files from other hosts, hashes in quotes or marked weak; all of that works."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest
from support.fake_hub.process import FakeHub

pytestmark = pytest.mark.slow

SOURCE = "hf://alice/small"


def push(hub: FakeHub, folder: Path) -> None:
    program = "import sys, huggingface_hub as h\nh.create_repo('alice/small')\n"
    ran = hub.python(f"{program}h.upload_folder(repo_id='alice/small', folder_path=sys.argv[1])", folder)
    assert ran.code == 0, ran.err


def from_another_host(hub: FakeHub, folder: Path, name: str, **headers: str) -> None:
    """Have a file come from another host, which knows nothing of commits and has ETags of its own."""
    content = (folder / name).read_bytes()
    commit = hub.repositories["alice/small"]["refs"]["main"]
    cdn = hub.base.replace("127.0.0.1", "localhost") + f"/cdn/{name}?Expires=1&Signature=x~y"
    stated = {
        "Location": cdn,
        "X-Repo-Commit": commit,
        "X-Linked-Size": str(len(content)),
        "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
        "ETag": 'W/"29-page"',
        **headers,
    }
    for method in ("HEAD", "GET"):
        hub.order("raw", method, f"/resolve/.*/{name}$", times=9, body="Found.", status=302, headers=stated)
    data = b64encode(content).decode()
    hub.order("raw", "GET", f"/cdn/{name}", times=9, data=data, headers={"ETag": '"d41d8cd98f00b204-12"'})


def test_a_file_that_another_host_serves_is_read(hub, generator, tmp_path):
    push(hub, generator)
    from_another_host(hub, generator, "model.safetensors")
    assert hub.run("convert", SOURCE, tmp_path / "out", "--to", "safetensors", "-q", NO_PROXY="*").code == 0
    assert hub.requests("GET", "/cdn/")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (generator / "model.safetensors").read_bytes()


def test_a_file_that_was_moved_within_the_hub_is_read(hub, generator, tmp_path):
    """As of small files: sent on to a place of its cache, by a path alone."""
    push(hub, generator)
    content = (generator / "config.json").read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    from_another_host(
        hub,
        generator,
        "config.json",
        **{"Location": "/api/resolve-cache/config.json?etag=x", "X-Linked-Etag": f'"{oid}"'},
    )
    commit = hub.repositories["alice/small"]["refs"]["main"]
    for method in ("HEAD", "GET"):
        hub.order(
            "raw",
            method,
            "/api/resolve-cache/",
            times=9,
            data=b64encode(content).decode(),
            headers={"ETag": f'W/"{oid}"', "X-Repo-Commit": commit},
        )
    ran = hub.run("convert", SOURCE, tmp_path / "out", "--to", "safetensors", "-q")
    assert ran.code == 0, ran.err
    assert hub.requests("GET", "/resolve-cache/")


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', "{}"])
def test_an_etag_is_known_however_it_is_written(hub, generator, form):
    push(hub, generator)
    content = (generator / "config.json").read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    hub.order("edit", "HEAD", "/config.json$", times=9, edit={"headers": {"ETag": form.format(oid)}})
    ran = hub.run("inspect", SOURCE, "-q")
    assert ran.code == 0, ran.err


def test_a_model_of_another_name_by_now_is_read_by_the_old_one(hub, generator):
    push(hub, generator)
    hub.order(
        "raw",
        "GET",
        "/api/models/bob/old/revision/main",
        times=9,
        status=307,
        body="Temporary Redirect. Redirecting",
        headers={"Location": "/api/models/alice/small/revision/main"},
    )
    commit = hub.repositories["alice/small"]["refs"]["main"]
    for path in generator.iterdir():
        for method in ("HEAD", "GET"):
            hub.order(
                "raw",
                method,
                f"/bob/old/resolve/{commit}/{path.name}$",
                times=9,
                status=307,
                body="Temporary Redirect.",
                headers={"Location": f"/alice/small/resolve/{commit}/{path.name}"},
            )
    ran = hub.run("inspect", "hf://bob/old", "-q")
    assert ran.code == 0, ran.err
