"""Sums of distributions, their quantiles and the shares below a threshold.

Merging never invents knowledge: explicit histograms keep the bounds that all of them have, and where
exponential and explicit ones meet, the bounds that no populated exponential bucket crosses. What cannot be
told apart then shows as wide bounds of the quantile, never as a wrong one.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from services.sla.kernels import explicit, exponential, merging, prometheus, quantile
from services.sla.model import Distribution, DistributionKind, Ints

WIDEST = 320
"""Most buckets of a merged exponential histogram: scale 4 (2.2 %) over six decades."""


@dataclass(frozen=True, slots=True)
class QuantileBounds:
    """The nearest-rank quantile in seconds: an estimate, and what it surely lies between.

    All three are finite. saturated: nothing bounds it from above; all three are then the lower bound.
    """

    estimate: float
    lower: float
    upper: float
    saturated: bool


def exponential_distribution(scale: int, offset: int, zero_count: int, counts: Ints) -> Distribution:
    """A distribution from exponential buckets."""
    return Distribution(DistributionKind.EXPONENTIAL, tuple(counts.tolist()), scale, offset, zero_count)


def explicit_distribution(bounds: Sequence[float], counts: Ints) -> Distribution:
    """A distribution from explicit buckets."""
    return Distribution(DistributionKind.EXPLICIT, tuple(counts.tolist()), bounds=tuple(bounds))


def merge(parts: Iterable[Distribution]) -> Distribution | None:
    """The distribution of all requests together; None when there are none. Order does not matter."""
    populated = [part for part in parts if part.total]
    smooth = [part for part in populated if part.kind is DistributionKind.EXPONENTIAL]
    stepped = [part for part in populated if part.kind is DistributionKind.EXPLICIT]
    if not stepped:
        return _merge_exponential(smooth) if smooth else None
    if not smooth:
        return _merge_explicit(stepped)
    return _mix(_merge_exponential(smooth), _merge_explicit(stepped))


def _merge_exponential(parts: Sequence[Distribution]) -> Distribution:
    if len(parts) == 1:
        return parts[0]
    scale = np.array([part.scale for part in parts], np.int64)
    offset = np.array([part.offset for part in parts], np.int64)
    at = np.concatenate(([0], np.cumsum([len(part.counts) for part in parts]))).astype(np.int64)
    counts = np.array([n for part in parts for n in part.counts], np.int64)
    return merge_exponential_columns(scale, offset, sum(part.zero_count for part in parts), at, counts)


def merge_exponential_columns(
    scale: Ints, offset: Ints, zero_count: int, at: Ints, counts: Ints
) -> Distribution:
    """The sum of many exponential histograms that lie in columns, as `model.Rows` describes them."""
    to_scale, to_offset, out = merging.merge_all(scale, offset, at, counts, WIDEST)
    return exponential_distribution(to_scale, to_offset, zero_count, out)


def _merge_explicit(parts: Sequence[Distribution]) -> Distribution:
    common = set(parts[0].bounds).intersection(*(part.bounds for part in parts[1:]))
    bounds = tuple(sorted(common))
    total = np.zeros(len(bounds) + 1, np.int64)
    for part in parts:
        _add_explicit(part, bounds, total)
    return explicit_distribution(bounds, total)


def _add_explicit(part: Distribution, bounds: Sequence[float], out: Ints) -> None:
    """Add a part to buckets whose bounds are a subset of its own."""
    uppers = np.array([*part.bounds, np.inf])
    target = np.searchsorted(np.array(bounds, np.float64), uppers).astype(np.int64)
    explicit.coarsen(np.array(part.counts, np.int64), target, out)


def _mix(smooth: Distribution, stepped: Distribution) -> Distribution:
    """Explicit buckets of both kinds, keeping the bounds that no populated exponential bucket crosses."""
    edges = [
        (
            exponential.lower_bound(smooth.offset + j, smooth.scale),
            exponential.lower_bound(smooth.offset + j + 1, smooth.scale),
            n,
        )
        for j, n in enumerate(smooth.counts)
        if n
    ]
    bounds = tuple(b for b in stepped.bounds if not any(low < b < high for low, high, _ in edges))
    total = np.zeros(len(bounds) + 1, np.int64)
    _add_explicit(stepped, bounds, total)
    limits = np.array(bounds, np.float64)
    total[int(np.searchsorted(limits, 0.0))] += smooth.zero_count
    for _, high, n in edges:
        total[int(np.searchsorted(limits, high))] += n
    return explicit_distribution(bounds, total)


def quantile_of(distribution: Distribution, q: Fraction) -> QuantileBounds | None:
    """The sample of rank ceil(q * total); None when there are no samples.

    Args:
        distribution: latencies in seconds.
        q: above 0 and at most 1.
    """
    total = distribution.total
    if total == 0:
        return None
    rank = -((-q.numerator * total) // q.denominator)
    counts = np.array(distribution.counts, np.int64)
    if distribution.kind is DistributionKind.EXPONENTIAL:
        estimate, lower, upper = quantile.exponential_quantile(
            distribution.scale, distribution.offset, distribution.zero_count, counts, rank
        )
        if math.isinf(upper):
            # Only a value that no clock measures lies there, and no answer holds an infinity.
            lower = min(lower, sys.float_info.max)
            return QuantileBounds(lower, lower, lower, saturated=True)
        return QuantileBounds(estimate, lower, upper, saturated=False)
    return QuantileBounds(
        *quantile.explicit_quantile(np.array(distribution.bounds, np.float64), counts, rank)
    )


def requests_within(distribution: Distribution, threshold_s: Fraction) -> tuple[int, int]:
    """Requests that surely took no longer than the threshold, and that may have."""
    counts = np.array(distribution.counts, np.int64)
    threshold = float(threshold_s)
    if distribution.kind is DistributionKind.EXPONENTIAL:
        return quantile.exponential_share(
            distribution.scale, distribution.offset, distribution.zero_count, counts, threshold
        )
    return quantile.explicit_share(np.array(distribution.bounds, np.float64), counts, threshold)


def prometheus_quantile(distribution: Distribution, q: Fraction) -> float:
    """What Prometheus' `histogram_quantile` says of the same histogram: for display beside ours, no verdict.

    NaN where it says NaN: without requests, or without any bound.
    """
    counts = np.array(distribution.counts, np.int64)
    if distribution.kind is DistributionKind.EXPONENTIAL:
        none = np.zeros(0, np.int64)
        lower, upper, held = prometheus.buckets(
            distribution.scale, distribution.offset, counts, 0, none, distribution.zero_count, 0.0
        )
        return prometheus.native(lower, upper, held, float(distribution.total), float(q), False)
    bounds = np.array([*distribution.bounds, np.inf])
    return prometheus.classic(bounds, np.cumsum(counts).astype(np.float64), float(q))
