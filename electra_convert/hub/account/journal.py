"""plan.json.journal: what was done of a plan, a line each, so that it is not asked about again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from electra_convert.errors import OutputError, unwritable
from electra_convert.formats.files import small_text
from electra_convert.formats.json_objects import decode_json
from electra_convert.locks import locked_folder


class Journal:
    """What was done, by repository and by the commit that was converted; made by open_journal.

    Attributes:
        folder: where conversions lie until they are on the Hub.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self.folder = path, folder
        self._urls = dict(_read(path))

    def url_of(self, repo: str, commit: str) -> str | None:
        """Where it is to be seen, or None where it is not known to be done."""
        return self._urls.get((repo, commit))

    def note(self, repo: str, commit: str, url: str) -> None:
        """Note that it is done.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                # The newline before ends a line that a kill has cut short.
                file.write(f"\n{json.dumps({'repo': repo, 'commit': commit, 'url': url})}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._urls[repo, commit] = url


def _read(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """The lines that are whole; the Hub is asked about the others."""
    try:
        lines = small_text(path).splitlines() if path.exists() else []
    except (OSError, ValueError):
        lines = []
    for line in lines:
        try:
            one = decode_json(line)
            yield (str(one["repo"]), str(one["commit"])), str(one["url"])
        except (ValueError, KeyError, TypeError):
            continue


@contextmanager
def open_journal(plan: Path) -> Iterator[Journal]:
    """Open the journal beside a plan, whose folder no other run uses meanwhile.

    Raises:
        OutputError: another run has it, or it cannot be written there.
    """
    folder = plan.with_name(f"{plan.name}.work")
    with ExitStack() as opened:
        try:
            folder.mkdir(exist_ok=True)
            opened.enter_context(locked_folder(folder))
        except BlockingIOError as error:
            raise OutputError(f"another run carries out {plan}", "Wait for it to end.") from error
        except OSError as error:
            raise unwritable(folder, error) from error
        yield Journal(plan.with_name(f"{plan.name}.journal"), folder)
    with suppress(OSError):  # what could not be sent yet lies in it
        folder.rmdir()
