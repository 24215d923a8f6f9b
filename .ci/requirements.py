"""Writes requirements.txt from a report of pip's: every file that it would install, by its hash; torch aside."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Its wheels are others, with other hashes, for each kind of machine; the Makefile pins it by its version.
_APART = frozenset({"torch", "electra-convert"})
_HEAD = """\
# Every file that CI installs, by its hash, for Python 3.11 on Linux x86-64; torch is installed apart, by its version,
# since its wheels differ by machine. Made by: make requirements
"""


def main(report: Path, target: Path) -> None:
    """Write the file."""
    lines = sorted(map(_line, _installed(report)), key=str.lower)
    target.write_text(_HEAD + "".join(f"{line}\n" for line in lines))


def _installed(report: Path) -> list[dict[str, dict[str, object]]]:
    every = json.loads(report.read_text())["install"]
    return [one for one in every if one["metadata"]["name"].lower() not in _APART]


def _line(one: dict[str, dict[str, object]]) -> str:
    metadata, archive = one["metadata"], one["download_info"]["archive_info"]
    assert isinstance(archive, dict)
    return f"{metadata['name']}=={metadata['version']} --hash=sha256:{archive['hashes']['sha256']}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
