"""hf://OWNER/REPO[@REVISION][/PATH] as a source: what is needed of it in huggingface_hub's cache, as a local path."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from electra_convert.errors import HubError, SourceError, UsageError, counted, listing
from electra_convert.formats.names import STATE_FILE
from electra_convert.formats.tf_bundle import latest_prefix
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.answers import ADVICE, Listing, RemoteFile, read_listing, require_commit
from electra_convert.hub.cache import Snapshot
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.needed import is_too_large, needed_files

_LOG = logging.getLogger(__name__)
_AT_ONCE = 8  # as many as huggingface_hub

Kind = Literal["model", "dataset", "space"]
SCHEME = "hf://"
# Where the Hub keeps any data set as Parquet files.
PARQUET_REVISION = "refs/convert/parquet"
# The revision that an address without one means, and what an address looks like.
_OF_KIND: dict[Kind, tuple[str, str]] = {
    "model": ("main", "hf://OWNER/REPO@main"),
    "dataset": (PARQUET_REVISION, "hf://datasets/OWNER/NAME"),
    "space": ("main", "hf://spaces/OWNER/NAME"),
}
_WEB = ("https://", "http://")
_ACCOUNT = re.compile(rf"{SCHEME}(\w[\w.-]*)/?")
_SLASHES_MISSED = re.compile(r"^hf:(?=[\w.-]+/[\w.-])")


@dataclass(frozen=True)
class Address:
    """A place on the Hub.

    Attributes:
        repo_id: OWNER/REPO.
        revision: a branch, a tag, a pull request's reference or a commit.
        path: within the repository, empty for all of it.
        kind: what the repository is of.
    """

    repo_id: str
    revision: str
    path: str
    kind: Kind = "model"


@dataclass(frozen=True)
class Origin:
    """Where on the Hub a source was brought from.

    Attributes:
        repository: OWNER/REPO.
        commit: what its revision stood for.
        path: what was meant within the repository, empty for all of it.
        folder: the folder of the commit in the cache.
        stated: the SHA-256 that the Hub states of its large files, by path; none where it was not asked.
    """

    repository: str
    commit: str
    path: str
    folder: Path
    stated: Mapping[str, str]

    def sha256_of(self, path: Path) -> str | None:
        """The SHA-256 that the Hub states of a file in the cache, to which that was held when it came."""
        return self.stated.get(path.relative_to(self.folder).as_posix()) if path.is_relative_to(self.folder) else None


def as_source(
    given: str | Path, revision: str | None = None, token: str | None = None, subfolder: str | None = None
) -> str | Path:
    """What was pointed at: a place on the Hub stays text, since a Path would join its slashes.

    Args:
        given: a path, hf://OWNER/REPO[@REVISION][/PATH], or an address on the web.
        revision: what is to be @REVISION.
        token: the account's, which goes to the Hub alone.
        subfolder: what is to be PATH, or lies within it.

    Raises:
        UsageError: there is no text, which a Path would take for the folder one is in; what is the Hub's alone is
            given with a path; or the revision is given twice.
    """
    if given == "":
        raise UsageError("the source is an empty text", "Is a variable of the shell not set?")
    if isinstance(given, str):
        given = _SLASHES_MISSED.sub(SCHEME, given)
    if isinstance(given, str) and given.startswith((SCHEME, *_WEB)):
        return _completed(given, revision, subfolder)
    parts = {"revision": revision, "token": token, "subfolder": subfolder}
    if names := [name for name, value in parts.items() if value is not None]:
        raise UsageError(f"{given} is a path; a source on the Hub alone has a {' and a '.join(names)}")
    return Path(given)


def _completed(source: str, revision: str | None, subfolder: str | None) -> str:
    if revision is subfolder is None or source.startswith(_WEB):
        return source
    address = parse_address(source)
    named = f"{address.repo_id}@" in source
    if named and revision is not None:
        raise UsageError(f"{source} names a revision, and so does revision={revision!r}", "Give one of them.")
    whole = f"{SCHEME}{address.repo_id}"
    if at := revision or (named and address.revision):
        whole += f"@{quote(at, safe='').replace('refs%2Fpr%2F', 'refs/pr/')}"
    return "/".join(part.strip("/") for part in (whole, address.path, subfolder or "") if part.strip("/"))


def local_source(
    source: str | Path, tell: Tell = lambda _: None, token: str | None = None, code: bool = False
) -> Path:
    """Bring a source here, if it is on the Hub.

    Args:
        source: a path, or hf://OWNER/REPO[@REVISION][/PATH].
        tell: told what is waited for.
        token: the account's; by default what huggingface_hub finds.
        code: whether Python code beside the weights is wanted too.

    Returns:
        The path, or that of the files in huggingface_hub's cache.

    Raises:
        UsageError: the address is malformed, or of a page.
        SourceError: it holds nothing that can be read, or is not in the cache and HF_HUB_OFFLINE is set.
        HubError: it cannot be downloaded.
        MissingPackageError: huggingface_hub is not installed.
    """
    return brought_source(source, tell, token, code)[0]


def brought_source(
    source: str | Path, tell: Tell = lambda _: None, token: str | None = None, code: bool = False
) -> tuple[Path, Origin | None]:
    """Bring a source here as local_source does, and tell where on the Hub it was; None of one that was here."""
    pointed = as_source(source)
    return (pointed, None) if isinstance(pointed, Path) else _brought(pointed, tell, token, code)


def _brought(source: str, tell: Tell, token: str | None, code: bool) -> tuple[Path, Origin]:
    if source.startswith(_WEB):
        named = "/".join(source.split("/")[3:5])
        raise UsageError(f"{source} is the address of a page", f"Give it as {SCHEME}{named or 'OWNER/REPO'}.")
    hub = Hub(token, tell, reading=True)
    address = parse_address(source)
    there = None if hub.is_offline else list_files(hub, source, address)
    names = cached_files(source, address) if there is None else _carried(there)
    wanted, path = needed_files(names, address.path, code)
    if not wanted:
        held = f"It holds {listing(sorted(names))}." if names else "It is empty."
        raise SourceError(f"{source} holds no checkpoint that can be read", held)
    folder = download_files(hub, source, address, wanted, there)
    _require_states_inside(source, folder, wanted)
    files = {} if there is None else there.files
    stated = {name: file.sha256 for name, file in files.items() if file.sha256 is not None}
    origin = Origin(address.repo_id, folder.name, address.path, folder, stated)
    return folder / path if path else folder, origin


def _require_states_inside(source: str, folder: Path, names: Iterable[str]) -> None:
    """Refuse a `checkpoint` file that names a checkpoint elsewhere on this machine."""
    for name in names:
        if name.rpartition("/")[2] != STATE_FILE:
            continue
        prefix = Path(os.path.normpath(latest_prefix(folder / name)))
        if not prefix.is_relative_to(folder):
            raise SourceError(
                f"{name} of {source} leads out of the repository, to {prefix}",
                "Name the checkpoint itself, such as hf://OWNER/REPO/model.ckpt-1000.",
            )


def account_of(source: str | Path) -> str | None:
    """The account that hf://OWNER is of; None of anything else."""
    found = _ACCOUNT.fullmatch(source) if isinstance(source, str) else None
    return found[1] if found else None


