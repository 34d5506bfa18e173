"""The checks that nearly every request passes, in one look over its points."""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Ints, Words
from services.collector.model import I32, U8, U32

_KNOWN_TEMPORALITIES = 3


@kernel
def suspicious(
    times: Words, oldest: int, newest: int, flags: U32, series: Ints, temporality: I32, point: Ints, kind: U8
) -> bool:
    """Whether any point may have to be refused for its time (Unix nanoseconds), its temporality or, being
    a number point, for its value; `oldest` is at least 1. A look at the reasons follows where it is true.
    """
    for index in range(len(times)):
        if times[index] < np.uint64(oldest) or times[index] > np.uint64(newest):
            return True
        if not 0 <= temporality[series[index]] < _KNOWN_TEMPORALITIES:
            return True
    for index in range(len(kind)):  # noqa: SIM110 - compiled
        if kind[index] == 0 and not flags[point[index]] & np.uint32(1):
            return True
    return False
