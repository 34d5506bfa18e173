"""Accepted points of a batch as sorted blocks, one per table and day.

Pure and deterministic: the same requests in the same order give the same rows, so that recovery
can compare what it would write with what the store holds. Order of rows: the table's key, then
the order in the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from services.collector.attribute_text import attribute_texts
from services.collector.columns import Decoded
from services.collector.identity import SeriesKey
from services.collector.model import (
    I64,
    MS_IN_DAY,
    NANOSECONDS_IN_MS,
    U64,
    Bools,
    StartBits,
    Temporality,
)
from services.collector.ports import TableBlock, TableColumn
from services.collector.retention import KeepDays
from services.collector.write_arrays import RowColumn, from_decoded, join, take
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


@dataclass(frozen=True, slots=True)
class PointFacts:
    """Accepted points of one request: one element per point, in the order as received."""

    tenant: str
    metric_index: I64
    metrics: tuple[str, ...]
    identities: tuple[bytes, ...]
    keys: tuple[SeriesKey, ...]
    series_index: I64
    ts_ms: I64
    reach_ms: I64
    """The earliest time that the point speaks about: its start for delta, else its time."""


class Rows:
    """Gathers the rows of a batch, request by request."""

    def __init__(self, *, batch: int, keep_days: KeepDays) -> None:
        self._batch = batch
        self._keep_days = keep_days
        self._tenants: list[str] = []
        self._parts: dict[str, list[dict[str, RowColumn]]] = {table: [] for table in POINT_TABLES}

    def add(self, tenant: str, decoded: Decoded, accepted: Bools, keys: Sequence[SeriesKey]) -> PointFacts:
        """Take the accepted points of one request, all of them or, with an error, none.

        `keys` are those of its series, in their order.
        """
        common = self._common(decoded, keys)
        parts: dict[str, dict[str, RowColumn]] = {}
        for table, rows in _tables(decoded).items():
            place = rows["point"]
            assert isinstance(place, np.ndarray)
            chosen = np.flatnonzero(accepted[place])
            if len(chosen):
                parts[table] = _part(table, common, rows, chosen)
        facts = _facts(tenant, decoded, accepted, common, keys)
        self._tenants.append(tenant)
        for table, part in parts.items():
            self._parts[table].append(part)
        return facts

    def blocks(self) -> list[TableBlock]:
        """The sorted blocks, in a fixed order of tables and days."""
        found: list[TableBlock] = []
        for table in POINT_TABLES:
            if parts := self._parts[table]:
                rows = {name: join([part[name] for part in parts]) for name in parts[0]}
                found.extend(self._sorted(table, rows))
        return found

    def _sorted(self, table: str, rows: dict[str, RowColumn]) -> list[TableBlock]:
        names = sorted(set(self._tenants))
        ranks = np.array([names.index(tenant) for tenant in self._tenants], dtype=np.int64)
        tenant = ranks[_array(rows["tenant"])]
        order = np.lexsort((_array(rows["ts"]), _array(rows["series_id"]), _array(rows["metric_id"]), tenant))
        days = _array(rows["point_ts" if table == "exemplars" else "ts"]) // MS_IN_DAY
        blocks: list[TableBlock] = []
        for day in np.unique(days).tolist():
            chosen = order[days[order] == day]
            columns = [TableColumn("tenant", "String", CodedStrings(names, tenant[chosen]))]
            columns += [
                TableColumn(name, kind, take(rows[name], chosen))
                for name, kind in COLUMN_TYPES[table].items()
            ]
            days_kept = np.array([self._keep_days(name, table) for name in names], dtype=np.uint16)
            columns.append(TableColumn("keep_days", "UInt16", days_kept[tenant[chosen]]))
            if table == "exemplars":
                columns.append(_filtered_texts(take(rows["filtered_attributes"], chosen)))
            blocks.append(TableBlock(table, int(day), len(chosen), tuple(columns)))
        return blocks

    def _common(self, decoded: Decoded, keys: Sequence[SeriesKey]) -> dict[str, RowColumn]:
        index = decoded.series_index
        equal = (decoded.start_ns == decoded.time_ns) & (decoded.start_ns != 0)
        bits = (decoded.start_ns == 0) * np.uint8(StartBits.ABSENT) + equal * np.uint8(StartBits.EQUALS_TIME)
        points = decoded.point_count
        return {
            "tenant": np.full(points, len(self._tenants), dtype=np.int64),
            "metric_id": np.array([key.metric_id for key in keys], dtype=np.uint32)[index],
            "series_id": np.array([key.series_id for key in keys], dtype=np.uint64)[index],
            "ts": to_ms(decoded.time_ns),
            "start": to_ms(decoded.start_ns),
            "flags": decoded.flags,
            "bits": bits.astype(np.uint8),
            "batch": np.full(points, self._batch, dtype=np.uint32),
        }


def _filtered_texts(serialised: RowColumn) -> TableColumn:
    """The filtered attributes of exemplars as text; most of them are the same few."""
    assert isinstance(serialised, tuple)
    told = {one: attribute_texts(KeyValueList.FromString(one).values) for one in set(serialised)}
    return TableColumn("filtered_texts", "Map(String, String)", Maps.of([told[one] for one in serialised]))


def to_ms(times_ns: U64) -> I64:
    """Unix nanoseconds to whole milliseconds, floored."""
    return (times_ns // np.uint64(NANOSECONDS_IN_MS)).astype(np.int64)


def _tables(decoded: Decoded) -> dict[str, dict[str, RowColumn]]:
    """The type tables of a request by the name of their table in the store."""
    numbers, histograms, summaries = decoded.numbers, decoded.histograms, decoded.summaries
    exp, exemplars = decoded.exp_histograms, decoded.exemplars
    return {
        "points": {
            "point": numbers.point,
            "kind": numbers.kind.astype(np.int8),
            "value_int": numbers.value_int,
            "value_double": numbers.value_double,
        },
        "histograms": {
            "point": histograms.point,
            "count": histograms.count,
            "sum": from_decoded(histograms.sum),
            "min": from_decoded(histograms.min),
            "max": from_decoded(histograms.max),
            "bounds": from_decoded(histograms.bounds),
            "counts": from_decoded(histograms.counts),
        },
        "exp_histograms": {
            "point": exp.point,
            "count": exp.count,
            "sum": from_decoded(exp.sum),
            "min": from_decoded(exp.min),
            "max": from_decoded(exp.max),
            "scale": exp.scale,
            "zero_count": exp.zero_count,
            "zero_threshold": exp.zero_threshold,
            "positive_offset": exp.positive_offset,
            "positive_counts": from_decoded(exp.positive_counts),
            "negative_offset": exp.negative_offset,
            "negative_counts": from_decoded(exp.negative_counts),
        },
        "summaries": {
            "point": summaries.point,
            "count": summaries.count,
            "sum": summaries.sum,
            "quantiles": from_decoded(summaries.quantiles),
            "quantile_values": from_decoded(summaries.quantile_values),
        },
        "exemplars": {
            "point": exemplars.point,
            "ts": to_ms(exemplars.time_ns),
            "kind": exemplars.kind.astype(np.int8),
            "value_int": exemplars.value_int,
            "value_double": exemplars.value_double,
            "trace_id": exemplars.trace_id,
            "span_id": exemplars.span_id,
            "filtered_attributes": exemplars.filtered_attributes,
        },
    }


def _part(
    table: str, common: dict[str, RowColumn], rows: dict[str, RowColumn], chosen: I64
) -> dict[str, RowColumn]:
    """The chosen rows of one type table with the facts of their points."""
    points = _array(rows["point"])[chosen]
    part = {name: take(column, points) for name, column in common.items()}
    if table == "exemplars":
        part["point_ts"] = part["ts"]
    part.update({name: take(column, chosen) for name, column in rows.items() if name != "point"})
    return part


def _facts(
    tenant: str,
    decoded: Decoded,
    accepted: Bools,
    common: dict[str, RowColumn],
    keys: Sequence[SeriesKey],
) -> PointFacts:
    names = sorted(set(decoded.series.metric))
    places = {name: place for place, name in enumerate(names)}
    metric_of_series = np.array([places[name] for name in decoded.series.metric], dtype=np.int64)
    series = decoded.series_index[accepted]
    ts = _array(common["ts"])[accepted]
    start = _array(common["start"])[accepted]
    delta = decoded.series.temporality[series] == Temporality.DELTA
    known = decoded.start_ns[accepted] != 0
    return PointFacts(
        tenant=tenant,
        metric_index=metric_of_series[series],
        metrics=tuple(names),
        identities=decoded.series.identity,
        keys=tuple(keys),
        series_index=series,
        ts_ms=ts,
        reach_ms=np.where(delta & known, np.minimum(start, ts), ts),
    )


def _array(column: RowColumn) -> NumpyArray:
    assert isinstance(column, np.ndarray)
    return column
