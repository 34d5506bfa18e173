"""OTLP/HTTP: `POST /v1/metrics`, protobuf or JSON, as a plain ASGI application.

The same use case as OTLP/gRPC behind another door: who is calling, is there room, the bytes as
they were before compression, protobuf if they were JSON, then `Receiver`. Every way out of here
is an OTLP answer in the encoding of the request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from services.collector.admission import Admission, Held
from services.collector.defects import unexpected
from services.collector.otlp_http_body import Receive, RequestHead, Scope, check_length, read_body
from services.collector.otlp_http_encoding import check_encoding, decompress
from services.collector.otlp_http_errors import (
    JSON,
    PROTOBUF,
    Headers,
    UnsupportedMediaType,
    WrongMethod,
    WrongPath,
    encoded,
    error_answer,
)
from services.collector.otlp_json import request_from_json
from services.collector.otlp_servicer import outcome_to_proto, sending_tenant
from services.collector.receive import Receiver
from services.common.auth import Authenticator, enter_principal, leave_principal
from services.common.errors import DeadlineExceeded, ThreeninesError, Unavailable
from services.common.grpc_errors import status_of

PATH = "/v1/metrics"
TRANSPORT = "http"

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)

_COMPRESSED_IS_LARGER = 8
"""Compressed bodies go to a thread from this fraction of the size: they grow."""


@dataclass(frozen=True, slots=True)
class OtlpHttpConfig:
    """Limits of what is taken from a connection."""

    max_request_bytes: int = 64 << 20
    """Before decompression, and after."""
    body_timeout_s: float = 30.0
    """From the end of the headers to the end of the body."""
    thread_from_bytes: int = 64 << 10
    """Larger bodies are decompressed and converted beside the event loop, which has leases to renew."""


class OtlpHttp:
    """The ASGI application."""

    def __init__(
        self,
        *,
        receiver: Receiver,
        authenticator: Authenticator,
        admission: Admission,
        config: OtlpHttpConfig,
    ) -> None:
        self._receiver = receiver
        self._authenticator = authenticator
        self._admission = admission
        self._config = config
        # A large JSON document takes a multiple of its size as objects: one at a time.
        self._large_json = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        head = RequestHead.of(scope)
        try:
            response = await self._export(head, receive)
            if response is not None:
                await _respond(send, 200, [], head, response)
        except asyncio.CancelledError:
            # The server stops and the time to drain is over; whoever waits is told to come back.
            await _refuse(send, head, Unavailable("this process stops", reason="STOPPING"))
        except ThreeninesError as err:
            await _refuse(send, head, err if status_of(type(err)) is not None else unexpected(PATH, err))
        except Exception as err:  # the last line of defence: a 500 would make the client drop its data
            await _refuse(send, head, unexpected(PATH, err))

    async def _export(self, head: RequestHead, receive: Receive) -> ExportMetricsServiceResponse | None:
        """The response; None when the client hung up before its request was complete."""
        _check_target(head)
        tenant = tenant_of(self._authenticator, head)
        encoding = check_encoding(head.content_encoding)
        check_length(head.content_length or 0, self._config.max_request_bytes)
        with self._admission.enter(TRANSPORT, head.content_length or 0, arriving=True) as held:
            body = await read_body(
                receive,
                head,
                held,
                max_bytes=self._config.max_request_bytes,
                timeout_s=self._config.body_timeout_s,
            )
            if body is None:
                return None
            await held.turn()
            raw = await self._decompressed(encoding, body, held)
            if head.content_type == JSON:
                raw = await self._converted(raw)
                held.add(len(raw))
            return outcome_to_proto(await self._receiver.export(tenant, raw, held.counted))

    async def _decompressed(self, encoding: str, body: bytes, held: Held) -> bytes:
        if encoding == "identity":
            return body

        def work() -> bytes:
            return decompress(encoding, body, max_bytes=self._config.max_request_bytes, pay=held.add)

        if len(body) * _COMPRESSED_IS_LARGER < self._config.thread_from_bytes:
            return work()
        return await asyncio.to_thread(work)

    async def _converted(self, document: bytes) -> bytes:
        if len(document) < self._config.thread_from_bytes:
            return request_from_json(document)
        async with self._large_json:
            return await asyncio.to_thread(request_from_json, document)


def tenant_of(authenticator: Authenticator, head: RequestHead) -> str:
    """The tenant whose credential sends a request.

    Raises:
        Unauthenticated, PermissionDenied: as over gRPC.
    """
    token = enter_principal(authenticator.authenticate(head.authorization))
    try:
        return sending_tenant()
    finally:
        leave_principal(token)


def _check_target(head: RequestHead) -> None:
    if head.path != PATH:
        raise WrongPath(
            f"nothing is served at {head.path[:80]!r}", next_step=f"Send metrics with POST to {PATH}."
        )
    if head.method != "POST":
        raise WrongMethod(
            f"{head.method} is not offered here", next_step=f"Send metrics with POST to {PATH}."
        )
    if head.content_type not in (PROTOBUF, JSON):
        raise UnsupportedMediaType(
            f"Content-Type {head.content_type[:80]!r} is neither {PROTOBUF} nor {JSON}",
            next_step=f"Set Content-Type to {PROTOBUF} or {JSON}.",
        )


async def _refuse(send: Send, head: RequestHead, error: ThreeninesError) -> None:
    status, headers, body = error_answer(error)
    _log.debug("%s %s answered %d %s: %s", head.method, head.path, status, error.reason, error.message)
    if head.waits_for_continue or isinstance(error, DeadlineExceeded):
        # Where the next request would begin can no longer be known.
        headers.append((b"connection", b"close"))
    await _respond(send, status, headers, head, body)


async def _respond(send: Send, status: int, headers: Headers, head: RequestHead, message: Message) -> None:
    body = encoded(message, head.answer_type)
    headers = [
        (b"content-type", head.answer_type.encode()),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
