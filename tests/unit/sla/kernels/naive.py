"""What the kernels must compute, said as plainly as possible: dictionaries, fractions, no tricks."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from math import floor


def share(n: int, s: int, e: int, a: int, b: int) -> int:
    """Events of (s, e] in (a, b], by the cumulative floor rule in exact rationals."""
    if s == e:
        return n if a < e <= b else 0

    def before(x: int) -> int:
        return floor(Fraction(n) * (min(max(x, s), e) - s) / (e - s))

    return before(b) - before(a)


def spread(rows: Sequence[tuple[int, int, int]], origin: int, width: int, slices: int) -> list[int]:
    """Sum of shares for each slice; rows are (start, end, n)."""
    return [
        sum(share(n, s, e, origin + k * width, origin + (k + 1) * width) for s, e, n in rows)
        for k in range(slices)
    ]


def index_of(value: float, scale: int) -> int:
    """The bucket i with base**i < value <= base**(i+1), by arithmetic with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        log2 = Decimal(value).ln() / Decimal(2).ln()
        place = log2 * (Decimal(2) ** scale)
        # A power of two has a whole logarithm; the last digits of its division must not matter.
        if abs(place - place.to_integral_value()) < Decimal("1e-40"):
            return int(place.to_integral_value()) - 1
        return floor(place)


def buckets(values: Sequence[float], scale: int) -> Counter[int]:
    """Values > 0 by bucket."""
    return Counter(index_of(value, scale) for value in values)


def downscale(counts: Counter[int], k: int) -> Counter[int]:
    """The same values at a scale lower by k."""
    out: Counter[int] = Counter()
    for index, n in counts.items():
        out[floor(Fraction(index, 2**k))] += n
    return out


def increase(points: Sequence[tuple[int, int, int, int, int]], *, delta: bool) -> list[tuple[int, int, int]]:
    """(from, to, increment) of points (series, start, ts, bits, count), in order of series, start, ts."""
    out = []
    last: dict[tuple[int, int], tuple[int, int]] = {}
    for series, start, ts, bits, count in points:
        known = last.get((series, start))
        last[series, start] = (ts, count)
        if delta:
            out.append((ts if bits & 3 else min(start, ts), ts, count))
        elif known is None:
            out.append((ts, ts, 0) if bits & 3 else (min(start, ts), ts, count))
        elif count < known[1]:
            out.append((known[0], ts, count))
        else:
            out.append((known[0], ts, count - known[1]))
    return out


def covered(intervals: Sequence[tuple[int, int]], origin: int, width: int, slices: int) -> list[int]:
    """Milliseconds of each slice in any interval, counted one by one."""
    instants = {t for s, e in intervals for t in range(s, e)}
    return [sum(origin + k * width + t in instants for t in range(width)) for k in range(slices)]


def nearest_rank(values: Sequence[float], q: Fraction) -> float:
    """The sample of rank ceil(q * n)."""
    rank = -((-q.numerator * len(values)) // q.denominator)
    return sorted(values)[rank - 1]


def spread_edges(rows: Sequence[tuple[int, int, int]], edges: Sequence[int]) -> list[int]:
    """Sum of shares for each piece (edges[k], edges[k+1]]; rows are (start, end, n)."""
    return [sum(share(n, s, e, a, b) for s, e, n in rows) for a, b in pairwise(edges)]


def instants(intervals: Sequence[tuple[int, int]]) -> set[int]:
    """The whole units of time in any of the half-open intervals."""
    return {t for s, e in intervals for t in range(s, e)}


def runs(times: set[int]) -> list[list[int]]:
    """A set of units of time as the fewest half-open intervals, in order."""
    starts = sorted(t for t in times if t - 1 not in times)
    ends = sorted(t + 1 for t in times if t + 1 not in times)
    return [list(pair) for pair in zip(starts, ends, strict=True)]
