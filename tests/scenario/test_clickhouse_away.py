"""ClickHouse away at the start and for half a minute later: receiving goes on, the backlog drains."""

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from services.common.streams import OTLP
from tests.scenario.kill_stack import kill_stack
from tests.scenario.ledger import LoadLedger, seeded

pytestmark = pytest.mark.engines

_OUTAGE_S = 30
_LONGEST_SILENCE_S = 2.0
"""Four clients send some thirty times a second each; the machine may be busy with other tests."""


async def test_receiving_goes_on_without_clickhouse_and_the_backlog_drains(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path, clickhouse_up=False, through_relay=False) as stack:
            async with stack.load(rng) as load:
                await load.more(100)
                assert await stack.written_seq() == 0, "nothing can be stored yet"
                await asyncio.to_thread(stack.clickhouse.start)
                await stack.caught_up()

                await asyncio.to_thread(stack.clickhouse.kill9)
                began = time.monotonic()
                await load.more(1)
                written = await stack.written_seq()
                await asyncio.sleep(began + _OUTAGE_S - time.monotonic())
                ended = time.monotonic()
                assert await stack.written_seq() == written, "nothing was stored meanwhile"
                backlog = await stack.engine.log.last_seq(OTLP) - written

                await asyncio.to_thread(stack.clickhouse.start)
                await stack.caught_up()
            await stack.caught_up()

            ledger = load.ledger
            assert not ledger.failed_at, f"{len(ledger.failed_at)} exports failed"
            assert not ledger.uncertain
            assert _longest_silence(ledger, began, ended) < _LONGEST_SILENCE_S
            assert backlog > _OUTAGE_S, "more waited than the ticks"
            await ledger.check(stack.database)


def _longest_silence(ledger: LoadLedger, began: float, ended: float) -> float:
    """Seconds of the outage without any acknowledgement."""
    moments = [began, *(at for at in ledger.acknowledged_at if began < at < ended), ended]
    return max(after - before for before, after in itertools.pairwise(moments))
