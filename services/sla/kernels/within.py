"""Which slices kept a threshold, each by its own distribution. Counts only; they are judged later."""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.quantile import explicit_share, exponential_share

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_EXPONENTIAL, _EXPLICIT = 1, 2


@kernel
def within(
    kind: Ints,
    scale: Ints,
    offset: Ints,
    zero_count: Ints,
    at: Ints,
    counts: Ints,
    bounds_at: Ints,
    bounds: Floats,
    threshold: float,
    out: Ints,
) -> None:
    """out[:, k] = (samples surely <= threshold, samples that may be, all samples) of slice k.

    Args:
        kind: 1 exponential, 2 explicit; anything else has no samples.
        scale, offset, zero_count: of exponential slices.
        at, counts: the buckets of slice k are counts[at[k]:at[k+1]].
        bounds_at, bounds: in the same way, of explicit slices.
        threshold: > 0, seconds.
        out: (3, slices), overwritten.
    """
    for k in range(len(kind)):
        held = counts[at[k] : at[k + 1]]
        if kind[k] == _EXPONENTIAL:
            out[0, k], out[1, k] = exponential_share(scale[k], offset[k], zero_count[k], held, threshold)
            out[2, k] = zero_count[k] + held.sum()
        elif kind[k] == _EXPLICIT:
            out[0, k], out[1, k] = explicit_share(bounds[bounds_at[k] : bounds_at[k + 1]], held, threshold)
            out[2, k] = held.sum()
        else:
            out[:, k] = 0
