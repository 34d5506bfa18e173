"""`SliceStore` over ClickHouse: slices, hours and heads. The statements are in sql/; every value is bound."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np

from services.common.clickhouse import Database
from services.common.native import Block
from services.common.native_columns import Arrays, CodedStrings
from services.sla.clickhouse_extracts import ONE_THREAD, bare, read_extracts
from services.sla.columns import columns_of, length_ns, revision_at
from services.sla.model import Head, Ints, Revision, SliceColumns
from services.sla.ports import Extract
from services.sla.read_columns import Columns, ints, sql, texts

_FOREVER_MS = 4_102_444_800_000
_NAMED = tuple[str, Revision]


class ClickHouseSliceStore:
    """`SliceStore` over `sli_slices`, `sli_hours` and `sli_heads`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(
        self, tenant: str, slices: Sequence[_NAMED], *, seq: int, hours: Sequence[_NAMED] = ()
    ) -> None:
        """See `SliceStore.store`."""
        for table, rows, label in (("sli_slices", slices, "slices"), ("sli_hours", hours, "hours")):
            if rows:
                block = _block(tenant, rows, seq)
                await self._database.insert_native(
                    table, block.to_bytes(), block.names, query_id=_query_id(label, seq)
                )
        if told := [*slices, *hours]:
            # Last: a head tells of rows that are there.
            block = _heads(tenant, told, seq)
            await self._database.insert_native(
                "sli_heads", block.to_bytes(), block.names, query_id=_query_id("heads", seq)
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
        return await self.pieces(tenant, objective, [(low_ms, high_ms)], as_of_ms=as_of_ms)

    async def pieces(
        self,
        tenant: str,
        objective: str,
        ranges: Sequence[tuple[int, int]],
        *,
        as_of_ms: int | None = None,
        distributions: bool = True,
    ) -> SliceColumns:
        """See `SliceStore.pieces`."""
        wanted = Extract(objective, pieces=tuple(ranges), distributions=distributions)
        return (await self.extracts(tenant, [wanted], as_of_ms=as_of_ms))[0][1]

    async def hours(
        self,
        tenant: str,
        objective: str,
        *,
        low_ms: int,
        high_ms: int,
        as_of_ms: int | None = None,
        distributions: bool = True,
    ) -> SliceColumns:
        """See `SliceStore.hours`."""
        wanted = Extract(objective, hours=(low_ms, high_ms), distributions=distributions)
        return (await self.extracts(tenant, [wanted], as_of_ms=as_of_ms))[0][0]

    async def extracts(
        self, tenant: str, wanted: Sequence[Extract], *, as_of_ms: int | None = None
    ) -> list[tuple[SliceColumns, SliceColumns]]:
        """See `SliceStore.extracts`."""
        return await read_extracts(self._database, tenant, wanted, as_of_ms)

    async def heads(self, tenants: Sequence[str]) -> dict[tuple[str, str], Head]:
        """See `SliceStore.heads`."""
        found = await self._database.columns(bare("heads") + ONE_THREAD, {"tenants": list(tenants)})
        return _heads_of(found) if found else {}

    async def span(
        self, tenant: str, objective: str, *, as_of_ms: int | None = None
    ) -> tuple[int, int, int] | None:
        """See `SliceStore.span`."""
        as_of = _FOREVER_MS if as_of_ms is None else as_of_ms
        found = await self._database.rows(
            sql("span"), {"tenant": tenant, "objective": objective, "as_of": as_of}
        )
        return (int(found[0][0]), int(found[0][1]), int(found[0][2])) if found else None


def _query_id(label: str, seq: int) -> str:
    """Unlike any other: another process may be storing the same record now, and ClickHouse refuses an id
    that is running."""
    return f"{label}-{seq}-{uuid4().hex}"


def _heads_of(found: Columns) -> dict[tuple[str, str], Head]:
    """As the table merges its rows in its own time."""
    numbers = [ints(found[name]).tolist() for name in ("first_ms", "end_ms", "sealed_ms", "known_ms", "seq")]
    names = (texts(found[name]) for name in ("tenant", "objective", "database"))
    heads: dict[tuple[str, str], Head] = {}
    for tenant, objective, database, *row in zip(*names, *numbers, strict=True):
        key, one = (tenant.decode(), objective.decode()), Head(database.decode(), *row)
        other = heads.get(key)
        heads[key] = one if other is None else _later(one, other)
    return heads


def _later(one: Head, other: Head) -> Head:
    return Head(
        one.database,
        first_ms=min(one.first_ms, other.first_ms),
        end_ms=max(one.end_ms, other.end_ms),
        sealed_ms=max(one.sealed_ms, other.sealed_ms),
        known_ms=max(one.known_ms, other.known_ms),
        seq=max(one.seq, other.seq),
    )


def _heads(tenant: str, slices: Sequence[_NAMED], seq: int) -> Block:
    """One row for each objective; in order of the key, so that a repeated block is the same bytes."""
    by_objective: dict[str, list[Revision]] = {}
    for objective, one in slices:
        by_objective.setdefault(objective, []).append(one)
    names = sorted(by_objective)
    parts = [by_objective[name] for name in names]

    def column(values: list[int]) -> Ints:
        return np.array(values, np.int64)

    sealed = [max((one.slice.end_ms for one in part if one.slice.sealed), default=0) for part in parts]
    return (
        Block()
        .add("tenant", "String", CodedStrings.constant(tenant, len(names)))
        .add("objective", "String", names)
        .add("first_ms", "Int64", column([min(one.slice.start_ms for one in part) for part in parts]))
        .add("end_ms", "Int64", column([max(one.slice.end_ms for one in part) for part in parts]))
        .add("sealed_ms", "Int64", column(sealed))
        .add("known_ms", "Int64", column([max(one.known_at_ms for one in part) for part in parts]))
        .add("seq", "UInt64", np.full(len(names), seq, np.uint64))
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
