"""Bad and total events of the window that ends with the last slice, from which a burn rate follows.

Burn rate = (bad/total) / (1 - target) over one window (Site Reliability Workbook, chapter 5:
https://sre.google/workbook/alerting-on-slos/). The division is left to the caller, who does it in rationals.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]


@kernel
def window_counts(start: Ints, good: Ints, total: Ints, begin: int) -> tuple[int, int]:
    """(bad, total) of the slices with start >= begin; slices are ordered by start. (0, 0) for none."""
    bad = 0
    all_ = 0
    k = len(start) - 1
    while k >= 0 and start[k] >= begin:
        bad += total[k] - good[k]
        all_ += total[k]
        k -= 1
    return bad, all_
