"""The ports over ClickHouse. The statements are in sql/; every value is a bound parameter."""

from collections.abc import Sequence

import numpy as np

from services.sla.clickhouse_numbers import ClickHouseNumberReader
from services.sla.clickhouse_slices import ClickHouseSliceStore
from services.sla.model import (
    Exports,
    Heartbeats,
    PointKind,
    Rows,
    Series,
)
from services.sla.read_columns import (
    NEAR_MS,
    Columns,
    arrays,
    floats,
    ints,
    metric_id,
    series_of,
    sql,
    without_base,
)
from services.sla.rows_build import joined, rows_of, signed


class ClickHousePointReader(ClickHouseNumberReader):
    """`PointReader` over the collector's tables."""

    async def series(self, tenant: str, metric: str) -> Sequence[Series]:
        """See `PointReader.series`."""
        return series_of(await self._database.columns(sql("series"), {"tenant": tenant, "metric": metric}))

    async def rows(self, tenant: str, metric: str, kind: PointKind, *, low_ms: int, high_ms: int) -> Rows:
        """See `PointReader.rows`."""
        name = "rows_exponential" if kind is PointKind.EXPONENTIAL else "rows_explicit"
        near = low_ms - NEAR_MS
        where = {
            "tenant": tenant,
            "metric_id": metric_id(metric),
            "low": low_ms,
            "high": high_ms,
            "near": near,
        }
        rows = _rows(kind, await self._database.columns(sql(name), where))
        if series := without_base(rows, low_ms, near):
            deep = await self._database.columns(sql(f"{name}_before"), {**where, "series": series})
            rows = joined(rows, _rows(kind, deep))
        return rows

    async def exports(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Exports:
        """See `PointReader.exports`."""
        found = await self._database.columns(
            sql("exports"),
            {"tenant": tenant, "metric_id": metric_id(metric), "low": low_ms, "high": high_ms},
        )
        if not found:
            none = np.zeros(0, np.int64)
            return Exports(none, none, none)
        return Exports(ints(found["series_id"]), ints(found["ts"]), ints(found["since"]))

    async def heartbeats(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """See `PointReader.heartbeats`."""
        found = await self._database.columns(
            sql("heartbeats"), {"tenant": tenant, "metric": metric, "low": low_ms, "high": high_ms}
        )
        if not found:
            none = np.zeros(0, np.int64)
            return Heartbeats(none, none)
        return Heartbeats(ints(found["sender"]), ints(found["ts"]))

    async def extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """See `PointReader.extent`."""
        found = await self._database.rows(
            sql("extent"), {"tenant": tenant, "metric": metric, "metric_id": metric_id(metric)}
        )
        return (int(found[0][0]), int(found[0][1])) if found else None


def _rows(kind: PointKind, found: Columns) -> Rows:
    if not found:
        return rows_of(kind, ())
    smooth = kind is PointKind.EXPONENTIAL
    none = np.zeros(0, np.int64)
    at, counts = arrays(found["buckets"])
    bounds_at, bounds = (np.zeros(len(at), np.int64), none) if smooth else arrays(found["bounds"])
    return Rows(
        kind=kind,
        series=ints(found["series_id"]),
        start=ints(found["start"]),
        start_ns=ints(found["start_ns"]),
        ts=ints(found["ts"]),
        ts_ns=ints(found["ts_ns"]),
        bits=ints(found["bits"]),
        count=ints(found["count"]),
        at=at,
        counts=counts.astype(np.int64),
        scale=ints(found["scale"]) if smooth else none,
        offset=ints(found["first_bucket"]) if smooth else none,
        zero_count=ints(found["zeros"]) if smooth else none,
        zero_threshold=floats(found["zero_threshold"]) if smooth else none.astype(np.float64),
        bounds=bounds.astype(np.float64),
        bounds_at=bounds_at,
    )


__all__ = ["ClickHousePointReader", "ClickHouseSliceStore", "metric_id", "signed"]
