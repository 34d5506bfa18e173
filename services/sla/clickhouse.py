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
from services.sla.read_columns import Columns as _Columns
from services.sla.read_columns import arrays as _arrays
from services.sla.read_columns import floats as _floats
from services.sla.read_columns import ints as _ints
from services.sla.read_columns import metric_id, series_of
from services.sla.read_columns import sql as _sql
from services.sla.rows_build import joined, rows_of, signed

_NEAR_MS = 600_000
_UNKNOWN_START = 3


class ClickHousePointReader(ClickHouseNumberReader):
    """`PointReader` over the collector's tables."""

    async def series(self, tenant: str, metric: str) -> Sequence[Series]:
        """See `PointReader.series`."""
        return series_of(await self._database.columns(_sql("series"), {"tenant": tenant, "metric": metric}))

    async def rows(self, tenant: str, metric: str, kind: PointKind, *, low_ms: int, high_ms: int) -> Rows:
        """See `PointReader.rows`."""
        name = "rows_exponential" if kind is PointKind.EXPONENTIAL else "rows_explicit"
        near = low_ms - _NEAR_MS
        where = {
            "tenant": tenant,
            "metric_id": metric_id(metric),
            "low": low_ms,
            "high": high_ms,
            "near": near,
        }
        rows = _rows(kind, await self._database.columns(_sql(name), where))
        if series := _without_base(rows, low_ms, near):
            deep = await self._database.columns(_sql(f"{name}_before"), {**where, "series": series})
            rows = joined(rows, _rows(kind, deep))
        return rows

    async def exports(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Exports:
        """See `PointReader.exports`."""
        found = await self._database.columns(
            _sql("exports"),
            {"tenant": tenant, "metric_id": metric_id(metric), "low": low_ms, "high": high_ms},
        )
        if not found:
            none = np.zeros(0, np.int64)
            return Exports(none, none, none)
        return Exports(_ints(found["series_id"]), _ints(found["ts"]), _ints(found["since"]))

    async def heartbeats(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """See `PointReader.heartbeats`."""
        found = await self._database.columns(
            _sql("heartbeats"), {"tenant": tenant, "metric": metric, "low": low_ms, "high": high_ms}
        )
        if not found:
            none = np.zeros(0, np.int64)
            return Heartbeats(none, none)
        return Heartbeats(_ints(found["sender"]), _ints(found["ts"]))

    async def extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """See `PointReader.extent`."""
        found = await self._database.rows(
            _sql("extent"), {"tenant": tenant, "metric": metric, "metric_id": metric_id(metric)}
        )
        return (int(found[0][0]), int(found[0][1])) if found else None


def _without_base(rows: Rows, low_ms: int, near_ms: int) -> list[int]:
    """Series of which a point may build on one before the near range.

    A (series, start) whose start is known and lies in the near range has nothing before that start.
    """
    keys = list(zip(rows.series.tolist(), rows.start.tolist(), rows.start_ns.tolist(), strict=True))
    based = {key for key, ts in zip(keys, rows.ts.tolist(), strict=True) if ts <= low_ms}
    missing = {
        key[0]
        for key, bits in zip(keys, rows.bits.tolist(), strict=True)
        if key not in based and (key[1] < near_ms or bits & _UNKNOWN_START)
    }
    return sorted(series % (1 << 64) for series in missing)


def _rows(kind: PointKind, found: _Columns) -> Rows:
    if not found:
        return rows_of(kind, ())
    smooth = kind is PointKind.EXPONENTIAL
    none = np.zeros(0, np.int64)
    at, counts = _arrays(found["buckets"])
    bounds_at, bounds = (np.zeros(len(at), np.int64), none) if smooth else _arrays(found["bounds"])
    return Rows(
        kind=kind,
        series=_ints(found["series_id"]),
        start=_ints(found["start"]),
        start_ns=_ints(found["start_ns"]),
        ts=_ints(found["ts"]),
        ts_ns=_ints(found["ts_ns"]),
        bits=_ints(found["bits"]),
        count=_ints(found["count"]),
        at=at,
        counts=counts.astype(np.int64),
        scale=_ints(found["scale"]) if smooth else none,
        offset=_ints(found["first_bucket"]) if smooth else none,
        zero_count=_ints(found["zeros"]) if smooth else none,
        zero_threshold=_floats(found["zero_threshold"]) if smooth else none.astype(np.float64),
        bounds=bounds.astype(np.float64),
        bounds_at=bounds_at,
    )


__all__ = ["ClickHousePointReader", "ClickHouseSliceStore", "metric_id", "signed"]
