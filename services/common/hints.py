"""Waking readers early.

A hint says "look again"; losing one costs latency, never data, because every waiter also looks
again by itself after a bounded time.
"""

import asyncio

from services.common.clock import Clock


class Hint:
    """Wakes everybody who waits. Take `ticket` before looking, so that nothing falls between
    looking and waiting."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def ticket(self) -> asyncio.Event:
        """Set by the next `notify`."""
        return self._event

    def notify(self) -> None:
        """Wake all holders of the present ticket."""
        self._event.set()
        self._event = asyncio.Event()


async def wait_for_hint(ticket: asyncio.Event, seconds: float, clock: Clock) -> None:
    """Return when the ticket is called or `seconds` have passed on the clock."""
    if ticket.is_set():
        return
    waits = {asyncio.ensure_future(ticket.wait()), asyncio.ensure_future(clock.sleep(seconds))}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
