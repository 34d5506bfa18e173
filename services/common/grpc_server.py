"""Builds and runs the gRPC server that every service of the suite has.

One way to build it: errors outermost, then authentication, health, reflection, keepalive, size
limits and the listening port, so that no service can forget one. It knows no RPC.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.common.auth import Authenticator
from services.common.environment import ConfigurationError
from services.common.grpc_auth import AuthInterceptor
from services.common.grpc_errors import ErrorInterceptor
from services.common.grpc_health import HealthRegistry, HealthServicer
from services.common.settings import Environment
from services.common.settings import ServerConfig as ServerConfig

_log = logging.getLogger(__name__)

HEALTH_SERVICE = "grpc.health.v1.Health"

_KEEPALIVE_MS = 30_000
_MIN_CLIENT_PING_MS = 10_000

_bound_ports: WeakKeyDictionary[grpc.aio.Server, int] = WeakKeyDictionary()


def build_server(
    *,
    config: ServerConfig,
    authenticator: Authenticator,
    health: HealthRegistry,
    service_names: Sequence[str],
    max_receive_bytes: int = 64 << 20,
) -> grpc.aio.Server:
    """A server that is bound to its port and not started; the caller adds its servicers.

    `service_names` are full names (`threenines.sla.v1.SlaService`), for health and reflection.
    Raises ConfigurationError when production has no TLS, a certificate cannot be used, or the
    port is taken. `bound_port` tells the port when the configuration says 0.
    """
    server = grpc.aio.server(
        interceptors=(ErrorInterceptor(), AuthInterceptor(authenticator)),
        options=_options(max_receive_bytes),
    )
    health.add_services(service_names)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(health), server)
    reflection.enable_server_reflection((*service_names, HEALTH_SERVICE, reflection.SERVICE_NAME), server)
    _bound_ports[server] = _bind(server, config)
    return server


def bound_port(server: grpc.aio.Server) -> int:
    """The port of a server made by `build_server`."""
    return _bound_ports[server]


async def run_until_signal(
    server: grpc.aio.Server, *, drain_s: float, health: HealthRegistry | None = None
) -> None:
    """Serve until this task is cancelled (`run_service` does that on SIGTERM and Ctrl-C).

    Starts the server. On the way out health says NOT_SERVING, running calls get `drain_s`
    seconds to end, and the cancellation goes on to the caller so that its own clean-up runs.
    """
    await server.start()
    _log.info("serving on port %d", bound_port(server))
    try:
        await server.wait_for_termination()
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
) -> None:
    """`run_until_signal` with named background tasks beside it.

    A background task that ends by itself ends the process: the supervisor restarts it, which is
    better than a service that looks alive and does half of its work.
    """
    async with asyncio.TaskGroup() as group:
        for name, work in (background or {}).items():
            group.create_task(_endless(name, work), name=name)
        await run_until_signal(server, drain_s=drain_s, health=health)


async def _endless(name: str, work: Callable[[], Awaitable[None]]) -> None:
    await work()
    raise RuntimeError(f"background task {name} ended, which it never should")


def _options(max_receive_bytes: int) -> list[tuple[str, int]]:
    return [
        # Without this a second process would share the port in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", max_receive_bytes),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS // 2),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_CLIENT_PING_MS),
    ]


def _bind(server: grpc.aio.Server, config: ServerConfig) -> int:
    if config.environment is Environment.PRODUCTION and not config.tls:
        raise ConfigurationError(
            "production needs TLS: set THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE",
            field="THREENINES_TLS_CERT_FILE",
        )
    try:
        if config.tls:
            return server.add_secure_port(config.listen, _credentials(config))
        return server.add_insecure_port(config.listen)
    except RuntimeError as err:
        raise ConfigurationError(
            f"cannot listen on {config.listen}: the port is taken, the address is not ours,"
            " or the certificate and key do not fit each other",
            metadata={"listen": config.listen},
        ) from err


def _credentials(config: ServerConfig) -> grpc.ServerCredentials:
    assert config.tls_cert_file is not None
    assert config.tls_key_file is not None
    try:
        key = config.tls_key_file.read_bytes()
        certificate = config.tls_cert_file.read_bytes()
        client_ca = None if config.tls_client_ca_file is None else config.tls_client_ca_file.read_bytes()
    except OSError as err:
        raise ConfigurationError(f"cannot read {err.filename}: {err.strerror}") from err
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=client_ca, require_client_auth=client_ca is not None
    )
