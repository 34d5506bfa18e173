"""The HTTP server under OTLP/HTTP: uvicorn inside this process's event loop, with its own limits.

Signals stay with `run_service`, TLS is 1.3 only, and stopping lets requests under way end. Knows
no OTLP; what a single connection may do is in `otlp_http_protocol.py`.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Generator
from typing import Any

import uvicorn

from services.collector.otlp_http_protocol import HttpLimits as HttpLimits
from services.collector.otlp_http_protocol import protocol_class
from services.common.environment import ConfigurationError
from services.common.grpc_server import check_address
from services.common.settings import Environment, PortUse, ServerConfig
from services.common.tls import read_identity

_log = logging.getLogger(__name__)

_BACKLOG = 1024


class HttpServer:
    """An ASGI application on a port, bound at once and served by `serve`.

    Raises ConfigurationError when production has no TLS, a certificate cannot be used, or the
    port is taken.
    """

    def __init__(self, app: Any, config: ServerConfig, limits: HttpLimits, *, drain_s: float) -> None:
        context = _tls_context(config)
        self._socket = _bound_socket(config)
        self.port: int = self._socket.getsockname()[1]
        """Also when the configuration says 0."""
        self._tls = context is not None
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                http=protocol_class(limits),
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


def _bound_socket(config: ServerConfig) -> socket.socket:
    listen = config.listen
    if config.port_use is PortUse.SHARED:
        check_address(listen)  # sharing hides whoever shares it already
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
        if config.port_use is not PortUse.ALONE:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
