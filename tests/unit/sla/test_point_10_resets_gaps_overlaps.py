"""Resets, gaps and overlaps of streams: every fixture has its total computed by hand.

Rules: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps and "Overlap".
"""

import random
from dataclasses import dataclass, replace

import pytest

from services.common.telemetry import Counters
from services.sla.memory import MemoryPointReader
from services.sla.model import Overlap, PointKind
from services.sla.rows_build import Point
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_source import RequestSource
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.signals import at
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from tests.unit.sla.test_slice_engine import OK, bench, feed

DELTA = replace(OK, delta=True)
UNKNOWN, ABSENT = 2, 1


@dataclass(frozen=True)
class Fixture:
    """Points (seconds, count, start, bits), and what the slices of ten seconds hold of them."""

    points: tuple[tuple[float, int, float, int], ...]
    slices: tuple[int, ...]
    delta: bool = False

    @property
    def series(self):
        return DELTA if self.delta else OK

    def rows(self):
        return [
            (self.series, Point(1, at(s), n, (n,), at(start) if bits != ABSENT else 0, bits, scale=3))
            for s, n, start, bits in self.points
        ]


FIXTURES = {
    # 3 in (0, 5], then 8 - 3 in (5, 10].
    "true reset": Fixture(((5, 3, 0, 0), (10, 8, 0, 0)), (8,)),
    # The first point is only a base: nobody knows since when its 7 are.
    "unknown start": Fixture(((5, 7, 5, UNKNOWN), (10, 9, 5, 0), (20, 12, 5, 0)), (2, 3)),
    "absent start": Fixture(((5, 7, 0, ABSENT), (10, 9, 0, ABSENT)), (2,)),
    # 9, then 4 from a zero that was not announced.
    "value drop without a new start": Fixture(((5, 9, 0, 0), (10, 4, 0, 0), (15, 6, 0, 0)), (13, 2)),
    # The point of 3 at 5 never came; the start says that 8 are of (0, 10].
    "lost first point": Fixture(((10, 8, 0, 0), (20, 10, 0, 0)), (8, 2)),
    # The base of 100 at 5 never came: what follows looks like a true reset, as the data model warns.
    "lost first point of an unknown start": Fixture(((10, 108, 5, 0), (20, 110, 5, 0)), (108, 2)),
    # 9 until 5; the new process starts at 7 and counts 4 until 10, 6 until 15.
    "restart between exports": Fixture(((5, 9, 0, 0), (10, 4, 7, 0), (15, 6, 7, 0)), (13, 2)),
    # The old process has more than the new one ever reports: no value drops across starts.
    "restart with a higher value": Fixture(((5, 2, 0, 0), (10, 50, 7, 0)), (52,)),
    # Two live starts are two writers: 5 + 5 of one, 3 + 3 of the other.
    "two live starts": Fixture(((5, 5, 0, 0), (6, 3, 2, 0), (10, 10, 0, 0), (11, 6, 2, 0)), (15, 1)),
    "delta": Fixture(((5, 3, 0, 0), (10, 8, 5, 0)), (11,), delta=True),
    # Nothing is known of (5, 12].
    "delta gap": Fixture(((5, 3, 0, 0), (20, 8, 12, 0)), (3, 8), delta=True),
    # Two writers again: (0, 10] and (5, 15]; floor(6 * 5/10) of the second is in the first slice.
    "delta overlap": Fixture(((10, 4, 0, 0), (15, 6, 5, 0)), (7, 3), delta=True),
    "delta of an unknown start": Fixture(((5, 3, 5, UNKNOWN), (10, 8, 5, 0)), (11,), delta=True),
    "duplicates": Fixture(((5, 3, 0, 0), (5, 3, 0, 0), (10, 8, 0, 0), (10, 8, 0, 0)), (8,)),
    "out of order": Fixture(((10, 8, 0, 0), (5, 3, 0, 0)), (8,)),
    # An explicit missing value (flag 1) says nothing about the count: see the readers' contract.
    "a point at a boundary ends its slice": Fixture(((10, 5, 0, 0), (20, 5, 0, 0)), (5, 0)),
}


async def totals(rows, objective):
    reader = MemoryPointReader()
    for series, one in rows:
        reader.put(TENANT, METRIC, series, one)
    loaded = await RequestSource(reader).load([objective], at(0), at(20))
    slices = loaded.slices(objective, grid=Grid.over(at(0), at(20), 10_000), first_ms=at(0), excluded=NOTHING)
    return tuple(one.total for one in slices)


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["counts", "buckets"])
@pytest.mark.parametrize("name", FIXTURES)
async def test_every_fixture_has_the_total_computed_by_hand(name, objective):
    fixture = FIXTURES[name]

    found = await totals(fixture.rows(), objective)

    assert found == (*fixture.slices, 0)[:2]


