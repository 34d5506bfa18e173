"""kill -9 of ClickHouse and of NATS under load: nothing acknowledged is missing, nothing is doubled.

THREENINES_KILLS says how often (5), as in `test_kill9.py`.
"""

import asyncio
from pathlib import Path

import pytest

from tests.scenario.insert_relay import TABLES
from tests.scenario.kill_stack import KILLS, KILLS_TIMEOUT_S, drained, kill_stack, random_moment, recovered
from tests.scenario.ledger import seeded

pytestmark = [pytest.mark.engines, pytest.mark.timeout(KILLS_TIMEOUT_S)]


async def test_kills_of_clickhouse_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for _ in range(KILLS):
                    await random_moment(load, rng)
                    # A batch is some inserts of a few milliseconds: that is where it can go wrong.
                    await stack.relay.next_insert(skip=rng.randrange(len(TABLES)))
                    await asyncio.sleep(rng.uniform(0, 0.01))
                    await asyncio.to_thread(stack.clickhouse.kill9)
                    await load.more(10)
                    await asyncio.to_thread(stack.clickhouse.start)
                    await recovered(stack, rng)
            await drained(stack, load, "kills of ClickHouse")
            assert not load.ledger.failed_at, "receiving does not need ClickHouse"


async def test_kills_of_nats_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for _ in range(KILLS):
                    await random_moment(load, rng)
                    await stack.nats.kill9()
                    await asyncio.sleep(rng.uniform(0, 0.5))
                    await stack.nats.start()
                    await recovered(stack, rng)
            await drained(stack, load, "kills of NATS")
