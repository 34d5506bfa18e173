"""Slices by hand: resets, coverage, states, sealing, late data, restarts, back-filling."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.errors import StoreDown
from services.sla.memory import MemoryPointReader
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.rows_build import Point
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0, Bench

OK = Series(
    1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {"service.name": "shop"}
)
FAILED = replace(OK, series_id=2, attributes={"http.response.status_code": "503"})
OTHER_SENDER = replace(OK, series_id=3, sender_id=8)


def at(seconds):
    return T0 + round(seconds * 1000)


def point(series, seconds, count, *, start=0.0, bits=0, index=0):
    return Point(series.series_id, at(seconds), count, (count,), at(start), bits, scale=3, offset=index)


def bench(*objectives):
    return Bench(MemoryPointReader(), *(objectives or (AVAILABILITY,)))


async def feed(running, *rows, watermark=None):
    """Store rows of (series, point) and apply them as one batch; what it published."""
    for series, one in rows:
        running.reader.put(TENANT, METRIC, series, one)
    times = [one.ts_ms for _, one in rows]
    touched = [(min(times), max(times))] if times else []
    return await running.apply(max(times) + 300 if watermark is None else at(watermark), *touched)


def counts(slices):
    return [(one.good, one.total) for one in slices]


async def test_requests_of_an_export_fall_into_the_slices_that_it_crosses():
    running = bench()

    await feed(running, (OK, point(OK, 25, 10)), (FAILED, point(FAILED, 25, 5)))

    assert counts(await running.slices()) == [(4, 6), (4, 6), (2, 3)]


@pytest.mark.parametrize(
    ("points", "total"),
    [
        pytest.param([(5, 3, 0, 0), (10, 8, 0, 0)], 8, id="true reset at the start"),
        pytest.param([(5, 3, 5, 2), (10, 8, 5, 0)], 5, id="unknown start"),
        pytest.param([(5, 9, 0, 0), (10, 4, 0, 0)], 13, id="value drop without a new start"),
        pytest.param([(5, 9, 0, 0), (10, 4, 7, 0), (15, 6, 7, 0)], 15, id="restart between exports"),
        pytest.param([(5, 9, 0, 0), (5, 9, 0, 0), (10, 9, 0, 0)], 9, id="the same point twice"),
        pytest.param([(10, 8, 0, 0), (5, 3, 0, 0)], 8, id="out of order"),
    ],
)
async def test_counter_resets_by_hand(points, total):
    running = bench()

    for seconds, count, start, bits in points:
        await feed(running, (OK, point(OK, seconds, count, start=start, bits=bits)), watermark=20)

    assert sum(one.total for one in await running.slices()) == total


async def test_sending_a_batch_again_changes_nothing():
    running = bench()
    batch = [(OK, point(OK, 5 * k, 10 * k)) for k in range(1, 6)]
    await feed(running, *batch)

    assert await feed(running, *batch) == []


async def test_states_divide_each_slice_to_the_nanosecond():
    running = bench()
    await feed(
        running,
        *((OK, point(OK, 10 * k, 1000 * k)) for k in range(1, 4)),
        (FAILED, point(FAILED, 20, 10, start=10)),
        (FAILED, point(FAILED, 30, 2010, start=10)),
        (OK, point(OK, 34, 3000)),
    )

    slices = await running.slices()

    assert [(s.up_ns, s.degraded_ns, s.down_ns, s.no_data_ns) for s in slices] == [
        (10 * 10**9, 0, 0, 0),
        (0, 10 * 10**9, 0, 0),
        (0, 0, 10 * 10**9, 0),
        (4 * 10**9, 0, 0, 6 * 10**9),
    ]


async def test_zero_traffic_of_a_live_sender_is_up():
    running = bench()

    await feed(running, *((OK, point(OK, 5 * k, 10)) for k in range(1, 7)))

    assert [(s.total, s.up_ns) for s in await running.slices()] == [(10, 10**10), (0, 10**10), (0, 10**10)]


async def test_a_dead_sender_leaves_time_without_data_that_is_neither_up_nor_down():
    running = bench()
    await feed(running, *((OK, point(OK, 5 * k, 10 * k)) for k in range(1, 5)))

    await feed(running, watermark=55)

    slices = await running.slices()
    assert [s.no_data_ns for s in slices] == [0, 0, 10**10, 10**10]
    assert all(s.sealed for s in slices)
    assert [s.up_ns + s.down_ns for s in slices[2:]] == [0, 0]


async def test_a_silence_of_more_than_five_intervals_counts_requests_but_covers_nothing():
    running = bench()
    await feed(running, *((OK, point(OK, 5 * k, 10 * k)) for k in range(1, 5)))
    await feed(running, (OK, point(OK, 60, 80)))

    slices = await running.slices()

    assert sum(one.total for one in slices) == 80
    assert [one.no_data_ns for one in slices] == [0, 0, 10**10, 10**10, 10**10, 10**10]


async def test_another_sender_covers_while_one_is_dead():
    running = bench()
    await feed(
        running,
        *((OK, point(OK, 5 * k, 10 * k)) for k in range(1, 3)),
        *((OTHER_SENDER, point(OTHER_SENDER, 5 * k, 10 * k)) for k in range(1, 7)),
    )

    assert [one.no_data_ns for one in await running.slices()] == [0, 0, 0]


async def test_time_before_the_first_data_has_not_started():
    running = bench()

    await feed(running, (OK, point(OK, 14, 5, start=13)))

    (only,) = await running.slices()
    assert only.not_started_ns == 3 * 10**9
    assert (only.up_ns, only.no_data_ns) == (10**9, 6 * 10**9)


async def test_requests_from_before_the_first_coverage_belong_to_no_slice():
    running = bench()

    await feed(
        running, (OK, point(OK, 5, 86_400_000, start=-86_400)), (OK, point(OK, 10, 86_400_007, start=-86_400))
    )

    (only,) = await running.slices()
    assert only.not_started_ns == 5 * 10**9
    assert only.total == 5_000 + 7


async def test_a_new_series_counts_from_the_last_report_of_its_process():
    running = bench()
    await feed(running, *((OK, point(OK, 5 * k, 10 * k)) for k in range(1, 6)))

    await feed(running, (OK, point(OK, 30, 60)), (FAILED, point(FAILED, 30, 9)))

    assert [one.total - one.good for one in await running.slices()] == [0, 0, 9]


async def test_slices_are_provisional_at_once_and_sealed_when_every_live_sender_has_passed():
    running = bench()
    published = []
    for k in range(1, 4):
        rows = [(OK, point(OK, 5 * k, 10 * k))]
        if k != 2:
            rows.append((OTHER_SENDER, point(OTHER_SENDER, 5 * k, 10 * k)))
        published.extend(await feed(running, *rows, watermark=5 * k + 0.3))

    assert [(one.revision, one.slice.start_ms - T0, one.slice.sealed) for _, one in published] == [
        (1, 0, False),
        (2, 0, False),
        (3, 0, True),
        (1, 10_000, False),
    ]


async def test_a_sender_that_lags_is_waited_for_two_intervals_and_a_grace():
    running = bench()
    for k in range(1, 5):
        await feed(running, (OK, point(OK, 5 * k, k)), (OTHER_SENDER, point(OTHER_SENDER, 5 * k, k)))
    await feed(running, (OK, point(OK, 25, 5)), (OK, point(OK, 30, 6)))

    assert [s.sealed for s in await running.slices()] == [True, True, False]
    await feed(running, watermark=44.9)
    assert [s.sealed for s in await running.slices()] == [True, True, False]
    await feed(running, watermark=45)
    assert [s.sealed for s in await running.slices()] == [True, True, True]


async def test_late_data_opens_what_it_touches_up_to_the_next_point_and_nothing_else():
    running = bench()
    await feed(running, *((OK, point(OK, 10 * k, 100 * k)) for k in (1, 2, 4, 5)))
    before = await running.slices()

    published = await feed(running, (OK, point(OK, 30, 390)), watermark=51)

    assert counts(before) == [(100, 100)] * 5
    assert [(one.slice.start_ms - T0, one.slice.total, one.revision) for _, one in published] == [
        (20_000, 190, 2),
        (30_000, 10, 2),
    ]
    assert all(one.slice.sealed for _, one in published)


async def test_data_before_the_first_fills_the_time_between():
    running = bench()
    await feed(running, (OK, point(OK, 65, 5, start=62)))

    await feed(running, (OTHER_SENDER, point(OTHER_SENDER, 15, 5, start=12)), watermark=66)

    slices = await running.slices()
    assert [one.start_ms - T0 for one in slices] == [10_000 * k for k in range(1, 7)]
    assert [one.not_started_ns for one in slices] == [2 * 10**9, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("cut", range(1, 6))
async def test_a_restart_at_any_batch_publishes_what_no_restart_would(cut):
    whole, cut_off = bench(AVAILABILITY, LATENCY), bench(AVAILABILITY, LATENCY)
    for k in range(1, 6):
        rows = [(OK, point(OK, 7 * k, 10 * k)), (FAILED, point(FAILED, 7 * k, k, index=9))]
        await feed(whole, *rows)
        await feed(cut_off, *rows)
        if k == cut:
            # Published, but the position was not written: the same batch comes again.
            cut_off.restart()
            assert await feed(cut_off, *rows) == []

    for objective in (AVAILABILITY, LATENCY):
        assert await cut_off.slices(objective) == await whole.slices(objective)


async def test_a_plan_that_was_not_published_leaves_nothing_behind():
    running = bench()
    running.reader.put(TENANT, METRIC, OK, point(OK, 5, 10))

    first = await running.apply(at(6), (at(5), at(5)), publish=False)
    second = await running.apply(at(6), (at(5), at(5)))

    assert first == second


async def test_a_new_objective_is_filled_in_from_what_is_stored():
    running = bench()
    for k in range(1, 5):
        await feed(running, (OK, point(OK, 5 * k, 10 * k)))

    running.objectives = (AVAILABILITY, LATENCY)
    await feed(running, watermark=21)

    assert counts(await running.slices(LATENCY)) == [(20, 20), (20, 20)]


async def test_a_new_objective_is_filled_in_from_the_oldest_point_that_is_stored():
    end, step = 10 * 86_400, 300
    running = bench(replace(AVAILABILITY, slice_ms=3_600_000))
    for k in range(1, end // step + 1):
        running.reader.put(TENANT, METRIC, OK, point(OK, k * step, k))

    await feed(running, watermark=end + 1)

    slices = await running.slices()
    assert sum(one.total for one in slices) == end // step
    assert sum(one.no_data_ns for one in slices) == 0


async def test_an_objective_counts_what_matches_only():
    running = bench(replace(AVAILABILITY, match={"service.name": "till"}))
    till = replace(OTHER_SENDER, resource={"service.name": "till"})

    await feed(running, (OK, point(OK, 10, 10)), (till, point(till, 10, 4)))

    assert counts(await running.slices()) == [(4, 4)]


@pytest.mark.parametrize(
    ("attributes", "failed"),
    [
        ({"http.response.status_code": "499"}, False),
        ({"http.response.status_code": "500"}, True),
        ({"http.response.status_code": "200", "error.type": "x"}, False),
        ({"error.type": "timeout"}, True),
        ({}, False),
        ({"http.response.status_code": "unknown"}, False),
    ],
)
async def test_what_counts_as_failed(attributes, failed):
    running = bench()
    series = replace(OK, attributes=attributes)

    await feed(running, (series, point(series, 10, 3)))

    assert counts(await running.slices()) == [(0 if failed else 3, 3)]


async def test_without_the_store_nothing_is_planned_and_nothing_is_lost():
    running = bench()
    running.reader.down = True

    with pytest.raises(StoreDown):
        await feed(running, (OK, point(OK, 10, 3)))

    running.reader.down = False
    await running.apply(at(11), (at(10), at(10)))
    assert counts(await running.slices()) == [(3, 3)]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4))
async def test_any_order_of_batches_ends_in_the_same_slices(seed, size):
    rng = random.Random(seed)
    rows, totals = [], {1: 0, 2: 0, 3: 0}
    for k in range(1, 9):
        for series in (OK, FAILED, OTHER_SENDER):
            if rng.random() < 0.8:
                totals[series.series_id] += rng.randrange(50)
                rows.append((series, point(series, 6 * k, totals[series.series_id])))
    straight, shuffled = bench(), bench()
    await feed(straight, *rows, watermark=80)
    order = rows[:]
    rng.shuffle(order)
    for i in range(0, len(order), size):
        await feed(shuffled, *order[i : i + size], watermark=80)

    # How far untouched time is sealed depends on when intervals were learned; contents do not.
    for running in (straight, shuffled):
        await running.apply(at(400))
    assert (await shuffled.slices())[:5] == (await straight.slices())[:5]
    for one in await shuffled.slices():
        parts = (one.up_ns, one.degraded_ns, one.down_ns, one.no_data_ns, one.not_started_ns)
        assert sum(parts) == one.length_ms * 10**6


async def test_a_slice_of_both_kinds_of_histogram_keeps_only_bounds_that_both_have():
    running = bench(LATENCY)
    stepped = replace(OTHER_SENDER, kind=PointKind.EXPLICIT)
    explicit = Point(3, at(10), 10, (4, 3, 2, 1), at(0), bounds=(0.5, 1.0, 2.5))

    await feed(running, (OK, point(OK, 10, 5, index=7)), (stepped, explicit))

    (only,) = await running.slices(LATENCY)
    assert only.distribution.bounds == (0.5, 1.0, 2.5)
    assert only.distribution.counts == (4, 3, 7, 1)
    assert (only.good, only.total) == (7, 15)


async def test_milliseconds_become_seconds():
    running = bench(replace(LATENCY, threshold_s=Fraction(5, 2)))
    stepped = replace(OK, kind=PointKind.EXPLICIT, unit="ms")

    await feed(running, (stepped, Point(1, at(10), 10, (4, 6, 0), at(0), bounds=(100.0, 2500.0))))

    (only,) = await running.slices(LATENCY)
    assert only.distribution.bounds == (0.1, 2.5)
    assert (only.good, only.total) == (10, 10)


async def test_slices_keep_their_length_when_the_contract_changes_it():
    running = bench()
    await feed(running, (OK, point(OK, 10, 10)))
    running.objectives = (replace(AVAILABILITY, slice_ms=60_000),)

    for restart in (False, True):
        if restart:
            running.restart()
        await feed(running, (OK, point(OK, 20 + 10 * restart, 20 + 10 * restart)))

    assert {one.length_ms for one in await running.slices()} == {10_000}
    assert sum(one.total for one in await running.slices()) == 30


async def test_a_start_long_before_all_memory_is_cut_to_what_is_computed_again():
    running = bench()
    delta = replace(OK, delta=True)
    running.reader.put(TENANT, METRIC, delta, Point(1, at(7), 5, (5,), 1))

    await running.apply(at(8), (1, at(7)))
    await feed(running, (delta, point(delta, 9, 5, start=7)))

    (only,) = await running.slices()
    assert (only.not_started_ns, only.total) == (7 * 10**9, 1 + 5)


async def test_an_idle_delta_client_is_covered_while_its_other_metrics_report():
    running = bench()
    delta = replace(OK, delta=True)
    await feed(running, *((delta, point(delta, 5 * k, 3, start=5 * k - 5)) for k in (1, 2)))

    for k in range(3, 7):
        running.reader.beat(TENANT, OK.sender_id, at(5 * k))
        applied = Touched(TENANT, "process.uptime", at(5 * k), at(5 * k))
        plan = await running.engine.plan([Applied("db", k, at(5 * k + 0.3) * 10**6, (applied,))])
        for (_, objective), revisions in plan.revisions.items():
            await running.store.store(TENANT, [(objective, one) for one in revisions], seq=k)
        running.engine.commit(plan)

    assert [(one.total, one.up_ns) for one in await running.slices()] == [
        (6, 10**10),
        (0, 10**10),
        (0, 10**10),
    ]
