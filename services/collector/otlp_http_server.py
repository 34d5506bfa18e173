"""The HTTP server under OTLP/HTTP: uvicorn inside this process's event loop, with its own limits.

uvicorn waits for ever for a request that never ends and reads headers of any size; both end here.
Signals stay with `run_service`, TLS is 1.3 only. Knows no OTLP.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from asyncio.events import TimerHandle
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.common.environment import ConfigurationError
from services.common.settings import Environment, ServerConfig
from services.common.tls import read_identity

_log = logging.getLogger(__name__)

_MAX_HEADER_BYTES = 64 << 10
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a connection may cost."""

    request_timeout_s: float = 40.0
    """From the first byte of a request, or from the connection, to the request's last byte."""
    keep_alive_s: float = 75.0
    """Between two requests; longer than the usual 60 s between two exports."""
    max_connections: int = 4096


class HttpServer:
    """An ASGI application on a port, bound at once and served by `serve`.

    Raises ConfigurationError when production has no TLS, a certificate cannot be used, or the
    port is taken.
    """

    def __init__(self, app: Any, config: ServerConfig, limits: HttpLimits, *, drain_s: float) -> None:
        context = _tls_context(config)
        self._socket = _bound_socket(config.listen)
        self.port: int = self._socket.getsockname()[1]
        """Also when the configuration says 0."""
        self._tls = context is not None
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                http=_protocol_class(limits),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=round(limits.keep_alive_s),
                timeout_graceful_shutdown=round(drain_s),
                ssl_context_factory=None if context is None else lambda _config, _default: context,
            )
        )

    async def serve(self) -> None:
        """Serve until this task is cancelled; then requests under way get the time to drain."""
        serving = asyncio.create_task(self._server.serve([self._socket]), name="http-server")
        _log.info("serving HTTP on port %d, %s", self.port, "TLS 1.3" if self._tls else "plaintext")
        try:
            # Not awaited itself: cancelling us must stop it in its own good order.
            await asyncio.wait([serving])
        finally:
            self._server.should_exit = True
            await serving

    def close(self) -> None:
        """Give up the port when it was never served."""
        self._socket.close()


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: `run_service` has them."""
        yield


def _protocol_class(limits: HttpLimits) -> type[HttpToolsProtocol]:
    class LimitedProtocol(HttpToolsProtocol):
        """A connection that ends when a request takes too long to arrive or its head is too large."""

        _deadline: TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.max_connections:
                transport.close()
                return
            self._start_deadline()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_deadline()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._head_bytes = 0
            if self._deadline is None:
                self._start_deadline()

        def on_url(self, url: bytes) -> None:
            self._count_head(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count_head(len(name) + len(value))
            super().on_header(name, value)

        def on_message_complete(self) -> None:
            self._stop_deadline()
            super().on_message_complete()

        def _count_head(self, size: int) -> None:
            self._head_bytes += size
            if self._head_bytes > _MAX_HEADER_BYTES:
                # Inside the parser this means a bad request: 400, and the connection ends.
                raise ValueError("the head of the request is too large")

        def _start_deadline(self) -> None:
            self._deadline = self.loop.call_later(limits.request_timeout_s, self._too_slow)

        def _stop_deadline(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _too_slow(self) -> None:
            self._deadline = None
            self.transport.close()

    return LimitedProtocol


def _bound_socket(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as err:
        raise _cannot_listen(listen, err) from err
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as err:
        bound.close()
        raise _cannot_listen(listen, err) from err
    return bound


def _cannot_listen(listen: str, err: OSError) -> ConfigurationError:
    return ConfigurationError(f"cannot listen on {listen}: {err.strerror}", metadata={"listen": listen})


def _tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    if not config.tls:
        if config.environment is Environment.PRODUCTION:
            raise ConfigurationError(
                "production needs TLS: set THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE",
                field="THREENINES_TLS_CERT_FILE",
            )
        return None
    read_identity(config)
    assert config.tls_cert_file is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.tls_cert_file, config.tls_key_file, password="")
    if config.tls_client_ca_file is not None:
        context.load_verify_locations(config.tls_client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
