"""Questions within one process: `RequestReply` in memory, held to the same contract as NATS.

Shipped, not a test double. It can be told to be away.
"""

import asyncio

from services.common.request_reply import Handler, no_answer


class MemoryRequestReply:
    """`RequestReply` over a dict."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._down = False
        self.asked = 0
        """How often somebody asked."""

    def set_down(self, down: bool) -> None:
        """While down, nobody answers."""
        self._down = down

    async def ask(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        """See `RequestReply.ask`."""
        self.asked += 1
        handler = self._handlers.get(subject)
        if self._down or handler is None:
            raise no_answer(subject)
        try:
            async with asyncio.timeout(timeout_s):
                return await handler(data)
        # Whatever it was, the one that asks only learns that there is no answer.
        except Exception as err:
            raise no_answer(subject) from err

    async def answer(self, subject: str, handler: Handler) -> None:
        """See `RequestReply.answer`."""
        self._handlers[subject] = handler
