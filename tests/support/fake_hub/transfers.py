"""How files come to the Hub before a commit names them: asked about, then sent through LFS or through Xet."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from support.fake_hub.messages import Answer, Asked, as_json
from support.fake_hub.repositories import Blob, RefusedError, Store

REGULAR_LIMIT = 1_000_000
# Larger files are sent in parts of this size.
PART = 500_000


def preupload(store: Store, asked: Asked, name: str, revision: str) -> Answer:
    by_proposal = "create_pr" in asked.query
    repository = store.writable(name, asked.user, asked.role, by_proposal or revision.startswith("refs/pr/"))
    held = repository.at(revision).files
    ignored = held[".gitignore"].content.decode().split() if ".gitignore" in held else []
    return as_json({"files": [_mode(file, held.get(file["path"]), ignored) for file in asked.json()["files"]]})


def _mode(file: dict[str, Any], there: Blob | None, ignored: list[str]) -> dict[str, Any]:
    is_large = file["path"].endswith((".safetensors", ".bin")) or file["size"] > REGULAR_LIMIT
    said = {
        "path": file["path"],
        "uploadMode": "lfs" if is_large else "regular",
        "shouldIgnore": file["path"] in ignored,
    }
    return {**said, "oid": there.sha256 or there.oid} if there else said


def lfs_batch(store: Store, asked: Asked, name: str) -> Answer:
    wanted = asked.json()
    store.writable(name, asked.user, asked.role, "ref" not in wanted or wanted["ref"]["name"].startswith("refs/pr/"))
    return as_json({"transfer": "basic", "objects": [_actions(store, asked, name, one) for one in wanted["objects"]]})


def _actions(store: Store, asked: Asked, name: str, one: dict[str, Any]) -> dict[str, Any]:
    oid, size = one["oid"], one["size"]
    if store.holds(oid):
        return one
    upload: dict[str, Any] = {"href": f"{asked.base}/_lfs/{oid}"}
    if size > PART:
        count = math.ceil(size / PART)
        parts = {f"{n:05}": f"{asked.base}/_lfs/{oid}/{n}" for n in range(1, count + 1)}
        upload = {"href": f"{asked.base}/_lfs/{oid}/complete", "header": {"chunk_size": str(PART), **parts}}
    return {**one, "actions": {"upload": upload, "verify": {"href": f"{asked.base}/{name}.git/_verify"}}}


def put_object(store: Store, asked: Asked, oid: str) -> Answer:
    return _keep(store, oid, asked.body)


def _keep(store: Store, oid: str, content: bytes) -> Answer:
    if hashlib.sha256(content).hexdigest() != oid:
        raise RefusedError(400, "the content does not have this SHA-256")
    store.objects[oid] = content
    return Answer()


def put_part(store: Store, asked: Asked, oid: str, number: str) -> Answer:
    store.parts.setdefault(oid, {})[int(number)] = asked.body
    return Answer(headers={"ETag": f'"part{number}"'})


def complete(store: Store, asked: Asked, oid: str) -> Answer:
    listed = asked.json()["parts"]
    if [part["etag"] for part in listed] != [f'"part{n}"' for n in sorted(store.parts[oid])]:
        raise RefusedError(400, "these are not the parts that were sent")
    return _keep(store, oid, b"".join(content for _, content in sorted(store.parts[oid].items())))


def verify(store: Store, asked: Asked, name: str) -> Answer:
    store.find(name, asked.user)
    wanted = asked.json()
    if len(store.objects.get(wanted["oid"], b"")) != wanted["size"]:
        raise RefusedError(404, "no such object")
    return Answer()


def xet_token(store: Store, asked: Asked, name: str, kind: str, revision: str) -> Answer:
    if kind == "write":
        store.writable(name, asked.user, asked.role, "create_pr" in asked.query or revision.startswith("refs/pr/"))
    else:
        store.find(name, asked.user)
    said = {"casUrl": f"local://{store.xet}", "accessToken": "xet", "exp": 4_000_000_000}
    return as_json(
        said,
        **{
            "X-Xet-Cas-Url": said["casUrl"],
            "X-Xet-Access-Token": "xet",
            "X-Xet-Token-Expiration": str(said["exp"]),
        },
    )
