"""One suite for the ports of the SLA service: the memory adapters and real ClickHouse."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from services.sla.clickhouse import ClickHousePointReader, ClickHouseSliceStore
from services.sla.columns import revision_at
from services.sla.memory import MemoryPointReader, MemorySliceStore
from services.sla.model import Distribution, DistributionKind, PointKind, Revision, Rows, Series, Slice
from services.sla.ports import Extract, PointReader, SliceStore
from services.sla.rows_build import Point
from tests.contract.sla_rows import insert, insert_gauge
from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines

TENANT = "acme"
METRIC = "http.server.request.duration"
# Midnight of today: the tables drop what is older than 30 days.
T0 = int(time.time()) // 86_400 * 86_400_000
BIG = -3  # a UInt64 id above 2**63, as int64

CUMULATIVE = Series(11, 7, PointKind.EXPONENTIAL, False, "s", {"http.route": "/a"}, {"service.name": "shop"})
DELTA = replace(CUMULATIVE, series_id=BIG, delta=True, attributes={})
STEPPED = replace(CUMULATIVE, series_id=13, kind=PointKind.EXPLICIT, unit="ms")


@dataclass
class Stores:
    reader: PointReader
    slices: SliceStore
    memory: MemoryPointReader | None
    database: Database | None

    async def put(self, tenant: str, series: Series, *points: Point) -> None:
        points = tuple(replace(point, series_id=series.series_id) for point in points)
        if self.memory is not None:
            self.memory.put(tenant, METRIC, series, *points)
        if self.database is not None:
            await insert(self.database, tenant, METRIC, series, points)

    async def beat(self, tenant: str, sender_id: int, *seconds: float) -> None:
        times = [T0 + round(s * 1000) for s in seconds]
        if self.memory is not None:
            self.memory.beat(tenant, sender_id, *times)
        if self.database is not None:
            await insert_gauge(self.database, tenant, sender_id, times)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(params=["memory", "clickhouse"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    if request.param == "memory":
        memory = MemoryPointReader()
        yield Stores(memory, MemorySliceStore(), memory, None)
        return
    server = request.getfixturevalue("server")
    name = server.database(f"t_{abs(hash(request.node.name)):x}")
    database = Database(ClickHouseConfig.from_url(server.url, name))
    await migrate(database, load_migrations(), ManualClock())
    yield Stores(ClickHousePointReader(database), ClickHouseSliceStore(database), None, database)
    await database.command(f"DROP DATABASE `{name}`")
    await database.close()


def smooth(ts_s: float, count: int, *, start_s: float = 0, **more: object) -> Point:
    return Point(
        0, T0 + round(ts_s * 1000), count, (count - 1, 1), T0 + round(start_s * 1000), scale=3, **more
    )


def times(rows: Rows) -> list[float]:
    return sorted((ts - T0) / 1000 for ts in rows.ts.tolist())


async def test_rows_hold_the_range_its_predecessors_and_its_successors(stores: Stores) -> None:
    await stores.put(TENANT, CUMULATIVE, *(smooth(s, s + 2) for s in (5, 10, 15, 20, 25, 30, 35)))

    rows = await stores.reader.rows(
        TENANT, METRIC, PointKind.EXPONENTIAL, low_ms=T0 + 10_000, high_ms=T0 + 20_000
    )

    assert set(times(rows)) == {10, 15, 20, 25}


async def test_a_predecessor_is_found_however_far_back_it_is(stores: Stores) -> None:
    await stores.put(TENANT, CUMULATIVE, smooth(-50_000, 4, start_s=-60_000), smooth(5, 9, start_s=-60_000))

    rows = await stores.reader.rows(TENANT, METRIC, PointKind.EXPONENTIAL, low_ms=T0, high_ms=T0 + 10_000)

    assert set(times(rows)) == {-50_000, 5}


async def test_a_delta_that_reaches_back_into_the_range_is_found(stores: Stores) -> None:
    await stores.put(TENANT, DELTA, smooth(30, 5, start_s=5), smooth(40, 5, start_s=30))

    rows = await stores.reader.rows(TENANT, METRIC, PointKind.EXPONENTIAL, low_ms=T0, high_ms=T0 + 10_000)

    assert times(rows) == [30]
    assert rows.series.tolist() == [BIG]


async def test_every_column_of_a_point_comes_back(stores: Stores) -> None:
    await stores.put(
        TENANT,
        CUMULATIVE,
        Point(0, T0 + 5, 12, (4, 0, 6), T0, bits=2, scale=-3, offset=-7, zero_count=2, zero_threshold=0.5),
    )
    await stores.put(TENANT, STEPPED, Point(0, T0 + 5, 3, (1, 2), T0, bounds=(2.5,)))

    exponential = await stores.reader.rows(TENANT, METRIC, PointKind.EXPONENTIAL, low_ms=T0, high_ms=T0 + 10)
    explicit = await stores.reader.rows(TENANT, METRIC, PointKind.EXPLICIT, low_ms=T0, high_ms=T0 + 10)

    assert exponential.bits.tolist() == [2]
    assert exponential.scale.tolist() == [-3]
    assert exponential.offset.tolist() == [-7]
    assert exponential.zero_count.tolist() == [2]
    assert exponential.zero_threshold.tolist() == [0.5]
    assert exponential.at.tolist() == [0, 3]
    assert exponential.counts.tolist() == [4, 0, 6]
    assert exponential.bounds_at.tolist() == [0, 0]
    assert explicit.bounds.tolist() == [2.5]
    assert explicit.counts.tolist() == [1, 2]
    assert explicit.count.tolist() == [3]


@pytest.mark.parametrize("series", [CUMULATIVE, STEPPED], ids=["exponential", "explicit"])
async def test_two_starts_of_one_millisecond_are_two(stores: Stores, series: Series) -> None:
    for start_ns in (1, 999_999):
        for s in (-1000, 5, 15, 25):
            n = 2000 + s
            one = Point(0, T0 + s * 1000, n, (n, 0), T0 - 2_000_000, start_ns=start_ns, ts_ns=7)
            await stores.put(TENANT, series, replace(one, bounds=(1.0,)))

    rows = await stores.reader.rows(TENANT, METRIC, series.kind, low_ms=T0, high_ms=T0 + 10_000)

    found = zip(rows.ts.tolist(), rows.start_ns.tolist(), strict=True)
    assert {((ts - T0) // 1000, start) for ts, start in found} == {
        (s, start) for s in (-1000, 5, 15) for start in (1, 999_999)
    }
    assert set(rows.ts_ns.tolist()) == {7}


async def test_a_point_without_recorded_value_is_an_export_but_no_row(stores: Stores) -> None:
    await stores.put(TENANT, CUMULATIVE, smooth(5, 9, flags=1))

    rows = await stores.reader.rows(TENANT, METRIC, PointKind.EXPONENTIAL, low_ms=T0, high_ms=T0 + 10_000)

    assert len(rows) == 0


async def test_exports_name_known_starts_only_and_the_next_report(stores: Stores) -> None:
    await stores.put(TENANT, CUMULATIVE, smooth(5, 9, start_s=1), smooth(40, 9), smooth(50, 9))
    await stores.put(TENANT, STEPPED, Point(0, T0 + 6_000, 3, (1, 2), T0 + 6_000, bits=2, bounds=(2.5,)))

    exports = await stores.reader.exports(TENANT, METRIC, low_ms=T0, high_ms=T0 + 10_000)

    found = set(zip(exports.series.tolist(), exports.ts.tolist(), exports.start.tolist(), strict=True))
    assert found == {(11, T0 + 5_000, T0 + 1_000), (11, T0 + 40_000, T0), (13, T0 + 6_000, 0)}


async def test_heartbeats_are_other_reports_of_the_metrics_senders(stores: Stores) -> None:
    await stores.put(TENANT, CUMULATIVE, smooth(5, 9))
    await stores.beat(TENANT, CUMULATIVE.sender_id, -5, 0, 5, 10, 15, 20)
    await stores.beat(TENANT, 8, 5)
    await stores.beat("umbra", CUMULATIVE.sender_id, 6)

    found = await stores.reader.heartbeats(TENANT, METRIC, low_ms=T0, high_ms=T0 + 10_000)

    beats = set(zip(found.sender.tolist(), found.ts.tolist(), strict=True))
    assert beats == {(7, T0 + 5_000), (7, T0 + 10_000), (7, T0 + 15_000)}


async def test_series_come_with_their_attributes_and_once(stores: Stores) -> None:
    await stores.put(TENANT, CUMULATIVE, smooth(5, 9), smooth(-100_000, 9))
    await stores.put(TENANT, DELTA, smooth(5, 9))
    await stores.put(TENANT, STEPPED, Point(0, T0, 3, (3,)))

    found = await stores.reader.series(TENANT, METRIC)

    assert sorted(found, key=lambda one: one.series_id) == [DELTA, CUMULATIVE, STEPPED]


async def test_extent_covers_all_points(stores: Stores) -> None:
    assert await stores.reader.extent(TENANT, METRIC) is None

    await stores.put(TENANT, CUMULATIVE, smooth(5, 9), smooth(-100_000, 9))
    assert await stores.reader.extent(TENANT, METRIC) == (T0 - 100_000_000, T0 + 5_000)

    await stores.put(TENANT, CUMULATIVE, smooth(-50_000, 9), smooth(60, 9), smooth(-100_500, 9))
    await stores.put(TENANT, STEPPED, Point(0, T0 + 70_000, 3, (3,)), Point(0, T0 + 80_000, 3, (3,)))
    assert await stores.reader.extent(TENANT, METRIC) == (T0 - 100_500_000, T0 + 80_000)


async def test_another_tenants_points_are_not_there(stores: Stores) -> None:
    await stores.put("umbra", CUMULATIVE, smooth(5, 9))

    assert list(await stores.reader.series(TENANT, METRIC)) == []
    assert await stores.reader.extent(TENANT, METRIC) is None
    rows = await stores.reader.rows(TENANT, METRIC, PointKind.EXPONENTIAL, low_ms=T0, high_ms=T0 + 10_000)
    assert len(rows) == 0
    exports = await stores.reader.exports(TENANT, METRIC, low_ms=T0, high_ms=T0 + 10_000)
    assert len(exports.ts) == 0


EXPONENTIAL = Distribution(DistributionKind.EXPONENTIAL, (3, 0, 4), scale=-2, offset=-9, zero_count=1)
EXPLICIT = Distribution(DistributionKind.EXPLICIT, (3, 5), bounds=(0.25,))


def revision(k: int, number: int = 1, **more: object) -> Revision:
    slice_ = Slice(T0 + k * 10_000, 10_000, good=8, total=9, up_ns=4 * 10**9, no_data_ns=6 * 10**9)
    return Revision(replace(slice_, **more), number, T0 + number * 1000)


async def test_the_highest_revision_of_each_start_is_current(stores: Stores) -> None:
    await stores.slices.store(TENANT, [("gold/a", revision(0)), ("gold/a", revision(1))], seq=3)
    await stores.slices.store(TENANT, [("gold/a", revision(0, 2, distribution=EXPONENTIAL))], seq=4)
    await stores.slices.store(TENANT, [("gold/b", revision(0, distribution=EXPLICIT, sealed=True))], seq=5)

    assert await stores.slices.current(TENANT, "gold/a", low_ms=T0, high_ms=T0 + 20_000) == [
        revision(0, 2, distribution=EXPONENTIAL),
        revision(1),
    ]
    assert await stores.slices.current(TENANT, "gold/b", low_ms=T0, high_ms=T0 + 20_000) == [
        revision(0, distribution=EXPLICIT, sealed=True)
    ]


async def test_a_range_holds_its_start_and_not_its_end(stores: Stores) -> None:
    await stores.slices.store(TENANT, [("gold/a", revision(k)) for k in range(4)], seq=3)

    found = await stores.slices.current(TENANT, "gold/a", low_ms=T0 + 10_000, high_ms=T0 + 30_000)

    assert [one.slice.start_ms - T0 for one in found] == [10_000, 20_000]


async def test_storing_again_changes_nothing(stores: Stores) -> None:
    batch = [("gold/a", revision(k)) for k in range(3)]
    await stores.slices.store(TENANT, batch, seq=3)
    await stores.slices.store(TENANT, [("gold/a", revision(0, 2))], seq=4)
    await stores.slices.store(TENANT, batch, seq=3)

    found = await stores.slices.columns(TENANT, "gold/a", low_ms=0, high_ms=T0 * 2)

    assert [revision_at(found, k) for k in range(3)] == [revision(0, 2), revision(1), revision(2)]
    assert found.seq.tolist() == [4, 3, 3]


async def test_processes_that_store_one_record_at_once_do_not_hinder_each_other(stores: Stores) -> None:
    batch = [("gold/a", revision(k)) for k in range(3)]
    for seq in range(1, 11):
        await asyncio.gather(*(stores.slices.store(TENANT, batch, seq=seq) for _ in range(8)))

    found = await stores.slices.columns(TENANT, "gold/a", low_ms=0, high_ms=T0 * 2)

    assert [revision_at(found, k) for k in range(3)] == [revision(0), revision(1), revision(2)]


async def test_as_of_shows_what_was_known_then(stores: Stores) -> None:
    await stores.slices.store(TENANT, [("gold/a", revision(0)), ("gold/a", revision(0, 2, good=1))], seq=3)

    found = await stores.slices.current(TENANT, "gold/a", low_ms=T0, high_ms=T0 + 10_000, as_of_ms=T0 + 1_000)

    assert found == [revision(0)]
    assert await stores.slices.span(TENANT, "gold/a", as_of_ms=T0 + 500) is None


async def test_the_span_reaches_from_the_first_to_the_last_and_names_the_last_sealed(stores: Stores) -> None:
    assert await stores.slices.span(TENANT, "gold/a") is None

    await stores.slices.store(TENANT, [("gold/a", revision(k, sealed=k < 2)) for k in range(4)], seq=3)

    assert await stores.slices.span(TENANT, "gold/a") == (T0, T0 + 40_000, T0 + 20_000)
    assert await stores.slices.span("umbra", "gold/a") is None


def an_hour(k: int, number: int = 1, **more: object) -> Revision:
    slice_ = Slice(T0 + k * 3_600_000, 3_600_000, good=8, total=9, up_ns=36 * 10**11, sealed=True)
    return Revision(replace(slice_, **more), number, T0 + number * 1000)


async def test_hours_are_whole_ones_of_the_range_in_their_highest_revision(stores: Stores) -> None:
    hours = [("gold/a", an_hour(k)) for k in range(4)]
    await stores.slices.store(TENANT, [("gold/a", revision(0))], seq=3, hours=hours)
    await stores.slices.store(TENANT, [], seq=4, hours=[("gold/a", an_hour(1, 2, distribution=EXPONENTIAL))])

    async def hours_of(low: int, high: int, **more: object) -> list[Revision]:
        found = await stores.slices.hours(TENANT, "gold/a", low_ms=T0 + low, high_ms=T0 + high, **more)
        return [revision_at(found, k) for k in range(len(found.start_ms))]

    later = an_hour(1, 2, distribution=EXPONENTIAL)
    assert await hours_of(1, 4 * 3_600_000 - 1) == [later, an_hour(2)]
    assert await hours_of(0, 2 * 3_600_000, as_of_ms=T0 + 1000) == [an_hour(0), an_hour(1)]
    assert await hours_of(3_600_000, 7_200_000, distributions=False) == [an_hour(1, 2)]
    assert await hours_of(3_600_000, 3_600_000) == []


async def test_pieces_are_the_slices_of_every_range(stores: Stores) -> None:
    parts = [("gold/a", revision(k, distribution=EXPLICIT)) for k in range(6)]
    await stores.slices.store(TENANT, parts, seq=3)
    ranges = [(T0, T0 + 10_000), (T0 + 30_000, T0 + 50_000), (T0 + 50_000, T0 + 50_000)]

    found = await stores.slices.pieces(TENANT, "gold/a", ranges)
    bare = await stores.slices.pieces(TENANT, "gold/a", ranges, distributions=False)

    assert [revision_at(found, k) for k in range(3)] == [
        revision(k, distribution=EXPLICIT) for k in (0, 3, 4)
    ]
    assert [revision_at(bare, k) for k in range(3)] == [revision(k) for k in (0, 3, 4)]
    assert len((await stores.slices.pieces(TENANT, "gold/a", [])).start_ms) == 0


async def test_extracts_are_hours_and_pieces_of_several_objectives_at_once(stores: Stores) -> None:
    part = revision(0, distribution=EXPLICIT)
    for seq, key in enumerate(("gold/b", "gold/a", "other/c"), 3):
        rows = [(key, replace(revision(k, distribution=EXPLICIT), known_at_ms=T0 + seq)) for k in range(6)]
        hours = [(key, an_hour(k, distribution=EXPONENTIAL)) for k in range(seq)]
        await stores.slices.store(TENANT, rows, seq=seq, hours=hours)
    await stores.slices.store("umbra", [("gold/a", part)], seq=6, hours=[("gold/a", an_hour(0))])
    wanted = [
        Extract(
            "other/c", (T0, T0 + 2 * 3_600_000 + 1), ((T0 + 10_000, T0 + 30_000), (T0 + 50_000, T0 + 60_000))
        ),
        Extract("gold/b", (T0, T0 + 4 * 3_600_000), ((T0, T0 + 20_000),), distributions=False),
        Extract("nobody/x", (T0, T0 + 4 * 3_600_000), ((T0, T0 + 20_000),)),
        Extract("gold/a", pieces=((T0, T0), (T0 + 40_000, T0 + 90_000))),
    ]

    found = await stores.slices.extracts(TENANT, wanted)
    then = await stores.slices.extracts(TENANT, wanted, as_of_ms=T0 + 3)
    nothing = await stores.slices.extracts(TENANT, [Extract("gold/a")])

    assert [[len(one.start_ms) for one in pair] for pair in [*found, *nothing]] == [
        [2, 3], [3, 2], [0, 0], [0, 2], [0, 0]
    ]  # fmt: skip
    assert [[len(one.start_ms) for one in pair] for pair in then] == [[0, 0], [0, 2], [0, 0], [0, 0]]
    for one, (hours, slices) in zip(wanted, found, strict=True):
        low, high = one.hours
        more = {"distributions": one.distributions}
        alone = await stores.slices.hours(TENANT, one.objective, low_ms=low, high_ms=high, **more)
        ranges = await stores.slices.pieces(TENANT, one.objective, one.pieces, **more)
        for both, single in ((hours, alone), (slices, ranges)):
            assert [revision_at(both, k) for k in range(len(both.start_ms))] == [
                revision_at(single, k) for k in range(len(single.start_ms))
            ]
            assert both.seq.tolist() == single.seq.tolist()
    assert revision_at(found[0][0], 1) == an_hour(1, distribution=EXPONENTIAL)
    assert revision_at(found[1][1], 1) == replace(revision(1), known_at_ms=T0 + 3)


async def test_heads_move_with_everything_that_is_stored(stores: Stores) -> None:
    assert await stores.slices.heads([TENANT]) == {}

    await stores.slices.store(TENANT, [("gold/a", revision(k, sealed=k < 2)) for k in range(1, 4)], seq=3)
    await stores.slices.store("umbra", [("gold/a", revision(9))], seq=4)
    first = (await stores.slices.heads([TENANT, "nobody"]))[TENANT, "gold/a"]
    await stores.slices.store(TENANT, [("gold/a", revision(0, 2)), ("gold/b", revision(0))], seq=5)
    both = await stores.slices.heads([TENANT, "umbra"])

    assert (first.first_ms, first.end_ms, first.sealed_ms) == (T0 + 10_000, T0 + 40_000, T0 + 20_000)
    assert (first.known_ms, first.seq) == (T0 + 1000, 3)
    moved = replace(first, first_ms=T0, known_ms=T0 + 2000, seq=5)
    assert both[TENANT, "gold/a"] == moved
    assert set(both) == {(TENANT, "gold/a"), (TENANT, "gold/b"), ("umbra", "gold/a")}
    span = await stores.slices.span(TENANT, "gold/a")
    assert span == (moved.first_ms, moved.end_ms, moved.sealed_ms)
