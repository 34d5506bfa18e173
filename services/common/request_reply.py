"""Questions between processes that need an answer now and leave nothing behind.

Over NATS' core, not JetStream: at most once, from memory to memory, to whoever subscribes. What must
survive belongs into the log. Whoever has the log has this as well, so that asking another process adds
no address, no port and no credential. It knows subjects and bytes, not what they mean.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.common.cancellation import heard_cancellation
from services.common.errors import Unavailable

_log = logging.getLogger(__name__)

Handler = Callable[[bytes], Awaitable[bytes]]


class RequestReply(Protocol):
    """Ask by subject, answer by subject."""

    async def ask(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        """The answer of the one that answers on `subject`. Whether it saw the question is unknown after
        an error.

        Raises:
            Unavailable: NO_ANSWER; nobody is there, it failed, or it took longer than `timeout_s`.
        """
        ...

    async def answer(self, subject: str, handler: Handler) -> None:
        """Answer on `subject` from now on, one question after the other, until the connection is closed.

        When `handler` raises, the one that asks hears nothing.
        """
        ...


class NatsRequestReply:
    """`RequestReply` over a connection to NATS, which reconnects by itself."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        """See `RequestReply.ask`."""
        # While disconnected a question would wait in the client's buffer and be asked much too late.
        if not self._client.is_connected:
            raise no_answer(subject)
        try:
            with heard_cancellation():
                return (await self._client.request(subject, data, timeout=timeout_s)).data
        except (nats.errors.Error, OSError) as err:
            raise no_answer(subject) from err

    async def answer(self, subject: str, handler: Handler) -> None:
        """See `RequestReply.answer`."""

        async def reply(message: Msg) -> None:
            try:
                await message.respond(await handler(message.data))
            # The subscription must outlive whatever one question does to the handler.
            except Exception:
                _log.exception("a question on %s could not be answered", subject)

        with heard_cancellation():
            await self._client.subscribe(subject, cb=reply)
            # Else another connection might ask before the server knows of us. While it is away, the client
            # remembers to subscribe when it is back.
            with contextlib.suppress(nats.errors.Error):
                await self._client.flush()


def no_answer(subject: str) -> Unavailable:
    """The error of every way in which there is no answer."""
    return Unavailable(f"no answer on {subject}", reason="NO_ANSWER")
