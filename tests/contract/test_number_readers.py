"""One suite for reading gauges and sums: the memory adapter and real ClickHouse."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from services.common.native import Block
from services.common.native_columns import CodedStrings, Maps
from services.sla.clickhouse import ClickHousePointReader
from services.sla.memory import MemoryPointReader
from services.sla.model import Numbers, PointKind, Series
from services.sla.ports import NumberReader
from services.sla.read_columns import metric_id
from services.sla.rows_build import NumberPoint
from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines

TENANT = "acme"
PROBE = "probe.success"
T0 = int(time.time()) // 86_400 * 86_400_000
GAUGE = Series(11, 7, PointKind.GAUGE, False, "1", {"target": "shop"}, {"service.name": "prober"})
SUM = Series(-3, 8, PointKind.SUM, False, "1", {}, {})
DELTA = replace(SUM, series_id=13, delta=True)


@dataclass
class Readers:
    reader: NumberReader
    memory: MemoryPointReader | None
    database: Database | None

    async def put(
        self, series: Series, *points: NumberPoint, tenant: str = TENANT, metric: str = PROBE
    ) -> None:
        own = [replace(one, series_id=series.series_id) for one in points]
        if self.memory is not None:
            self.memory.put_numbers(tenant, metric, series, *own)
        if self.database is not None:
            for table, block in (
                ("series", _series(tenant, metric, series, own)),
                ("points", _points(tenant, metric, own)),
            ):
                await self.database.insert_native(
                    table, block.to_bytes(), block.names, query_id=uuid.uuid4().hex
                )


def _series(tenant: str, metric: str, series: Series, points: list[NumberPoint]) -> Block:
    days = sorted({one.ts_ms // 86_400_000 for one in points})
    n = len(days)
    return (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, n))
        .add("metric", "String", CodedStrings.constant(metric, n))
        .add("metric_id", "UInt32", np.full(n, metric_id(metric), np.uint32))
        .add("series_id", "UInt64", np.full(n, series.series_id, np.int64).view(np.uint64))
        .add("sender_id", "UInt64", np.full(n, series.sender_id, np.uint64))
        .add("day", "Date", np.array(days, np.uint16))
        .add("type", "Enum8('gauge' = 1, 'sum' = 2)", np.full(n, int(series.kind), np.int8))
        .add("temporality", "Enum8('delta' = 1, 'cumulative' = 2)", np.full(n, 2 - series.delta, np.int8))
        .add("unit", "String", CodedStrings.constant(series.unit, n))
        .add("attributes", "Map(String, String)", Maps.of([series.attributes] * n))
        .add("resource_attributes", "Map(String, String)", Maps.of([series.resource] * n))
    )


def _points(tenant: str, metric: str, points: list[NumberPoint]) -> Block:
    n = len(points)
    whole = [isinstance(one.value, int) for one in points]
    return (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, n))
        .add("metric_id", "UInt32", np.full(n, metric_id(metric), np.uint32))
        .add("series_id", "UInt64", np.array([p.series_id for p in points], np.int64).view(np.uint64))
        .add("ts", "DateTime64(3, 'UTC')", np.array([p.ts_ms for p in points]))
        .add("ts_ns", "UInt32", np.array([p.ts_ns for p in points], np.uint32))
        .add("start", "DateTime64(3, 'UTC')", np.array([p.start_ms for p in points]))
        .add("start_ns", "UInt32", np.array([p.start_ns for p in points], np.uint32))
        .add("flags", "UInt32", np.array([p.flags for p in points], np.uint32))
        .add("bits", "UInt8", np.array([p.bits for p in points], np.uint8))
        .add("kind", "Enum8('int' = 1, 'double' = 2)", np.array([1 if w else 2 for w in whole], np.int8))
        .add(
            "value_int", "Int64", np.array([p.value if w else 0 for p, w in zip(points, whole, strict=True)])
        )
        .add(
            "value_double",
            "Float64",
            np.array([0.0 if w else p.value for p, w in zip(points, whole, strict=True)]),
        )
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(params=["memory", "clickhouse"])
async def readers(request: pytest.FixtureRequest) -> AsyncIterator[Readers]:
    if request.param == "memory":
        memory = MemoryPointReader()
        yield Readers(memory, memory, None)
        return
    server = request.getfixturevalue("server")
    name = server.database(f"n_{abs(hash(request.node.name)):x}")
    database = Database(ClickHouseConfig.from_url(server.url, name))
    await migrate(database, load_migrations(), ManualClock())
    yield Readers(ClickHousePointReader(database), None, database)
    await database.command(f"DROP DATABASE `{name}`")
    await database.close()


def said(seconds: float, value: float, *, start: float | None = None, **more: int) -> NumberPoint:
    begun = 0 if start is None else T0 + round(start * 1000)
    return NumberPoint(0, T0 + round(seconds * 1000), value, begun, **more)


def found(numbers: Numbers) -> set[tuple[int, float]]:
    times = ((ts - T0) / 1000 for ts in numbers.ts.tolist())
    return set(zip(numbers.series.tolist(), times, strict=True))


async def test_numbers_hold_the_range_and_what_is_next_to_it(readers: Readers) -> None:
    await readers.put(GAUGE, *(said(s, 1) for s in (5, 10, 15, 20, 25, 30)))

    numbers = await readers.reader.numbers(TENANT, PROBE, low_ms=T0 + 10_000, high_ms=T0 + 20_000)

    assert found(numbers) == {(11, 10), (11, 15), (11, 20), (11, 25)}


async def test_the_base_of_a_sum_is_found_however_far_back_it_is(readers: Readers) -> None:
    await readers.put(SUM, said(-50_000, 4, start=-60_000), said(-70_000, 9, start=-80_000))
    await readers.put(SUM, said(5, 9, start=-60_000))

    numbers = await readers.reader.numbers(TENANT, PROBE, low_ms=T0, high_ms=T0 + 10_000)

    assert {(-3, -50_000), (-3, 5)} <= found(numbers)


async def test_every_column_of_a_number_comes_back(readers: Readers) -> None:
    await readers.put(SUM, said(5, 2**53 + 1, start=1, bits=2))
    await readers.put(GAUGE, said(6, -1.5))

    numbers = await readers.reader.numbers(TENANT, PROBE, low_ms=T0, high_ms=T0 + 10_000)

    order = np.argsort(numbers.ts)
    assert numbers.count[order].tolist() == [2**53 + 1, -2]
    assert numbers.value[order].tolist() == [float(2**53 + 1), -1.5]
    assert numbers.start[order].tolist() == [T0 + 1_000, 0]
    assert numbers.bits[order].tolist() == [2, 0]


async def test_two_starts_of_one_millisecond_are_two(readers: Readers) -> None:
    for start_ns in (1, 999_999):
        reports = (said(s, start_ns + s, start=-5, start_ns=start_ns, ts_ns=7) for s in (-3, 5, 15, 25))
        await readers.put(SUM, *reports)

    numbers = await readers.reader.numbers(TENANT, PROBE, low_ms=T0, high_ms=T0 + 10_000)

    rows = zip(numbers.ts.tolist(), numbers.start_ns.tolist(), numbers.count.tolist(), strict=True)
    assert {((ts - T0) // 1000, start, count) for ts, start, count in rows} == {
        (s, start, start + s) for s in (-3, 5, 15) for start in (1, 999_999)
    }
    assert set(numbers.ts_ns.tolist()) == {7}


async def test_numbers_without_recorded_value_are_not_there(readers: Readers) -> None:
    await readers.put(GAUGE, said(5, 1, flags=1), said(-5, 1, flags=1))

    numbers = await readers.reader.numbers(TENANT, PROBE, low_ms=T0, high_ms=T0 + 10_000)

    assert len(numbers) == 0
    assert await readers.reader.last_number(TENANT, PROBE, before_ms=T0 + 10_000) is None


async def test_the_last_number_is_found_however_far_back_it_is(readers: Readers) -> None:
    await readers.put(GAUGE, said(-80_000, 1), said(-70_000, 1), said(5, 1))

    assert await readers.reader.last_number(TENANT, PROBE, before_ms=T0) == T0 - 70_000_000
    assert await readers.reader.last_number(TENANT, PROBE, before_ms=T0 - 70_000_000) == T0 - 70_000_000
    assert await readers.reader.last_number(TENANT, PROBE, before_ms=T0 - 90_000_000) is None
    assert await readers.reader.last_number("umbra", PROBE, before_ms=T0) is None


async def test_series_come_with_what_they_are_and_once(readers: Readers) -> None:
    for series in (GAUGE, SUM, DELTA):
        await readers.put(series, said(5, 1), said(-100_000, 1))

    series = await readers.reader.number_series(TENANT, PROBE)

    assert sorted(series, key=lambda one: one.series_id) == [SUM, GAUGE, DELTA]
    assert list(await readers.reader.number_series("umbra", PROBE)) == []


async def test_witnesses_are_other_reports_of_the_tenant(readers: Readers) -> None:
    await readers.put(GAUGE, *(said(s, 1) for s in (5, 6)))
    await readers.put(GAUGE, *(said(s, 1) for s in (0, 5, 10, 15, 20)), metric="process.uptime")
    await readers.put(SUM, said(7, 1, start=0), metric="process.cpu")
    await readers.put(GAUGE, said(8, 1), tenant="umbra", metric="process.uptime")

    beats = await readers.reader.witnesses(TENANT, PROBE, low_ms=T0, high_ms=T0 + 10_000)

    heard = set(zip(beats.sender.tolist(), ((ts - T0) // 1000 for ts in beats.ts.tolist()), strict=True))
    assert heard == {(7, 5), (7, 10), (8, 7), (7, 15)}


async def test_the_extent_of_numbers_covers_all_points(readers: Readers) -> None:
    assert await readers.reader.number_extent(TENANT, PROBE) is None

    await readers.put(GAUGE, said(5, 1), said(-100_000, 1))
    await readers.put(SUM, said(80, 1))

    assert await readers.reader.number_extent(TENANT, PROBE) == (T0 - 100_000_000, T0 + 80_000)
    assert await readers.reader.number_extent("umbra", PROBE) is None


async def test_another_tenants_numbers_are_not_there(readers: Readers) -> None:
    await readers.put(GAUGE, said(5, 1), tenant="umbra")

    assert len(await readers.reader.numbers(TENANT, PROBE, low_ms=T0, high_ms=T0 + 10_000)) == 0
