"""Who is told how a run goes: a role that the command line plays; shows nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """Is told what happens; every method may be called many times."""

    def tokenised(self, done: int, total: int) -> None:
        """So many bytes of the corpus are tokenised."""

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """A step is done; losses has masked_lm_loss, disc_loss and tokens_per_second where they are known."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """The held-out sequences have been looked at."""

    def noticed(self, line: str) -> None:
        """Something that a reader should know."""


class Silent:
    """Takes note of nothing."""

    def tokenised(self, done: int, total: int) -> None:
        """Pass over it."""

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """Pass over it."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Pass over it."""

    def noticed(self, line: str) -> None:
        """Pass over it."""
