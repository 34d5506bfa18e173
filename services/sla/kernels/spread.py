"""Counts of an interval, spread over the slices that it crosses by the cumulative floor rule.

A slice from a to b takes floor(n(b-s)/L) - floor(n(a-s)/L) of the n events of the interval (s, s+L]:
the shares are whole, never negative, and sum to n whatever the slices are. Times are milliseconds:
the exact product needs an interval below 2**42 of them (139 years), which nanoseconds would not give.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]

_DIGIT = 14
_MASK = (1 << _DIGIT) - 1
_SMALL = 1 << 21
_EXACT = 1 << 52


@kernel
def mul_div(n: int, d: int, length: int) -> int:
    """floor(n * d / length), exact for 0 <= n < 2**63 and 0 <= d <= length < 2**42.

    n = q*length + r gives q*d + floor(r*d / length). r*d may need 84 bits, so d is taken in three digits
    of 14 bits, each step a division with remainder: (r1 << 14) + r*digit stays below 2**57.

    Most products need none of that. Below 2**52 the division of doubles is exact as well: a quotient that
    is not whole is at least 1/length away from the next whole number, which is more than its rounding.
    """
    if n < _SMALL:
        product = n * d
        return int(product / length) if product < _EXACT else product // length
    whole = (n // length) * d
    r = n % length
    quotient = 0
    rest = 0
    for digit in range(2, -1, -1):
        part = (d >> (digit * _DIGIT)) & _MASK
        value = (rest << _DIGIT) + r * part
        quotient = (quotient << _DIGIT) + value // length
        rest = value % length
    return whole + quotient


@kernel
def first_slice(s: int, e: int, origin: int, width: int) -> int:
    """Index of the first slice that (s, e] touches, slice k being (origin + k*width, +width]."""
    if s == e:
        return (e - origin - 1) // width
    return (s - origin) // width


@kernel
def last_slice(e: int, origin: int, width: int) -> int:
    """Index of the slice that holds e: a point at a boundary belongs to the slice that it ends."""
    return (e - origin - 1) // width


@kernel
def share(n: int, s: int, e: int, a: int, b: int) -> int:
    """Events of (s, e] that fall into (a, b], for a < b, s <= e; an instant (s == e) is not divided."""
    if n == 0 or b < s or a >= e or (b == s and s != e):
        return 0
    if s == e:
        return n if a < e <= b else 0
    low = max(a, s) - s
    high = min(b, e) - s
    return mul_div(n, high, e - s) - mul_div(n, low, e - s)


@kernel
def spread(start: Ints, end: Ints, n: Ints, origin: int, width: int, out: Ints) -> None:
    """Add each interval's n events (start, end] to the slices out[k] = (origin + k*width, +width].

    What falls outside the slices is not counted.
    """
    for i in range(len(n)):
        if n[i] == 0:
            continue
        first = max(0, first_slice(start[i], end[i], origin, width))
        last = min(len(out) - 1, last_slice(end[i], origin, width))
        for k in range(first, last + 1):
            a = origin + k * width
            out[k] += share(n[i], start[i], end[i], a, a + width)
