"""kill -9 of the collector under load: nothing acknowledged is missing afterwards, nothing is doubled.

THREENINES_KILLS says how often (5). `test_kill9_engines.py` does the same to ClickHouse and NATS.
"""

import asyncio
from pathlib import Path

import pytest

from tests.scenario.insert_relay import TABLES, HoldAt
from tests.scenario.kill_stack import (
    KILLS,
    KILLS_TIMEOUT_S,
    KillStack,
    drained,
    kill_stack,
    random_moment,
    recovered,
)
from tests.scenario.ledger import seeded

pytestmark = [pytest.mark.engines, pytest.mark.timeout(KILLS_TIMEOUT_S)]


async def test_kills_of_the_collector_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for kill in range(KILLS):
                    await random_moment(load, rng)
                    if kill == 0:  # once as in life: the lease runs out by itself
                        await asyncio.to_thread(stack.collector.kill9)
                        stack.collector.start()
                    else:
                        await stack.replace_collector()
                    await recovered(stack, rng)
            await drained(stack, load, "kills of the collector")
            assert load.ledger.failed_at, "the kills were felt"


async def test_kills_in_the_middle_of_an_insert_lose_and_double_nothing(tmp_path: Path) -> None:
    with seeded() as rng:
        moments = [*HoldAt, *rng.choices([*HoldAt], k=max(0, KILLS - len(HoldAt)))]
        rng.shuffle(moments)
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                for kill, at in enumerate(moments):
                    await random_moment(load, rng)
                    # Not into `series`: its rows merge into one, so that doubling them does no harm.
                    held = stack.relay.hold(at, skip=rng.randrange(len(TABLES)), tables=TABLES[1:])
                    await asyncio.wait_for(held.begun.wait(), 30)
                    await stack.replace_collector()
                    if at is HoldAt.WHOLE_BODY:
                        # The worst time to arrive: when the next writer has looked for it once.
                        await _recovering(stack, kill + 1)
                        async with asyncio.timeout(60):
                            await held.looked_for.wait()
                        await asyncio.sleep(rng.uniform(0.0, 0.3))
                    held.release.set()
                    if at is not HoldAt.HALF_BODY:
                        await asyncio.wait_for(held.answered.wait(), 10)
                    await stack.caught_up()
                    await _recovering(stack, kill + 1)
            await drained(stack, load, "kills in the middle of an insert")


async def _recovering(stack: KillStack, times: int) -> None:
    """Return when a writer found a batch half-way so many times.

    Not after `wait_serving`: health answers seconds later on a slow machine, and the moment is over by then.
    """
    async with asyncio.timeout(120):  # the start of a collector is in it
        while stack.collector.log.count("recovering batch") < times:
            stack.collector.check_running()
            await asyncio.sleep(0.02)
