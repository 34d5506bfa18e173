"""The parts of a collector process, put together: ports, adapters, use cases, background tasks."""

import asyncio
import contextlib
import os
import secrets
import socket

from services.collector.admission import Admission
from services.collector.clickhouse import ClickHousePointStore
from services.collector.clickhouse_read import ClickHouseReader
from services.collector.config import CollectorConfig
from services.collector.http_routes import HttpRoutes
from services.collector.list_series import SeriesLister
from services.collector.otlp_http import OtlpHttp, OtlpHttpConfig
from services.collector.otlp_http_server import HttpLimits, HttpServer
from services.collector.otlp_servicer import SERVICE_NAME as OTLP_SERVICE
from services.collector.otlp_servicer import add_metrics_service
from services.collector.own_metrics import OwnGauges
from services.collector.pause import PauseGate
from services.collector.quota_gates import Quotas
from services.collector.receive import Receiver
from services.collector.remote_write import PATH as REMOTE_WRITE_PATH
from services.collector.remote_write import RemoteWrite
from services.collector.retention import Retention
from services.collector.servicer import CollectorServicer
from services.collector.status import StatusReporter
from services.collector.tallies import Tallies, TallyKeeper
from services.collector.tenants import Tenants
from services.collector.ticker import TICK_LEASE, run_ticker
from services.collector.write import Writer
from services.collector.write_position import PositionStore
from services.collector.write_runner import WriterRunner, write_lease
from services.common.auth import Authenticator, TokenTable
from services.common.clickhouse import Database
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed
from services.common.documents_platform import TenantSpec
from services.common.errors import Unavailable
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import build_server, run_until_signal, serve
from services.common.lease import Lease
from services.common.log import NatsEngine
from services.common.telemetry import Telemetry
from threenines.collector.v1 import collector_service_pb2_grpc

ADMIN_SERVICE = "threenines.collector.v1.CollectorService"
WRITER_HEALTH = "threenines.collector.Writer"
"""A health name of its own: receiving goes on while the store is away, writing does not."""

_KEEP_PERIOD_S = 0.25


