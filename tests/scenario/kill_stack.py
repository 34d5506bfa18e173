"""A stack whose parts can be killed one by one, with the means to see when it has caught up."""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.collector.ticker import TICK_LEASE
from services.collector.write_runner import write_lease
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.log import NatsEngine
from services.common.streams import APPLIED, LEASES, OTLP
from tests.collector_process import CollectorProcess
from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, NATS_URL, needs_embedded
from tests.engines_nats import EmbeddedNats, free_port, started_nats
from tests.scenario.insert_relay import InsertRelay
from tests.scenario.ledger import Load

REGION = "local"
KILLS = int(os.environ.get("THREENINES_KILLS", "5"))
"""Of each process by each test."""
KILLS_TIMEOUT_S = 300 + 60 * KILLS
OUTAGE_S = float(os.environ.get("THREENINES_OUTAGE_S", "18"))
"""Of the store; the log is away for a sixth of it."""
_WAITS = 0.75
_SHOWN = 20


@dataclass
class KillStack:
    """Engines, the relay before ClickHouse, and one collector; `engine` and `database` are the test's own
    connections, past the relay."""

    nats: EmbeddedNats
    clickhouse: EmbeddedClickHouse
    relay: InsertRelay
    collector: CollectorProcess
    engine: NatsEngine
    database: Database

    def load(self, rng: random.Random, **options: float) -> Load:
        """Clients for the collector, not yet started."""
        return Load(self.collector.otlp_address, rng, **options)  # type: ignore[arg-type]

    async def written_seq(self) -> int:
        """The last sequence of OTLP that the writer says is stored."""
        entry = await self.engine.log.last_entry(APPLIED, f"applied.{REGION}")
        return 0 if entry is None else int(json.loads(entry.data)["last_seq"])

    async def caught_up(self, *, timeout_s: float = 60.0) -> None:
        """Return when everything that the log holds now is stored: `timeout_s` after the collector is up."""
        last_seq = await self.engine.log.last_seq(OTLP)
        await self.collector.wait_serving()
        began, progress = time.monotonic(), list[tuple[float, int]]()
        while (written := await self.written_seq()) < last_seq:
            after_s = time.monotonic() - began
            if not progress or written != progress[-1][1]:
                progress.append((round(after_s, 1), written))
            self.collector.check_running()
            assert after_s < timeout_s, (
                f"written up to {written} of {last_seq}; seconds and sequences: {progress[-_SHOWN:]};"
                f" {self.collector.state()}"
            )
            await asyncio.sleep(0.05)

    async def drop_leases(self) -> None:
        """Take the leases of a collector that is dead: the next one starts at once, which is the harder
        case, as the dead one's insert may still be running."""
        for name in (write_lease(REGION), TICK_LEASE):
            await self.engine.kv.delete(LEASES, name)

    async def replace_collector(self) -> None:
        """kill -9 and a new one that need not wait for the leases."""
        await asyncio.to_thread(self.collector.kill9)
        self.collector.start()
        await self.drop_leases()


@asynccontextmanager
async def kill_stack(
    path: Path, *, clickhouse_up: bool = True, through_relay: bool = True
) -> AsyncIterator[KillStack]:
    """Start everything, wait until the collector serves, and stop it all afterwards."""
    needs_embedded(CLICKHOUSE_URL, NATS_URL, why="engines are killed")
    clickhouse = EmbeddedClickHouse(path / "clickhouse", port=free_port())
    relay = InsertRelay(clickhouse.port)
    async with AsyncExitStack() as started:
        nats, engine = await started_nats(started, path / "nats")
        # Also when it was a test that started it.
        started.push_async_callback(asyncio.to_thread, clickhouse.stop)
        await relay.start()
        started.push_async_callback(relay.stop)
        url = relay.url if through_relay else clickhouse.url
        collector = CollectorProcess(nats.url, url, path / "collector", region=REGION)
        database = Database(ClickHouseConfig.from_url(clickhouse.url, "threenines"))
        started.push_async_callback(asyncio.to_thread, collector.stop)
        started.push_async_callback(database.close)
        collector.start()
        if clickhouse_up:
            await asyncio.to_thread(clickhouse.start)
        await collector.wait_serving()
        yield KillStack(nats, clickhouse, relay, collector, engine, database)


async def random_moment(load: Load, rng: random.Random) -> None:
    """Some moment at which requests are being acknowledged."""
    await load.more()
    await asyncio.sleep(rng.uniform(0, 1.2))


async def recovered(stack: KillStack, rng: random.Random) -> None:
    """Wait until all is stored, or (one time in four) do not: the next kill meets the recovery."""
    if rng.random() < _WAITS:
        await stack.caught_up()


async def drained(stack: KillStack, load: Load, what: str, *, kills: int = KILLS) -> None:
    """Wait until all is stored, and compare it with what was promised."""
    await stack.caught_up()
    (await load.ledger.check(stack.database)).tell(f"{kills} {what}")
