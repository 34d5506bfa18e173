"""Prometheus remote write: `POST /api/v1/write`, versions 1.0 and 2.0, as an ASGI application.

The same use case as OTLP behind another door: what Prometheus scrapes becomes OTLP here, before
anything judges, counts or logs it. Answers are Prometheus': 204 without a body, errors as text,
and 400 when anything at all could not be taken, after the rest is stored.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
"""

import asyncio
import logging
from functools import partial

from services.collector.admission import Admission, Held
from services.collector.defects import unexpected
from services.collector.otlp_http import OtlpHttpConfig, Send, tenant_of
from services.collector.otlp_http_body import Receive, RequestHead, Scope, check_length, read_body
from services.collector.otlp_http_errors import Headers, WrongMethod, error_answer
from services.collector.receive import Outcome, Receiver
from services.collector.remote_write_body import check_snappy, content_type_of, unsnap, version_of
from services.collector.remote_write_model import Elements
from services.collector.remote_write_otlp import Conversion, convert_request
from services.collector.remote_write_read import Version
from services.collector.remote_write_result import (
    PartialWrite,
    lost_points,
    rejection_of,
    written_headers,
    written_of,
)
from services.collector.tallies import Tallies
from services.common.auth import Authenticator
from services.common.errors import DeadlineExceeded, ThreeninesError, Unavailable
from services.common.grpc_errors import status_of

PATH = "/api/v1/write"
TRANSPORT = "remote_write"

_SNAPPY_IS_LARGER = 8
"""Bodies go to a thread from this fraction of the size: they grow."""
_MAX_BYTES = 16 << 20
"""Of one request, decompressed, when OTLP's limit is not lower: its objects take a multiple."""
_OBJECTS = 8
"""How many times its bytes a request takes while it is converted."""
_NOTHING = Elements()

_log = logging.getLogger(__name__)


class RemoteWrite:
    """The ASGI application."""

    def __init__(
        self,
        *,
        receiver: Receiver,
        authenticator: Authenticator,
        admission: Admission,
        tallies: Tallies,
        config: OtlpHttpConfig,
    ) -> None:
        self._receiver = receiver
        self._authenticator = authenticator
        self._admission = admission
        self._tallies = tallies
        self._config = config
        self._limit = min(config.max_request_bytes, _MAX_BYTES)
        # A large request takes a multiple of its size as objects: one at a time.
        self._large = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        head = RequestHead.of(scope)
        version: Version | None = None
        try:
            _check_method(head)
            version = version_of(content_type_of(scope))
            written = await self._write(head, version, receive)
            if written is not None:
                await _respond(send, 204, _written(version, written))
        except asyncio.CancelledError:
            # The server stops and the time to drain is over; whoever waits is told to come back.
            await _refuse(send, head, version, Unavailable("this process stops", reason="STOPPING"))
        except ThreeninesError as err:
            known = status_of(type(err)) is not None
            await _refuse(send, head, version, err if known else unexpected(PATH, err))
        except Exception as err:  # the last line of defence: what is a defect of ours is sent again
            await _refuse(send, head, version, unexpected(PATH, err))

    async def _write(self, head: RequestHead, version: Version, receive: Receive) -> Elements | None:
        """What was written; None when the client hung up before its request was complete.

        Raises:
            PartialWrite: something was not; the rest is stored.
        """
        tenant = tenant_of(self._authenticator, head)
        check_snappy(head.content_encoding)
        limit = self._limit
        check_length(head.content_length or 0, limit)
        with self._admission.enter(TRANSPORT, head.content_length or 0, arriving=True) as held:
            body = await read_body(
                receive, head, held, max_bytes=limit, timeout_s=self._config.body_timeout_s
            )
            if body is None:
                return None
            await held.turn()
            conversion = await self._converted(version, body, held)
            held.add(len(conversion.raw))
            outcome = Outcome(0, 0)
            if conversion.raw:
                outcome = await self._receiver.export(tenant, conversion.raw, held.counted)
        self._count_losses(tenant, conversion)
        written = written_of(conversion, outcome)
        rejection = rejection_of(version, conversion, outcome, written)
        if rejection is not None:
            raise rejection
        return written

    async def _converted(self, version: Version, body: bytes, held: Held) -> Conversion:
        convert = partial(_convert, version, body, held, self._limit)
        if len(body) * _SNAPPY_IS_LARGER < self._config.thread_from_bytes:
            return convert()
        async with self._large:
            return await asyncio.to_thread(convert)

    def _count_losses(self, tenant: str, conversion: Conversion) -> None:
        """Points that the receiver never saw are counted like those that it refused."""
        lost = lost_points(conversion)
        if lost:
            self._tallies.received(tenant, sum(lost.values()))
            self._tallies.rejected(tenant, lost)


def _convert(version: Version, body: bytes, held: Held, max_bytes: int) -> Conversion:
    raw = unsnap(body, max_bytes=max_bytes, pay=lambda size: held.add(_OBJECTS * size))
    return convert_request(version, raw)


def _check_method(head: RequestHead) -> None:
    if head.method != "POST":
        raise WrongMethod(f"{head.method} is not offered here", next_step=f"Send with POST to {PATH}.")


def _written(version: Version | None, written: Elements) -> Headers:
    return written_headers(written) if version is Version.V2 else []


async def _refuse(send: Send, head: RequestHead, version: Version | None, error: ThreeninesError) -> None:
    status, headers, _ = error_answer(error)
    _log.debug("%s %s answered %d %s: %s", head.method, head.path, status, error.reason, error.message)
    written = error.written if isinstance(error, PartialWrite) else _NOTHING
    headers = [(name, value) for name, value in headers if name != b"accept-encoding"]
    if status == 415:
        headers.append((b"accept-encoding", b"snappy"))
    if head.waits_for_continue or isinstance(error, DeadlineExceeded):
        # Where the next request would begin can no longer be known.
        headers.append((b"connection", b"close"))
    text = f"{error.reason}: {error.message}"
    if error.next_step:
        text += f"; {error.next_step}"
    headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await _respond(send, status, headers + _written(version, written), f"{text}\n".encode())


async def _respond(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
