"""Maintenance and outages in the slices themselves: a partial overlap is split exactly, to the ms."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.sla.columns import columns_of
from services.sla.maintenance.model import MaintenanceWindow
from services.sla.memory import MemoryPointReader
from services.sla.methods.measure import measure
from services.sla.methods.model import Uptime
from services.sla.model import NoData, Revision
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_sources import Sources
from services.sla.slice_terms import exclusions_from
from services.sla.verdict import Times
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.signals import at, gauge, said, spans
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0
from tests.unit.sla.test_slice_engine import FAILED, OK, point
from tests.unit.sla.test_slice_signals import PROBE


async def computed(reader, objective, *, until, excluded=NOTHING):
    loaded = await Sources(reader).load([objective], at(0), at(until))
    grid = Grid.over(at(0), at(until), objective.slice_ms)
    return loaded.slices(objective, grid=grid, first_ms=at(0), excluded=excluded)


def steady(failing_from=10**9, failing_until=10**9):
    """Ten requests a second, reported every five seconds; all of them fail for a while."""
    reader, good, bad = MemoryPointReader(), 0, 0
    for k in range(21):
        if failing_from < 5 * k <= failing_until:
            bad += 50
        else:
            good += 50
        reader.put(TENANT, METRIC, OK, point(OK, 5 * k, good, start=-5))
        reader.put(TENANT, METRIC, FAILED, point(FAILED, 5 * k, bad, start=-5))
    return reader


async def test_an_outage_that_a_window_overlaps_in_part_is_split_at_the_windows_edges():
    # Down from 30 to 70, maintenance from 45.5 to 60.25.
    excluded = spans((45.5, 60.25))

    slices = await computed(steady(30, 70), AVAILABILITY, until=100, excluded=excluded)

    assert sum(one.down_ns for one in slices) == (15_500 + 9_750) * 10**6
    assert sum(one.excluded_ns for one in slices) == 14_750 * 10**6
    assert sum(one.up_ns for one in slices) == 60_000 * 10**6
    # In the slice (40, 50], 55 of its 100 failures lie outside: (40, 45.5].
    assert [(one.good, one.total) for one in slices[3:8]] == [(0, 100), (0, 55), (0, 0), (0, 98), (100, 100)]


async def test_both_readings_of_maintenance_follow_from_the_same_slices():
    slices = await computed(steady(30, 70), AVAILABILITY, until=100, excluded=spans((45.5, 60.25)))
    columns = columns_of([(Revision(one, 1, 0), 1) for one in slices])
    window = {"start_ms": at(0), "end_ms": at(100), "no_data": NoData.EXCLUDE}
    times = Times(*(int(one) for one in columns.durations.sum(axis=1)))

    dropped = measure(Uptime(), columns, times=times, excluded_counts_up=False, **window)
    counted = measure(Uptime(), columns, times=times, excluded_counts_up=True, **window)

    assert (dropped.bad_ns, dropped.valid_ns) == (25_250 * 10**6, 85_250 * 10**6)
    assert (counted.bad_ns, counted.valid_ns) == (25_250 * 10**6, 100_000 * 10**6)


async def test_distributions_are_those_of_the_time_outside():
    reader = MemoryPointReader()
    reader.put(TENANT, METRIC, OK, point(OK, 0, 0), point(OK, 10, 100, start=0))

    (only,) = await computed(reader, LATENCY, until=10, excluded=spans((2, 6.5)))

    # floor(100 * 2/10) before it, 100 - floor(100 * 6.5/10) behind it.
    assert only.distribution.total == only.total == 20 + 35
    assert only.excluded_ns == 4_500 * 10**6


async def test_missing_data_inside_a_window_is_excluded_and_not_missing():
    reader = MemoryPointReader()
    reader.put(TENANT, METRIC, OK, *(point(OK, 5 * k, k) for k in range(5)))

    slices = await computed(reader, AVAILABILITY, until=60, excluded=spans((30, 55)))

    assert [one.no_data_ns // 10**9 for one in slices] == [0, 0, 10, 0, 0, 5]
    assert [one.excluded_ns // 10**9 for one in slices] == [0, 0, 0, 10, 10, 5]


async def test_overlapping_windows_exclude_each_instant_once():
    windows = [window("a", 10, 30), window("b", 20, 45), window("c", 45, 50)]
    excluded = exclusions_from(lambda _: windows)(AVAILABILITY, at(0), at(100))

    slices = await computed(steady(), AVAILABILITY, until=100, excluded=excluded)

    assert sum(one.excluded_ns for one in slices) == 40 * 10**9
    assert excluded.tolist() == [[at(10), at(50)]]


async def test_a_window_that_was_announced_late_excludes_nothing():
    late = replace(AVAILABILITY, notice_ms=3_600_000)
    windows = [replace(window("a", 10, 30), announced_ms=at(-3589)), window("b", 60, 70)]

    found = exclusions_from(lambda _: windows)(late, at(0), at(100))

    assert found.tolist() == [[at(60), at(70)]]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)],
    ids=["spring", "autumn", "-"],
)
async def test_a_nightly_window_of_a_probe_over_a_change_of_the_clock(day, hours):
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime.fromisoformat(day).replace(tzinfo=berlin)
    low = round(midnight.astimezone(UTC).timestamp() * 1000)
    high = low + hours * 3_600_000
    before = round(datetime(2026, 1, 1, 1, 30, tzinfo=berlin).timestamp() * 1000)
    nightly = MaintenanceWindow(
        TENANT, "n", "n", (), before, before + 3_600_000, rule="FREQ=DAILY", zone="Europe/Berlin"
    )
    down = replace(PROBE, slice_ms=60_000)
    reader = MemoryPointReader()
    seconds = range((low - T0) // 1000 - 60, (high - T0) // 1000 + 1, 60)
    reader.put_numbers(TENANT, "probe.success", gauge(1), *said(1, *((s, 0) for s in seconds)))
    excluded = exclusions_from(lambda _: [nightly])(down, low, high)

    loaded = await Sources(reader).load([down], low, high)
    slices = loaded.slices(down, grid=Grid.over(low, high, 60_000), first_ms=low, excluded=excluded)

    assert sum(one.excluded_ns for one in slices) == 3_600 * 10**9
    assert sum(one.down_ns for one in slices) == (hours - 1) * 3_600 * 10**9
    assert np.array([one.length_ms for one in slices]).sum() == hours * 3_600_000


def window(name, start, end):
    """Announced a day before."""
    return MaintenanceWindow(TENANT, name, name, (), at(start), at(end), announced_ms=at(-86_400))
