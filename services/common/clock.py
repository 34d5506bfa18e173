"""Time as an argument.

Everything that asks for the time takes a `Clock`, so that tests decide what time it is and a
replay gives the same answers. This is the only module that reads the machine's clocks; verdicts
never use one at all: they use log time.
"""

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and waiting, injected."""

    def now_ns(self) -> int:
        """Wall time, Unix nanoseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Monotonic time in nanoseconds from an arbitrary origin."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for at least `seconds`."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Wall time, Unix nanoseconds."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to.

    `advance` wakes the sleepers whose time has come, in order of their deadlines.
    """

    def __init__(self, *, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._start_ns = now_ns
        self._now_ns = now_ns
        self._order = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        """The time it was told, Unix nanoseconds."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._now_ns - self._start_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock by `seconds`."""
        deadline = self._now_ns + round(seconds * 1e9)
        if deadline <= self._now_ns:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (deadline, self._order, future))
        await future

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake who waited for it."""
        self._now_ns += round(seconds * 1e9)
        while self._sleepers and self._sleepers[0][0] <= self._now_ns:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
