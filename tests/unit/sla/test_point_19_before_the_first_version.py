"""Before the first version of a contract nothing is promised: slices and figures say the same of it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from services.sla.columns import columns_of
from services.sla.figures_model import Uptime
from services.sla.figures_segments import Basis, figures_of, promised_since, split
from services.sla.memory import MemoryPointReader
from services.sla.model import Objective, PointKind, Series
from services.sla.rows_build import Point
from services.sla.slice_hours import HOUR_MS
from services.sla.windows import Window
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, T0, Bench
from tests.unit.sla.windows_of import S, columns, down, up

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
MINUTE = 60_000
BEGIN = T0 + 30 * MINUTE + 1
"""Not at a slice: the first one that is promised begins ten seconds later."""
FIRST = T0 + 30 * MINUTE + S
CONTRACT = replace(AVAILABILITY, from_ms=BEGIN, contract_version=1)


async def written(bench: Bench, low: int, high: int, *, live: bool = True) -> None:
    """Ten requests a minute; all at once when not live."""
    for k in range(low, high):
        bench.reader.put(TENANT, METRIC, OK, Point(1, T0 + k * MINUTE, 10 * k, (10 * k,), T0, scale=3))
        if live:
            await bench.apply(T0 + k * MINUTE + 300, (T0 + k * MINUTE, T0 + k * MINUTE))
    if not live:
        await bench.apply(T0 + (high - 1) * MINUTE + 300, (T0 + (high - 1) * MINUTE,) * 2)


def bench_of(*versions: Objective) -> Bench:
    made = Bench(MemoryPointReader(), versions[-1])
    made.versions[AVAILABILITY.key] = versions
    return made


@pytest.mark.parametrize("live", [True, False], ids=["as it came", "filled in"])
async def test_slices_begin_with_the_first_version(live: bool) -> None:
    bench = bench_of(CONTRACT)

    await written(bench, 1, 130, live=live)

    slices = await bench.slices()
    assert slices[0].start_ms == FIRST
    assert {b.start_ms - a.start_ms for a, b in pairwise(slices)} == {S}
    assert all(one.up_ns == S * 10**6 for one in slices if one.end_ms <= T0 + 129 * MINUTE)
    # The minute in which it began had ten requests: floor(10 * 10/60) of them were before it.
    assert sum(one.total for one in slices if one.start_ms < T0 + HOUR_MS) == 300 - 1


async def test_data_of_before_makes_no_slices_at_all() -> None:
    bench = bench_of(CONTRACT)

    await written(bench, 1, 30)

    assert await bench.slices() == []
    assert await bench.store.span(TENANT, AVAILABILITY.key) is None


@pytest.mark.parametrize("restart", [False, True])
async def test_a_version_that_is_dated_back_afterwards_has_its_past_filled_in(restart: bool) -> None:
    bench = bench_of(CONTRACT)
    await written(bench, 1, 90)
    earlier = replace(AVAILABILITY, from_ms=T0 + 10 * MINUTE, until_ms=BEGIN)
    bench.versions[AVAILABILITY.key], bench.changes = (earlier, CONTRACT), 1
    if restart:
        bench.restart()

    await written(bench, 90, 92)

    slices = await bench.slices()
    assert slices[0].start_ms == T0 + 10 * MINUTE
    assert sum(one.total for one in slices if one.start_ms < T0 + HOUR_MS) == 500
    assert sum(one.no_data_ns for one in slices if one.end_ms <= T0 + HOUR_MS) == 0


async def test_figures_count_what_slices_hold_and_the_rest_as_not_started() -> None:
    bench = bench_of(CONTRACT)
    await written(bench, 1, 130)
    found = await bench.store.current(TENANT, CONTRACT.key, low_ms=0, high_ms=2 * T0)
    held = columns_of([(one, 1) for one in found])
    where = Window(T0, T0 + 2 * HOUR_MS, T0 + 2 * HOUR_MS)

    uptime, segments = figures_of(
        CONTRACT, split((CONTRACT,), where), Basis(held, int(held.start_ms[0]), (HOUR_MS,)), where
    )

    assert isinstance(uptime, Uptime)
    assert len(segments) == 1
    inside = held.start_ms < where.end_ms
    assert uptime.total == int(held.total[inside].sum()) == 900 - 1
    assert uptime.times.not_started_ns == (FIRST - T0) * 10**6
    assert uptime.times.no_data_ns == 0


def test_burn_windows_do_not_reach_over_the_beginning_of_the_promise() -> None:
    """Slices under a first version that was taken back: an hour of failures, then five minutes."""
    slices = [down(k) for k in range(360)] + [up(k) for k in range(360, 390)]
    contract = replace(AVAILABILITY, from_ms=360 * S)
    where = Window(0, 390 * S, 390 * S)

    uptime, _ = figures_of(
        contract,
        split((contract,), where),
        Basis(columns(slices), 0, (300_000, HOUR_MS), promised_ms=promised_since((contract,), 390 * S)),
        where,
    )

    assert [(one.bad, one.total, one.no_data) for one in uptime.burn_rates] == [(0, 300, False)] * 2
    assert (uptime.good, uptime.total) == (300, 300)


@pytest.mark.parametrize(
    ("spans", "since"),
    [
        ([(0, None)], 0),
        ([(0, 3 * S), (3 * S, None)], 0),
        # A version in between did not have it.
        ([(0, 3 * S), (5 * S, None)], 5 * S),
        # To the slice: one that began under the old terms belongs to them.
        ([(0, 3 * S + 1), (3 * S + 2, None)], 0),
        ([(5 * S + 1, None)], 6 * S),
        # It ended, or is yet to come.
        ([(0, 3 * S)], 9 * S),
        ([(12 * S, None)], 9 * S),
        ([(0, 12 * S), (12 * S, None)], 0),
    ],
)
def test_since_when_the_promise_holds(spans: list[tuple[int, int | None]], since: int) -> None:
    timeline = [replace(AVAILABILITY, from_ms=a, until_ms=b) for a, b in spans]

    assert promised_since(timeline, 9 * S) == since
