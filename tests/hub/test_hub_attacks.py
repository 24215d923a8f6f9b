"""A Hub that is hostile or merely wrong: nothing is written outside the cache, no changed file stays in it, nothing
local is read as if it were the Hub's, and every answer that makes no sense is told in plain words."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from base64 import b64encode
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.fake_hub.process import FakeHub
from support.fake_hub.xet import xet_hashes

from electra_convert.errors import HubError
from electra_convert.hub.answers import RemoteFile, require_commit, require_etag, require_xet_hash
from electra_convert.hub.cache import Snapshot
from electra_convert.hub.client import hide, spellings

pytestmark = pytest.mark.slow

PUSH = (
    "import sys, huggingface_hub as h\n"
    "h.create_repo(sys.argv[1], exist_ok=True)\n"
    "h.upload_folder(repo_id=sys.argv[1], folder_path=sys.argv[2])"
)
SOURCE = "hf://alice/small"
INFO = "/api/models/alice/small/revision/main"


def push(hub: FakeHub, folder: Path, name: str = "alice/small") -> None:
    ran = hub.python(PUSH, name, folder)
    assert ran.code == 0, ran.err
    for left in hub.home.iterdir() if hub.home.exists() else ():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def refused(hub: FakeHub, *arguments: str | Path) -> str:
    """Refused in plain words."""
    ran = hub.run_without_waiting(*(arguments or ("inspect", SOURCE)))
    said = ran.refusal()
    assert "unexpected" not in said, said
    assert "Traceback" not in said
    return said


def files_outside(hub: FakeHub, place: Path) -> set[Path]:
    return {path for path in place.rglob("*") if hub.home not in path.parents and path != hub.home}


def in_cache(hub: FakeHub, sha256: str) -> list[Path]:
    places = [path for path in hub.home.glob("hub/**/*") if path.is_file()]
    return [path for path in places if hashlib.sha256(path.read_bytes()).hexdigest() == sha256]


@pytest.mark.parametrize("value", ["OUTSIDE/x.desktop", "0" * 39])
@pytest.mark.parametrize("key", ["sha", "blobId", "sha256"])
def test_what_is_no_commit_and_no_hash_is_refused_before_anything_is_asked_for(
    any_hub, generator, tmp_path, key, value
):
    push(any_hub, generator)
    before = files_outside(any_hub, tmp_path)
    value = value.replace("OUTSIDE", str(tmp_path / "autostart"))
    any_hub.order("edit", "GET", INFO, times=99, edit={"find": rf'"{key}": "\w+"', "put": f'"{key}": "{value}"'})
    assert "hexadecimal digits" in refused(any_hub)
    assert files_outside(any_hub, tmp_path) == before
    assert not any_hub.requests("GET", "/resolve/")
    assert not [path for path in any_hub.home.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ETag", "OUTSIDE/x.desktop"),
        ("X-Linked-Etag", "OUTSIDE/x.desktop"),
        ("X-Repo-Commit", "../../../../../evil"),
        ("X-Xet-Hash", "../../evil"),
    ],
)
def test_a_header_that_would_be_made_a_path_is_refused(any_hub, generator, tmp_path, header, value):
    push(any_hub, generator)
    before = files_outside(any_hub, tmp_path)
    value = value.replace("OUTSIDE", str(tmp_path / "autostart"))
    headers = {header: value} if header != "ETag" else {"ETag": f'"{value}"', "X-Linked-Etag": ""}
    any_hub.order("edit", "HEAD", "/resolve/", times=99, edit={"headers": headers})
    assert "hexadecimal digits" in refused(any_hub)
    assert files_outside(any_hub, tmp_path) == before
    assert not any_hub.requests("GET", "/resolve/")


def test_a_listing_of_pages_is_held_to_the_same_form(any_hub, generator, tmp_path):
    """The library makes a path of the SHA-256 that a page of the tree states, where files come through Xet."""
    push(any_hub, generator)
    before = files_outside(any_hub, tmp_path)
    any_hub.order("edit", "GET", INFO, times=99, edit={"find": '"blobId": "[0-9a-f]+"', "put": '"blobId": null'})
    evil = tmp_path / "autostart" / "x.desktop"
    any_hub.order(
        "edit", "GET", "/tree/", times=99, edit={"find": r'"oid": "[0-9a-f]{64}"', "put": f'"oid": "{evil}"'}
    )
    assert "hexadecimal digits" in refused(any_hub)
    assert files_outside(any_hub, tmp_path) == before


def test_a_mirror_that_states_hashes_in_its_pages_alone_is_read(any_hub, generator):
    push(any_hub, generator)
    any_hub.order("edit", "GET", INFO, times=99, edit={"find": '"blobId": "[0-9a-f]+"', "put": '"blobId": null'})
    assert any_hub.run("inspect", SOURCE, "-q").code == 0
    any_hub.order("raw", "GET", "/tree/", times=99, body="[]")
    assert "holds no checkpoint that can be read" in refused(any_hub)


def test_a_listing_that_another_program_was_given_is_not_believed(xet_hub, generator, tmp_path):
    push(xet_hub, generator)
    commit = xet_hub.repositories["alice/small"]["refs"]["main"]
    listing = xet_hub.home / "hub" / "models--alice--small" / "trees" / f"{commit}.json"
    sha256 = hashlib.sha256((generator / "model.safetensors").read_bytes()).hexdigest()
    size = (generator / "model.safetensors").stat().st_size
    xet = xet_hashes(tmp_path / "hub" / "xet")[sha256]
    entry = {"size": size, "blob_id": "0" * 40, "lfs_size": size, "xet_hash": xet}
    listing.parent.mkdir(parents=True)
    told = {"format_version": 1, "files": {"model.safetensors": {**entry, "lfs_sha256": str(tmp_path / "evil")}}}
    listing.write_text(json.dumps(told))
    assert xet_hub.run("inspect", SOURCE, "-q").code == 0
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_changed_by_one_bit_is_refused_and_gone_from_the_cache(hub, generator, tmp_path, name):
    push(hub, generator)
    changed = bytearray((generator / name).read_bytes())
    changed[100] ^= 1
    hub.order("edit", "GET", f"/resolve/.*/{name}$", edit={"flip": 100})
    said = refused(hub, "convert", SOURCE, tmp_path / "out")
    assert "1 file came with another size or hash than the Hub states: " + name in said
    assert not (tmp_path / "out").exists()
    assert not in_cache(hub, hashlib.sha256(changed).hexdigest())
    assert not list(hub.home.glob(f"hub/*/snapshots/*/{name}"))
    assert hub.run("convert", SOURCE, tmp_path / "out", "--to", "safetensors", "-q").code == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (generator / "model.safetensors").read_bytes()


def test_a_file_changed_by_one_bit_is_refused_where_it_comes_through_xet(xet_hub, generator, tmp_path):
    """Xet gives what its own hash names; the Hub names that of another file beside the SHA-256 of the right one."""
    push(xet_hub, generator)
    weights = generator / "model.safetensors"
    right = weights.read_bytes()
    changed = bytearray(right)
    changed[-100] ^= 1
    weights.write_bytes(changed)
    push(xet_hub, generator, "alice/changed")
    wrong = hashlib.sha256(changed).hexdigest()
    hashes = xet_hashes(tmp_path / "hub" / "xet")
    xet_hub.order(
        "edit", "HEAD", "small/resolve/.*/model.safetensors", edit={"headers": {"X-Xet-Hash": hashes[wrong]}}
    )
    assert "another size or hash than the Hub states: model.safetensors" in refused(xet_hub)
    assert not in_cache(xet_hub, wrong)
    assert not list(xet_hub.home.glob("hub/*/snapshots/*/model.safetensors"))
    assert xet_hub.run("convert", SOURCE, tmp_path / "out", "--to", "safetensors", "-q").code == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == right


def test_what_a_killed_run_left_unchecked_is_checked_by_the_next(hub, generator):
    push(hub, generator)
    assert hub.run("inspect", SOURCE, "-q").code == 0
    [weights] = hub.home.glob("hub/*/snapshots/*/model.safetensors")
    blob = weights.resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\xff")
    assert hub.run("inspect", SOURCE, "-q").code == 0, "hashes cost only after a download"
    (weights.parents[2] / f".electra_convert-unchecked-{weights.parent.name}").touch()
    assert "than the Hub states" in refused(hub)
    assert not blob.exists()
    assert hub.run("inspect", SOURCE, "-q").code == 0


def test_a_blob_of_another_file_stays_where_a_name_was_given_to_it(tmp_path):
    """An ETag may name a blob that is right, of another file; it is the name that is wrong."""
    content = b"right"
    blob = tmp_path / "models--a--b" / "blobs" / hashlib.sha256(content).hexdigest()
    name = tmp_path / "models--a--b" / "snapshots" / ("0" * 40) / "model.safetensors"
    for path in (blob, name):
        path.parent.mkdir(parents=True)
    blob.write_bytes(content)
    name.symlink_to(Path("../../blobs") / blob.name)
    snapshot = Snapshot(tmp_path, "models--a--b", "0" * 40)
    with pytest.raises(HubError, match="another size or hash"):
        snapshot.check({"model.safetensors": RemoteFile(5, "", "f" * 64)})
    assert blob.read_bytes() == content
    assert not name.is_symlink()


def test_a_link_out_of_the_cache_is_not_followed(tmp_path):
    snapshot = Snapshot(tmp_path / "hub", "models--a--b", "0" * 40)
    snapshot.folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("")
    (snapshot.folder / "config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(HubError, match="leads out of the cache"):
        snapshot.require_inside(["config.json"])


@pytest.mark.parametrize("place", ["PLACE", "../../../../../../elsewhere"])
def test_a_state_file_does_not_lead_out_of_the_repository(hub, golden_copy, tmp_path, place):
    here = tmp_path / "elsewhere"
    golden_copy().rename(here)
    prefix = place.replace("PLACE", str(here)) + "/model.ckpt-4000"
    hub.put("alice/small", {"checkpoint": f'model_checkpoint_path: "{prefix}"\n'})
    ran = hub.run("convert", SOURCE, tmp_path / "out")
    assert f"leads out of the repository, to {here}/model.ckpt-4000" in ran.refusal()
    assert not (tmp_path / "out").exists()


def test_a_state_file_that_names_the_place_it_was_written_at_is_read(hub, golden_copy):
    source = golden_copy()
    (source / "checkpoint").write_text(f'model_checkpoint_path: "{FIXTURES.resolve()}/default/model.ckpt-4000"\n')
    push(hub, source)
    assert hub.run("inspect", SOURCE, "-q").code == 0


def info(**changes: object) -> str:
    file = {"rfilename": "model.safetensors", "size": 5, "blobId": "0" * 40}
    return json.dumps({"id": "alice/small", "sha": "0" * 40, "siblings": [file], **changes})


def named(name: object, **changes: object) -> str:
    return info(siblings=[{"rfilename": name, "size": 5, "blobId": "0" * 40, **changes}])


DEEP = "[" * 100_000 + "]" * 100_000
NONSENSE = {
    "null": "null",
    "a list": "[]",
    "a text": '"x"',
    "a number": "1",
    "nothing": "",
    "HTML": "<!DOCTYPE html><title>Sign in</title>",
    "no UTF-8": "\ud800",
    "deep": DEEP,
    "deep within": info(siblings=[]).replace("[]", DEEP),
    "no commit": json.dumps({"id": "alice/small", "siblings": []}),
    "commit null": info(sha=None),
    "commit a list": info(sha=[1]),
    "files a number": info(siblings=5),
    "files a text": info(siblings="model.safetensors"),
    "files of numbers": info(siblings=[1, 2]),
    "file without a name": info(siblings=[{}]),
    "name a number": named(5),
    "name empty": named(""),
    "name NUL": named("model\0.safetensors"),
    "name up": named("../../model.safetensors"),
    "name absolute": named("/tmp/model.safetensors"),
    "name of dots": named("a/./b"),
    "name half a letter": named("\ud800.safetensors"),
    "name endless": named("a" * 5000),
    "size negative": named("model.safetensors", size=-1),
    "size a text": named("model.safetensors", size="5"),
    "size absent": named("model.safetensors", size=None),
    "size true": named("model.safetensors", size=True),
    "size beyond any disk": named("model.safetensors", size=1 << 62),
    "size not finite": named("model.safetensors", size=float("inf")),
    "lfs a text": named("model.safetensors", lfs="x"),
    "lfs of another size": named(
        "model.safetensors", lfs={"sha256": "0" * 64, "size": 6, "pointerSize": 1}
    ),
    "oid of dots": named("model.safetensors", blobId=".." * 20),
    "a hundred thousand files and one": info(
        siblings=[{"rfilename": str(n), "size": 0, "blobId": "0" * 40} for n in range(100_001)]
    ),
}  # fmt: skip


ASKED = """
import sys
from electra_convert import inspect
for _ in range(int(sys.argv[1])):
    try:
        inspect("hf://alice/small")
    except BaseException as error:
        print(type(error).__name__, str(error)[:200].splitlines())
