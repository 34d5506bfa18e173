"""Exact quantiles of raw values, group by group: a sample of each group, never an interpolation.

Two rules for which sample: nearest rank, ceil(q*n), which is how this service defines a quantile, and the
element floor(level*n) of ClickHouse's `quantileExact`, so that what it says can be checked bit by bit.
NaN is no value under either rule, and a group without values has NaN. Values are ordered by their bits, so
-0.0 is below 0.0: where a group has both, `quantileExact` gives either.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MAGNITUDE = (1 << 63) - 1
_FEW = 16
_MOST_ROUNDS = 24
_SAMPLE = 127
_STRIDE = 0x9E3779B1


@kernel
def gather(group: Ints, values: Floats, groups: int) -> tuple[Ints, Floats]:
    """(at, gathered): the values of group g are gathered[at[g]:at[g+1]], in their order.

    Rows whose group is not in [0, groups) are left out.
    """
    at = np.zeros(groups + 1, np.int64)
    for g in group:
        if 0 <= g < groups:
            at[g + 1] += 1
    for i in range(groups):
        at[i + 1] += at[i]
    place = at[:-1].copy()
    out = np.empty(at[groups], np.float64)
    for i in range(len(group)):
        g = group[i]
        if 0 <= g < groups:
            out[place[g]] = values[i]
            place[g] += 1
    return at, out


@kernel
def quantile_exact(values: Floats, at: Ints, level: float, out: Floats) -> None:
    """out[g] = the element floor(level*n), counted from 0, of the n values of group g in order.

    `level*n` is the product of doubles, as in ClickHouse; the last element for level >= 1. 0 <= level.
    """
    _each(values, at, level, 0, 0, out)


@kernel
def nearest_rank(values: Floats, at: Ints, numerator: int, denominator: int, out: Floats) -> None:
    """out[g] = the sample of rank ceil(q*n), counted from 1, for q = numerator/denominator in (0, 1].

    The denominator is at most a million, so that no group is too large for the product.
    """
    _each(values, at, 0.0, numerator, denominator, out)


@kernel
def _each(values: Floats, at: Ints, level: float, numerator: int, denominator: int, out: Floats) -> None:
    largest = 0
    for g in range(len(out)):
        largest = max(largest, at[g + 1] - at[g])
    keys = np.empty(largest, np.int64)
    other = np.empty(largest, np.int64)
    sample = np.empty(_SAMPLE, np.int64)
    bits = values.view(np.int64)
    out_bits = out.view(np.int64)
    for g in range(len(out)):
        # Keys: integers in the order of the doubles. NaN is stepped over without a branch.
        n = 0
        for i in range(at[g], at[g + 1]):
            keys[n] = bits[i] ^ ((bits[i] >> 63) & _MAGNITUDE)
            n += values[i] == values[i]
        if n == 0:
            out[g] = np.nan
            continue
        if denominator > 0:
            rank = (numerator * n + denominator - 1) // denominator - 1
        else:
            rank = int(level * n) if level < 1.0 else n - 1
        key = _select(keys, other, sample, n, rank)
        out_bits[g] = key ^ ((key >> 63) & _MAGNITUDE)


@kernel
def _select(keys: Ints, other: Ints, sample: Ints, n: int, rank: int) -> int:
    """The element of `rank` (from 0) of keys[:n] in order; both arrays are overwritten.

    Each round takes a pivot near the rank from a sample, but on its far side, and copies what lies on the
    side of the rank: for a p95 one round leaves a tenth. Copying without a branch costs less than swapping
    with one.
    """
    a, b = keys, other
    for step in range(_MOST_ROUNDS):
        if n <= _FEW:
            break
        upper = 2 * rank >= n
        pivot = _pivot(a, sample, n, rank, upper, step)
        kept = _keep(a, b, n, pivot, upper)
        if upper:
            if rank < n - kept:
                less = _keep(a, b, n, pivot, False)
                if rank >= less:
                    return pivot
                n = less
            else:
                rank -= n - kept
                n = kept
        elif rank >= kept:
            more = _keep(a, b, n, pivot, True)
            if rank < n - more:
                return pivot
            rank -= n - more
            n = more
        else:
            n = kept
        a, b = b, a
    if n > _FEW:
        return _halving(a, n, rank)
    _insertion(a, n)
    found: int = a[rank]
    return found


@kernel
def _halving(a: Ints, n: int, rank: int) -> int:
    """The element of `rank` by halving the range of values: 64 rounds at most, whatever the values are.

    For values laid out so that the samples mislead; ten times faster to compile than a sort.
    """
    low = a[0]
    high = a[0]
    for i in range(n):
        low = min(low, a[i])
        high = max(high, a[i])
    while low < high:
        middle = (low & high) + ((low ^ high) >> 1)
        count = 0
        for i in range(n):
            count += a[i] <= middle
        if count > rank:
            high = middle
        else:
            low = middle + 1
    found: int = low
    return found


@kernel
def _keep(a: Ints, b: Ints, n: int, pivot: int, upper: bool) -> int:
    """Copy what is > pivot (`upper`) or < pivot from a[:n] into b; how many that are."""
    kept = 0
    if upper:
        for i in range(n):
            b[kept] = a[i]
            kept += a[i] > pivot
    else:
        for i in range(n):
            b[kept] = a[i]
            kept += a[i] < pivot
    return kept


@kernel
def _pivot(a: Ints, sample: Ints, n: int, rank: int, upper: bool, step: int) -> int:
    """A value that probably lies just below the rank (`upper`), or just above it."""
    m = 15 if n < 512 else (31 if n < 4096 else _SAMPLE)
    place = (step * _STRIDE) % n
    stride = max(1, n // m)
    for i in range(m):
        sample[i] = a[place]
        place += stride
        if place >= n:
            place -= n
    _insertion(sample, m)
    share = rank / n
    margin = 1 + int(1.5 * np.sqrt(m * share * (1.0 - share)))
    aim = int(share * m)
    found: int = sample[max(0, aim - margin)] if upper else sample[min(m - 1, aim + margin)]
    return found


@kernel
def _insertion(a: Ints, n: int) -> None:
    """Sort the first n, which are few."""
    for i in range(1, n):
        value = a[i]
        j = i - 1
        while j >= 0 and a[j] > value:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = value
