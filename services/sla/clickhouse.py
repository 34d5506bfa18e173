"""The ports over ClickHouse. The statements are in sql/; every value is a bound parameter."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from services.common.clickhouse import Database
from services.common.native import Block
from services.common.native_columns import Arrays, CodedStrings, Maps
from services.common.native_read import ReadColumn
from services.sla.columns import columns_of, length_ns, revision_at
from services.sla.model import (
    NS_PER_MS,
    Exports,
    Floats,
    Heartbeats,
    Ints,
    PointKind,
    Revision,
    Rows,
    Series,
    SliceColumns,
)
from services.sla.rows_build import joined, rows_of, signed

_NEAR_MS = 600_000
_UNKNOWN_START = 3
_FOREVER_MS = 4_102_444_800_000
_Columns = dict[str, ReadColumn]


def _sql(name: str) -> str:
    return (files("services.sla") / "sql" / f"{name}.sql").read_text()


class ClickHousePointReader:
    """`PointReader` over the collector's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def series(self, tenant: str, metric: str) -> Sequence[Series]:
        """See `PointReader.series`."""
        found = await self._database.columns(_sql("series"), {"tenant": tenant, "metric": metric})
        if not found:
            return []
        attributes = _maps(found["point_attributes"])
        resources = _maps(found["sender_attributes"])
        return [
            Series(
                series_id=int(series_id),
                sender_id=int(sender_id),
                kind=PointKind(int(kind)),
                delta=bool(delta),
                unit=unit.decode(),
                attributes=attributes[i],
                resource=resources[i],
            )
            for i, (series_id, sender_id, kind, delta, unit) in enumerate(
                zip(
                    _ints(found["series_id"]).tolist(),
                    _ints(found["sender"]).tolist(),
                    _ints(found["kind"]).tolist(),
                    _ints(found["delta"]).tolist(),
                    _texts(found["unit_text"]),
                    strict=True,
                )
            )
        ]

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


class ClickHouseSliceStore:
    """`SliceStore` over `sli_slices`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, tenant: str, slices: Sequence[tuple[str, Revision]], *, seq: int) -> None:
        """See `SliceStore.store`."""
        block = _block(tenant, slices, seq)
        await self._database.insert_native(
            "sli_slices", block.to_bytes(), block.names, query_id=f"slices-{seq}"
        )

    async def current(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> list[Revision]:
        """See `SliceStore.current`."""
        columns = await self.columns(tenant, objective, low_ms=low_ms, high_ms=high_ms, as_of_ms=as_of_ms)
        return [revision_at(columns, k) for k in range(len(columns.start_ms))]

    async def columns(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> SliceColumns:
        """See `SliceStore.columns`."""
        found = await self._database.columns(
            _sql("slices"),
            {
                "tenant": tenant,
                "objective": objective,
                "low": low_ms,
                "high": high_ms,
                "as_of": _FOREVER_MS if as_of_ms is None else as_of_ms,
            },
        )
        return _slice_columns(found) if found else columns_of(())

    async def span(
        self, tenant: str, objective: str, *, as_of_ms: int | None = None
    ) -> tuple[int, int, int] | None:
        """See `SliceStore.span`."""
        as_of = _FOREVER_MS if as_of_ms is None else as_of_ms
        found = await self._database.rows(
            _sql("span"), {"tenant": tenant, "objective": objective, "as_of": as_of}
        )
        return (int(found[0][0]), int(found[0][1]), int(found[0][2])) if found else None


def metric_id(name: str) -> int:
    """As the collector's tables have it: first four bytes, little endian, of blake2b over the name."""
    return int.from_bytes(hashlib.blake2b(name.encode()).digest()[:4], "little")