def parse_address(text: str, kind: Kind = "model") -> Address:
    """Read an address as huggingface_hub does.

    Args:
        kind: what it must be of.

    Raises:
        UsageError: it is malformed, or of something else.
    """
    library: Any = import_huggingface_hub("to read from the Hub")
    revision, example = _OF_KIND[kind]
    try:
        uri = library.utils.parse_hf_uri(text.rstrip("/"))
    except library.errors.HfUriError as error:
        reason = " ".join(str(error).split())
        many = f" electra-convert inspect {text} shows all of an account." if account_of(text) else ""
        raise UsageError(f"{text} is not a place on the Hub: {reason}", f"Such as {example}.{many}") from error
    if uri.type != kind:
        raise UsageError(f"{text} is a {uri.type}, expected a {kind}", f"Such as {example}.")
    if ".." in uri.path_in_repo.split("/"):
        raise UsageError(f"{text} leaves the repository", "Such as hf://OWNER/REPO/FOLDER.")
    return Address(uri.id, uri.revision or revision, uri.path_in_repo, kind)


def list_files(hub: Hub, source: str, address: Address) -> Listing:
    """List what a revision holds, with sizes and hashes.

    Raises:
        HubError: the Hub cannot be asked, or states what cannot be.
    """

    def look() -> Listing:
        info = hub.api.repo_info(
            address.repo_id, repo_type=address.kind, revision=address.revision, files_metadata=True
        )
        commit = require_commit(info.sha)
        listing = read_listing(commit, info.siblings or ())
        return listing or list_tree(hub, address.repo_id, commit, address.kind)

    return hub.ask(f"looking at {source}", look)


