"""The log on JetStream.

Reads go by sequence with batch direct gets: no consumer, so no position that lives anywhere but
with the reader. New records are announced by the stream's header-only republish (streams.py);
since such a message can be lost, a waiting reader also looks every 200 ms.
"""

import asyncio
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg

from services.common.cancellation import heard_cancellation
from services.common.clock import Clock
from services.common.hints import Hint, wait_for_hint
from services.common.log_port import MSG_ID_HEADER, Ack, Entry, StreamState
from services.common.nats_api import EXPECT_SUBJECT_SEQ_HEADER, NatsApi, parse_time_ns
from services.common.streams import check_subject

_LOOK_AGAIN_S = 0.2


class NatsLog:
    """`Log` on JetStream; safe for any number of concurrent callers."""

    def __init__(self, api: NatsApi) -> None:
        self._api = api
        self._hints = NatsHints(api)

    async def append(
        self,
        stream: str,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        expect_last_subject_seq: int | None = None,
        timeout_s: float = 5.0,
    ) -> Ack:
        """See `Log.append`."""
        check_subject(subject)
        headers = {MSG_ID_HEADER: msg_id}
        if expect_last_subject_seq is not None:
            headers[EXPECT_SUBJECT_SEQ_HEADER] = str(expect_last_subject_seq)
        return await self._api.publish(stream, subject, data, headers=headers, timeout_s=timeout_s)

    async def read(
        self,
        stream: str,
        from_seq: int,
        *,
        max_messages: int = 1000,
        max_bytes: int = 8 << 20,
        wait_s: float = 0.0,
    ) -> list[Entry]:
        """See `Log.read`."""
        body = {"seq": max(from_seq, 1), "batch": max_messages, "max_bytes": max_bytes}
        if wait_s <= 0:
            return await self._api.batch(stream, body)
        return await poll(
            lambda: self._api.batch(stream, body), await self._hints.of(stream), self._api.clock, wait_s
        )

    async def last_seq(self, stream: str) -> int:
        """See `Log.last_seq`."""
        return (await self.stream_info(stream)).last_seq

    async def first_seq(self, stream: str) -> int:
        """See `Log.first_seq`."""
        return (await self.stream_info(stream)).first_seq

    async def last_entry(self, stream: str, subject: str) -> Entry | None:
        """See `Log.last_entry`."""
        return await self._api.last_message(stream, subject)

    async def stream_info(self, stream: str) -> StreamState:
        """See `Log.stream_info`."""
        info = await self._api.stream_info(stream)
        state = info["state"]
        # A stream that never held anything says first_seq 0.
        first_seq = state["first_seq"] if state["messages"] else state["last_seq"] + 1
        return StreamState(
            first_seq=first_seq,
            last_seq=state["last_seq"],
            messages=state["messages"],
            bytes=state["bytes"],
            created_ns=parse_time_ns(info["created"]),
        )


class NatsHints:
    """One subscription per stream that somebody waits on."""

    def __init__(self, api: NatsApi) -> None:
        self._api = api
        self._hints: dict[str, Hint] = {}

    async def of(self, stream: str) -> Hint:
        """The hint that is called when the stream has stored something."""
        hint = self._hints.get(stream)
        if hint is not None:
            return hint
        hint = Hint()
        self._hints[stream] = hint

        async def announced(_: Msg) -> None:
            hint.notify()

        try:
            with heard_cancellation():
                await self._api.client.subscribe(f"changed.{stream}.>", cb=announced)
        except nats.errors.Error:
            del self._hints[stream]  # without it the reader looks every 200 ms
        return hint


async def poll(
    look: Callable[[], Awaitable[list[Entry]]], hint: Hint, clock: Clock, wait_s: float
) -> list[Entry]:
    """Look until there is something or `wait_s` have passed."""
    deadline_ns = clock.monotonic_ns() + round(wait_s * 1e9)
    while True:
        ticket: asyncio.Event = hint.ticket
        entries = await look()
        left_s = (deadline_ns - clock.monotonic_ns()) / 1e9
        if entries or left_s <= 0:
            return entries
        await wait_for_hint(ticket, min(left_s, _LOOK_AGAIN_S), clock)
