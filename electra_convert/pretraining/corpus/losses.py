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
    """How much is cut off, in tokens and letters, and why."""
    total = losses.tokens + kept
    packing, long = losses.tokens - losses.long_tokens, losses.long_tokens
    causes = {
        "by packing, where the line that fills a sequence runs over its end": (
            packing,
            losses.letters - losses.long_letters,
        ),
        "since lines are longer than a sequence": (long, losses.long_letters),
    }
    found = sorted((amount, cause) for cause, amount in causes.items() if amount[0])[::-1]
    whole = f"{losses.tokens:,} of {total:,} tokens ({_percent(losses.tokens, total)}), {losses.letters:,} letters"
    if len(found) == 1:
        return f"{whole}, {found[0][1]}"
    parts = [
        f"{_percent(tokens, total)} ({tokens:,} tokens, {letters:,} letters) {cause}"
        for (tokens, letters), cause in found
    ]
    return f"{whole}: {', and '.join(parts)}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / max(1, whole)
    return f"{share:.0f}%" if share >= 1 else f"{share:.1g}%"