def _without_base(rows: Rows, low_ms: int, near_ms: int) -> list[int]:
    """Series of which a point may build on one before the near range.

    A (series, start) whose start is known and lies in the near range has nothing before that start.
    """
    keys = list(zip(rows.series.tolist(), rows.start.tolist(), strict=True))
    based = {key for key, ts in zip(keys, rows.ts.tolist(), strict=True) if ts <= low_ms}
    missing = {
        series
        for (series, start), bits in zip(keys, rows.bits.tolist(), strict=True)
        if (series, start) not in based and (start < near_ms or bits & _UNKNOWN_START)
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
        ts=_ints(found["ts"]),
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


def _slice_columns(found: _Columns) -> SliceColumns:
    at, counts = _arrays(found["counts"])
    bounds_at, bounds = _arrays(found["bounds"])
    durations = ("up_ns", "degraded_ns", "down_ns", "excluded_ns", "no_data_ns", "not_started_ns")
    return SliceColumns(
        start_ms=_ints(found["start_ms"]),
        length_ms=_ints(found["length_ns"]) // NS_PER_MS,
        good=_ints(found["good"]),
        total=_ints(found["total"]),
        durations=np.stack([_ints(found[name]) for name in durations]),
        kind=_ints(found["distribution"]),
        scale=_ints(found["scale"]),
        offset=_ints(found["first_bucket"]),
        zero_count=_ints(found["zero_count"]),
        at=at,
        counts=counts.astype(np.int64),
        bounds_at=bounds_at,
        bounds=bounds.astype(np.float64),
        sealed=_ints(found["sealed"]).astype(np.bool_),
        revision=_ints(found["revision"]),
        known_at_ms=_ints(found["known_ms"]),
        seq=_ints(found["seq"]),
    )


def _block(tenant: str, slices: Sequence[tuple[str, Revision]], seq: int) -> Block:
    """Rows in the order of the key; no timestamp of ours, so that a repeated block is the same bytes."""
    ordered = sorted(slices, key=lambda item: (item[0], item[1].slice.start_ms, item[1].revision))
    columns = columns_of([(one, seq) for _, one in ordered])
    durations = columns.durations
    return (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, len(ordered)))
        .add("objective", "String", [objective for objective, _ in ordered])
        .add("slice_start", "DateTime64(3, 'UTC')", columns.start_ms)
        .add("length_ns", "Int64", length_ns(columns))
        .add("good", "Int64", columns.good)
        .add("total", "Int64", columns.total)
        .add("up_ns", "Int64", durations[0])
        .add("degraded_ns", "Int64", durations[1])
        .add("down_ns", "Int64", durations[2])
        .add("excluded_ns", "Int64", durations[3])
        .add("no_data_ns", "Int64", durations[4])
        .add("not_started_ns", "Int64", durations[5])
        .add(
            "distribution",
            "Enum8('none' = 0, 'exponential' = 1, 'explicit' = 2)",
            columns.kind.astype(np.int8),
        )
        .add("scale", "Int32", columns.scale.astype(np.int32))
        .add("offset", "Int32", columns.offset.astype(np.int32))
        .add("zero_count", "UInt64", columns.zero_count.astype(np.uint64))
        .add("counts", "Array(UInt64)", Arrays(columns.counts.astype(np.uint64), _ends(columns.at)))
        .add("bounds", "Array(Float64)", Arrays(columns.bounds, _ends(columns.bounds_at)))
        .add("sealed", "Bool", columns.sealed)
        .add("revision", "UInt32", columns.revision.astype(np.uint32))
        .add("known_at", "DateTime64(3, 'UTC')", columns.known_at_ms)
        .add("seq", "UInt64", columns.seq.astype(np.uint64))
    )


def _ends(at: Ints) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return at[1:].astype(np.uint64)


def _ints(column: ReadColumn) -> Ints:
    assert isinstance(column, np.ndarray)
    # UInt64 ids keep their bits; counts above 2**63 do not exist.
    return column.view(np.int64) if column.dtype == np.uint64 else column.astype(np.int64)


def _floats(column: ReadColumn) -> Floats:
    assert isinstance(column, np.ndarray)
    return column.astype(np.float64)


def _texts(column: ReadColumn) -> list[bytes]:
    assert isinstance(column, list)
    return column


def _arrays(column: ReadColumn) -> tuple[Ints, np.ndarray[Any, Any]]:
    assert isinstance(column, Arrays)
    assert isinstance(column.values, np.ndarray)
    at = np.concatenate((np.zeros(1, np.int64), column.ends.astype(np.int64)))
    return at, column.values


def _maps(column: ReadColumn) -> list[dict[str, str]]:
    assert isinstance(column, Maps)
    keys, values, out, begin = column.keys, column.values, [], 0
    assert isinstance(keys, list)
    assert isinstance(values, list)
    for end in column.ends.tolist():
        out.append({k.decode(): v.decode() for k, v in zip(keys[begin:end], values[begin:end], strict=True)})
        begin = end
    return out


__all__ = ["ClickHousePointReader", "ClickHouseSliceStore", "metric_id", "signed"]
