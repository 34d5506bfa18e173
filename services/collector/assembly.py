"""The parts of a collector process, put together: ports, adapters, use cases, background tasks."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Mapping

from services.collector.clickhouse import ClickHousePointStore
from services.collector.clickhouse_read import ClickHouseReader
from services.collector.config import CollectorConfig
from services.collector.dead_letters import DeadLetterReader
from services.collector.dead_letters_replay import DeadLetterReplay
from services.collector.doors import Doors
from services.collector.kept_records import KeptRecords
from services.collector.list_series import SeriesLister
from services.collector.memories import Memories
from services.collector.otlp_servicer import SERVICE_NAME as OTLP_SERVICE
from services.collector.own_metrics import OwnGauges
from services.collector.pause import PauseGate
from services.collector.quota_gates import Gates, Quotas
from services.collector.retention import Retention
from services.collector.series_census import LocalSeriesCensus
from services.collector.series_ids import SeriesIds
from services.collector.servicer import CollectorServicer
from services.collector.status import StatusReporter
from services.collector.tallies import Tallies, TallyKeeper
from services.collector.tenants import Tenants
from services.collector.ticker import TICK_LEASE, run_ticker
from services.collector.worker_pool import WorkerPool
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
        environ: Mapping[str, str],
    ) -> None:
        """`environ` is this process's, for its workers."""
        settings = config.settings
        self.environ = environ
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
        self.retention = Retention()
        feed.on_change(self._configure)
        self._configure()
        database.measured_by(self.telemetry.clickhouse)
        self.store = ClickHousePointStore(database, clock)
        self.reader = ClickHouseReader(database)
        self.tallies = Tallies(self.telemetry.counters, since_ns=clock.now_ns())
        self.keeper = TallyKeeper(engine.kv, self.tallies, region=settings.region)
        self.census = LocalSeriesCensus(clock)
        self.pool = self._pool()
        self.status = self._status()
        self.quotas = self._quotas(database)
        self.gates = Gates(
            config.quota,
            redis_url=settings.redis_url,
            feed=feed,
            census=self.census,
            clock=clock,
            counters=self.telemetry.counters,
        )
        self.gauges = OwnGauges(
            self.telemetry,
            self.status,
            self.census,
            clock,
            export_interval_ms=settings.otlp_export_interval_ms,
        )
        self.health = HealthRegistry(clock)
        self.health.add_probe("log", engine.probe)
        self.health.add_services([WRITER_HEALTH])
        if settings.collector_workers > 1:
            self.health.add_probe("workers", self.pool.probe, required_for=["", OTLP_SERVICE])
        self.health.add_probe("store", self.store.probe, required_for=[WRITER_HEALTH])
        self.memories = Memories()
        self.kept = KeptRecords(clock, config.kept_bytes)
        self.writer = self._writer()
        self.health.add_probe("writer", self.writer.probe, required_for=[WRITER_HEALTH])

    async def serve(self) -> None:
        """Serve the three ports with the writer and the ticker beside them, and have the workers."""
        drain_s = float(self.config.settings.drain_s)
        doors = self._doors()
        admin = build_server(
            config=self.config.admin,
            authenticator=self.authenticator,
            health=self.health,
            service_names=[ADMIN_SERVICE],
        )
        collector_service_pb2_grpc.add_CollectorServiceServicer_to_server(self._servicer(), admin)
        background = {
            "admin": lambda: run_until_signal(admin, drain_s=drain_s),
            "writer": self.writer.run,
            "ticker": self._tick,
            "tallies": self._keep_tallies,
            "quotas": self.quotas.run,
            "memory": doors.memory.run,
        }
        if self.telemetry.exporting:
            background["gauges"] = self.gauges.run
        beside = doors.beside()
        if self.config.settings.collector_workers > 1:
            beside["workers"] = lambda: self.pool.run(self._workers_environment(doors))
        try:
            await serve(doors.otlp, drain_s=drain_s, health=self.health, background=background, beside=beside)
        finally:
            await self.gates.close()
            await asyncio.to_thread(self.telemetry.shutdown)

    def _doors(self) -> Doors:
        return Doors(
            self.config,
            log=self.engine.log,
            tallies=self.tallies,
            counters=self.telemetry.counters,
            rate=self.gates.rate,
            series=self.gates.series,
            memories=self.memories,
            kept=self.kept,
            authenticator=self.authenticator,
            health=self.health,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def _workers_environment(self, doors: Doors) -> dict[str, str]:
        workers = str(self.config.settings.collector_workers)
        return {**self.environ, "THREENINES_COLLECTOR_WORKERS": workers, **doors.listens}

    async def _followed(self, seq: int) -> None:
        await self.feed.wait_for(seq)
        await self.pool.followed(seq)

    def _pool(self) -> WorkerPool:
        return WorkerPool(
            self.config.settings.collector_workers - 1,
            questions=self.engine.questions,
            census=self.census,
            tallies=self.tallies,
            counters=self.telemetry.counters,
            clock=self.clock,
            drain_s=float(self.config.settings.drain_s),
        )

    def _configure(self) -> None:
        self.retention.replace(self.feed.specs(TenantSpec))

    def _status(self) -> StatusReporter:
        return StatusReporter(
            log=self.engine.log,
            kv=self.engine.kv,
            tallies=self.tallies,
            clock=self.clock,
            probe_store=self.store.probe,
            region=self.config.settings.region,
            limit_bytes=self.config.log_limit_bytes,
            collect=self.pool.collect,
        )

    def _quotas(self, database: Database) -> Quotas:
        return Quotas(
            self.config.quota,
            census=self.census,
            log=self.engine.log,
            feed=self.feed,
            database=database,
            status=self.status,
            clock=self.clock,
            followed=self._followed,
        )

    def _servicer(self) -> CollectorServicer:
        tenants = Tenants(
            log=self.engine.log,
            feed=self.feed,
            clock=self.clock,
            random_bytes=secrets.token_bytes,
            followed=self._followed,
        )
        series = SeriesLister(self.reader, self.status.watermark_ns)
        letters = DeadLetterReader(self.engine.log, self.engine.kv)
        return CollectorServicer(
            status=self.status,
            tenants=tenants,
            series=series,
            quotas=self.quotas.administration,
            usage=self.quotas.usage,
            dead_letters=letters,
            replay=DeadLetterReplay(
                letters, self.engine.log, self.engine.kv, self.clock, self.config.receive.limits
            ),
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
            to_the_ns=self.retention.to_the_ns,
            new_ids=self._new_ids,
            kept=self.kept,
            wrote=lambda: runner.wrote(),  # noqa: PLW0108 - the runner comes after the writer
        )
        runner = WriterRunner(lease, writer.write_for_ever, self.clock)
        return runner

    def _new_ids(self) -> SeriesIds:
        ids = SeriesIds(self.config.remembered_series)
        self.memories.add(ids)
        return ids

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
        await self.pool.collect()
        # Counts stay in memory while the store of them is away.
        with contextlib.suppress(Unavailable):
            await self.keeper.keep()

    def _lease(self, name: str) -> Lease:
        return Lease(self.engine.kv, self.clock, name=name, holder=f"{socket.gethostname()}:{os.getpid()}")
