"""Which names a branch may have, by git's own rules; makes none."""

from __future__ import annotations

import re

from electra_convert.errors import UsageError

# git-check-ref-format(1), with --branch: what no part of a name, and what no name as a whole may be.
_PART = re.compile(r"\.|.*\.lock\Z|\Z", re.DOTALL)
_WHOLE = re.compile(r"-|HEAD\Z|@\Z|.*(\.\.|@\{|[\x00-\x20\x7f~^:?*\[\\]|\.\Z)", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def require_branch(name: str) -> None:
    """Refuse what is not the name of a branch.

    Args:
        name: of a branch.

    Raises:
        UsageError: git would not have it, or it names a pull request, a tag or a commit.
    """
    if name.startswith("refs/"):
        raise UsageError(
            f"--revision is {name!r}, expected a branch, such as main",
            "--create-pr opens a pull request, or adds to the one that an earlier run opened.",
        )
    if _COMMIT.fullmatch(name):
        raise UsageError(f"--revision is {name!r}, a commit, expected a branch", "Such as main.")
    if _WHOLE.match(name) or any(_PART.match(part) for part in name.split("/")):
        raise UsageError(f"--revision is {name!r}, which is no name of a branch", "Such as main, or feature/x.")
