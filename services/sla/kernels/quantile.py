"""The bucket of a rank, and the shares on either side of a threshold.

The nearest-rank quantile of N samples is the sample of rank ceil(qN), so the true value lies inside the
bucket that holds that rank. The rank is computed exactly by the caller; nothing here rounds.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.exponential import index_of, lower_bound

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@kernel
def bucket_of_rank(counts: Ints, rank: int) -> tuple[int, int]:
    """(bucket, samples before it) for 1 <= rank <= sum(counts); (-1, sum) when the rank is beyond."""
    before = 0
    for j in range(len(counts)):
        if before + counts[j] >= rank:
            return j, before
        before += counts[j]
    return -1, before


@kernel
def exponential_quantile(
    scale: int, offset: int, zero_count: int, counts: Ints, rank: int
) -> tuple[float, float, float]:
    """(estimate, lower, upper) of the sample of `rank`, 1 <= rank <= zero_count + sum(counts).

    The estimate 2LU/(L+U) has the least relative error that a bucket allows: (base-1)/(base+1) at both
    ends. Samples in the zero bucket are 0. `upper` is infinite where the bucket reaches beyond all doubles.
    """
    if rank <= zero_count:
        return 0.0, 0.0, 0.0
    bucket, _ = bucket_of_rank(counts, rank - zero_count)
    low = lower_bound(offset + bucket, scale)
    high = lower_bound(offset + bucket + 1, scale)
    if np.isinf(high):
        return low, low, high
    if low + high == 0.0:
        # Narrower than the least double: all of it is next to zero.
        return 0.0, low, high
    return 2.0 * low * (high / (low + high)), low, high


@kernel
def explicit_quantile(bounds: Floats, counts: Ints, rank: int) -> tuple[float, float, float, bool]:
    """(estimate, lower, upper, saturated) of the sample of `rank`, 1 <= rank <= sum(counts).

    Values are taken as >= 0, so the first bucket starts at 0 when its bound is positive. The estimate
    is linear inside the bucket; in the overflow bucket only the lower bound is known.
    """
    bucket, before = bucket_of_rank(counts, rank)
    if len(bounds) == 0:
        return 0.0, 0.0, 0.0, True
    if bucket == len(bounds):
        return bounds[-1], bounds[-1], bounds[-1], True
    high = bounds[bucket]
    low = min(0.0, high) if bucket == 0 else bounds[bucket - 1]
    return low + (high - low) * (rank - before) / counts[bucket], low, high, False


@kernel
def exponential_share(
    scale: int, offset: int, zero_count: int, counts: Ints, threshold: float
) -> tuple[int, int]:
    """Samples that are surely <= threshold, and that may be; equal where it is a bucket bound.

    threshold > 0, and not below the zero threshold, or the zero bucket is not surely below it (`zero`
    raises thresholds to a common one). A power of two is a bound at every scale >= 0, and at a negative
    one when its exponent is a multiple of 2**-scale.
    """
    inside = index_of(threshold, scale)
    exact = lower_bound(inside + 1, scale) == threshold
    sure = zero_count
    possible = zero_count
    for j in range(len(counts)):
        index = offset + j
        if index < inside or (exact and index == inside):
            sure += counts[j]
        if index <= inside:
            possible += counts[j]
    return sure, possible


@kernel
def explicit_share(bounds: Floats, counts: Ints, threshold: float) -> tuple[int, int]:
    """Samples that are surely <= threshold, and that may be."""
    sure = 0
    possible = 0
    for j in range(len(counts)):
        if j < len(bounds) and bounds[j] <= threshold:
            sure += counts[j]
            possible += counts[j]
        elif j == 0 or bounds[j - 1] < threshold:
            possible += counts[j]
    return sure, possible
