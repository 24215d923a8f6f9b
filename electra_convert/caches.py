"""Where the tool keeps what it would otherwise make or download again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """A folder of the tool's own in the user's cache folder; it need not be there."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "electra-convert" / name
