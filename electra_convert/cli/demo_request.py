"""electra-convert demo: what was asked for, and which of it goes together; does none of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from electra_convert.errors import UsageError


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
    pair: str | None
    question: str | None
    table: bool
    html: Path | None
    overwrite: bool
    web: bool
    port: int
    allow_host: tuple[str, ...]
    as_json: bool
    quiet: bool

    def refuse_contradictions(self) -> None:
        """Refuse options that do not go together."""
        if self.sentences and self.file is not None:
            raise UsageError("sentences and --file are both given: give one of them")
        if self.original is not None and len(self.sentences) != 1:
            raise UsageError(f"--original goes with one sentence, and {len(self.sentences)} are given")
        if self.pair is not None and self.question is not None:
            raise UsageError("--pair and --question are both given: a model takes one of them, or neither")
        for name in ("original", "corrupt", "html", "pair", "question"):
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
        "allow_host": {"--web": request.web},
        "overwrite": {"--html": request.html},
        "generator": {"--corrupt": request.corrupt, "--fill": request.fill, "--web": request.web},
    }
    if request.fill is not None:
        needs |= {"words": {}, "table": {}, "threshold": {}}
    for name, others in needs.items():
        given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if given and not any(others.values()):
            option = "--no-table" if name == "table" else f"--{name.replace('_', '-')}"
            why = f"without {' or '.join(others)}" if others else "with --fill"
            raise UsageError(f"{option} does nothing {why}")
