"""The one place that turns the decoder's functions into machine code, with the reason for each option.

Every kernel is decorated with `kernel` from here and with nothing else, so that the options are the
same everywhere and a test can find any other use of Numba's compilers.

One thing to know when editing: the on-disk cache notices a change of the file that holds a kernel, not
of another file whose kernel it calls. After changing a kernel that others call, run `make clean` or
touch its callers.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

_P = ParamSpec("_P")
_R = TypeVar("_R")


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile `function` on its first call.

    nogil: kernels run in threads beside the event loop. cache: the second start of a service compiles
    nothing. error_model "numpy": no hidden ZeroDivisionError branch. fastmath stays off: doubles are
    moved as bits. Numba's own bounds checks stay off (NUMBA_BOUNDSCHECK=1 turns them on): the kernels
    check every position against the end of the message that it belongs to.
    """
    compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=False)(function)
    return cast("Callable[_P, _R]", compiled)
