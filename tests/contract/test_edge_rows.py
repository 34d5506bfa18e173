"""Awkward points reach ClickHouse as they were sent: to the bit, absent or zero, late, repeated."""

import asyncio
import math
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, NumberDataPoint

from services.collector.clickhouse import ClickHousePointStore
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from tests.collector_rows import comparable, stored_rows
from tests.collector_store import StoreWriter
from tests.engines_given import clickhouse_server
from tests.otlp_requests import TABLES, Ledger, rows_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.engines]

_S = 10**9
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_NOW = time.time_ns() // _S * _S
_DAY = 86_400 * _S
_QUIET_NAN, _PAYLOAD_NAN = 0x7FF8000000000000, 0x7FF8000000000123
_DOUBLES = {
    "nan": _QUIET_NAN,
    "nan with a payload": _PAYLOAD_NAN,
    "negative nan": 0xFFF8000000000000,
    "inf": 0x7FF0000000000000,
    "negative inf": 0xFFF0000000000000,
    "zero": 0,
    "negative zero": 1 << 63,
    "smallest": 1,
    "largest": 0x7FEFFFFFFFFFFFFF,
    "above 2**53": struct.unpack("<Q", struct.pack("<d", 2.0**53 + 2))[0],
}
_INTS = (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """A ClickHouse with the tables."""
    engine = clickhouse_server(tmp_path_factory.mktemp("clickhouse"))
    await asyncio.to_thread(engine.start)
    made = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
    try:
        await ClickHousePointStore(made, SystemClock()).database_id()
        yield made
    finally:
        await made.close()
        await asyncio.to_thread(engine.stop)


class Tenant:
    """Requests of one tenant, written and read back."""

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._ledger = Ledger()

    async def store(self, *requests: ExportMetricsServiceRequest, first_batch: int) -> None:
        """Store each request as a batch of its own and compare all rows with those expected."""
        writer = StoreWriter(ClickHousePointStore(self._database, SystemClock()), first_seq=first_batch)
        for request in requests:
            raw = request.SerializeToString()
            self._ledger.add(rows_of(self.name, raw))
            await writer.write(self.name, [raw], now_ns=_NOW)
        for table in TABLES:
            found = [row for row in await stored_rows(self._database, table) if row[0] == self.name]
            assert comparable(found) == comparable(self._ledger.rows[table])

    async def rows(self, columns: str, table: str = "points") -> list[tuple[Any, ...]]:
        """Rows of one table in the order of time and batch."""
        return await self._database.rows(
            f"SELECT {columns} FROM {table} WHERE tenant = {{tenant:String}} ORDER BY ts, batch",
            {"tenant": self.name},
        )


def gauge(*, monotonic: bool = False) -> tuple[ExportMetricsServiceRequest, Metric]:
    """A request with an empty metric."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    if monotonic:
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = _CUMULATIVE, True
    return request, metric


async def test_doubles_keep_every_bit_and_integers_every_digit(database: Database) -> None:
    request, metric = gauge()
    for place, bits in enumerate(_DOUBLES.values()):
        value = NumberDataPoint()
        # From the wire: assigning a float in Python may change the payload of a NaN.
        value.MergeFromString(b"\x21" + bits.to_bytes(8, "little"))
        value.time_unix_nano = _NOW + place * _S
        metric.gauge.data_points.append(value)
    for place, number in enumerate(_INTS, len(_DOUBLES)):
        metric.gauge.data_points.add(time_unix_nano=_NOW + place * _S, as_int=number)
    tenant = Tenant(database, "extremes")

    await tenant.store(request, first_batch=100)

    rows = await tenant.rows("toInt8(kind), value_int, reinterpretAsUInt64(value_double)")
    assert rows == [(2, 0, bits) for bits in _DOUBLES.values()] + [(1, number, 0) for number in _INTS]


async def test_no_recorded_value_is_neither_zero_nor_absent(database: Database) -> None:
    request, metric = gauge()
    metric.gauge.data_points.add(time_unix_nano=_NOW, as_int=0)
    metric.gauge.data_points.add(time_unix_nano=_NOW + _S, as_double=0.0)
    metric.gauge.data_points.add(time_unix_nano=_NOW + 2 * _S, flags=1)
    tenant = Tenant(database, "stale")

    await tenant.store(request, first_batch=200)

    assert await tenant.rows("toString(kind), flags") == [("int", 0), ("double", 0), ("none", 1)]


async def test_absent_and_zero_stay_two_things(database: Database) -> None:
    request, metric = gauge()
    metric.histogram.aggregation_temporality = _DELTA
    points = metric.histogram.data_points
    points.add(time_unix_nano=_NOW, sum=0.0, min=0.0, max=0.0)
    points.add(time_unix_nano=_NOW + _S)
    points.add(
        time_unix_nano=_NOW + 2 * _S, sum=math.nan, min=-math.inf, max=math.inf, start_time_unix_nano=0
    )
    points.add(time_unix_nano=_NOW + 3 * _S, start_time_unix_nano=_NOW + 3 * _S)
    exponential = request.resource_metrics[0].scope_metrics[0].metrics.add(name="e").exponential_histogram
    exponential.aggregation_temporality = _DELTA
    exponential.data_points.add(time_unix_nano=_NOW, sum=0.0, min=0.0, max=0.0, zero_threshold=0.0)
    exponential.data_points.add(time_unix_nano=_NOW + _S)
    tenant = Tenant(database, "absent")

    await tenant.store(request, first_batch=300)

    rows = await tenant.rows("sum, min, max, bits", "histograms")
    assert [repr(row) for row in rows] == [
        "(0.0, 0.0, 0.0, 1)",
        "(None, None, None, 1)",
        "(nan, -inf, inf, 1)",
        "(None, None, None, 2)",
    ]
    assert await tenant.rows("sum, min, max", "exp_histograms") == [(0.0, 0.0, 0.0), (None, None, None)]


async def test_late_and_out_of_order_points_are_rows_of_their_own_days(database: Database) -> None:
    """Counter values in the wrong order, over days, in one request and in a later one."""
    first, metric = gauge(monotonic=True)
    start = _NOW - 7 * _DAY
    for age, value in ((0, 50), (3 * _DAY, 20), (1, 49), (_DAY, 40)):
        metric.sum.data_points.add(start_time_unix_nano=start, time_unix_nano=_NOW - age, as_int=value)
    second, metric = gauge(monotonic=True)
    metric.sum.data_points.add(start_time_unix_nano=start, time_unix_nano=_NOW - 6 * _DAY, as_int=5)
    tenant = Tenant(database, "late")

    await tenant.store(first, second, first_batch=400)

    assert [value for (value,) in await tenant.rows("value_int")] == [5, 20, 40, 49, 50]
    days = {(_NOW - age) // _DAY for age in (0, 1, _DAY, 3 * _DAY, 6 * _DAY)}
    for table, day in (("points", "toDate(ts)"), ("series", "day")):
        found = await database.rows(f"SELECT DISTINCT toUInt16({day}) FROM {table} WHERE tenant = 'late'")
        assert {row[0] for row in found} == days


async def test_two_points_of_one_series_and_time_are_both_stored(database: Database) -> None:
    """In one request and in two; raw is raw, and figures count the pair once."""
    first, metric = gauge(monotonic=True)
    for value in (7, 7, 8):
        metric.sum.data_points.add(start_time_unix_nano=_NOW - _S, time_unix_nano=_NOW, as_int=value)
    second, metric = gauge(monotonic=True)
    metric.sum.data_points.add(start_time_unix_nano=_NOW - _S, time_unix_nano=_NOW, as_int=7)
    tenant = Tenant(database, "doubled")

    await tenant.store(first, second, first_batch=500)

    rows = await tenant.rows("value_int, batch")
    assert sorted(rows) == [(7, 500), (7, 500), (7, 501), (8, 500)]
