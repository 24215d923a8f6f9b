"""What is said of the text that packing cuts off, by its causes, and where it is refused."""

from __future__ import annotations

from electra_convert.errors import CorpusError
from electra_convert.pretraining.corpus.packing import Losses

_OPTION = "--split-long-lines"
_MOST = 0.5


def require_kept(losses: Losses, kept: int) -> None:
    """Refuse a corpus most of which would not be trained on.

    Args:
        losses: what is cut off.
        kept: how many tokens are trained on.

    Raises:
        CorpusError: more than half of it would be lost.
    """
    if losses.tokens <= _MOST * (losses.tokens + kept):
        return
    raise CorpusError(
        f"most of the corpus would be cut off: {told(losses, kept)}",
        f"{_OPTION} uses all of it: it splits lines at the ends of sentences, and then between words.",
    )


def told(losses: Losses, kept: int) -> str:
    """How much is cut off, in tokens and characters, and why."""
    total = losses.tokens + kept
    packing, long = losses.tokens - losses.long_tokens, losses.long_tokens
    share = f"{losses.tokens:,} of {total:,} tokens ({_percent(losses.tokens, total)}), {losses.letters:,} characters"
    causes = [
        (packing, losses.letters - losses.long_letters, "of lines that run over the end of the sequence they fill"),
        (long, losses.long_letters, "of lines that are longer than a sequence"),
    ]
    parts = [
        f"{tokens:,} tokens ({_percent(tokens, total)}), {letters:,} characters, {cause}"
        for tokens, letters, cause in sorted(causes, reverse=True)
        if tokens
    ]
    return f"{share}; {'; '.join(parts)}" if len(parts) > 1 else f"{share}, {causes[0 if packing else 1][2]}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / max(1, whole)
    return f"{share:.0f}%" if share >= 1 else f"{share:.1g}%"
