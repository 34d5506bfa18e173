"""Builds and runs the gRPC server that every service of the suite has.

One way to build it: errors outermost, then authentication, health, reflection, keepalive, size
limits and the listening port, so that no service can forget one. It knows no RPC.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.common.auth import Authenticator
from services.common.environment import ConfigurationError
from services.common.grpc_auth import AuthInterceptor
from services.common.grpc_errors import ErrorInterceptor
from services.common.grpc_health import HealthRegistry, HealthServicer
from services.common.grpc_measure import MeasureInterceptor
from services.common.settings import Environment, PortUse
from services.common.settings import ServerConfig as ServerConfig
from services.common.telemetry import Telemetry
from services.common.tls import read_identity, refuse_tls12

_log = logging.getLogger(__name__)

HEALTH_SERVICE = "grpc.health.v1.Health"

_KEEPALIVE_MS = 30_000
_MIN_CLIENT_PING_MS = 10_000


@dataclass(frozen=True, slots=True)
class _Bound:
    port: int
    config: ServerConfig


_bound: WeakKeyDictionary[grpc.aio.Server, _Bound] = WeakKeyDictionary()


def build_server(
    *,
    config: ServerConfig,
    authenticator: Authenticator,
    health: HealthRegistry,
    service_names: Sequence[str],
    max_receive_bytes: int = 64 << 20,
    telemetry: Telemetry | None = None,
    more_options: Sequence[tuple[str, int]] = (),
) -> grpc.aio.Server:
    """A server that is bound to its port and not started; the caller adds its servicers.

    With `telemetry` the durations of calls are measured. `more_options` are arguments of gRPC's core.
    `service_names` are full names (`threenines.sla.v1.SlaService`), for health and reflection.
    Raises ConfigurationError when production has no TLS, a certificate cannot be used, or the
    port is taken. `bound_port` tells the port when the configuration says 0.
    """
    # Everything that can be wrong is looked at before there is a server to throw away.
    credentials = _credentials(config)
    if config.port_use is not PortUse.JOINED:
        check_address(config.listen)
    measuring = () if telemetry is None else (MeasureInterceptor(telemetry),)
    server = grpc.aio.server(
        interceptors=(*measuring, ErrorInterceptor(), AuthInterceptor(authenticator)),
        options=[*_options(max_receive_bytes, config.port_use), *more_options],
    )
    health.add_services(service_names)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(health), server)
    reflection.enable_server_reflection((*service_names, HEALTH_SERVICE, reflection.SERVICE_NAME), server)
    _bound[server] = _Bound(_bind(server, config, credentials), config)
    return server


def bound_port(server: grpc.aio.Server) -> int:
    """The port of a server made by `build_server`."""
    return _bound[server].port


async def run_until_signal(
    server: grpc.aio.Server, *, drain_s: float, health: HealthRegistry | None = None
) -> None:
    """Serve until this task is cancelled (`run_service` does that on SIGTERM and Ctrl-C).

    Starts the server; with TLS it then makes sure that TLS 1.2 is refused (ConfigurationError).
    On the way out health says NOT_SERVING, running calls get `drain_s` seconds to end, and the
    cancellation goes on to the caller so that its own clean-up runs.
    """
    bound = _bound[server]
    try:
        await server.start()
        if bound.config.tls:
            await _probe_tls(bound.config, bound.port)
        _log.info("serving on port %d, %s", bound.port, "TLS 1.3" if bound.config.tls else "plaintext")
        # Not server.wait_for_termination(): cancelling that one also cancels the future on which
        # stop() waits, and running calls would be cut off instead of drained (grpcio 1.85).
        await asyncio.Event().wait()
    finally:
        if health is not None:
            health.drain()
        await server.stop(drain_s)


async def serve(
    server: grpc.aio.Server,
    *,
    drain_s: float,
    health: HealthRegistry,
    background: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
    beside: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
) -> None:
    """`run_until_signal` with named background tasks beside it.

    `beside` are further servers: they drain together with this one, and only then the background
    ends. A task that ends by itself ends the process: the supervisor restarts it, which is better
    than a service that looks alive and does half of its work.
    """

    async def serve_first() -> None:
        await run_until_signal(server, drain_s=drain_s, health=health)

    async with asyncio.TaskGroup() as group:
        for name, work in (background or {}).items():
            group.create_task(_endless(name, work), name=name)
        async with asyncio.TaskGroup() as servers:
            for name, work in {"server": serve_first, **(beside or {})}.items():
                servers.create_task(_endless(name, work), name=name)


async def _endless(name: str, work: Callable[[], Awaitable[None]]) -> None:
    await work()
    raise RuntimeError(f"background task {name} ended, which it never should")


def _options(max_receive_bytes: int, port_use: PortUse) -> list[tuple[str, int]]:
    return [
        # gRPC's default would let a second process share the port in silence.
        ("grpc.so_reuseport", int(port_use is not PortUse.ALONE)),
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", max_receive_bytes),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS // 2),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_CLIENT_PING_MS),
    ]


def _bind(server: grpc.aio.Server, config: ServerConfig, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is not None:
            return server.add_secure_port(config.listen, credentials)
        return server.add_insecure_port(config.listen)
    except RuntimeError as err:
        raise ConfigurationError(
            f"cannot listen on {config.listen}", metadata={"listen": config.listen}
        ) from err


def _credentials(config: ServerConfig) -> grpc.ServerCredentials | None:
    if not config.tls:
        if config.environment is Environment.PRODUCTION:
            raise ConfigurationError(
                "production needs TLS: set THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE",
                field="THREENINES_TLS_CERT_FILE",
            )
        return None
    key, certificate, authorities = read_identity(config)
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=authorities, require_client_auth=authorities is not None
    )


def check_address(listen: str) -> None:
    """Say why an address cannot be had: somebody listens there, also one that would share it.

    gRPC itself only logs it, and keeps half a server around. Raises ConfigurationError.
    """
    host, port = _host_and_port(listen)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen(1)
    except OSError as err:
        reason = f"cannot listen on {listen}: {err.strerror}"
        raise ConfigurationError(reason, metadata={"listen": listen}) from err


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


async def _probe_tls(config: ServerConfig, port: int) -> None:
    host, _ = _host_and_port(config.listen)
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    await asyncio.to_thread(refuse_tls12, reachable, port)
