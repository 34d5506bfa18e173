"""What an HTTP request says about itself, and its body, read with a cap and against the clock.

Knows ASGI's messages; knows nothing of what the body means.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.collector.admission import Held
from services.collector.errors import RequestTooLarge
from services.collector.otlp_http_errors import JSON, PROTOBUF, WrongBody
from services.common.errors import DeadlineExceeded

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]

_SLOW_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body."""

    method: str
    path: str
    content_type: str
    """Lower case, without parameters; empty when there is none."""
    content_encoding: str
    content_length: int | None
    """None when the body comes in chunks."""
    authorization: str | None
    waits_for_continue: bool
    """The client holds its body back until it is asked for it."""

    @classmethod
    def of(cls, scope: Scope) -> "RequestHead":
        """Read the scope of an HTTP request. A header that is given twice counts once, the first."""
        fields: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name, value)
        length = fields.get(b"content-length")
        return cls(
            method=scope["method"],
            path=scope["path"],
            content_type=_text(fields.get(b"content-type", b"")).partition(";")[0].strip().lower(),
            content_encoding=_text(fields.get(b"content-encoding", b"")),
            content_length=int(length) if length is not None and length.isdigit() else None,
            authorization=_text(fields[b"authorization"]) if b"authorization" in fields else None,
            waits_for_continue=fields.get(b"expect", b"").lower() == b"100-continue",
        )

    @property
    def answer_type(self) -> str:
        """The media type of the answer: that of the request, JSON where the request has none of ours."""
        return PROTOBUF if self.content_type == PROTOBUF else JSON


def check_length(length: int, max_bytes: int) -> None:
    """Refuse a body for its length, before decompression.

    Raises:
        RequestTooLarge.
    """
    if length > max_bytes:
        raise RequestTooLarge(
            f"the body has more than {max_bytes} bytes", next_step="send fewer points per request"
        )


async def read_body(
    receive: Receive, head: RequestHead, held: Held, *, max_bytes: int, timeout_s: float
) -> bytes | None:
    """The whole body; None when the client hung up.

    `held` has the declared length already; what comes without one is paid for as it comes.
    With its last byte it begins to wait for its answer.

    Raises:
        RequestTooLarge: over `max_bytes`.
        DeadlineExceeded: it was not complete after `timeout_s`; worth another try.
        Unavailable: the budget of `held` is used up.
    """
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(timeout_s):
            await _collect(receive, parts, head, held, max_bytes)
    except TimeoutError as err:
        raise DeadlineExceeded(
            f"the body was not complete after {timeout_s:g} s",
            reason="BODY_TOO_SLOW",
            next_step="Send the same bytes again, or fewer points per request.",
            retry_after_s=_SLOW_RETRY_S,
        ) from err
    except ConnectionError:
        return None
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if head.content_length is not None and len(body) != head.content_length:
        raise WrongBody("the body is not as long as its Content-Length says", field="body")
    held.arrived()
    return body


async def _collect(
    receive: Receive, parts: list[bytes], head: RequestHead, held: Held, max_bytes: int
) -> None:
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionResetError
        part = event.get("body", b"")
        more = event.get("more_body", False)
        size += len(part)
        check_length(size, max_bytes)
        if head.content_length is None:
            held.add(len(part))
        if part:
            parts.append(part)


def _text(value: bytes) -> str:
    return value.decode("latin-1")
