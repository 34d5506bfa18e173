"""The two doors through which telemetry comes in, OTLP/gRPC and HTTP, with one receiver behind them.

Every process of a collector has these, the workers nothing else. Bound to their ports when they are made;
whoever serves them decides for how long.
"""

import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import grpc

from services.collector.admission import Admission
from services.collector.config import CollectorConfig
from services.collector.decode import remembered_series
from services.collector.http_routes import HttpRoutes
from services.collector.kept_records import KeptRecords
from services.collector.memories import Memories
from services.collector.memory_cap import MemoryCap
from services.collector.otlp_http import OtlpHttp, OtlpHttpConfig
from services.collector.otlp_http_server import HttpLimits, HttpServer
from services.collector.otlp_servicer import SERVER_OPTIONS, add_metrics_service
from services.collector.otlp_servicer import SERVICE_NAME as OTLP_SERVICE
from services.collector.rate import RateGate
from services.collector.receive import Receiver
from services.collector.remote_write import PATH as REMOTE_WRITE_PATH
from services.collector.remote_write import RemoteWrite
from services.collector.series_gate import SeriesGate
from services.collector.tallies import Tallies
from services.common.auth import Authenticator
from services.common.clock import Clock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server, run_until_signal
from services.common.log_port import Log
from services.common.settings import PortUse
from services.common.telemetry import Counters, Telemetry

_GRPC_SERVERS = 32
"""On one port: gRPC hands a server one call at a time, each some passes of the event loop after the one
before, some 250 a second on a busy machine, and the kernel deals connections to servers at random: with
eight, most of a few connections may be one server's. What still waits unseen is `unseen.py`'s."""


class Doors:
    """Both servers of one process.

    Raises ConfigurationError when a port is taken or a certificate cannot be used.
    """

    def __init__(
        self,
        config: CollectorConfig,
        *,
        log: Log,
        tallies: Tallies,
        counters: Counters,
        rate: RateGate,
        series: SeriesGate,
        authenticator: Authenticator,
        health: HealthRegistry,
        clock: Clock,
        memories: Memories,
        kept: KeptRecords | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`memories` are forgotten when memory stays short; what the doors remember is added."""
        self._config, self._authenticator, self._tallies = config, authenticator, tallies
        _add_memories(memories, config, series, kept)
        self.memory = MemoryCap(config.memory_bytes, clock, forget=memories.forget)
        self._admission = _admission(config, counters, clock, self.memory)
        self._receiver = Receiver(
            log=log,
            tallies=tallies,
            clock=clock,
            random_bytes=secrets.token_bytes,
            config=config.receive,
            counters=counters,
            rate=rate,
            series=series,
            kept=kept,
            log_took=self._admission.log_took,
        )
        self._health, self._telemetry = health, telemetry
        own = config.otlp.port_use
        self.otlp = self._grpc_server(PortUse.SHARED if own is PortUse.ALONE else own, config.otlp.listen)
        listen = _with_port(config.otlp.listen, bound_port(self.otlp))
        self._more = [self._grpc_server(PortUse.JOINED, listen) for _ in range(_GRPC_SERVERS - 1)]
        self.http = self._http_server()

    def beside(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be served beside `otlp`, by name."""
        drain_s = float(self._config.settings.drain_s)
        more = {
            f"otlp-{number}": partial(run_until_signal, server, drain_s=drain_s)
            for number, server in enumerate(self._more, start=2)
        }
        return {"otlp-http": self.http.serve, **more}

    @property
    def listens(self) -> dict[str, str]:
        """The variables of what is listened on, with the ports that were given where they ask for any."""
        return {
            "THREENINES_OTLP_LISTEN": _with_port(self._config.otlp.listen, bound_port(self.otlp)),
            "THREENINES_OTLP_HTTP_LISTEN": _with_port(self._config.otlp_http.listen, self.http.port),
        }

    def _grpc_server(self, port_use: PortUse, listen: str) -> grpc.aio.Server:
        server = build_server(
            config=replace(self._config.otlp, port_use=port_use, listen=listen),
            authenticator=self._authenticator,
            health=self._health,
            service_names=[OTLP_SERVICE],
            max_receive_bytes=self._config.receive.max_request_bytes,
            telemetry=self._telemetry,
            more_options=SERVER_OPTIONS,
        )
        add_metrics_service(server, self._receiver, self._admission)
        return server

    def _http_server(self) -> HttpServer:
        config = self._config
        limits = OtlpHttpConfig(max_request_bytes=config.receive.max_request_bytes)
        otlp = OtlpHttp(
            receiver=self._receiver,
            authenticator=self._authenticator,
            admission=self._admission,
            config=limits,
        )
        write = RemoteWrite(
            receiver=self._receiver,
            authenticator=self._authenticator,
            admission=self._admission,
            tallies=self._tallies,
            config=limits,
        )
        routes = HttpRoutes({REMOTE_WRITE_PATH: write}, otlp)
        return HttpServer(routes, config.otlp_http, HttpLimits(), drain_s=float(config.settings.drain_s))


def _add_memories(
    memories: Memories, config: CollectorConfig, series: SeriesGate, kept: KeptRecords | None
) -> None:
    directory = remembered_series()
    directory.bound(config.directory_bytes)
    for memory in (directory, series, *(() if kept is None else (kept,))):
        memories.add(memory)


def _admission(config: CollectorConfig, counters: Counters, clock: Clock, memory: MemoryCap) -> Admission:
    return Admission(
        config.admission, counters, clock=clock, rng=random.Random(), memory_is_short=memory.short
    )


def _with_port(listen: str, port: int) -> str:
    return f"{listen.rpartition(':')[0]}:{port}"
