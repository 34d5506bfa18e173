"""Real NATS, the embedded ClickHouse and a collector process, for scenarios."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from services.common.clickhouse import ClickHouseConfig, Database
from tests.collector_process import EXPORT_METHOD, CollectorProcess
from tests.engines_given import ClickHouseServer, NatsLog, clickhouse_server, nats_server
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc


@dataclass
class CollectorStack:
    """What a scenario works with."""

    nats: NatsLog
    clickhouse: ClickHouseServer
    collector: CollectorProcess
    database: Database

    async def export(self, raw: bytes, *, timeout_s: float = 10.0, token: str | None = None) -> bytes:
        """Send the bytes of one request; the bytes of the response."""
        metadata = [("authorization", f"Bearer {token}")] if token else []
        async with grpc.aio.insecure_channel(self.collector.otlp_address) as channel:
            answer: bytes = await channel.unary_unary(EXPORT_METHOD)(
                raw, timeout=timeout_s, metadata=metadata
            )
            return answer

    async def counts(self) -> collector_pb2.PointCounts:
        """Point counts of all tenants."""
        async with grpc.aio.insecure_channel(self.collector.admin_address) as channel:
            stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
            answer = await stub.GetStatus(collector_service_pb2.GetStatusRequest(), timeout=5)
            return answer.streams[0].points

    async def until_written(self, points: int, *, timeout_s: float = 60.0) -> collector_pb2.PointCounts:
        """Return the counts once that many points are stored."""
        deadline = time.monotonic() + timeout_s
        while True:
            counts = await self.counts()
            if counts.written_count >= points:
                return counts
            assert time.monotonic() < deadline, f"{counts}\n{self.collector.log[-3000:]}"
            await asyncio.sleep(0.1)


@asynccontextmanager
async def collector_stack(
    path: Path, *, environ: dict[str, str] | None = None
) -> AsyncIterator[CollectorStack]:
    """Start everything, wait until the collector serves, and stop it all afterwards."""
    nats = nats_server(path / "nats")
    clickhouse = clickhouse_server(path / "clickhouse")
    async with AsyncExitStack() as started:
        started.push_async_callback(nats.stop)
        await nats.start()
        started.push_async_callback(asyncio.to_thread, clickhouse.stop)
        await asyncio.to_thread(clickhouse.start)
        name = clickhouse.database("threenines")
        environ = {"THREENINES_CLICKHOUSE_DATABASE": name, **(environ or {})}
        collector = CollectorProcess(nats.url, clickhouse.url, path / "collector", environ=environ)
        database = Database(ClickHouseConfig.from_url(clickhouse.url, name))
        started.push_async_callback(asyncio.to_thread, collector.stop)
        started.push_async_callback(database.close)
        collector.start()
        await collector.wait_serving()
        yield CollectorStack(nats, clickhouse, collector, database)
