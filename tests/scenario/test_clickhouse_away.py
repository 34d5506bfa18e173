"""ClickHouse away at the start and for a while later: receiving goes on, the backlog drains.

THREENINES_OUTAGE_S says for how long (18).
"""

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from services.common.streams import OTLP
from tests.scenario.kill_stack import OUTAGE_S, KillStack, kill_stack
from tests.scenario.ledger import LoadLedger, seeded

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300 + OUTAGE_S)]

_STEADY_S = 3.0
_LAG_S = 5.0
"""A batch a second, and two of them when the machine is busy."""
_STEADY_AGAIN_S = 60.0
"""A stall leaves a lag of what was sent before it, at a rate that is not the one of the window."""
_LONGEST_SILENCE_S = OUTAGE_S / 2
"""Four clients send some thirty times a second each, and a machine may stall for seconds; receiving that
waits for ClickHouse is silent for the whole outage."""


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
                await asyncio.sleep(began + OUTAGE_S - time.monotonic())
                ended = time.monotonic()
                assert await stack.written_seq() == written, "nothing was stored meanwhile"
                backlog = await stack.engine.log.last_seq(OTLP) - written

                await asyncio.to_thread(stack.clickhouse.start)
                back_at = time.monotonic()
                await stack.caught_up()
                drained_s = time.monotonic() - back_at
                lag, records_s = await _steady_lag(stack)
            await stack.caught_up()

            ledger = load.ledger
            assert not ledger.failed_at, f"{len(ledger.failed_at)} exports failed"
            assert not ledger.uncertain
            assert _longest_silence(ledger, began, ended) < _LONGEST_SILENCE_S
            assert backlog > OUTAGE_S, "more waited than the ticks"
            reckoning = await ledger.check(stack.database)
            reckoning.tell(
                f"ClickHouse away for {OUTAGE_S:g} s: {len(ledger.acknowledged)} requests taken, at most"
                f" {_longest_silence(ledger, began, ended):.2f} s between two; a backlog of {backlog} records"
                f" drained in {drained_s:.1f} s; {lag} records behind at most in the {_STEADY_S:g} s after"
            )
            assert lag < _LAG_S * records_s, f"steady again by itself: {records_s:.0f} records a second"


def _longest_silence(ledger: LoadLedger, began: float, ended: float) -> float:
    """Seconds of the outage without any acknowledgement."""
    moments = [began, *(at for at in ledger.acknowledged_at if began < at < ended), ended]
    return max(after - before for before, after in itertools.pairwise(moments))


async def _steady_lag(stack: KillStack) -> tuple[int, float]:
    """`_largest_lag` of the first window in which it is small enough; else of the last."""
    lag, records_s = 0, 0.0
    try:
        async with asyncio.timeout(_STEADY_AGAIN_S):
            while lag >= _LAG_S * records_s:
                lag, records_s = await _largest_lag(stack, _STEADY_S)
    except TimeoutError:
        pass  # the caller's assertion has the numbers
    return lag, records_s


async def _largest_lag(stack: KillStack, seconds: float) -> tuple[int, float]:
    """Records in the log that are not yet stored, at most, and records a second, for a while under load."""
    begun, first, largest = time.monotonic(), await stack.engine.log.last_seq(OTLP), 0
    while time.monotonic() < begun + seconds:
        largest = max(largest, await stack.engine.log.last_seq(OTLP) - await stack.written_seq())
        await asyncio.sleep(0.1)
    return largest, (await stack.engine.log.last_seq(OTLP) - first) / (time.monotonic() - begun)
