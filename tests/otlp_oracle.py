"""Which points are acceptable, written point by point as OTLP's data model says it.

An oracle: it shares no code with the collector's own judgement, works on Python's exact integers
and fractions, and is slow.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

_WEEK_NS = 7 * 86_400 * 10**9
_AHEAD_NS = 600 * 10**9


def acceptance(now_ns: int) -> Callable[[str, Any, Any], bool]:
    """Whether a point is acceptable at `now_ns`: for `otlp_requests.rows_of`."""

    def accept(field_name: str, data: Any, point: Any) -> bool:
        if point.time_unix_nano == 0 or not now_ns - _WEEK_NS <= point.time_unix_nano <= now_ns + _AHEAD_NS:
            return False
        if getattr(data, "aggregation_temporality", 0) not in (0, 1, 2):
            return False
        return bool(point.flags & 1) or _VALUES[field_name](point)

    return accept


def _number(point: Any) -> bool:
    return point.WhichOneof("value") is not None


def _histogram(point: Any) -> bool:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if not bounds and not counts:
        return True
    if len(counts) != len(bounds) + 1 or any(math.isnan(bound) for bound in bounds):
        return False
    return all(a < b for a, b in pairwise(bounds)) and sum(counts) == point.count


def _exponential_histogram(point: Any) -> bool:
    counts = [*point.positive.bucket_counts, *point.negative.bucket_counts]
    sides = (point.positive, point.negative)
    return sum(counts) + point.zero_count == point.count and all(
        _in_range(side, point.scale) for side in sides
    )


def _in_range(side: Any, scale: int) -> bool:
    """Whether a double can fall into the lowest and into the highest bucket."""
    if not side.bucket_counts:
        return True
    # Beyond +-5000 the exponents are outside of everything, or nothing is; the powers get too long.
    width = Fraction(2) ** -max(-5000, min(5000, scale))
    lowest_upper = (side.offset + 1) * width
    highest_lower = (side.offset + len(side.bucket_counts) - 1) * width
    return lowest_upper > -1075 and highest_lower < 1024


def _summary(point: Any) -> bool:
    return all(0.0 <= pair.quantile <= 1.0 for pair in point.quantile_values)


_VALUES: dict[str, Callable[[Any], bool]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}
