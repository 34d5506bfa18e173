"""A collector of several processes over real engines, and what a test can see of each process."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.log import NatsEngine
from services.common.streams import APPLIED, OTLP
from tests.collector_process import CollectorProcess
from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, NATS_URL, needs_embedded
from tests.engines_nats import started_nats
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

REGION = "local"


@dataclass
class WorkerStack:
    """The collector, and connections of the test's own to what it writes."""

    collector: CollectorProcess
    engine: NatsEngine
    database: Database

    def workers(self) -> list[psutil.Process]:
        """The collector's workers that live now."""
        found = psutil.Process(self.collector.pid).children(recursive=True)
        return [one for one in found if "services.collector.worker" in _command(one)]

    def listeners(self, port: int) -> set[int]:
        """The processes that listen on a port."""
        return {pid for pid, one in self._sockets(port) if one.status == psutil.CONN_LISTEN}

    def connections(self, port: int) -> Counter[int]:
        """Connections that clients have to a port, by the process that serves them."""
        return Counter(pid for pid, one in self._sockets(port) if one.status == psutil.CONN_ESTABLISHED)

    def _sockets(self, port: int) -> Iterator[tuple[int, Any]]:
        for process in (psutil.Process(self.collector.pid), *self.workers()):
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in process.net_connections("tcp"):
                    if one.laddr and one.laddr.port == port:
                        yield process.pid, one

    async def status(self) -> collector_pb2.PointCounts:
        """What GetStatus says of the points of the one tenant."""
        async with grpc.aio.insecure_channel(self.collector.admin_address) as channel:
            stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
            found = await stub.GetStatus(
                collector_service_pb2.GetStatusRequest(tenant="tenants/default"), timeout=10
            )
        return found.tenants[0].points

    async def active_series(self) -> int | None:
        """The count of series, None while the owner looks for what was there before."""
        async with grpc.aio.insecure_channel(self.collector.admin_address) as channel:
            stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
            asked = collector_service_pb2.GetTenantUsageRequest(name="tenants/default/usage")
            found = await stub.GetTenantUsage(asked, timeout=10)
        return found.active_series_count if found.HasField("active_series_count") else None

    async def caught_up(self, *, timeout_s: float = 60.0) -> None:
        """Return when everything that the log holds now is stored."""
        last_seq, deadline = await self.engine.log.last_seq(OTLP), time.monotonic() + timeout_s
        while await self._written_seq() < last_seq:
            assert time.monotonic() < deadline, self.collector.log[-4000:]
            await asyncio.sleep(0.05)

    async def _written_seq(self) -> int:
        entry = await self.engine.log.last_entry(APPLIED, f"applied.{REGION}")
        return 0 if entry is None else int(json.loads(entry.data)["last_seq"])


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@asynccontextmanager
async def worker_stack(
    path: Path, workers: int, environ: Mapping[str, str] | None = None
) -> AsyncIterator[WorkerStack]:
    """Start everything, wait until all processes serve, and stop it all afterwards."""
    needs_embedded(CLICKHOUSE_URL, NATS_URL, why="the collector has them to itself")
    clickhouse = EmbeddedClickHouse(path / "clickhouse")
    async with AsyncExitStack() as started:
        nats, engine = await started_nats(started, path / "nats")
        started.push_async_callback(asyncio.to_thread, clickhouse.stop)
        await asyncio.to_thread(clickhouse.start)
        database = Database(ClickHouseConfig.from_url(clickhouse.url, "threenines"))
        collector = CollectorProcess(
            nats.url,
            clickhouse.url,
            path / "collector",
            environ={"THREENINES_COLLECTOR_WORKERS": str(workers), **(environ or {})},
        )
        started.push_async_callback(asyncio.to_thread, collector.stop)
        started.push_async_callback(database.close)
        collector.start()
        await collector.wait_serving()
        yield WorkerStack(collector, engine, database)
