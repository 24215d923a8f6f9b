"""What arguments and options take (paths, places on the Hub, shares): read here, and completed by the shell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class _Completed(click.ParamType[Any]):
    """What the shell completes with the names of files and folders."""

    def shell_complete(self, _: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Have the shell complete a path itself; what begins with hf: is none."""
        from click.shell_completion import CompletionItem

        return [] if incomplete.startswith("hf:") else [CompletionItem(incomplete, type="file")]


class PathType(_Completed):
    """A path; what may be done with it is found out by doing it, and told as any other error."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401
        """Read it; an empty text would be the folder one is in."""
        if value == "":
            self.fail("it is an empty text. Is a variable of the shell not set?", param, ctx)
        return Path(os.path.expanduser(value))  # noqa: PTH111 - Path.expanduser fails where there is no such user


class SourceType(_Completed):
    """A path, or a place on the Hub, whose two slashes a path would join."""

    name = "source"

    def convert(self, value: Any, _: click.Parameter | None, __: click.Context | None) -> str | Path:  # noqa: ANN401
        """Read it."""
        from electra_convert.hub.download import as_source

        return as_source(os.path.expanduser(value) if isinstance(value, str) else value)  # noqa: PTH111


class TextOrFile(_Completed):
    """Text, or the name of a file that holds it, told apart by what reads it."""

    name = "text"

    def convert(self, value: Any, _: click.Parameter | None, __: click.Context | None) -> str:  # noqa: ANN401
        """Read it; a ~ that stands in quotes is the home folder as well."""
        return str(os.path.expanduser(value))  # noqa: PTH111


class Share(click.ParamType[float]):
    """A share, as 15% or 0.15.

    Args:
        of: what it is called in a refusal.
        zero: whether it may be nothing at all.
    """

    name = "share"

    def __init__(self, of: str, zero: bool) -> None:
        self._of, self._zero = of, zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1 or (share == 0 and not self._zero):
            least = "at least 0%" if self._zero else "more than 0%"
            self.fail(
                f"{text!r} is no {self._of}: expected {least} and at most 100%, written as 15% or 0.15", param, ctx
            )
        return share


PATH = PathType()
SOURCE = SourceType()
TEXT_OR_FILE = TextOrFile()
