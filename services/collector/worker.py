"""A further process of a collector: OTLP in, the log, and nothing else.

Started by the collector (`worker_pool.py`), whose ports it joins and with which it dies. It holds tenants
to their quotas as the collector does: rates through the buckets that all share, series by asking the
collector, which counts them. It writes no tables and has no port of its own.
"""

import argparse
import asyncio
import json
import os
import sys
from functools import partial

from services.collector import kernels
from services.collector.config import CollectorConfig
from services.collector.doors import Doors
from services.collector.memories import Memories
from services.collector.quota_gates import Gates
from services.collector.series_remote import RemoteSeriesCensus
from services.collector.tallies import Tallies
from services.collector.worker_pool import PoolSubjects
from services.collector.worker_reports import Reporter
from services.common.allocator import collect_rarely, keep_large_blocks
from services.common.auth_feed import build_authenticator
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed
from services.common.errors import Unavailable
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import serve
from services.common.log import NatsEngine, connect_nats
from services.common.run import run_service
from services.common.settings import Settings
from services.common.telemetry import Counters

_FAREWELL_S = 2.0


class Worker:
    """One worker over a connection to the log and a configuration feed that has started."""

    def __init__(
        self, config: CollectorConfig, engine: NatsEngine, feed: ConfigFeed, *, pool: str, number: int
    ) -> None:
        self._config, self._engine, self._feed = config, engine, feed
        self._number = number
        self._subjects = PoolSubjects(pool)
        self._clock = clock = SystemClock()
        # Counted here, reported to the collector, exported by it.
        counters = Counters()
        tallies = Tallies(counters, since_ns=clock.now_ns())
        life = f"{os.getpid()}-{clock.now_ns()}"
        self._reporter = Reporter(tallies, counters, life=life, pid=os.getpid())
        self._life = life
        self._health = HealthRegistry(clock)
        self._health.add_probe("log", engine.probe)
        self._gates = Gates(
            config.quota,
            redis_url=config.settings.redis_url,
            feed=feed,
            census=RemoteSeriesCensus(engine.questions, self._subjects.census, clock),
            clock=clock,
            counters=counters,
        )
        self._doors = Doors(
            config,
            log=engine.log,
            tallies=tallies,
            counters=counters,
            rate=self._gates.rate,
            series=self._gates.series,
            authenticator=build_authenticator(config.settings, feed),
            health=self._health,
            clock=clock,
            memories=Memories(),
        )

    async def serve(self) -> None:
        """Serve both ports until cancelled; what was counted is told at the end."""
        try:
            await serve(
                self._doors.otlp,
                drain_s=float(self._config.settings.drain_s),
                health=self._health,
                background={"reports": self._answer, "memory": self._doors.memory.run},
                beside=self._doors.beside(),
            )
        finally:
            await self._gates.close()
            await self._farewell()

    async def _answer(self) -> None:
        await self._engine.questions.answer(self._subjects.report(self._number), self._report)
        await asyncio.Event().wait()

    async def _report(self, question: bytes) -> bytes:
        asked = json.loads(question)
        arrived = int(asked["arrived"]) if asked["life"] == self._life else 0
        serving = await self._health.serving()
        return self._reporter.report(arrived, serving=serving, config_seq=self._feed.seq).to_json()

    async def _farewell(self) -> None:
        last = self._reporter.report(0, serving=False).to_json()
        try:
            await self._engine.questions.ask(
                self._subjects.farewell(self._number), last, timeout_s=_FAREWELL_S
            )
        except Unavailable:
            return  # the collector is gone, and asked a quarter of a second ago


async def work(settings: Settings, *, pool: str, number: int) -> None:
    """Build everything, warm, join the ports and serve until told to stop."""
    warming = asyncio.create_task(asyncio.to_thread(kernels.warm))
    config, clock = CollectorConfig.from_settings(settings, joined=True), SystemClock()
    engine = await connect_nats(settings.nats_url, clock=clock)
    feed = ConfigFeed(engine.log, clock)
    try:
        await feed.start()
        await warming
        collect_rarely()
        await Worker(config, engine, feed, pool=pool, number=number).serve()
    finally:
        await feed.stop()
        await engine.close()


def main() -> int:
    """Entry point."""
    keep_large_blocks()
    parser = argparse.ArgumentParser(prog="threenines-collector-worker")
    parser.add_argument("--pool", required=True, help="the collector's name for its workers")
    parser.add_argument("--number", required=True, type=int, help="which of them this is, from 1")
    asked = parser.parse_args()
    start = partial(work, pool=asked.pool, number=asked.number)
    return run_service(start, name=f"collector-worker-{asked.number}")


if __name__ == "__main__":
    sys.exit(main())
