"""What demo may be asked for, and which of its options go together; nothing is done here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from electra_convert.errors import UsageError


class Share(click.ParamType[float]):
    """A share of the tokens, as 15% or 0.15."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            wanted = "more than 0% and at most 100%, written as 15% or 0.15"
            self.fail(f"{text!r} is no share of the tokens: expected {wanted}", param, ctx)
        return share


def require_number(_: click.Context, __: click.Parameter, value: float) -> float:
    """Refuse what is not a number."""
    # click's ranges let NaN through: it is neither below nor above their ends.
    if math.isnan(value):
        raise click.BadParameter("nan is not a probability.")
    return value


@dataclass(frozen=True)
class Request:
    """What was asked for, apart from the model."""

    sentences: tuple[str, ...]
    file: Path | None
    words: bool
    threshold: float
    original: str | None
    corrupt: float | None
    seed: int
    fill: int | None
    table: bool
    html: Path | None
    overwrite: bool
    web: bool
    port: int
    as_json: bool
    quiet: bool

    def check(self) -> None:
        """Refuse options that do not go together."""
        if self.sentences and self.file is not None:
            raise UsageError("sentences and --file are both given: give one of them")
        if self.original is not None and len(self.sentences) != 1:
            raise UsageError(f"--original goes with one sentence, and {len(self.sentences)} are given")
        for name in ("original", "corrupt", "html"):
            if self.fill is not None and getattr(self, name) is not None:
                raise UsageError(f"--fill and --{name} do not go together")
        if self.original is not None and self.corrupt is not None:
            raise UsageError("--original and --corrupt do not go together: each says what was replaced")
        others = (self.file, self.original, self.corrupt, self.fill, self.html)
        more = self.as_json or len(self.sentences) > 1 or not self.table
        if self.web and (more or any(other is not None for other in others)):
            raise UsageError(
                "--web takes one sentence at most, and none of --file, --original, --corrupt, --fill, --html, "
                "--no-table and --json"
            )


def refuse_idle_options(request: Request) -> None:
    """Refuse options that are given and would do nothing."""
    context = click.get_current_context()
    needs: dict[str, dict[str, Any]] = {
        "seed": {"--corrupt": request.corrupt},
        "port": {"--web": request.web},
        "overwrite": {"--html": request.html},
        "generator": {"--corrupt": request.corrupt, "--fill": request.fill, "--web": request.web},
    }
    if request.fill is not None:
        needs |= {"words": {}, "table": {}, "threshold": {}}
    for name, others in needs.items():
        given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if given and not any(others.values()):
            option = "--no-table" if name == "table" else f"--{name}"
            why = f"without {' or '.join(others)}" if others else "with --fill"
            raise UsageError(f"{option} does nothing {why}")
