"""Counts of points survive the process that counted them."""

import random

from services.collector.model import PointCounts
from services.collector.tallies import Tallies, TallyKeeper
from services.collector.ticker import tick
from services.common.clock import ManualClock
from services.common.kv_memory import MemoryKeyValue
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from services.common.telemetry import Counters


def count(tallies: Tallies) -> None:
    """Ten points in, three refused, seven safe."""
    tallies.received("acme", 10)
    tallies.rejected("acme", {"POINT_TOO_OLD": 2, "POINT_TOO_NEW": 1})
    tallies.acknowledged("acme", 7, 5_000)


async def test_the_next_process_adds_to_what_was_kept() -> None:
    kv = MemoryKeyValue(ManualClock())
    first = Tallies(Counters(), since_ns=100)
    count(first)
    await TallyKeeper(kv, first, region="local").keep()
    second = Tallies(Counters(), since_ns=200)
    count(second)
    keeper = TallyKeeper(kv, second, region="local")
    await keeper.keep()
    await keeper.keep()

    tally = second.of("acme")
    assert tally.points == PointCounts(received=20, rejected=6, acknowledged=14)
    assert tally.rejections == {"POINT_TOO_OLD": 4, "POINT_TOO_NEW": 2}
    assert (tally.last_append_ns, second.since_ns, second.tenants()) == (5_000, 100, ["acme"])


async def test_regions_count_apart() -> None:
    kv = MemoryKeyValue(ManualClock())
    first = Tallies(Counters(), since_ns=100)
    count(first)
    await TallyKeeper(kv, first, region="east").keep()
    second = Tallies(Counters(), since_ns=200)
    await TallyKeeper(kv, second, region="west").keep()

    assert second.of("acme").points == PointCounts()


def test_the_process_counters_agree() -> None:
    counters = Counters()
    count(Tallies(counters, since_ns=0))

    assert counters.value("collector.points.received", tenant="acme") == 10
    assert counters.value("collector.points.rejected", tenant="acme") == 3
    assert counters.value("collector.points.rejected", reason="POINT_TOO_OLD") == 2
    assert counters.value("collector.points.acknowledged", tenant="acme") == 7


async def test_ticks_are_records_of_their_own_and_a_log_that_is_away_is_skipped() -> None:
    log, rng = MemoryLog(ManualClock()), random.Random(1)
    await tick(log, rng.randbytes)
    log.fail_next_appends(1)
    await tick(log, rng.randbytes)
    await tick(log, rng.randbytes)

    assert [entry.subject for entry in await log.read(OTLP, 1)] == ["otlp.0.tick"] * 2
