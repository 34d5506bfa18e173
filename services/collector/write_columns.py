"""Accepted points of a batch as sorted blocks, one per table and day.

Pure and deterministic: the same requests in the same order give the same rows, so that recovery
can compare what it would write with what the store holds. Order of rows: the table's key, then
the order in the log.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from services.collector.attribute_text import attribute_texts
from services.collector.columns import Decoded, Exemplars, ExpHistograms, Histograms, Numbers, Summaries
from services.collector.model import I64, MS_IN_DAY, NANOSECONDS_IN_MS, U64, Bools, Touched
from services.collector.ports import TableBlock, TableColumn
from services.collector.retention import KeepDays, KeepNs, milliseconds_only
from services.collector.series_ids import TableKeys
from services.collector.write_arrays import Gathered, RowColumn, constant, from_decoded, length
from services.collector.write_points import AllPoints, BatchPoints, SeenSeries, below_ms
from services.common.native_columns import CodedStrings, Maps, NumpyArray

POINT_TABLES = ("points", "histograms", "exp_histograms", "summaries", "exemplars")

_TIME = "DateTime64(3, 'UTC')"
_OPTIONAL = "Nullable(Float64)"
_KIND = "Enum8('none' = 0, 'int' = 1, 'double' = 2)"
_COMMON = {
    "metric_id": "UInt32",
    "series_id": "UInt64",
    "ts": _TIME,
    "start": _TIME,
    "flags": "UInt32",
    "bits": "UInt8",
    "batch": "UInt32",
}
_VALUE = {"kind": _KIND, "value_int": "Int64", "value_double": "Float64"}
_AGGREGATE = {"count": "UInt64", "sum": _OPTIONAL, "min": _OPTIONAL, "max": _OPTIONAL}
COLUMN_TYPES = {
    "points": _COMMON | _VALUE,
    "histograms": _COMMON | _AGGREGATE | {"bounds": "Array(Float64)", "counts": "Array(UInt64)"},
    "exp_histograms": _COMMON
    | _AGGREGATE
    | {
        "scale": "Int32",
        "zero_count": "UInt64",
        "zero_threshold": "Float64",
        "positive_offset": "Int32",
        "positive_counts": "Array(UInt64)",
        "negative_offset": "Int32",
        "negative_counts": "Array(UInt64)",
    },
    "summaries": _COMMON
    | {
        "count": "UInt64",
        "sum": "Float64",
        "quantiles": "Array(Float64)",
        "quantile_values": "Array(Float64)",
    },
    "exemplars": _COMMON
    | {"point_ts": _TIME}
    | _VALUE
    | {"trace_id": "String", "span_id": "String", "filtered_attributes": "String"},
}
"""Columns of each table besides `tenant`, with their types in the schema."""
FINER_COLUMNS = {
    table: ("ts_ns", "start_ns", "point_ts_ns") if table == "exemplars" else ("ts_ns", "start_ns")
    for table in POINT_TABLES
}
"""UInt32 each: what the times in ms leave out, for tenants that ask for it; elsewhere 0 and not written."""


class Rows:
    """Gathers the requests of a batch, and makes the sorted blocks of them all at once."""

    def __init__(self, *, batch: int, keep_days: KeepDays, to_the_ns: KeepNs = milliseconds_only) -> None:
        self._to_the_ns = to_the_ns
        self._batch = batch
        self._keep_days = keep_days
        self._points = BatchPoints()
        self._parts: dict[str, list[_Part]] = {table: [] for table in POINT_TABLES}

    def add(self, tenant: str, decoded: Decoded, accepted: Bools, keys: TableKeys) -> None:
        """Take the accepted points of one request, all of them or, with an error, none.

        `keys` are those of its series, in their order.
        """
        parts = [(table, rows) for table, rows in _tables(decoded) if _rows_of(table, rows)]
        first = self._points.add(tenant, decoded, accepted, keys)
        for table, rows in parts:
            self._parts[table].append(_Part(first, rows))

    def finish(self) -> "Finished":
        """The sorted blocks, in a fixed order of tables and days, and what they say of series."""
        points = self._points.finish()
        blocks: list[TableBlock] = []
        seen: list[SeenSeries] = []
        for table in POINT_TABLES:
            if parts := self._parts[table]:
                self._table(points, table, parts, blocks, seen)
        return Finished(tuple(blocks), tuple(seen), points.touched(seen))

    def _table(
        self,
        points: "AllPoints",
        table: str,
        parts: "Sequence[_Part]",
        blocks: list[TableBlock],
        seen: list[SeenSeries],
    ) -> None:
        place = np.concatenate([_array(part.rows["point"]) + part.first for part in parts])
        rows = {name: Gathered([part.rows[name] for part in parts]) for name in parts[0].rows}
        chosen = None if points.all_accepted else np.flatnonzero(points.accepted[place])
        if chosen is not None:
            place = place[chosen]
        times = points.ts[place]
        exemplars = table == "exemplars"
        if exemplars:
            all_rows = np.arange(len(place))
            own = _array(rows["ts"].take(all_rows if chosen is None else chosen))
        order, number = points.order(place, own if exemplars else times)
        place = place[order]
        source = order if chosen is None else chosen[order]
        for day, here in _days(times, order):
            there, which = place[here], number[here]
            columns = self._columns(points, table, rows, there, source[here], which)
            blocks.append(TableBlock(table, day, len(there), columns))
            if not exemplars:
                seen.append(points.seen(there, which, day))

    def _columns(
        self,
        points: "AllPoints",
        table: str,
        rows: dict[str, Gathered],
        place: I64,
        source: I64,
        number: I64,
    ) -> tuple[TableColumn, ...]:
        """Columns of the rows at `source` of a table; they belong to the points at `place`, of series with
        these numbers."""
        common = points.columns(place, number)
        tenant = common["tenant"]
        columns = [TableColumn("tenant", "LowCardinality(String)", CodedStrings(points.tenants, tenant))]
        for name, kind in COLUMN_TYPES[table].items():
            if name == "batch":
                data: RowColumn = constant(np.uint32(self._batch), len(place))
            elif name in rows:
                data = rows[name].take(source)
            else:
                data = common[name]
            columns.append(TableColumn(name, kind, data))
        days_kept = np.array([self._keep_days(name, table) for name in points.tenants], dtype=np.uint16)
        kept = days_kept[tenant] if len(days_kept) > 1 else constant(days_kept[0], len(place))
        columns.append(TableColumn("keep_days", "UInt16", kept))
        columns += self._finer(points, table, rows, place, source, tenant)
        if table == "exemplars":
            columns.append(_filtered_texts(rows["filtered_attributes"].take(source)))
        return tuple(columns)

    def _finer(
        self,
        points: "AllPoints",
        table: str,
        rows: dict[str, Gathered],
        place: I64,
        source: I64,
        tenant: I64,
    ) -> list[TableColumn]:
        """The nanoseconds below the milliseconds, where a tenant of the batch has them kept."""
        wanted = np.array([self._to_the_ns(name) for name in points.tenants], dtype=np.bool_)
        if not wanted.any():
            return []
        found = points.below_ms(place)
        if table == "exemplars":
            found["ts_ns"] = _array(rows["ts_ns"].take(source))
        kept = wanted[tenant]
        return [TableColumn(name, "UInt32", found[name] * kept) for name in FINER_COLUMNS[table]]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a batch writes and tells."""

    blocks: tuple[TableBlock, ...]
    seen: tuple[SeenSeries, ...]
    touched: tuple[Touched, ...]


