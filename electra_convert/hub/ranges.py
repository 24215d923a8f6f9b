"""Parts of files as they lie on the Hub, and small files whole: no more than is asked for, and none of it cached."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from electra_convert.errors import HubError
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.answers import ADVICE, Listing, RemoteFile
from electra_convert.hub.client import Hub

_AT_ONCE = 8  # as many as huggingface_hub
_STARTS = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class RemoteRanges:
    """The files of a revision, read in parts.

    Args:
        hub: whom to ask.
        repo_id: OWNER/REPO.
        listing: the revision; what comes is of its commit, and small files are held against its hashes.
        most: how many bytes may be asked for in all.

    Attributes:
        received: how many bytes came.
    """

    def __init__(self, hub: Hub, repo_id: str, listing: Listing, most: int) -> None:
        self._hub, self._repo_id, self._listing, self._most = hub, repo_id, listing, most
        self._library: Any = import_huggingface_hub("to read from the Hub")
        self.received = 0

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range of a file.

        Raises:
            HubError: it cannot be had, or more was asked for than may be.
        """
        self._take(length)
        return self._hub.ask(f"reading {name} of {self._repo_id}", lambda: self._range(name, offset, length))

    def read_whole(self, names: Iterable[str]) -> dict[str, bytes]:
        """Read small files, several at once.

        Raises:
            HubError: one cannot be had, is not what the Hub lists, or more was asked for than may be.
        """
        wanted = {name: self._listing.files[name] for name in names}
        self._take(sum(file.size for file in wanted.values()))

        def read_all() -> list[bytes]:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                asked = [pool.submit(copy_context().run, self._range, name, 0, wanted[name].size) for name in wanted]
                return [one.result() for one in asked]

        found = dict(zip(wanted, self._hub.ask(f"reading files of {self._repo_id}", read_all), strict=True))
        for name, content in found.items():
            if not _is_same(content, wanted[name]):
                raise HubError(f"{name} of {self._repo_id} came with another hash than the Hub states", ADVICE)
        return found

    def _take(self, length: int) -> None:
        if self.received + length > self._most:
            raise HubError(
                f"more than {self._most:,} bytes of {self._repo_id} would have to be read to look at it",
                f"Look at it alone: electra-convert inspect hf://{self._repo_id}",
            )
        self.received += length

    def _range(self, name: str, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        url = self._library.hf_hub_url(
            self._repo_id, name, revision=self._listing.head, endpoint=self._hub.api.endpoint
        )
        headers = {**self._hub.api._build_hf_headers(), "Range": f"bytes={offset}-{offset + length - 1}"}
        with self._library.utils.get_session().stream("GET", url, headers=headers) as response:
            if response.status_code >= 400:
                response.read()
            self._library.utils.hf_raise_for_status(response)
            self._require_range(name, response, offset)
            return _first(name, response, length)

    def _require_range(self, name: str, response: Any, offset: int) -> None:  # noqa: ANN401 - httpx2's
        """Refuse another part than was asked for; the first part is what a whole file begins with."""
        found = _STARTS.fullmatch(response.headers.get("Content-Range", ""))
        starts = int(found[1]) if found and response.status_code == 206 else 0
        if starts != offset:
            raise HubError(f"the Hub sends {name} of {self._repo_id} whole, where a part was asked for", ADVICE)


def _first(name: str, response: Any, length: int) -> bytes:  # noqa: ANN401 - httpx2's
    """So many bytes of an answer, and no more of it than they come with."""
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) >= length:
            return bytes(content[:length])
    raise HubError(f"of {name} {len(content)} bytes came, expected {length}", "Run the same command again.")


def _is_same(content: bytes, stated: RemoteFile) -> bool:
    if stated.sha256 is not None:
        return hashlib.sha256(content).hexdigest() == stated.sha256
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest() == stated.blob