"""


def test_a_listing_that_makes_no_sense_is_told_in_plain_words(hub):
    for body in NONSENSE.values():
        hub.order("raw", "GET", INFO, body=body)
    ran = hub.python(ASKED, str(len(NONSENSE)))
    told = dict(zip(NONSENSE, ran.out.splitlines(), strict=True))
    assert {what: said for what, said in told.items() if not said.startswith("HubError ")} == {}
    assert not hub.requests("GET", "/resolve/")


@pytest.mark.parametrize("body", ["null", '{"name": 5, "auth": []}'])
@pytest.mark.parametrize("path", ["/api/whoami-v2", "/api/models/alice/small", "/api/repos/create", "/preupload/"])
def test_answers_to_an_upload_that_make_no_sense_are_told_in_plain_words(hub, generator, path, body):
    for method in ("GET", "POST"):
        hub.order("raw", method, path, times=99, body=body)
    ran = hub.run_without_waiting("upload", "alice/small", generator)
    assert ran.code == 1
    assert "\nError: " in f"\n{ran.err}"
    assert "unexpected" not in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("place", ["SELF", "/a", "ftp://x/", "http://", "http://127.0.0.1:1/x"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/models/"), ("HEAD", "/resolve/"), ("GET", "/resolve/")])
def test_being_sent_on_leads_to_an_end(hub, generator, method, path, place):
    push(hub, generator)
    where = {"SELF": f"{hub.base}{INFO}", "/a": f"{hub.base}/api/models/alice/small/revision/other"}.get(place, place)
    hub.order("raw", method, path, times=999, body="", status=302, headers={"Location": where})
    refused(hub)


@pytest.mark.parametrize("change", [-1, 1, 100_000_000], ids=["shorter", "longer", "much longer"])
def test_a_body_of_another_size_than_stated_is_refused(hub, generator, change):
    push(hub, generator)
    content = (generator / "config.json").read_bytes()
    hub.order(
        "raw",
        "GET",
        "/resolve/.*config.json",
        times=99,
        body=(content + b" " * change)[: len(content) + change].decode(),
    )
    said = refused(hub)
    assert "more bytes than it stated" in said or "not as large as the Hub states" in said
    assert not list(hub.home.glob("hub/*/snapshots/*/config.json"))


def test_what_is_downloaded_is_said_first_on_a_terminal_and_only_once(hub, generator):
    push(hub, generator)
    program = (
        "import sys\nfrom electra_convert.cli import main, shared\nshared.on_terminal = lambda _: True\n"
        "import os; os.environ['HF_HUB_DISABLE_PROGRESS_BARS'] = '1'\nmain()"
    )
    ran = hub.python(program, "inspect", SOURCE)
    names = [path.name for path in hub.home.glob("hub/*/snapshots/*/*")]
    size = sum((generator / name).stat().st_size for name in names) / 1e6
    assert ran.err == f"Note: Downloading {len(names)} files of {SOURCE}: {size:,.1f} MB.\n"
    assert hub.python(program, "inspect", SOURCE).err == ""


def test_pages_without_an_end_have_one(hub, generator):
    push(hub, generator)
    hub.order("edit", "GET", INFO, times=99, edit={"find": '"blobId": "[0-9a-f]+"', "put": '"blobId": null'})
    page = [{"type": "file", "oid": "0" * 40, "size": 1, "path": f"{n:0300}"} for n in range(20_000)]
    following = f'<{hub.base}/api/models/alice/small/tree/main?cursor=1>; rel="next"'
    hub.order("raw", "GET", "/tree/", times=9999, body=json.dumps(page), headers={"Link": following})
    assert "more bytes than it stated" in refused(hub)


def test_an_answer_that_unpacks_to_a_thousand_times_its_size_is_given_up(hub):
    bomb = b64encode(gzip.compress(b" " * (200 << 20), 9)).decode()
    hub.order("raw", "GET", INFO, times=9, data=bomb, headers={"Content-Encoding": "gzip"})
    assert "more bytes than it stated" in refused(hub)


@pytest.mark.parametrize(
    "value", ["/x", "../x", "0" * 39, "0" * 41, "0" * 40 + "/../x", "G" * 40, "A" * 40, "", "0" * 40 + "\n"]
)
def test_nothing_but_hexadecimal_digits_of_their_number_is_a_hash(value):
    for require in (require_commit, require_etag, require_xet_hash):
        with pytest.raises(HubError, match="hexadecimal digits"):
            require(value)


@pytest.mark.parametrize("etag", ["0" * 40, f'"{"a" * 64}"', f'W/"{"b" * 40}"'])
def test_every_way_to_write_a_hash_as_an_etag_is_known(etag):
    require_etag(etag)


PASSWORD = "gehe/im&ü?"
ESCAPED = "gehe%2Fim%26%C3%BC%3F"


@pytest.mark.parametrize(
    "told",
    [
        PASSWORD,
        ESCAPED,
        ESCAPED.lower(),
        json.dumps(PASSWORD)[1:-1],
        "gehe/im&amp;ü?",
        "Basic " + b64encode(f"me:{PASSWORD}".encode()).decode(),
        "Basic " + b64encode(f"me:{PASSWORD}".encode("latin-1")).decode().rstrip("="),
    ],
)
def test_a_password_of_the_endpoint_is_hidden_however_it_is_written(told):
    secrets = spellings(f"https://me:{ESCAPED}@hub.example")
    assert "<hidden>" in (said := hide(f"You sent {told}.", secrets))
    assert "gehe" not in said
    assert told.removeprefix("Basic ") not in said


@pytest.mark.parametrize("user", ["me:geheim", "geheim"])
@pytest.mark.parametrize("debug", [None, "1"])
def test_a_server_that_echoes_what_it_was_sent_gives_no_password_away(hub, generator, user, debug):
    sent = b64encode((user if ":" in user else f"{user}:").encode()).decode()
    hub.order("status", "GET", "/api/", times=9, status=403, message=f"Authorization: Basic {sent}")
    ran = hub.run("inspect", SOURCE, HF_ENDPOINT=hub.base.replace("://", f"://{user}@"), ELECTRA_CONVERT_DEBUG=debug)
    assert ran.code == 1
    assert sent not in ran.err
    assert "geheim" not in ran.err
    assert "Authorization: Basic <hidden>" in ran.err