class _Part(NamedTuple):
    """Rows of one type of one request, whose first point is the batch's point number `first`."""

    first: int
    rows: dict[str, RowColumn]


def _rows_of(table: str, rows: dict[str, RowColumn]) -> int:
    """How many rows; ValueError when the columns disagree."""
    lengths = {length(column) for column in rows.values()}
    if len(lengths) != 1:
        raise ValueError(f"columns of {table} have {sorted(lengths)} rows")
    return lengths.pop()


def _days(times: I64, order: I64) -> "list[tuple[int, I64 | slice]]":
    """The days that times (ms) lie in, and which of the ordered rows are of each."""
    if not len(times):
        return []
    first, last = int(times.min()) // MS_IN_DAY, int(times.max()) // MS_IN_DAY
    if first == last:
        return [(first, slice(None))]
    days = times[order] // MS_IN_DAY
    return [(day, np.flatnonzero(days == day)) for day in np.unique(days).tolist()]


def _filtered_texts(serialised: RowColumn) -> TableColumn:
    """The filtered attributes of exemplars as text; most of them are the same few."""
    assert isinstance(serialised, tuple)
    told = {one: attribute_texts(KeyValueList.FromString(one).values) for one in set(serialised)}
    return TableColumn("filtered_texts", "Map(String, String)", Maps.of([told[one] for one in serialised]))