@pytest.mark.parametrize("name", FIXTURES)
async def test_order_and_repetition_of_points_change_nothing(name):
    rows, rng = FIXTURES[name].rows(), random.Random(7)
    expected = await totals(rows, AVAILABILITY)

    for _ in range(5):
        again = rows + rng.choices(rows, k=3)
        rng.shuffle(again)
        assert await totals(again, AVAILABILITY) == expected


@pytest.mark.parametrize("name", FIXTURES)
async def test_sending_any_batch_again_changes_nothing(name):
    running = bench()
    for row in FIXTURES[name].rows():
        await feed(running, row, watermark=25)

    for row in FIXTURES[name].rows():
        assert await feed(running, row, watermark=25) == []

    assert sum(one.total for one in await running.slices()) == sum(FIXTURES[name].slices)


NS = 999_999


def below(seconds, count, start, *, start_ns=0, ts_ns=0):
    return Point(1, at(seconds), count, (count,), at(start), 0, scale=3, start_ns=start_ns, ts_ns=ts_ns)


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["counts", "buckets"])
@pytest.mark.parametrize(
    ("points", "delta", "slices"),
    [
        # Two processes that began in one millisecond: 9 + 4, then 3 + 6 more.
        pytest.param(
            [below(5, 9, 0), below(6, 4, 0, start_ns=1), below(15, 12, 0), below(16, 10, 0, start_ns=1)],
            False,
            # (5, 15] holds 3, floor(3 * 5/10) of them until 10; (6, 16] holds 6, floor(6 * 4/10) until 10.
            (9 + 4 + 1 + 2, 2 + 4),
            id="two starts of one millisecond",
        ),
        # The same points of one process: 9, then 4 from an unannounced zero, and so on.
        pytest.param(
            [below(5, 9, 0), below(6, 4, 0), below(15, 12, 0), below(16, 10, 0)],
            False,
            # (6, 15] holds 8, floor(8 * 4/9) of them until 10; (15, 16] holds 10 from zero.
            (9 + 4 + 3, 5 + 10),
            id="one start",
        ),
        # Two deltas that end in one millisecond: a flush right after an export.
        pytest.param(
            [below(5, 9, 0, ts_ns=1), below(5, 4, 0, ts_ns=NS)], True, (13, 0), id="two ends of a millisecond"
        ),
        pytest.param([below(5, 9, 0, ts_ns=1), below(5, 9, 0, ts_ns=1)], True, (9, 0), id="a duplicate"),
    ],
)
async def test_starts_and_times_are_told_apart_by_the_nanosecond(points, delta, slices, objective):
    series = DELTA if delta else OK

    assert await totals([(series, one) for one in points], objective) == slices


async def test_explicit_buckets_follow_the_same_rules():
    stepped = replace(OK, kind=PointKind.EXPLICIT)
    points = [
        Point(1, at(5), 9, (4, 5), at(0), bounds=(1.0,)),
        Point(1, at(10), 9, (6, 3), at(0), bounds=(1.0,)),  # a bucket fell: a reset, though the count did not
        Point(1, at(20), 12, (7, 5), at(0), bounds=(1.0,)),
    ]

    assert await totals([(stepped, one) for one in points], LATENCY) == (18, 3)


@pytest.mark.parametrize(
    ("name", "slices"),
    [
        # Of the later start: 3, and floor(3 * 4/5) of the next 3.
        pytest.param("two live starts", (5, 1), id="two live starts"),
        pytest.param("delta overlap", (3, 3), id="delta overlap"),
        pytest.param("restart between exports", (13, 2), id="restart"),
        pytest.param("true reset", (8, 0), id="no overlap"),
    ],
)
@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["counts", "buckets"])
async def test_a_contract_may_count_only_the_later_of_two_writers(name, slices, objective):
    dropping = replace(objective, overlap=Overlap.DROP)

    assert await totals(FIXTURES[name].rows(), dropping) == slices


async def test_two_writers_of_one_series_are_told_once(caplog):
    reader, counters = MemoryPointReader(), Counters()
    for name, metric in (("two live starts", METRIC), ("restart between exports", "calm")):
        for series, one in FIXTURES[name].rows():
            reader.put(TENANT, metric, series, one)
    source = RequestSource(reader, counters)

    for _ in range(3):
        for metric in (METRIC, "calm"):
            await source.load([replace(AVAILABILITY, metric=metric)], at(0), at(20))

    assert counters.value("sla.series.overlapping", tenant=TENANT) == 1
    assert [one.getMessage() for one in caplog.records] == [
        f"two processes write series {1:016x} of {TENANT} {METRIC}"
    ]
