"""conversion.json as somebody else would write it: changed, and its last line made to fit again."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the record of a model, and have its last line be of what stands above it."""
    path = folder / "conversion.json"
    record = json.loads(path.read_text())
    del record["sha256"]
    change(record)
    above = json.dumps(record, indent=2, ensure_ascii=False).removesuffix("\n}")
    digest = sha256(above.encode()).hexdigest()
    path.write_text(f'{above},\n  "sha256": "{digest}"\n}}\n')


def flip(path: Path, position: int, mask: int = 1) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= mask
    path.write_bytes(content)
