"""Reading back from memory: both read ports over what a `MemoryPointStore` holds."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from services.collector.identity import metric_id
from services.collector.memory import MemoryPointStore
from services.collector.model import MetricType, Temporality
from services.collector.ports import TableBlock
from services.collector.series_model import Extent, SeriesFilter, SeriesInfo, SeriesPlace
from services.collector.write_arrays import join, take
from services.collector.write_columns import COLUMN_TYPES, FINER_COLUMNS, POINT_TABLES
from services.common.native_columns import CodedStrings, Maps
from services.common.native_read import ReadColumn

_Row = dict[str, Any]


class MemoryReader:
    """Both ports; the store may go on changing."""

    def __init__(self, store: MemoryPointStore) -> None:
        self._store = store

    async def candidates(
        self, wanted: SeriesFilter, *, after: SeriesPlace, limit: int
    ) -> Sequence[SeriesInfo]:
        """See `SeriesReader.candidates`."""
        found = {_series(row).place: _series(row) for row in self._described(wanted) if _matches(row, wanted)}
        order = sorted(found, key=_order)
        return [found[place] for place in order if _order(place) > _order(after)][:limit]

    async def extents(
        self, wanted: SeriesFilter, series: Sequence[SeriesInfo]
    ) -> Mapping[tuple[int, int], Extent]:
        """See `SeriesReader.extents`."""
        asked = {(one.metric_id, one.place.series_id) for one in series}
        found: dict[tuple[int, int], Extent] = {}
        for table in POINT_TABLES:
            rows: Mapping[str, Any] = {} if table == "exemplars" else await self.rows(wanted, table)
            names = ("metric_id", "series_id", "ts")
            for *place, time in zip(*(rows[name].tolist() for name in names), strict=True) if rows else ():
                one = place[0], place[1]
                known = found.get(one, Extent(time, time))
                if one in asked:
                    found[one] = Extent(min(known.first_ms, time), max(known.last_ms, time))
        return found

    async def values(
        self, wanted: SeriesFilter, attribute: str, *, after: str | None, limit: int
    ) -> Sequence[str]:
        """See `SeriesReader.values`."""
        found = {
            texts[attribute]
            for row in self._described(wanted)
            if _matches(row, wanted)
            for texts in (row["attributes"], row["resource_attributes"])
            if attribute in texts
        }
        ordered = sorted(found, key=str.encode)
        return [one for one in ordered if after is None or one.encode() > after.encode()][:limit]

    async def identities(self, wanted: SeriesFilter) -> Mapping[tuple[int, int, int], bytes]:
        """See `PointReader.identities`."""
        return {
            (row["metric_id"], row["series_id"], row["day"]): row["identity"]
            for row in self._described(wanted)
        }

    async def rows(self, wanted: SeriesFilter, table: str) -> Mapping[str, ReadColumn]:
        """See `PointReader.rows`."""
        parts = []
        for block in self._store.blocks:
            if block.table == table and len(chosen := _chosen(block, wanted)):
                columns: dict[str, Any] = {one.name: one.data for one in block.columns}
                nothing = np.zeros(block.rows, dtype=np.uint32)
                parts.append(
                    {name: take(columns[name], chosen) for name in COLUMN_TYPES[table]}
                    | {name: take(columns.get(name, nothing), chosen) for name in FINER_COLUMNS[table]}
                )
        if not parts:
            return {}
        whole: dict[str, Any] = {name: join([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((whole["ts"], whole["series_id"], whole["metric_id"]))
        sorted_columns: dict[str, Any] = {name: take(column, order) for name, column in whole.items()}
        return {
            name: list(column) if isinstance(column, tuple) else column
            for name, column in sorted_columns.items()
        }

    def _described(self, wanted: SeriesFilter) -> Iterator[_Row]:
        """Rows of the table of series for the tenant, days and metric."""
        for block in self._store.blocks:
            if block.table != "series" or not wanted.first_day <= block.day <= wanted.last_day:
                continue
            columns = {one.name: _values(one.data) for one in block.columns}
            for row in range(block.rows):
                found = {name: values[row] for name, values in columns.items()}
                if found["tenant"] == wanted.tenant and wanted.metric in ("", found["metric"]):
                    yield found


def _chosen(block: TableBlock, wanted: SeriesFilter) -> Any:
    columns: dict[str, Any] = {one.name: one.data for one in block.columns}
    tenants = np.array(_values(columns["tenant"]))
    times = columns["point_ts" if block.table == "exemplars" else "ts"]
    mask = (tenants == wanted.tenant) & (times >= wanted.start_ms) & (times < wanted.end_ms)
    if wanted.metric:
        mask &= columns["metric_id"] == metric_id(wanted.metric)
    return np.flatnonzero(mask)


def _values(column: Any) -> list[Any]:
    """The values of a column of the table of series, one per row."""
    if isinstance(column, CodedStrings):
        return [column.values[code] for code in column.codes.tolist()]
    if isinstance(column, Maps):
        pairs = list(zip(column.keys, column.values, strict=True))  # type: ignore[arg-type]  # lists
        return [dict(pairs[start:end]) for start, end in pairwise([0, *column.ends.tolist()])]
    return list(column)


def _matches(row: _Row, wanted: SeriesFilter) -> bool:
    return all(
        row["attributes"].get(key) == value or row["resource_attributes"].get(key) == value
        for key, value in wanted.attributes.items()
    )


def _order(place: SeriesPlace) -> tuple[bytes, int]:
    return place.metric.encode(), place.series_id


def _series(row: _Row) -> SeriesInfo:
    return SeriesInfo(
        place=SeriesPlace(row["metric"], row["series_id"]),
        metric_id=row["metric_id"],
        type=MetricType(row["type"]),
        temporality=Temporality(row["temporality"]),
        monotonic=row["monotonic"],
        unit=row["unit"],
        resource_attributes=row["resource_attributes"],
        scope_name=row["scope_name"],
        scope_version=row["scope_version"],
        attributes=row["attributes"],
    )
