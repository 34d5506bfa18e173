"""`histogram_quantile` as Prometheus defines it, for people who compare our figures with theirs.

Never part of a verdict: it interpolates, so it is one number where the samples allow a range, and in
explicit buckets the true quantile may be anywhere in the bucket (see `quantile` for what is surely so).
Rules: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile, with exponential
interpolation inside exponential buckets as since version 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.exponential import lower_bound

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_TINY_SHARE = 1e-12
"""Neighbouring cumulative counts that differ by less are taken as equal: rounding of rates."""


@kernel
def classic(upper: Floats, cumulative: Floats, q: float) -> float:
    """The q-quantile of a classic histogram.

    Args:
        upper: inclusive upper bounds, ascending, the last one infinite; equal bounds are added up.
        cumulative: how many observations are <= the bound; need not be whole. Falls are filled up.
        q: below 0 gives -inf, above 1 +inf, NaN gives NaN.

    NaN without observations, with fewer than two buckets, or where the last bound is finite.
    """
    if math.isnan(q):
        return math.nan
    if q < 0.0:
        return -math.inf
    if q > 1.0:
        return math.inf
    if len(upper) == 0 or upper[-1] != math.inf:
        return math.nan
    bounds, counts = _one_of_each_bound(upper, cumulative)
    _rising(counts)
    last = len(bounds) - 1
    if last < 1 or counts[last] == 0.0:
        return math.nan
    rank = q * counts[last]
    b = 0
    while b < last and not counts[b] >= rank:
        b += 1
    if b == last:
        return float(bounds[last - 1])
    if b == 0:
        return float(bounds[0]) if bounds[0] <= 0.0 else float(bounds[0] * (rank / counts[0]))
    inside = (rank - counts[b - 1]) / (counts[b] - counts[b - 1])
    return float(bounds[b - 1] + (bounds[b] - bounds[b - 1]) * inside)


@kernel
def _one_of_each_bound(upper: Floats, cumulative: Floats) -> tuple[Floats, Floats]:
    bounds = upper.copy()
    counts = cumulative.copy()
    n = 0
    for i in range(1, len(upper)):
        if upper[i] == bounds[n]:
            counts[n] += cumulative[i]
        else:
            n += 1
            bounds[n] = upper[i]
            counts[n] = cumulative[i]
    return bounds[: n + 1], counts[: n + 1]


@kernel
def _rising(counts: Floats) -> None:
    """Take back falls, and steps that are only rounding."""
    held = counts[0]
    for i in range(1, len(counts)):
        difference = abs(counts[i] - held)
        if counts[i] < held or difference <= _TINY_SHARE * (abs(counts[i]) + abs(held)):
            counts[i] = held
        else:
            held = counts[i]


@kernel
def buckets(
    scale: int,
    offset: int,
    counts: Ints,
    below_offset: int,
    below: Ints,
    zero_count: int,
    zero_threshold: float,
) -> tuple[Floats, Floats, Floats]:
    """(lower, upper, count) of the buckets of an exponential histogram in the order of their values.

    Offsets are those of OTLP; `below` holds the negative values by magnitude. The zero bucket is
    (-threshold, threshold), narrowed to one side where all buckets are on that side.
    """
    n = len(below)
    lower = np.empty(n + 1 + len(counts), np.float64)
    upper = np.empty(n + 1 + len(counts), np.float64)
    held = np.empty(n + 1 + len(counts), np.float64)
    for j in range(n):
        lower[n - 1 - j] = -lower_bound(below_offset + j + 1, scale)
        upper[n - 1 - j] = -lower_bound(below_offset + j, scale)
        held[n - 1 - j] = below[j]
    lower[n] = 0.0 if n == 0 and len(counts) > 0 else -zero_threshold
    upper[n] = 0.0 if n > 0 and len(counts) == 0 else zero_threshold
    held[n] = zero_count
    for j in range(len(counts)):
        lower[n + 1 + j] = lower_bound(offset + j, scale)
        upper[n + 1 + j] = lower_bound(offset + j + 1, scale)
        held[n + 1 + j] = counts[j]
    return lower, upper, held


@kernel
def native(lower: Floats, upper: Floats, counts: Floats, total: float, q: float, holds_nan: bool) -> float:
    """The q-quantile of a native histogram with exponential buckets, as `buckets` gives them.

    Args:
        lower, upper, counts: the buckets, ascending.
        total: of all observations; more than the buckets hold when some were NaN.
        q: as for `classic`.
        holds_nan: whether some observation was NaN (its sum is): ranks are then counted from below.
    """
    if q < 0.0:
        return -math.inf
    if q > 1.0:
        return math.inf
    if total == 0.0 or math.isnan(q) or len(counts) == 0:
        return math.nan
    forward = holds_nan or q < 0.5
    rank = q * total if forward else (1.0 - q) * total
    found = -1
    seen = 0.0
    for i in range(len(counts)):
        k = i if forward else len(counts) - 1 - i
        if counts[k] == 0.0:
            continue
        found = k
        seen += counts[k]
        if seen >= rank:
            break
    if found < 0:
        return math.nan
    seen = min(seen, total)
    if seen < rank:
        return float(upper[found])
    into = rank - (seen - counts[found]) if forward else seen - rank
    return _between(lower[found], upper[found], into / counts[found])


@kernel
def _between(low: float, high: float, share: float) -> float:
    """Linear in the zero bucket, elsewhere linear in the logarithm, mirrored below 0."""
    if low <= 0.0 <= high:
        return low + (high - low) * share
    log_low = math.log2(abs(low))
    log_high = math.log2(abs(high))
    if low > 0.0:
        return float(2.0 ** (log_low + (log_high - log_low) * share))
    return -float(2.0 ** (log_high + (log_low - log_high) * (1.0 - share)))
