"""The zero bucket of exponential histograms that were recorded with different zero thresholds.

The sum of several has the widest threshold, and what others hold in buckets below it belongs to its zero
bucket. A threshold that falls inside a populated bucket is raised to that bucket's upper bound, because
nobody can tell which of its samples are below.
Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#zero-count-and-zero-threshold.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.exponential import index_of, lower_bound

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@kernel
def common_threshold(scale: Ints, offset: Ints, at: Ints, counts: Ints, threshold: Floats) -> float:
    """The zero threshold of the sum of all rows; rows as for `exponential.merge_shape`."""
    widest = 0.0
    for i in range(len(threshold)):
        widest = max(widest, threshold[i])
    raised = widest > 0.0
    while raised:
        raised = False
        for i in range(len(scale)):
            index = index_of(widest, scale[i])
            place = at[i] + index - offset[i]
            upper = lower_bound(index + 1, scale[i])
            if at[i] <= place < at[i + 1] and counts[place] > 0 and upper > widest:
                widest = upper
                raised = not np.isinf(upper)
    return widest


@kernel
def absorb(scale: Ints, offset: Ints, at: Ints, counts: Ints, zero_count: Ints, threshold: float) -> None:
    """Move the buckets at or below the threshold into zero_count, in place; `threshold` is the common one."""
    for i in range(len(scale)):
        for m in range(at[i], at[i + 1]):
            if counts[m] != 0 and lower_bound(offset[i] + m - at[i] + 1, scale[i]) <= threshold:
                zero_count[i] += counts[m]
                counts[m] = 0
