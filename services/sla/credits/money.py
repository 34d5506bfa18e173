"""Exact fractions into money. Decimal, never binary, and rounded once by a rule that has a name."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

_HALF = Fraction(1, 2)
_MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0
    ),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Where ISO 4217 has other than two."""

ROUNDINGS: Mapping[str, Callable[[Fraction], int]] = {
    "half_even": round,
    "half_up": lambda amount: floor(amount + _HALF),
    "down": floor,
    "up": ceil,
}
"""How an amount that is not negative becomes whole minor units."""


def minor_digits_of(currency: str) -> int:
    """Decimals of a currency by ISO 4217."""
    return _MINOR_DIGITS.get(currency, 2)


def rounded(amount: Fraction, digits: int, rounding: str) -> Decimal:
    """The amount to so many decimals.

    Raises:
        KeyError: no rounding of that name.
    """
    units = ROUNDINGS[rounding](amount * 10**digits)
    return Decimal((0 if units >= 0 else 1, tuple(int(c) for c in str(abs(units))), -digits))