def list_tree(hub: Hub, repo_id: str, commit: str, kind: Kind = "model") -> Listing:
    """List what a commit holds, page by page.

    Raises:
        HubError: the Hub states what cannot be.
    """
    entries = hub.api.list_repo_tree(repo_id, recursive=True, revision=commit, repo_type=kind)
    listing = read_listing(commit, (entry for entry in entries if hasattr(entry, "blob_id")))
    if listing is None:
        raise HubError(f"the Hub states no hashes of the files of {repo_id}", ADVICE)
    return listing


def _carried(there: Listing) -> list[str]:
    return [name for name, file in there.files.items() if not is_too_large(name, file.size)]


def cached_files(source: str, address: Address) -> list[str]:
    """What the cache holds of a revision; the files themselves say it, whoever put them there."""
    folder = _cached_folder(source, address)
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def _cached_folder(source: str, address: Address) -> Path:
    library: Any = import_huggingface_hub("to read from the Hub")
    try:
        return Path(
            library.snapshot_download(
                address.repo_id, repo_type=address.kind, revision=address.revision, local_files_only=True
            )
        )
    except library.errors.IncompleteSnapshotError as error:
        return Path(error.snapshot_path)
    except library.errors.LocalEntryNotFoundError as error:
        raise SourceError(
            f"{source} is not in huggingface_hub's cache, and HF_HUB_OFFLINE is set",
            "Unset HF_HUB_OFFLINE once to download it.",
        ) from error


def download_files(hub: Hub, source: str, address: Address, names: list[str], there: Listing | None) -> Path:
    """Bring files into the cache, under the name of the revision too, by which they are found offline.

    Args:
        there: what the Hub states of the revision; each file that came is held against it. None to take what the
            cache has.

    Raises:
        SourceError: the cache lacks one, and nothing may be downloaded.
        HubError: one cannot be downloaded, is not what was stated, or there is no room for it.
    """
    library: Any = import_huggingface_hub("to read from the Hub")
    if there is None:
        folder = _cached_folder(source, address)
        snapshot = Snapshot(folder.parents[2], folder.parents[1].name, folder.name)
    else:
        repository = "--".join([f"{address.kind}s", *address.repo_id.split("/")])
        snapshot = Snapshot(Path(library.constants.HF_HUB_CACHE), repository, there.head)
        _bring(hub, source, address, snapshot, {name: there.files[name] for name in snapshot.missing(names)})
    missing = [name for name in names if not (snapshot.folder / name).is_file()]
    if missing:
        raise SourceError(
            f"{source}: the cache lacks {listing(missing)}", "Unset HF_HUB_OFFLINE once to download it."
        )
    snapshot.require_inside(names)
    return snapshot.folder


def _bring(hub: Hub, source: str, address: Address, snapshot: Snapshot, files: Mapping[str, RemoteFile]) -> None:
    def fetch(name: str) -> None:
        # By the commit: of a branch the library would ask once more what it stands for, and believe any answer. And
        # file by file: snapshot_download makes paths of what a listing states before anything can look at it.
        hub.api.hf_hub_download(address.repo_id, name, repo_type=address.kind, revision=snapshot.folder.name)

    def download() -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for done in [pool.submit(copy_context().run, fetch, name) for name in files]:
                    done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                hub.stop()
                raise

    if files:
        size = sum(file.size for file in files.values())
        _LOG.info("Downloading %s of %s: %s.", counted(len(files), "file"), source, in_megabytes(size))
        snapshot.expect(size)
        hub.await_files(file.size for file in files.values())
        hub.ask(f"downloading {source}", download)
        snapshot.check(files)
    snapshot.name(address.revision)


def in_megabytes(size: int) -> str:
    """Bytes as they are told."""
    return f"{size / 1e6:,.1f} MB"
