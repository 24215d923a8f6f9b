"""parity.json: a report kept beside the model it is about, with the hashes of the files it was made from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from electra_convert.errors import OutputError
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.names import PARITY_FILE
from electra_convert.output import replace_file
from electra_convert.schemes.mapping import Role
from electra_convert.verification.report import ParityReport, report_fields


def save_report(report: ParityReport, folders: Mapping[Role, Path]) -> tuple[Path, ...]:
    """Write a report into each folder of the candidate.

    Args:
        report: the report.
        folders: where each model of the candidate lies; a TensorFlow checkpoint has both in one folder.

    Returns:
        The files written.

    Raises:
        OutputError: one cannot be written, or a file of a folder cannot be read.
    """
    written = []
    for folder in dict.fromkeys(folders.values()):
        roles = [role for role, place in folders.items() if place == folder]
        fields = {**report_fields(report.of(roles)), "files": hash_files(folder)}
        path = folder / PARITY_FILE
        replace_file(
            path, (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        )
        written.append(path)
    return tuple(written)


def check_folders(folders: Iterable[Path]) -> None:
    """Refuse folders that no report can be kept in, before any work is done.

    Args:
        folders: where the models lie.

    Raises:
        OutputError: one may not be written to, or holds something else under the report's name.
    """
    for folder in folders:
        path = folder / PARITY_FILE
        if os.path.lexists(path) and not path.is_file():
            raise OutputError(f"{path} is not a file, so it is not replaced", "Move it away, or leave --save out.")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{folder} may not be written to", "Leave --save out, or copy the folder.")


def hash_files(folder: Path) -> dict[str, str]:
    """Hash what a model folder holds.

    Args:
        folder: the folder; what lies in folders within it is not part of the model.

    Returns:
        The SHA-256 in hexadecimal of every file, parity.json itself excepted, by name.

    Raises:
        OutputError: a file cannot be read.
    """
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != PARITY_FILE:
            try:
                hashes[path.name] = sha256_of_file(path)
            except OSError as error:
                raise OutputError(f"{path} cannot be read to hash it: {error.strerror}") from error
    return hashes
