"""Sums over the slices of a window. Additive, so any cut of the window gives the same figures."""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]


@kernel
def totals(columns: Ints, out: Ints) -> None:
    """out[c] += the sum of columns[c, :]; one row for each of good, total and the six durations."""
    for c in range(columns.shape[0]):
        sum_ = 0
        for k in range(columns.shape[1]):
            sum_ += columns[c, k]
        out[c] += sum_
