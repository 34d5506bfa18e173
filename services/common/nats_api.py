"""The few JetStream requests that everything else is made of.

The client library's own calls lose what a log needs to know (asynchronous publishes never
complete on an error, batch reads do not exist, creation times are cut to microseconds), so the
API's requests are written out here, with the retries that turn "unknown" into "known". This
module knows JetStream's subjects, headers and error codes; it does not know what is stored.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.common.cancellation import heard_cancellation
from services.common.clock import Clock
from services.common.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from services.common.log_port import MAX_RECORD_BYTES, MSG_ID_HEADER, Ack, Entry

_T = TypeVar("_T")

EXPECT_SUBJECT_SEQ_HEADER = "Nats-Expected-Last-Subject-Sequence"
_EXPECT_STREAM_HEADER = "Nats-Expected-Stream"

_WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
_DUPLICATE_IN_PROCESS = 10158
_NO_SPACE = 10023
_STREAM_LIMIT = 10077
_RECORD_TOO_LARGE = 10054
_WRONG_STREAM = 10060
_STREAM_NOT_FOUND = 10059
_NO_MESSAGE = 10037

# One attempt's patience: long enough for a slow fsync, short enough to notice a dead server.
_ATTEMPT_S = 2.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
DEFAULT_TIMEOUT_S = 5.0
_HEADERS_BYTES = 4096


class NatsApi:
    """Requests to JetStream over one connection, retried until they are answered or time is up.

    `max_in_flight` bounds concurrent publishes: a message per connection and fsync is the
    server's own pace, so more only costs memory.
    """

    def __init__(self, client: Client, clock: Clock, *, max_in_flight: int = 512) -> None:
        self.client = client
        self.clock = clock
        self._permits = asyncio.Semaphore(max_in_flight)

    async def publish(
        self,
        stream: str,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str],
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Ack:
        """Publish until acknowledged; errors as `Log.append`. `headers` must hold a message id."""

        async def attempt(patience_s: float) -> Ack | None:
            return await self._publish_once(stream, subject, data, headers, patience_s)

        self._check_size(data)
        try:
            async with asyncio.timeout(timeout_s):
                await self._permits.acquire()
        except TimeoutError:
            raise _unavailable(stream, timeout_s) from None
        try:
            return await self._until(attempt, stream, timeout_s)
        finally:
            self._permits.release()

    async def request(
        self, api: str, body: Mapping[str, object], *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """One API request (`STREAM.INFO.X`) with its answer, also when that is an error answer
        (key `error`) that says something; server faults are retried."""
        payload = json.dumps(body).encode() if body else b""

        async def attempt(patience_s: float) -> dict[str, Any] | None:
            reply = await self._ask(f"$JS.API.{api}", payload, {}, patience_s)
            if reply is None:
                return None
            answer: dict[str, Any] = json.loads(reply.data)
            error = answer.get("error")
            if error and error["code"] >= 500 and error.get("err_code") not in (10005, 10047, 10052):
                return None
            return answer

        return await self._until(attempt, api, timeout_s)

    async def stream_info(self, stream: str) -> dict[str, Any]:
        """The answer to STREAM.INFO; NotFound (STREAM_NOT_FOUND) when there is none."""
        answer = await self.request(f"STREAM.INFO.{stream}", {})
        raise_api_error(answer, stream)
        return answer

    async def last_message(self, stream: str, subject: str) -> Entry | None:
        """The last message of a subject, answered by the stream's leader."""
        answer = await self.request(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        if answer.get("error", {}).get("err_code") == _NO_MESSAGE:
            return None
        raise_api_error(answer, stream)
        message = answer["message"]
        return Entry(
            seq=message["seq"],
            subject=message["subject"],
            time_ns=parse_time_ns(message["time"]),
            data=base64.b64decode(message.get("data") or ""),
            headers=_parse_headers(base64.b64decode(message.get("hdrs") or "")),
        )

    async def batch(
        self, stream: str, body: Mapping[str, object], *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> list[Entry]:
        """One batch direct get: the entries without a hole, [] when there are none."""
        payload = json.dumps(body).encode()

        async def attempt(patience_s: float) -> list[Entry] | None:
            if not self.client.is_connected:
                return None
            return await _BatchRead(self.client, stream).run(payload, patience_s)

        return await self._until(attempt, stream, timeout_s)

    async def _until(
        self, attempt: Callable[[float], Awaitable[_T | None]], what: str, timeout_s: float
    ) -> _T:
        """Repeat `attempt` (None = not known yet) with growing pauses until the time is up."""
        deadline_ns = self.clock.monotonic_ns() + round(timeout_s * 1e9)
        pause_s = _FIRST_PAUSE_S
        left_s = timeout_s
        while not self.client.is_closed:
            with heard_cancellation():
                answer = await attempt(min(max(left_s, 0.05), _ATTEMPT_S))
            if answer is not None:
                return answer
            left_s = (deadline_ns - self.clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                break
            await self.clock.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        raise _unavailable(what, timeout_s)

    async def _ask(
        self, subject: str, payload: bytes, headers: Mapping[str, str], patience_s: float
    ) -> Msg | None:
        """One request; None when there is no answer, whatever became of it.

        Nothing is sent while disconnected: it would fill the client's buffer once per retry.
        """
        if not self.client.is_connected:
            return None
        try:
            # The client writes into the dict it gets, so each attempt brings its own.
            return await self.client.request(
                subject, payload, timeout=patience_s, headers=dict(headers) or None
            )
        except nats.errors.BadSubjectError as err:
            raise InvalidArgument(f"{subject!r} is no subject", reason="BAD_SUBJECT") from err
        except (nats.errors.Error, OSError):
            return None

    def _check_size(self, data: bytes) -> None:
        """Also by what the connected server takes, which may be less than ours."""
        limit = min(MAX_RECORD_BYTES, self.client.max_payload - _HEADERS_BYTES)
        if len(data) > limit:
            raise InvalidArgument(
                f"a record of {len(data)} bytes is larger than the {limit} that the log takes",
                reason="RECORD_TOO_LARGE",
            )

    async def _publish_once(
        self, stream: str, subject: str, data: bytes, headers: Mapping[str, str], patience_s: float
    ) -> Ack | None:
        reply = await self._ask(subject, data, {**headers, _EXPECT_STREAM_HEADER: stream}, patience_s)
        if reply is None:
            return None
        answer = json.loads(reply.data)
        error = answer.get("error")
        if error is None:
            return Ack(seq=answer["seq"], duplicate=bool(answer.get("duplicate", False)))
        if error.get("err_code") in _WRONG_LAST_SEQUENCE:
            return await self._judge_fence(stream, subject, headers)
        if error.get("err_code") == _DUPLICATE_IN_PROCESS:
            return None
        _raise_refusal(error, stream)
        return None

    async def _judge_fence(self, stream: str, subject: str, headers: Mapping[str, str]) -> Ack | None:
        """Tell a lost fence from our own earlier success.

        A single-node stream checks the fence before it checks for duplicates, so the retry of a
        stored record is refused like a stranger's: the message id at the subject's end decides.
        """
        last = await self.last_message(stream, subject)
        if last is not None and last.headers.get(MSG_ID_HEADER) == headers[MSG_ID_HEADER]:
            return Ack(seq=last.seq, duplicate=True)
        last_seq = 0 if last is None else last.seq
        if str(last_seq) == headers.get(EXPECT_SUBJECT_SEQ_HEADER):
            return None  # refused because of a write in flight that did not happen
        raise Aborted(
            f"another writer has written to {subject} of {stream}",
            reason="FENCED",
            metadata={"last_subject_seq": str(last_seq)},
        )


class _BatchRead:
    """One batch direct get: messages arrive at an inbox until a status message ends them."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._entries: list[Entry] = []
        self._broken = False
        self._status: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self, payload: bytes, patience_s: float) -> list[Entry] | None:
        """The entries; None when nothing is known. Patience is for each pause between messages."""
        inbox = self._client.new_inbox()
        try:
            subscription = await self._client.subscribe(
                inbox, cb=self._receive, pending_msgs_limit=-1, pending_bytes_limit=-1
            )
        except nats.errors.Error:
            return None
        try:
            await self._client.publish(f"$JS.API.DIRECT.GET.{self._stream}", payload, reply=inbox)
            while not self._status.done():
                before = len(self._entries)
                await asyncio.wait({self._status}, timeout=patience_s)
                if len(self._entries) == before:
                    break
        except nats.errors.Error:
            return None
        finally:
            await _unsubscribe(subscription)
        if self._entries:
            return self._entries
        status = self._status.result() if self._status.done() else ""
        return [] if status in ("404", "204") else None

    async def _receive(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is not None:
            if not self._status.done():
                self._status.set_result(status)
            return
        # Each message names the one before it: a lost one shows, and all behind it is dropped.
        previous = self._entries[-1].seq if self._entries else 0
        self._broken = self._broken or int(headers["Nats-Last-Sequence"]) != previous
        if not self._broken:
            self._entries.append(
                Entry(
                    seq=int(headers["Nats-Sequence"]),
                    subject=headers["Nats-Subject"],
                    time_ns=parse_time_ns(headers["Nats-Time-Stamp"]),
                    data=message.data,
                    headers=_own_headers(headers),
                )
            )


async def _unsubscribe(subscription: Any) -> None:
    try:
        await subscription.unsubscribe()
    except nats.errors.Error:
        return  # the connection is gone, and the subscription with it


def _own_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in (MSG_ID_HEADER, "KV-Operation") if name in headers}


def _parse_headers(raw: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in raw.decode().split("\r\n")[1:] if line)
    return _own_headers({name: value.strip() for name, _, value in lines})


@lru_cache(maxsize=1024)
def _parse_second(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def parse_time_ns(text: str) -> int:
    """Unix nanoseconds of the server's `2026-01-02T03:04:05.123456789Z` (0 to 9 decimals)."""
    second, _, fraction = text.removesuffix("Z").partition(".")
    return _parse_second(second) * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def _unavailable(what: str, timeout_s: float) -> Unavailable:
    return Unavailable(f"the log did not answer for {what} within {timeout_s:g} s", reason="LOG_UNAVAILABLE")


def _raise_refusal(error: Mapping[str, Any], stream: str) -> None:
    """Raise for a publish that was refused for good; return when it may work later."""
    code = error.get("err_code")
    description = error.get("description", "")
    # The server has one code for "stream is full" and "record is too large"; only its text tells.
    if code == _RECORD_TOO_LARGE or (code == _STREAM_LIMIT and "too large" in description):
        raise InvalidArgument(f"{stream}: {description}", reason="RECORD_TOO_LARGE")
    if code in (_STREAM_LIMIT, _NO_SPACE):
        raise Unavailable(f"{stream} is full: {description}", reason="LOG_FULL", retry_after_s=5.0)
    if code == _WRONG_STREAM:
        raise InvalidArgument(f"the subject does not belong to {stream}", reason="WRONG_STREAM")
    if error["code"] < 500:
        raise FailedPrecondition(f"{stream}: {description}", reason="LOG_REFUSED")


def raise_api_error(answer: Mapping[str, Any], what: str) -> None:
    """Raise for an API answer that is an error."""
    error = answer.get("error")
    if error is None:
        return
    if error.get("err_code") == _STREAM_NOT_FOUND:
        raise NotFound(f"there is no stream {what}", reason="STREAM_NOT_FOUND")
    raise FailedPrecondition(
        f"{what}: {error.get('description', '')}",
        reason="LOG_REFUSED",
        metadata={"err_code": str(error.get("err_code", ""))},
    )
