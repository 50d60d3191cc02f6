"""One rounding for all figures: what is printed, written and compared with a gate is one number."""

from __future__ import annotations

DECIMALS = 6


def rounded(value: float) -> float:
    """A figure as reports have it."""
    return round(float(value), DECIMALS)


def decimal(value: float) -> str:
    """A rounded figure in plain decimals: never an exponent, always a point, "1.0", "0.9125".

    >>> decimal(1e-06), decimal(1.0), decimal(0.9125)
    ('0.000001', '1.0', '0.9125')
    """
    whole, _, rest = f"{value:.{DECIMALS}f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"
