"""The Hub's routes, as huggingface_hub 2.4 calls them: each takes a request, and gives an answer or refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from support.fake_hub import transfers
from support.fake_hub.messages import Answer, Asked, as_json
from support.fake_hub.metadata import faults_of
from support.fake_hub.repositories import Blob, RefusedError, Repository, Store, large, small
from support.fake_hub.xet import xet_hashes

MODELS = 100  # of a listing of an account
PAGE = 3  # entries of a listing, so that any listing has several pages


def whoami(_: Store, asked: Asked) -> Answer:
    if asked.user is None:
        raise RefusedError(401, "Invalid username or password.")
    return as_json({"type": "user", "name": asked.user, "orgs": [], "auth": {"accessToken": {"role": asked.role}}})


def create(store: Store, asked: Asked) -> Answer:
    wanted = asked.json()
    name = f"{wanted['organization'] or asked.user}/{wanted['name']}"
    if asked.role != "write" or name.partition("/")[0] != asked.user:
        raise RefusedError(403, "You don't have the rights to create a model under this namespace")
    files = {}
    if wanted.get("type") == "space":
        if wanted.get("sdk") != "static":
            raise RefusedError(402, "Only static Spaces are free")
        name, files = f"spaces/{name}", {"README.md": small(b"---\nsdk: static\n---\n")}
    url = {"url": f"{asked.base}/{name}"}
    try:
        store.create(name, wanted.get("visibility", "public") == "private", files)
    except RefusedError as refused:
        return as_json({"error": refused.message, **url}, refused.status)
    return as_json(url)


def validate_yaml(_: Store, asked: Asked) -> Answer:
    faults = [{"message": fault} for fault in faults_of(asked.json()["content"])]
    return as_json({"errors": faults, "warnings": []}, 400 if faults else 200)


def commit(store: Store, asked: Asked, name: str, revision: str) -> Answer:
    by_proposal = "create_pr" in asked.query
    repository = store.writable(name, asked.user, asked.role, by_proposal or revision.startswith("refs/pr/"))
    lines = [json.loads(line) for line in asked.body.splitlines()]
    header = lines[0]["value"]
    head = repository.at(revision)
    if not head.oid.startswith(header.get("parentCommit", "")):
        raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
    files = dict(head.files)
    for line in lines[1:]:
        _change(store, files, line["key"], line["value"])
    said: dict[str, Any] = {"success": True, "hookOutput": ""}
    if by_proposal:
        proposal = store.propose(repository, header["summary"], str(asked.user))
        said["pullRequestUrl"] = f"{asked.base}/{name}/discussions/{proposal.number}"
        revision = f"refs/pr/{proposal.number}"
    made = repository.commit(revision, head.oid, header["summary"], header.get("description", ""), files)
    return as_json({**said, "commitOid": made.oid, "commitUrl": f"{asked.base}/{name}/commit/{made.oid}"})


def _change(store: Store, files: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    if key == "file":
        files[value["path"]] = small(base64.b64decode(value["content"], validate=True))
    elif key == "lfsFile":
        if not store.holds(value["oid"]):
            raise RefusedError(400, f"the object {value['oid']} of {value['path']} was not uploaded")
        files[value["path"]] = large(value["oid"], value["size"])
    elif key == "deletedFile":
        if files.pop(value["path"], None) is None:
            raise RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
    else:
        raise RefusedError(400, f"unknown operation {key}")


def list_models(store: Store, asked: Asked) -> Answer:
    """The models of an account that the token may see, page by page."""
    owner = asked.query.get("author", "")
    seen = [
        one
        for name, one in sorted(store.repositories.items())
        if name.startswith(f"{owner}/") and (not one.private or asked.user == owner)
    ]
    start = int(asked.query.get("cursor", 0))
    page = [{"id": one.name, "private": one.private, "tags": []} for one in seen[start : start + MODELS]]
    if start + MODELS >= len(seen):
        return as_json(page)
    following = f"{asked.base}/api/models?author={owner}&cursor={start + MODELS}"
    return as_json(page, Link=f'<{following}>; rel="next"')


def model_info(store: Store, asked: Asked, name: str, revision: str = "main") -> Answer:
    repository = store.find(name, asked.user)
    at = repository.at(revision)
    siblings = [_sibling(path, blob) for path, blob in sorted(at.files.items())]
    name = name.removeprefix("datasets/").removeprefix("spaces/")
    return as_json({"id": name, "sha": at.oid, "private": repository.private, "siblings": siblings, "tags": []})


def _sibling(path: str, blob: Blob) -> dict[str, Any]:
    said: dict[str, Any] = {"rfilename": path, "size": blob.size, "blobId": blob.oid}
    if blob.sha256 is not None:
        said["lfs"] = {"sha256": blob.sha256, "size": blob.size, "pointerSize": 134}
    return said


def tree(store: Store, asked: Asked, name: str, revision: str, folder: str = "") -> Answer:
    files = store.find(name, asked.user).at(revision).files
    paths = sorted(path for path in files if path.startswith(f"{folder}/" if folder else ""))
    if folder and not paths:
        raise RefusedError(404, f"{folder} does not exist", "EntryNotFound")
    start = int(asked.query.get("cursor", 0))
    page = [_entry(store, path, files[path]) for path in paths[start : start + PAGE]]
    if start + PAGE >= len(paths):
        return as_json(page)
    following = f"{asked.base}{asked.path}?recursive=true&expand=false&cursor={start + PAGE}"
    return as_json(page, Link=f'<{following}>; rel="next"')


def paths_info(store: Store, asked: Asked, name: str, revision: str) -> Answer:
    files = store.find(name, asked.user).at(revision).files
    wanted = parse_qs(asked.body.decode()).get("paths", [])
    return as_json([_entry(store, path, files[path]) for path in wanted if path in files])


def _entry(store: Store, path: str, blob: Blob) -> dict[str, Any]:
    said: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
    if blob.sha256 is not None:
        said["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": 134}
        if xet := xet_hashes(store.xet).get(blob.sha256):
            said["xetHash"] = xet
    return said


def refs(store: Store, asked: Asked, name: str) -> Answer:
    repository = store.find(name, asked.user)

    def listed(kind: str, is_kind: Callable[[str], bool]) -> list[dict[str, str]]:
        return [
            {"name": ref, "ref": ref if ref.startswith("refs/") else f"refs/{kind}/{ref}", "targetCommit": oid}
            for ref, oid in repository.refs.items()
            if is_kind(ref)
        ]

    branches = listed("heads", lambda ref: not ref.startswith("refs/"))
    proposed = listed("pr", lambda ref: ref.startswith("refs/pr/"))
    return as_json({"branches": branches, "converts": [], "tags": [], "pullRequests": proposed})


def commits(store: Store, asked: Asked, name: str, revision: str) -> Answer:
    repository = store.find(name, asked.user)
    found, oid = [], repository.at(revision).oid
    while oid:
        at = repository.commits[oid]
        date = "2026-01-01T00:00:00.000Z"
        found.append({"id": oid, "title": at.title, "message": at.message, "authors": [{"user": "a"}], "date": date})
        oid = at.parent or ""
    return as_json(found)


def branch(store: Store, asked: Asked, name: str, branch_name: str) -> Answer:
    repository = store.writable(name, asked.user, asked.role)
    if branch_name in repository.refs:
        raise RefusedError(409, f"Reference already exists: {branch_name}")
    start = json.loads(asked.body or b"{}").get("startingPoint", "main")
    repository.refs[branch_name] = repository.at(start).oid
    return as_json({})


def discussions(store: Store, asked: Asked, name: str) -> Answer:
    repository = store.find(name, asked.user)
    if asked.method == "POST":
        wanted = asked.json()
        made = store.propose(repository, wanted["title"], str(asked.user))
        made.status = "draft"
        repository.refs[f"refs/pr/{made.number}"] = repository.refs["main"]
        return as_json({"num": made.number})
    author = asked.query.get("author")
    found = [_discussion(repository, one) for one in repository.pull_requests if author in {None, one.author}]
    start = int(asked.query.get("p", 0)) * PAGE
    return as_json({"discussions": found[start : start + PAGE], "count": len(found), "start": start})


def discussion(store: Store, asked: Asked, name: str, number: str) -> Answer:
    repository = store.find(name, asked.user)
    one = repository.pull_requests[int(number) - 1]
    extra = {"events": [], "changes": {"base": "refs/heads/main"}, "filesWithConflicts": []}
    return as_json({**_discussion(repository, one), **extra})


def _discussion(repository: Repository, one: Any) -> dict[str, Any]:
    return {
        "num": one.number,
        "title": one.title,
        "author": {"name": one.author},
        "createdAt": "2026-01-01T00:00:00.000Z",
        "status": one.status,
        "repo": {"name": repository.name, "type": "model"},
        "isPullRequest": True,
    }


def resolve(store: Store, asked: Asked, name: str, revision: str, path: str) -> Answer:
    at = store.find(name, asked.user).at(revision)
    blob = at.files.get(path)  # unquoted once already; a name may hold a percent sign
    commit_header = {"X-Repo-Commit": at.oid}
    if blob is None:
        headers = {**commit_header, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
        return Answer(404, b"Entry not found", headers)
    headers = {**commit_header, "ETag": f'"{blob.sha256 or blob.oid}"', "Accept-Ranges": "bytes"}
    if blob.sha256 and blob.content is None and blob.sha256 not in store.objects:
        return Answer(302, b"", {**headers, **_xet_headers(store, asked, name, at.oid, blob)})
    content = blob.content if blob.content is not None else store.objects[str(blob.sha256)]
    return Answer(200, content, headers)


def _xet_headers(store: Store, asked: Asked, name: str, oid: str, blob: Blob) -> dict[str, str]:
    place = name if name.startswith("spaces/") else f"models/{name}"
    route = f"{asked.base}/api/{place}/xet-read-token/{oid}"
    return {
        "Location": "http://127.0.0.1:9/served-by-xet-alone",
        "X-Xet-Hash": xet_hashes(store.xet)[str(blob.sha256)],
        "X-Linked-Etag": f'"{blob.sha256}"',
        "X-Linked-Size": str(blob.size),
        "Link": f'<{route}>; rel="xet-auth"',
    }


_NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
_DATASET = r"(?P<name>datasets/[\w.-]+/[\w.-]+)"
_SPACE = r"(?P<name>spaces/[\w.-]+/[\w.-]+)"
_REVISION = r"(?P<revision>refs%2Fpr%2F\d+|[^/?]+)"
_OF_MODELS: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/api/whoami-v2", whoami),
    ("POST", r"/api/repos/create", create),
    ("POST", r"/api/validate-yaml", validate_yaml),
    ("POST", rf"/api/models/{_NAME}/preupload/{_REVISION}", transfers.preupload),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", transfers.lfs_batch),
    ("PUT", r"/_lfs/(?P<oid>[0-9a-f]{64})", transfers.put_object),
    ("PUT", r"/_lfs/(?P<oid>[0-9a-f]{64})/(?P<number>\d+)", transfers.put_part),
    ("POST", r"/_lfs/(?P<oid>[0-9a-f]{64})/complete", transfers.complete),
    ("POST", rf"/{_NAME}\.git/_verify", transfers.verify),
    ("GET", rf"/api/models/{_NAME}/xet-(?P<kind>read|write)-token/{_REVISION}", transfers.xet_token),
    ("POST", rf"/api/models/{_NAME}/commit/{_REVISION}", commit),
    ("GET", r"/api/models", list_models),
    ("GET", rf"/api/models/{_NAME}", model_info),
    ("GET", rf"/api/models/{_NAME}/revision/{_REVISION}", model_info),
    ("GET", rf"/api/models/{_NAME}/tree/{_REVISION}", tree),
    ("GET", rf"/api/models/{_NAME}/tree/{_REVISION}/(?P<folder>.+)", tree),
    ("POST", rf"/api/models/{_NAME}/paths-info/{_REVISION}", paths_info),
    ("GET", rf"/api/models/{_NAME}/refs", refs),
    ("GET", rf"/api/models/{_NAME}/commits/{_REVISION}", commits),
    ("POST", rf"/api/models/{_NAME}/branch/(?P<branch_name>[^/]+)", branch),
    ("GET", rf"/api/models/{_NAME}/discussions", discussions),
    ("POST", rf"/api/models/{_NAME}/discussions", discussions),
    ("GET", rf"/api/models/{_NAME}/discussions/(?P<number>\d+)", discussion),
    ("GET", rf"/api/{_DATASET}", model_info),
    ("GET", rf"/api/{_DATASET}/revision/{_REVISION}", model_info),
    ("GET", rf"/api/{_DATASET}/tree/{_REVISION}", tree),
    ("GET", rf"/{_DATASET}/resolve/{_REVISION}/(?P<path>.+)", resolve),
    ("HEAD", rf"/{_DATASET}/resolve/{_REVISION}/(?P<path>.+)", resolve),
    ("GET", rf"/{_NAME}/resolve/{_REVISION}/(?P<path>.+)", resolve),
    ("HEAD", rf"/{_NAME}/resolve/{_REVISION}/(?P<path>.+)", resolve),
]
# Spaces are asked for as models are, in places of their own.
_OF_SPACES = [
    (method, path.replace(f"models/{_NAME}", _SPACE).replace(_NAME, _SPACE), answer)
    for method, path, answer in _OF_MODELS
    if _NAME in path
]
ROUTES = [*_OF_SPACES, *_OF_MODELS]
