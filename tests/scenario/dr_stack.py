"""Disaster recovery over real engines with small data in every table, for scenario tests."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.collector.pause import PauseGate
from services.common.auth import Principal, Role, enter_principal
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.errors import Aborted, Unavailable
from services.common.log import NatsEngine
from services.common.migrations import load_migrations, migrate
from services.common.settings import ServerConfig
from services.common.streams import LEASES, OTLP, POSITIONS
from services.common.telemetry import Telemetry
from services.dr.assembly import Parts, assemble
from services.dr.backups import NewBackup
from services.dr.config import DrConfig
from services.dr.model import Backup, Restore
from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, needs_embedded
from tests.engines_nats import nats_engine

REGION = "local"
DATABASE = "threenines"
ADMIN = Principal("*", Role.ADMIN, "tester")

# One table holds what is awkward to hash: NULL, arrays, maps, NaN, a negative zero, equal rows.
_ROWS = (
    "INSERT INTO points (tenant, metric_id, series_id, ts, kind, value_double)"
    " SELECT 'acme', 1, number % 5, now64(3, 'UTC') - number, 'double', if(number = 3, nan, number / 7)"
    " FROM numbers(2000)",
    "INSERT INTO points (tenant, metric_id, series_id, ts, kind, value_double)"
    " SELECT 'twice', 1, 1, toDateTime64(toStartOfHour(now()), 3, 'UTC'), 'double', -0.0"
    " FROM numbers(2)",
    "INSERT INTO histograms (tenant, metric_id, series_id, ts, count, sum, bounds, counts)"
    " SELECT 'acme', 2, number % 5, now64(3, 'UTC') - number, number, if(number % 2 = 0, NULL, number),"
    " [0.1, 2.5], [number, 1, 2] FROM numbers(3000)",
    "INSERT INTO exp_histograms (tenant, metric_id, series_id, ts, count, positive_counts)"
    " SELECT 'acme', 3, 1, now64(3, 'UTC') - number, number, range(number % 7) FROM numbers(500)",
    "INSERT INTO summaries (tenant, metric_id, series_id, ts, quantiles, quantile_values)"
    " SELECT 'acme', 4, 1, now64(3, 'UTC') - number, [0.5], [number] FROM numbers(100)",
    "INSERT INTO exemplars (tenant, metric_id, series_id, ts, point_ts, trace_id)"
    " SELECT 'acme', 2, 1, now64(3, 'UTC') - number, now64(3, 'UTC') - number, hex(number)"
    " FROM numbers(100)",
    "INSERT INTO series (tenant, metric, series_id, day, type, attributes, identity)"
    " SELECT 'acme', 'http.server.request.duration', number, today(), 'histogram',"
    " map('route', concat('/', toString(number))), unhex('00ff') FROM numbers(50)",
    "INSERT INTO sli_slices (tenant, objective, slice_start, good, total, revision, seq)"
    " SELECT 'acme', 'gold/availability', now64(3, 'UTC') - number * 10, number, number, 1, number"
    " FROM numbers(200)",
)


@dataclass(frozen=True, slots=True)
class DrStack:
    """What a test needs of it."""

    parts: Parts
    database: Database
    engine: NatsEngine
    clickhouse: EmbeddedClickHouse
    config: DrConfig
    backups_dir: Path

    async def back_up(self, *, verify: bool = False) -> Backup:
        """Make a backup and wait for its end."""
        started = await self.parts.backups.create(NewBackup(verify=verify))
        await self.parts.worker.settle()
        return await self.parts.backups.get(REGION, started.backup_id)

    async def verify(self, backup: Backup) -> Backup:
        """Verify a backup and wait for its end."""
        await self.parts.backups.verify(REGION, backup.backup_id)
        await self.parts.worker.settle()
        return await self.parts.backups.get(REGION, backup.backup_id)

    async def ended(self, restore: Restore) -> Restore:
        """Wait for the end of a restore."""
        await self.parts.worker.settle()
        return await self.parts.restores.get(REGION, restore.restore_id)

    async def databases(self) -> set[str]:
        """The databases there are, without the engine's own."""
        rows = await self.database.rows("SELECT name FROM system.databases WHERE engine = 'Atomic'")
        return {str(row[0]) for row in rows} - {"system"}


@asynccontextmanager
async def dr_stack(directory: Path, *, answer_s: float = 0.5, rows: bool = True) -> AsyncIterator[DrStack]:
    """Engines, tables with rows, and a working service; the caller is the platform's admin."""
    needs_embedded(CLICKHOUSE_URL, why="reads a backup's files from the server's disk")
    backups_dir = directory / "backups"
    clickhouse = EmbeddedClickHouse(directory / "clickhouse", options=("--backups-dir", str(backups_dir)))
    await asyncio.to_thread(clickhouse.start)
    clock = SystemClock()
    config = DrConfig(
        region=REGION,
        nats_url="",
        clickhouse=ClickHouseConfig.from_url(clickhouse.url, DATABASE),
        backups_dir=backups_dir,
        server=ServerConfig(listen="127.0.0.1:0"),
        answer_s=answer_s,
    )
    database = Database(config.clickhouse)
    try:
        async with nats_engine(directory / "nats") as engine:
            await migrate(database, load_migrations(), clock)
            for statement in _ROWS if rows else ():
                await database.command(statement)
            parts = assemble(
                config,
                database=database,
                engine=engine,
                clock=clock,
                rng=secrets.token_bytes,
                telemetry=Telemetry("dr"),
            )
            enter_principal(ADMIN)
            async with working(parts):
                yield DrStack(parts, database, engine, clickhouse, config, backups_dir)
    finally:
        await database.close()
        await asyncio.to_thread(clickhouse.stop)


@asynccontextmanager
async def working(parts: Parts) -> AsyncIterator[None]:
    """Run the worker meanwhile, again when it lost the log or a race, as its process would.

    Any other error of the worker ends the test at once: nobody would answer it any more.
    """
    user = asyncio.current_task()
    assert user is not None
    failures: list[BaseException] = []

    async def work() -> None:
        while True:
            try:
                await parts.worker.run()
            except (Aborted, Unavailable):
                continue
            except Exception as error:  # the test must see it, whatever it is
                failures.append(error)
                user.cancel()
                return

    task = asyncio.create_task(work())
    try:
        async with asyncio.timeout(10):
            await parts.worker.ready()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if failures:
            raise failures[0]


@asynccontextmanager
async def writer(stack: DrStack, *, last: int) -> AsyncIterator[None]:
    """The collector's own gate, passed between two batches; its position says `last` is stored."""
    uuid = await stack.database.database_uuid()
    value = {"first": 1, "last": last, "attempt": 1, "state": "done", "incarnation": 7}
    await stack.engine.kv.put(POSITIONS, f"writer.{REGION}.{uuid}.{OTLP}", json.dumps(value).encode())
    # Whoever holds the lease is who is asked to pause.
    await stack.engine.kv.put(LEASES, f"writer.{REGION}", b"tester")
    gate = PauseGate(stack.engine.kv, SystemClock(), region=REGION)

    async def write() -> None:
        while True:
            await gate.pass_through(database=uuid, written_seq=last)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stack.engine.kv.delete(LEASES, f"writer.{REGION}")
