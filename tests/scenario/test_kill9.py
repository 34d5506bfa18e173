"""kill -9 of each part under load: nothing acknowledged is missing afterwards, nothing is doubled."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.scenario.insert_relay import TABLES, HoldAt
from tests.scenario.kill_stack import KillStack, kill_stack
from tests.scenario.ledger import Load, seeded

pytestmark = pytest.mark.engines

_KILLS = 5


async def _random_moment(load: Load, rng: random.Random) -> None:
    """Some moment at which requests are being acknowledged."""
    await load.more()
    await asyncio.sleep(rng.uniform(0, 1.2))


async def _drained(stack: KillStack, load: Load) -> None:
    """Wait until all is stored, and compare it with what was promised."""
    await stack.caught_up()
    await load.ledger.check(stack.database)


async def test_kills_of_the_collector_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for kill in range(_KILLS):
                    await _random_moment(load, rng)
                    if kill == 0:  # once as in life: the lease runs out by itself
                        await asyncio.to_thread(stack.collector.kill9)
                        stack.collector.start()
                    else:
                        await stack.replace_collector()
                    await stack.caught_up()
            await _drained(stack, load)
            assert load.ledger.failed_at, "the kills were felt"


async def test_kills_in_the_middle_of_an_insert_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        moments = [*HoldAt, *rng.choices([*HoldAt], k=_KILLS - len(HoldAt))]
        rng.shuffle(moments)
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for kill, at in enumerate(moments):
                    await _random_moment(load, rng)
                    # Not into `series`: its rows merge into one, so that doubling them does no harm.
                    held = stack.relay.hold(at, skip=rng.randrange(len(TABLES)), tables=TABLES[1:])
                    await asyncio.wait_for(held.begun.wait(), 30)
                    await stack.replace_collector()
                    if at is HoldAt.WHOLE_BODY:
                        # The worst time to arrive: when the next writer has begun to look for it.
                        await _recovering(stack, kill + 1)
                        await asyncio.sleep(rng.uniform(0.45, 0.6))
                    held.release.set()
                    if at is not HoldAt.HALF_BODY:
                        await asyncio.wait_for(held.answered.wait(), 10)
                    await stack.caught_up()
                    await _recovering(stack, kill + 1)
            await _drained(stack, load)


async def _recovering(stack: KillStack, times: int) -> None:
    """Return when a writer found a batch half-way so many times."""
    async with asyncio.timeout(30):
        while stack.collector.log.count("recovering batch") < times:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def test_kills_of_clickhouse_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for _ in range(_KILLS):
                    await _random_moment(load, rng)
                    # A batch is some inserts of a few milliseconds: that is where it can go wrong.
                    await stack.relay.next_insert(skip=rng.randrange(len(TABLES)))
                    await asyncio.sleep(rng.uniform(0, 0.01))
                    await asyncio.to_thread(stack.clickhouse.kill9)
                    await load.more(10)
                    await asyncio.to_thread(stack.clickhouse.start)
                    await stack.caught_up()
            await _drained(stack, load)
            assert not load.ledger.failed_at, "receiving does not need ClickHouse"


async def test_kills_of_nats_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for _ in range(_KILLS):
                    await _random_moment(load, rng)
                    await stack.nats.kill9()
                    await asyncio.sleep(rng.uniform(0, 0.5))
                    await stack.nats.start()
                    await stack.caught_up()
            await _drained(stack, load)
