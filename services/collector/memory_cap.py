"""Whether this process has the memory to take more: its resident memory against a configured cap.

The budget of bytes under way (`admission.py`) bounds what requests hold; this bounds everything, whatever
holds it: the writer's batch, the series that are known, a fragmented heap. It is looked at when a request
comes, so that it needs no task of its own. Knows no request.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path

from services.common.clock import Clock

_log = logging.getLogger(__name__)

_SHORT_FROM, _ENOUGH_BELOW = 0.82, 0.79
"""Of the cap. What is under way when it is first short still grows: the batch that the writer builds, and
what gRPC has read of calls that nobody has seen yet. That was up to 15 % of a gigabyte."""
_LOOK_NS = 20_000_000
_TRIM_NS = 2_000_000_000
_BESIDE_S = 0.25
_FORGET_NS = 3_000_000_000
"""Short for so long it is not what is under way, which has been answered by then."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say (proc(5): statm)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def give_back_free_memory() -> None:
    """Ask the C library to return what it keeps for later (malloc_trim(3))."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        _log.debug("this C library keeps its free memory")


class MemoryCap:
    """Looks at the memory at most fifty times a second; safe to use from threads."""

    def __init__(
        self,
        max_bytes: int,
        clock: Clock,
        *,
        resident: Callable[[], int] = resident_bytes,
        give_back: Callable[[], None] = give_back_free_memory,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`forget` drops what is remembered and not needed; from any thread."""
        self._max_bytes = max_bytes
        self._clock = clock
        self._resident = resident
        self._give_back = give_back
        self._forget = forget
        self._short_since_ns = 0
        self._looked_ns = self._trimmed_ns = -_TRIM_NS
        self._short = False

    def short(self) -> bool:
        """Whether nothing more may be taken."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now_ns
            self._look(now_ns)
        return self._short

    async def run(self) -> None:
        """Look also while no request comes: a writer with a backlog grows, too."""
        while True:
            self.short()
            await self._clock.sleep(_BESIDE_S)

    def _look(self, now_ns: int) -> None:
        resident = self._resident()
        limit = self._max_bytes * (_ENOUGH_BELOW if self._short else _SHORT_FROM)
        if resident >= limit and now_ns - self._trimmed_ns >= _TRIM_NS:
            self._trimmed_ns = now_ns
            if self._short and now_ns - self._short_since_ns >= _FORGET_NS:
                _log.warning("memory stays short: what is remembered of series is forgotten")
                self._short_since_ns = now_ns
                self._forget()
            self._give_back()
            resident = self._resident()
        short = resident >= limit
        if short and not self._short:
            self._short_since_ns = now_ns
            _log.warning(
                "%d MB are resident of %d: requests are refused", resident >> 20, self._max_bytes >> 20
            )
        self._short = short
