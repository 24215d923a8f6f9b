"""The card that is on the Hub already: taken over where there is none here, and never lost unseen; makes none."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.errors import CardError, listing
from electra_convert.hub.card.model_folder import CARD
from electra_convert.hub.client import Hub
from electra_convert.hub.repository import MAIN, Listing, list_revision

# What the tool writes anew each time is nobody's words.
_SECTION = re.compile(r"<!-- electra_convert:([a-z_]+) -->.*?<!-- /electra_convert:\1 -->", re.DOTALL)
_SHOWN = 3


@dataclass(frozen=True)
class RemoteCard:
    """A README.md on the Hub.

    Attributes:
        where: its repository and revision, for messages.
        blob: git's SHA-1 of it.
        text: all of it.
        hint: how to have it here.
    """

    where: str
    blob: str
    text: str
    hint: str


def read_remote_card(hub: Hub, repo_id: str, revision: str, there: Listing | None, folder: Path) -> RemoteCard | None:
    """Read the card that an upload would replace.

    Args:
        hub: the Hub.
        repo_id: of a repository that is there.
        revision: what is to be committed to; a branch that is not there yet is made off main.
        there: what that revision holds, or None where it is not there yet.
        folder: where the card belongs on this side.

    Returns:
        The card, or None where there is none.

    Raises:
        CardError: it is not UTF-8.
        HubError: it cannot be read.
    """
    if there is None:
        revision, there = MAIN, list_revision(hub, repo_id, MAIN)
    if there is None or CARD not in there.files:
        return None
    where, head = f"{CARD} of {repo_id} at {revision}", there.head
    path = hub.ask(f"reading {where}", lambda: _download(hub.api, repo_id, head))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CardError(f"{where} is not UTF-8: {error.reason} at byte {error.start}", "Save it as UTF-8.") from error
    hint = (
        f"Download it to {folder / CARD} and put your words into it: "
        f"{shlex.join(['hf', 'download', repo_id, CARD, '--revision', revision, '--local-dir', str(folder)])}. "
        "Or let those lines go with --overwrite-card."
    )
    return RemoteCard(where, there.files[CARD].blob, text, hint)


def _download(api: Any, repo_id: str, commit: str) -> Path:  # noqa: ANN401 - huggingface_hub's HfApi
    return Path(api.hf_hub_download(repo_id, CARD, revision=commit))


def require_kept(remote: RemoteCard, text: str) -> None:
    """Refuse a card that would lose lines of the one on the Hub.

    Args:
        remote: the card on the Hub.
        text: the card that is to replace it.

    Raises:
        CardError: a line outside the sections that the tool writes is not in it.
    """
    lost = _own_lines(remote.text) - _own_lines(text)
    if lost:
        told = listing((repr(line) for line in lost), _SHOWN)
        raise CardError(f"{remote.where} has lines that the card here has not: {told}", remote.hint)


def _own_lines(text: str) -> Counter[str]:
    stripped = (line.strip() for line in _SECTION.sub("", text).splitlines())
    return Counter(line for line in stripped if line)