def to_ms(times_ns: U64) -> I64:
    """Unix nanoseconds to whole milliseconds, floored."""
    return (times_ns // np.uint64(NANOSECONDS_IN_MS)).astype(np.int64)


def _tables(decoded: Decoded) -> Iterator[tuple[str, dict[str, RowColumn]]]:
    """The type tables of a request that have rows, by the name of their table in the store."""
    if len(decoded.numbers.point):
        yield "points", _numbers(decoded.numbers)
    if len(decoded.histograms.point):
        yield "histograms", _histograms(decoded.histograms)
    if len(decoded.exp_histograms.point):
        yield "exp_histograms", _exp_histograms(decoded.exp_histograms)
    if len(decoded.summaries.point):
        yield "summaries", _summaries(decoded.summaries)
    if len(decoded.exemplars.point):
        yield "exemplars", _exemplars(decoded.exemplars)


def _numbers(rows: Numbers) -> dict[str, RowColumn]:
    return {
        "point": rows.point,
        "kind": rows.kind.view(np.int8),
        "value_int": rows.value_int,
        "value_double": rows.value_double,
    }


def _histograms(rows: Histograms) -> dict[str, RowColumn]:
    return {
        "point": rows.point,
        "count": rows.count,
        "sum": from_decoded(rows.sum),
        "min": from_decoded(rows.min),
        "max": from_decoded(rows.max),
        "bounds": from_decoded(rows.bounds),
        "counts": from_decoded(rows.counts),
    }


def _exp_histograms(rows: ExpHistograms) -> dict[str, RowColumn]:
    return {
        "point": rows.point,
        "count": rows.count,
        "sum": from_decoded(rows.sum),
        "min": from_decoded(rows.min),
        "max": from_decoded(rows.max),
        "scale": rows.scale,
        "zero_count": rows.zero_count,
        "zero_threshold": rows.zero_threshold,
        "positive_offset": rows.positive_offset,
        "positive_counts": from_decoded(rows.positive_counts),
        "negative_offset": rows.negative_offset,
        "negative_counts": from_decoded(rows.negative_counts),
    }


def _summaries(rows: Summaries) -> dict[str, RowColumn]:
    return {
        "point": rows.point,
        "count": rows.count,
        "sum": rows.sum,
        "quantiles": from_decoded(rows.quantiles),
        "quantile_values": from_decoded(rows.quantile_values),
    }


def _exemplars(rows: Exemplars) -> dict[str, RowColumn]:
    return {
        "point": rows.point,
        "ts": to_ms(rows.time_ns),
        "ts_ns": below_ms(rows.time_ns),
        "kind": rows.kind.view(np.int8),
        "value_int": rows.value_int,
        "value_double": rows.value_double,
        "trace_id": rows.trace_id,
        "span_id": rows.span_id,
        "filtered_attributes": rows.filtered_attributes,
    }


def _array(column: RowColumn) -> NumpyArray:
    assert isinstance(column, np.ndarray)
    return column
