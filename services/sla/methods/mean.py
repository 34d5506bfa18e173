"""The exact mean of the intervals' error rates: a sum of thousands of fractions, without a float.

Fractions of the same denominator are added as integers first. The rest is added in pairs of pairs, which
keeps the numbers short for as long as it can be, and reduced once at the end.
"""

from collections import Counter
from fractions import Fraction

import numpy as np

from services.sla.methods.intervals import Intervals
from services.sla.model import Ints, NoData


def mean_error_rate(intervals: Intervals, no_data: NoData, *, excluded_counts_up: bool) -> Fraction | None:
    """Mean over the intervals in which any time counts; None when there is none.

    In an interval the requests stand for the time with data, time without counts as the policy says, and
    excluded time counts as free of errors or not at all.
    """
    covered = intervals.covered_ns
    weight = covered.copy()
    if no_data is not NoData.EXCLUDE:
        weight = weight + intervals.no_data_ns
    if excluded_counts_up:
        weight = weight + intervals.excluded_ns
    counted = weight > 0
    if not counted.any():
        return None
    bad = np.where(intervals.total > 0, intervals.total - intervals.good, 0)
    total = np.maximum(intervals.total, 1)
    plain = counted & (weight == covered)
    terms = _grouped(bad[plain], total[plain])
    terms += _weighted(intervals, bad, weight, np.flatnonzero(counted & ~plain), no_data)
    return exact_sum(terms) * Fraction(1, int(counted.sum()))


def exact_sum(terms: list[tuple[int, int]]) -> Fraction:
    """The sum of (numerator, denominator) pairs."""
    while len(terms) > 1:
        pairs = [(a * d + c * b, b * d) for (a, b), (c, d) in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
    return Fraction(*terms[0]) if terms else Fraction(0)


def _grouped(bad: Ints, total: Ints) -> list[tuple[int, int]]:
    failing = bad > 0
    denominators, at = np.unique(total[failing], return_inverse=True)
    sums = np.zeros(len(denominators), np.int64)
    np.add.at(sums, at, bad[failing])
    return list(zip(sums.tolist(), denominators.tolist(), strict=True))


def _weighted(
    intervals: Intervals, bad: Ints, weight: Ints, rows: Ints, no_data: NoData
) -> list[tuple[int, int]]:
    down = intervals.no_data_ns if no_data is NoData.COUNT_DOWN else np.zeros_like(weight)
    columns = (bad, np.maximum(intervals.total, 1), intervals.covered_ns, down, weight)
    alike = Counter(zip(*(column[rows].tolist() for column in columns), strict=True))
    return [
        (count * (failed * seen + missing * requests), requests * whole)
        for (failed, requests, seen, missing, whole), count in alike.items()
        if failed or missing
    ]
