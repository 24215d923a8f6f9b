"""hf://OWNER/REPO[@REVISION][/PATH] as a source: downloaded into huggingface_hub's cache, given as a local path."""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.errors import SourceError, UsageError, listing
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.needed import needed_files

SCHEME = "hf://"
_WEB = ("https://", "http://")


@dataclass(frozen=True)
class Address:
    """A place on the Hub.

    Attributes:
        repo_id: OWNER/REPO.
        revision: a branch, a tag, a pull request's reference or a commit.
        path: within the repository, empty for all of it.
    """

    repo_id: str
    revision: str
    path: str


def as_source(
    given: str | Path, revision: str | None = None, token: str | None = None, subfolder: str | None = None
) -> str | Path:
    """What was pointed at: a place on the Hub stays text, since a Path would join its slashes.

    Args:
        given: a path, hf://OWNER/REPO[@REVISION][/PATH], or an address on the web.
        revision: a branch, a tag or a commit on the Hub, where the address has none.
        token: the account's, which only the Hub is given.
        subfolder: a folder of the repository; one within PATH where there is one.

    Returns:
        The whole address, or the path.

    Raises:
        UsageError: there is no text, which a Path would take for the folder one is in; or what is of the Hub alone
            is given with a path, or twice.
    """
    if given == "":
        raise UsageError("the source is an empty text", "Is a variable of the shell not set?")
    here = not (isinstance(given, str) and given.startswith((SCHEME, *_WEB)))
    parts = {"revision": revision, "token": token, "subfolder": subfolder}
    if here and (names := [name for name, value in parts.items() if value is not None]):
        raise UsageError(f"{given} is a path; a source on the Hub alone has a {' and a '.join(names)}")
    if here:
        return Path(given)
    return str(given) if revision is subfolder is None else _completed(str(given), revision, subfolder)


def _completed(source: str, revision: str | None, subfolder: str | None) -> str:
    uri: Any = _parsed(source)
    if revision is not None and uri.revision is not None:
        raise UsageError(f"{source} names a revision already, and so does revision={revision!r}", "Give one of them.")
    path = "/".join(part.strip("/") for part in (uri.path_in_repo, subfolder or "") if part.strip("/"))
    whole: str = replace(uri, revision=revision or uri.revision, path_in_repo=path).to_uri()
    return whole.replace(f"{SCHEME}models/", SCHEME, 1)


def local_source(source: str | Path, tell: Tell = lambda _: None, token: str | None = None) -> Path:
    """Bring a source here, if it is on the Hub.

    Args:
        source: a path, or hf://OWNER/REPO[@REVISION][/PATH].
        tell: told what is waited for.
        token: the account's; by default what huggingface_hub finds.

    Returns:
        The path, or that of the files in huggingface_hub's cache.

    Raises:
        UsageError: the address is malformed, or of a page.
        SourceError: it holds nothing that can be read, or is not in the cache and HF_HUB_OFFLINE is set.
        HubError: it cannot be downloaded.
        MissingPackageError: huggingface_hub is not installed.
    """
    pointed = as_source(source)
    if isinstance(pointed, Path):
        return pointed
    return _brought(pointed, tell, token)


def _brought(source: str, tell: Tell, token: str | None) -> Path:
    address = parse_address(source)
    hub = Hub(token, tell, reading=True)
    names = _cached(source, address) if hub.is_offline else _listed(hub, source, address)
    wanted, path = needed_files(names, address.path)
    if not wanted:
        raise SourceError(f"{source} holds no checkpoint that can be read", _contents(names))
    folder = _download(hub, source, address, wanted)
    return folder / path if path else folder


def parse_address(text: str) -> Address:
    """Read an address, hf://OWNER/REPO[@REVISION][/PATH], as huggingface_hub does.

    Raises:
        UsageError: it is malformed, or not of a model.
    """
    uri = _parsed(text)
    return Address(uri.id, uri.revision or "main", uri.path_in_repo)


def _parsed(text: str) -> Any:  # noqa: ANN401 - huggingface_hub's HfUri
    if text.startswith(_WEB):
        named = "/".join(text.split("/")[3:5])
        raise UsageError(f"{text} is the address of a page", f"Give it as {SCHEME}{named or 'OWNER/REPO'}.")
    library: Any = import_huggingface_hub("to read from the Hub")
    try:
        uri = library.utils.parse_hf_uri(text.rstrip("/"))
    except library.errors.HfUriError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{text} is not a place on the Hub: {reason}", "Such as hf://OWNER/REPO@main.") from error
    if uri.type != "model":
        raise UsageError(f"{text} is a {uri.type}, expected a model", "Such as hf://OWNER/REPO@main.")
    if ".." in uri.path_in_repo.split("/"):
        raise UsageError(f"{text} leaves the repository", "Such as hf://OWNER/REPO/FOLDER.")
    return uri


def _listed(hub: Hub, source: str, address: Address) -> list[str]:
    info = hub.ask(f"looking at {source}", lambda: hub.api.model_info(address.repo_id, revision=address.revision))
    return [sibling.rfilename for sibling in info.siblings or ()]


def _cached(source: str, address: Address) -> list[str]:
    """What the cache holds of a revision; the files themselves say it, whoever put them there."""
    library: Any = import_huggingface_hub("to read from the Hub")
    try:
        folder = Path(library.snapshot_download(address.repo_id, revision=address.revision, local_files_only=True))
    except library.errors.IncompleteSnapshotError as error:
        folder = Path(error.snapshot_path)
    except library.errors.LocalEntryNotFoundError as error:
        raise SourceError(
            f"{source} is not in huggingface_hub's cache, and HF_HUB_OFFLINE is set",
            "Unset HF_HUB_OFFLINE once to download it.",
        ) from error
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def _download(hub: Hub, source: str, address: Address, names: list[str]) -> Path:
    """Bring files into the cache, under the name of the revision too, by which they are found offline."""
    library: Any = import_huggingface_hub("to read from the Hub")

    def download() -> str:
        folder: str = library.snapshot_download(
            address.repo_id,
            revision=address.revision,
            allow_patterns=[glob.escape(name) for name in names],
            token=hub.api.token,
            local_files_only=hub.is_offline,
        )
        return folder

    folder = Path(hub.ask(f"downloading {source}", download))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise SourceError(
            f"{source}: the cache lacks {listing(missing)}", "Unset HF_HUB_OFFLINE once to download it."
        )
    return folder


def _contents(names: list[str]) -> str:
    return f"It holds {listing(sorted(names))}." if names else "It is empty."
