"""How far counts may be from what they are expected to be by chance."""

from __future__ import annotations

# One false alarm in a million.
_NORMAL_QUANTILE = 4.753


def chi_squared_limit(freedom: int) -> float:
    """The quantile of the chi-squared distribution, by Wilson and Hilferty's approximation."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + _NORMAL_QUANTILE * spread**0.5) ** 3
