"""Whether calls wait at a gRPC server where nobody sees them.

gRPC hands an asyncio server one call at a time, each some passes of the event loop after the one before, and
says neither when a call came nor how many wait. But a server that is handed a call every few passes, for
longer than a burst lasts, has a queue: one without a queue has passes in between with nothing to hand over.
While that queue stands, everything at that server is turned away unread, which is quick, so that it ends;
else all who are let in had waited in it, and the answers came seconds late (RFC 8289 measures the time in a
queue for the same reason). Passes, because time says nothing: a busy loop takes long for each.

Knows no requests. One thread, that of the event loop.
"""

from collections.abc import Callable

from services.common.clock import Clock

Soon = Callable[[Callable[[], None]], object]

_PASSES = 8
"""Without a call in so many passes none was waiting; handing one over takes three or four."""
_STANDS_NS = 25_000_000


class UnseenQueue:
    """The queue of one server.

    Args:
        soon: runs a function in the next pass of the event loop (`loop.call_soon`).
    """

    def __init__(self, clock: Clock, soon: Soon) -> None:
        self._clock = clock
        self._soon = soon
        self._since_ns: int | None = None
        self._came = False
        self._left = 0

    @property
    def stands(self) -> bool:
        """Whether calls have been waiting for longer than a burst lasts."""
        return self._since_ns is not None and self._clock.monotonic_ns() - self._since_ns > _STANDS_NS

    def came(self) -> None:
        """A call was handed over. Counts passes until none comes, so it is only for times of overload."""
        self._came = True
        if self._since_ns is None:
            self._since_ns, self._left = self._clock.monotonic_ns(), _PASSES
            self._soon(self._pass)

    def _pass(self) -> None:
        self._left = _PASSES if self._came else self._left - 1
        self._came = False
        if self._left:
            self._soon(self._pass)
        else:
            self._since_ns = None
