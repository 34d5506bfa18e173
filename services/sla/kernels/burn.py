"""Bad and total events of the trailing window at each slice, from which burn rates follow.

Burn rate = (bad/total) / (1 - target) over one window (Site Reliability Workbook, chapter 5:
https://sre.google/workbook/alerting-on-slos/). The division is left to the caller, who does it in rationals.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]


@kernel
def trailing_sums(values: Ints, length: int, out: Ints) -> None:
    """out[k] = values[max(0, k-length+1)] + ... + values[k], for length >= 1."""
    sum_ = 0
    for k in range(len(values)):
        sum_ += values[k]
        if k >= length:
            sum_ -= values[k - length]
        out[k] = sum_
