"""Histogram rows as the collector writes them, for tests of what reads them."""

import uuid
from collections.abc import Sequence

import numpy as np

from services.common.clickhouse import Database
from services.common.native import Block
from services.common.native_columns import Arrays, CodedStrings, Maps
from services.sla.clickhouse import metric_id
from services.sla.model import PointKind, Series
from services.sla.rows_build import Point


async def insert(
    database: Database, tenant: str, metric: str, series: Series, points: Sequence[Point]
) -> None:
    """Points of one series, with the series itself."""
    for table, block in (
        ("series", _series(tenant, metric, series, points)),
        (
            "exp_histograms" if series.kind is PointKind.EXPONENTIAL else "histograms",
            _points(tenant, metric, series.kind, points),
        ),
    ):
        await database.insert_native(table, block.to_bytes(), block.names, query_id=uuid.uuid4().hex)


async def insert_gauge(database: Database, tenant: str, sender_id: int, times_ms: Sequence[int]) -> None:
    """Points of a gauge of a sender."""
    n, gauge = len(times_ms), 9_000 + sender_id
    series = (
        Block()
        .add("tenant", "String", [tenant])
        .add("metric", "String", ["process.uptime"])
        .add("metric_id", "UInt32", np.array([metric_id("process.uptime")], np.uint32))
        .add("series_id", "UInt64", np.array([gauge], np.uint64))
        .add("sender_id", "UInt64", _unsigned([sender_id]))
        .add("day", "Date", np.array([times_ms[0] // 86_400_000], np.uint16))
        .add("type", "Enum8('gauge' = 1)", np.array([1], np.int8))
    )
    points = (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, n))
        .add("metric_id", "UInt32", np.full(n, metric_id("process.uptime"), np.uint32))
        .add("series_id", "UInt64", np.full(n, gauge, np.uint64))
        .add("ts", "DateTime64(3, 'UTC')", np.array(times_ms))
    )
    for table, block in (("series", series), ("points", points)):
        await database.insert_native(table, block.to_bytes(), block.names, query_id=uuid.uuid4().hex)


def _unsigned(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64).view(np.uint64)


def _series(tenant: str, metric: str, series: Series, points: Sequence[Point]) -> Block:
    # As the collector does: one row a day, when the series is seen first; what follows is not noted.
    seen = {point.ts_ms // 86_400_000: point.ts_ms for point in reversed(points)}
    n, days, times = len(seen), list(seen), np.array(list(seen.values()))
    return (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, n))
        .add("metric", "String", CodedStrings.constant(metric, n))
        .add("metric_id", "UInt32", np.full(n, metric_id(metric), np.uint32))
        .add("series_id", "UInt64", _unsigned([series.series_id] * n))
        .add("sender_id", "UInt64", _unsigned([series.sender_id] * n))
        .add("day", "Date", np.array(days, np.uint16))
        .add("type", "Enum8('histogram' = 3, 'exp_histogram' = 4)", np.full(n, int(series.kind), np.int8))
        .add("temporality", "Enum8('delta' = 1, 'cumulative' = 2)", np.full(n, 2 - series.delta, np.int8))
        .add("unit", "String", CodedStrings.constant(series.unit, n))
        .add("attributes", "Map(String, String)", Maps.of([series.attributes] * n))
        .add("resource_attributes", "Map(String, String)", Maps.of([series.resource] * n))
        .add("first_seen", "DateTime64(3, 'UTC')", times)
        .add("last_seen", "DateTime64(3, 'UTC')", times)
    )


def _points(tenant: str, metric: str, kind: PointKind, points: Sequence[Point]) -> Block:
    n = len(points)
    block = (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, n))
        .add("metric_id", "UInt32", np.full(n, metric_id(metric), np.uint32))
        .add("series_id", "UInt64", _unsigned([p.series_id for p in points]))
        .add("ts", "DateTime64(3, 'UTC')", np.array([p.ts_ms for p in points]))
        .add("ts_ns", "UInt32", np.array([p.ts_ns for p in points], np.uint32))
        .add("start", "DateTime64(3, 'UTC')", np.array([p.start_ms for p in points]))
        .add("start_ns", "UInt32", np.array([p.start_ns for p in points], np.uint32))
        .add("flags", "UInt32", np.array([p.flags for p in points], np.uint32))
        .add("bits", "UInt8", np.array([p.bits for p in points], np.uint8))
        .add("count", "UInt64", np.array([p.count for p in points], np.uint64))
    )
    if kind is PointKind.EXPONENTIAL:
        block.add("scale", "Int32", np.array([p.scale for p in points], np.int32))
        block.add("zero_count", "UInt64", np.array([p.zero_count for p in points], np.uint64))
        block.add("zero_threshold", "Float64", np.array([p.zero_threshold for p in points]))
        block.add("positive_offset", "Int32", np.array([p.offset for p in points], np.int32))
        block.add("positive_counts", "Array(UInt64)", Arrays.of([p.counts for p in points], np.uint64))
    else:
        block.add("bounds", "Array(Float64)", Arrays.of([p.bounds for p in points], np.float64))
        block.add("counts", "Array(UInt64)", Arrays.of([p.counts for p in points], np.uint64))
    return block
