"""The share within 2 s is the exact count, through stored points, increments, slices and their sum.

Values at 2.0, one unit in the last place below and above, at every scale from 0 to 20.
"""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.clock import ManualClock
from services.common.log_memory import MemoryEngine
from services.sla.back_fills import BackFills
from services.sla.convert import status_to_proto
from services.sla.distribution import merge, requests_within
from services.sla.kernels import exponential
from services.sla.memory import MemoryPointReader
from services.sla.model import DistributionKind, PointKind, Series, Verdict
from services.sla.rows_build import Point
from services.sla.serve import Asked, SlaFigures, Status
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_rows import unit_problem
from services.sla.slice_source import RequestSource
from services.sla.slice_work import KvWorkStore
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.signals import at
from tests.unit.sla.slicing import LATENCY, Bench
from tests.unit.sla.test_serving import Contracts as OneContract
from tests.unit.sla.test_slice_engine import OK

AROUND = (math.nextafter(2.0, 0.0), 2.0, math.nextafter(2.0, 3.0))


def histogram(values, scale, seconds, **more):
    """A point of these values, bucketed as an SDK does."""
    indexes = sorted(exponential.index_of(value, scale) for value in values if value)
    first = indexes[0] if indexes else 0
    counts = [0] * (indexes[-1] - first + 1 if indexes else 0)
    for index in indexes:
        counts[index - first] += 1
    zeros = sum(not value for value in values)
    return Point(
        1, at(seconds), len(values), tuple(counts), at(0), scale=scale, offset=first, zero_count=zeros, **more
    )


async def sliced(series: Series, *points: Point, objective=LATENCY):
    reader = MemoryPointReader()
    reader.put(TENANT, METRIC, series, *points)
    loaded = await RequestSource(reader).load([objective], at(0), at(30))
    return loaded.slices(objective, grid=Grid.over(at(0), at(30), 10_000), first_ms=at(0), excluded=NOTHING)


@pytest.mark.parametrize("scale", range(21))
async def test_values_around_two_seconds_are_counted_exactly(scale):
    below, exact, above = AROUND
    values = [
        [0.0, below],
        [0.0, below, exact, exact, above],
        [0.0, below, exact, exact, above, above, above],
    ]

    slices = await sliced(OK, *(histogram(one, scale, 10 * k) for k, one in enumerate(values, start=1)))

    assert [(one.good, one.total) for one in slices] == [(2, 2), (2, 3), (0, 2)]
    assert all(one.distribution.scale == scale for one in slices)
    whole = merge([one.distribution for one in slices])
    assert requests_within(whole, LATENCY.threshold_s) == (4, 4)


async def test_points_of_other_scales_keep_two_seconds_as_a_bound():
    coarse = histogram([1.9, 2.0, 2.1], 0, 20)
    fine = histogram([1.9], 9, 10)

    slices = await sliced(OK, fine, coarse)

    assert [(one.good, one.total) for one in slices] == [(1, 1), (1, 2), (0, 0)]


@pytest.mark.parametrize(
    ("unit", "bounds"),
    [
        ("s", (1.0, 2.0)),
        ("ms", (1000.0, 2000.0)),
        ("us", (1e6, 2e6)),
        ("ns", (1e9, 2e9)),
        ("min", (1.0, 2.0)),
        ("h", (0.5, 1.0)),
        ("", (1.0, 2.0)),
    ],
)
async def test_explicit_bounds_of_every_unit_of_time_become_seconds(unit, bounds):
    per = {"min": 60, "h": 3600}.get(unit, 1)
    objective = replace(LATENCY, threshold_s=Fraction(bounds[-1]) * per if per > 1 else Fraction(2))
    series = replace(OK, kind=PointKind.EXPLICIT, unit=unit)

    (first, *_) = await sliced(
        series, Point(1, at(10), 6, (1, 2, 3), at(0), bounds=bounds), objective=objective
    )

    assert (first.good, first.total) == (3, 6)
    assert first.distribution.bounds[-1] == float(objective.threshold_s)