class Collector:
    """One collector process over an engine, a configuration feed and a database."""

    def __init__(
        self,
        config: CollectorConfig,
        clock: SystemClock,
        engine: NatsEngine,
        feed: ConfigFeed,
        tokens: TokenTable,
        database: Database,
    ) -> None:
        settings = config.settings
        self.config, self.clock, self.engine, self.feed = config, clock, engine, feed
        self.telemetry = Telemetry(
            "threenines-collector",
            endpoint=settings.otlp_endpoint,
            export_interval_ms=settings.otlp_export_interval_ms,
            region=settings.region,
        )
        self.authenticator = Authenticator(
            settings.auth, tokens, settings.admin_token_sha256, environment=settings.environment
        )
        self.admission = Admission(config.admission, self.telemetry.counters)
        self.retention = Retention()
        feed.on_change(self._configure)
        self._configure()
        self.store = ClickHousePointStore(database, clock)
        self.reader = ClickHouseReader(database)
        self.tallies = Tallies(self.telemetry.counters, since_ns=clock.now_ns())
        self.keeper = TallyKeeper(engine.kv, self.tallies, region=settings.region)
        self.status = self._status()
        self.quotas = self._quotas(database)
        self.gauges = OwnGauges(
            self.telemetry,
            self.status,
            self.quotas.census,
            clock,
            export_interval_ms=settings.otlp_export_interval_ms,
        )
        self.health = HealthRegistry(clock)
        self.health.add_probe("log", engine.probe)
        self.health.add_services([WRITER_HEALTH])
        self.health.add_probe("store", self.store.probe, required_for=[WRITER_HEALTH])
        self.writer = self._writer()
        self.health.add_probe("writer", self.writer.probe, required_for=[WRITER_HEALTH])

    async def serve(self) -> None:
        """Serve the three ports with the writer and the ticker beside them."""
        drain_s = float(self.config.settings.drain_s)
        otlp = build_server(
            config=self.config.otlp,
            authenticator=self.authenticator,
            health=self.health,
            service_names=[OTLP_SERVICE],
            max_receive_bytes=self.config.receive.max_request_bytes,
        )
        admin = build_server(
            config=self.config.admin,
            authenticator=self.authenticator,
            health=self.health,
            service_names=[ADMIN_SERVICE],
        )
        receiver = self._receiver()
        http = self._http_server(receiver, drain_s)
        add_metrics_service(otlp, receiver, self.admission)
        collector_service_pb2_grpc.add_CollectorServiceServicer_to_server(self._servicer(), admin)
        background = {
            "admin": lambda: run_until_signal(admin, drain_s=drain_s),
            "writer": self.writer.run,
            "ticker": self._tick,
            "tallies": self._keep_tallies,
            "quotas": self.quotas.run,
        }
        if self.telemetry.exporting:
            background["gauges"] = self.gauges.run
        try:
            await serve(
                otlp,
                drain_s=drain_s,
                health=self.health,
                background=background,
                beside={"otlp-http": http.serve},
            )
        finally:
            await self.quotas.close()
            await asyncio.to_thread(self.telemetry.shutdown)

    def _http_server(self, receiver: Receiver, drain_s: float) -> HttpServer:
        config = OtlpHttpConfig(max_request_bytes=self.config.receive.max_request_bytes)
        otlp = OtlpHttp(
            receiver=receiver,
            authenticator=self.authenticator,
            admission=self.admission,
            config=config,
        )
        write = RemoteWrite(
            receiver=receiver,
            authenticator=self.authenticator,
            admission=self.admission,
            tallies=self.tallies,
            config=config,
        )
        app = HttpRoutes({REMOTE_WRITE_PATH: write}, otlp)
        return HttpServer(app, self.config.otlp_http, HttpLimits(), drain_s=drain_s)

    def _configure(self) -> None:
        self.retention.replace(self.feed.specs(TenantSpec))

    def _receiver(self) -> Receiver:
        return Receiver(
            log=self.engine.log,
            tallies=self.tallies,
            clock=self.clock,
            random_bytes=secrets.token_bytes,
            config=self.config.receive,
            counters=self.telemetry.counters,
            rate=self.quotas.rate,
            series=self.quotas.series,
        )

    def _status(self) -> StatusReporter:
        return StatusReporter(
            log=self.engine.log,
            kv=self.engine.kv,
            tallies=self.tallies,
            clock=self.clock,
            probe_store=self.store.probe,
            region=self.config.settings.region,
            limit_bytes=self.config.log_limit_bytes,
        )

    def _quotas(self, database: Database) -> Quotas:
        return Quotas(
            self.config.quota,
            redis_url=self.config.settings.redis_url,
            log=self.engine.log,
            feed=self.feed,
            database=database,
            status=self.status,
            clock=self.clock,
            counters=self.telemetry.counters,
        )

    def _servicer(self) -> CollectorServicer:
        tenants = Tenants(
            log=self.engine.log, feed=self.feed, clock=self.clock, random_bytes=secrets.token_bytes
        )
        series = SeriesLister(self.reader, self.status.watermark_ns)
        return CollectorServicer(
            status=self.status,
            tenants=tenants,
            series=series,
            quotas=self.quotas.administration,
            usage=self.quotas.usage,
        )

    def _writer(self) -> WriterRunner:
        region = self.config.settings.region
        lease = self._lease(write_lease(region))
        writer = Writer(
            log=self.engine.log,
            store=self.store,
            gate=PauseGate(self.engine.kv, self.clock, region=region),
            clock=self.clock,
            counters=self.telemetry.counters,
            config=self.config.write,
            open_positions=lambda name: PositionStore(self.engine.kv, region=region, database=name),
            held=lambda: lease.held,
            keep_days=self.retention.days,
            wrote=lambda: runner.wrote(),  # noqa: PLW0108 - the runner comes after the writer
        )
        runner = WriterRunner(lease, writer.write_for_ever, self.clock)
        return runner

    async def _tick(self) -> None:
        await run_ticker(self._lease(TICK_LEASE), self.engine.log, self.clock, secrets.token_bytes)

    async def _keep_tallies(self) -> None:
        try:
            while True:
                await self._keep_once()
                await self.clock.sleep(_KEEP_PERIOD_S)
        finally:
            await self._keep_once()

    async def _keep_once(self) -> None:
        # Counts stay in memory while the store of them is away.
        with contextlib.suppress(Unavailable):
            await self.keeper.keep()

    def _lease(self, name: str) -> Lease:
        return Lease(self.engine.kv, self.clock, name=name, holder=f"{socket.gethostname()}:{os.getpid()}")