@pytest.mark.parametrize(
    ("unit", "kind", "reason"),
    [
        ("furlong", PointKind.EXPLICIT, "no unit of time"),
        ("By", PointKind.EXPONENTIAL, "no unit of time"),
        ("ms", PointKind.EXPONENTIAL, "record them in seconds"),
        ("s", PointKind.EXPONENTIAL, ""),
        ("min", PointKind.EXPLICIT, ""),
    ],
)
async def test_what_cannot_be_told_in_seconds_is_no_data_with_a_reason(unit, kind, reason, caplog):
    series = replace(OK, unit=unit, kind=kind)

    assert reason in unit_problem(series)
    assert bool(reason) == bool(unit_problem(series))
    if reason:
        slices = await sliced(series, Point(1, at(10), 1, (1,), at(0)))
        assert [(one.total, one.up_ns) for one in slices] == [(0, 0)] * 3
        assert reason in caplog.text


async def test_what_is_left_out_is_said_beside_the_objective_as_long_as_it_comes():
    clock = ManualClock()
    kv = MemoryEngine(clock).kv
    remarks = BackFills(kv, clock)
    bench = Bench(MemoryPointReader(), LATENCY)
    bench.works = KvWorkStore(kv)
    bench.restart()
    millis, furlongs = (
        replace(OK, unit="ms"),
        replace(OK, series_id=2, unit="furlong", kind=PointKind.EXPLICIT),
    )

    async def report(seconds, *series):
        for one in series:
            point = replace(Point(1, at(seconds), 1, (1,), at(0)), series_id=one.series_id)
            bench.reader.put(TENANT, METRIC, one, point)
        await bench.apply(at(seconds) + 300, (at(seconds), at(seconds)))
        clock.advance(31)

    await report(10, millis, furlongs)
    figures = SlaFigures(contracts=OneContract(LATENCY), slices=bench.store, clock=clock, back_fills=remarks)
    token = enter_principal(Principal(TENANT, Role.READER, "t"))
    try:
        (status,) = (await figures.status(TENANT, Asked())).objectives
    finally:
        leave_principal(token)

    assert (status.verdict, status.absent_reason) == (Verdict.NO_DATA, "OBJECTIVE_HAS_NO_DATA")
    assert status.remark.left_out == (
        "exponential buckets in 'ms' have no bounds in seconds: record them in seconds",
        "unit 'furlong' is no unit of time",
    )
    told = status_to_proto(Status(TENANT, (status,), None, 0)).objectives[0]
    assert list(told.left_out_reasons) == list(status.remark.left_out)

    # Both are put right; eleven minutes later nothing of the old is near.
    for seconds in (670, 680):
        await report(seconds, replace(OK, series_id=3))
    assert (await remarks.remark(TENANT, LATENCY.key)).left_out == ()


@pytest.mark.parametrize(("threshold", "good"), [(0.0, 5), (1e-6, 5), (2.0, 5), (3.0, 0)])
async def test_zeros_count_as_below_where_their_whole_bucket_is(threshold, good):
    point = replace(histogram([0.0] * 4 + [1.0], 3, 10), zero_threshold=threshold)

    (first, *_) = await sliced(OK, point)

    assert (first.good, first.total) == (good, 5)
    if threshold > 2:
        assert first.distribution.kind is DistributionKind.EXPLICIT
        # They may all be above two seconds, or none of them.
        assert requests_within(first.distribution, LATENCY.threshold_s)[1] == 5


async def test_negative_values_are_below_every_threshold():
    series = replace(OK, kind=PointKind.EXPLICIT)

    (first, *_) = await sliced(series, Point(1, at(10), 6, (3, 2, 1), at(0), bounds=(-1.0, 2.0)))

    assert (first.good, first.total) == (5, 6)
    assert np.isfinite(first.distribution.bounds).all()
