"""Reading back from ClickHouse: `SeriesReader` and `PointReader` over the collector's tables.

The statements are in sql/; every value is a bound parameter, the tenant first.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from services.collector.identity import metric_id
from services.collector.model import MetricType, Temporality
from services.collector.series_model import Extent, SeriesFilter, SeriesInfo, SeriesPlace
from services.collector.write_columns import COLUMN_TYPES, FINER_COLUMNS
from services.common.clickhouse import Database
from services.common.native_read import ReadColumn


class ClickHouseReader:
    """Both ports on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def candidates(
        self, wanted: SeriesFilter, *, after: SeriesPlace, limit: int
    ) -> Sequence[SeriesInfo]:
        """See `SeriesReader.candidates`."""
        place = {"after_metric": after.metric, "after_id": after.series_id, "limit": limit}
        rows = await self._database.rows(_sql("series_candidates"), {**_described(wanted), **place})
        return [_series(row) for row in rows]

    async def extents(
        self, wanted: SeriesFilter, series: Sequence[SeriesInfo]
    ) -> Mapping[tuple[int, int], Extent]:
        """See `SeriesReader.extents`."""
        ids = {
            "metric_ids": sorted({one.metric_id for one in series}),
            "series_ids": [one.place.series_id for one in series],
        }
        rows = await self._database.rows(_sql("series_extents"), {**_ranged(wanted), **ids})
        return {(int(row[0]), int(row[1])): Extent(int(row[2]), int(row[3])) for row in rows}

    async def values(
        self, wanted: SeriesFilter, attribute: str, *, after: str | None, limit: int
    ) -> Sequence[str]:
        """See `SeriesReader.values`."""
        place = {
            "attribute": attribute,
            "from_start": int(after is None),
            "after": after or "",
            "limit": limit,
        }
        rows = await self._database.rows(_sql("attribute_values"), {**_described(wanted), **place})
        return [str(row[0]) for row in rows]

    async def identities(self, wanted: SeriesFilter) -> Mapping[tuple[int, int, int], bytes]:
        """See `PointReader.identities`."""
        found = await self._database.columns(_sql("identities"), _described(wanted))
        if not found:
            return {}
        parts: list[Any] = [found[name] for name in ("metric_number", "series_id", "day_number")]
        whole: Any = found["whole"]
        return dict(zip(zip(*(part.tolist() for part in parts), strict=True), whole, strict=True))

    async def rows(self, wanted: SeriesFilter, table: str) -> Mapping[str, ReadColumn]:
        """See `PointReader.rows`."""
        time = "point_ts" if table == "exemplars" else "ts"
        metric = {"every": int(wanted.metric == ""), "metric_id": metric_id(wanted.metric)}
        names = ", ".join([*COLUMN_TYPES[table], *FINER_COLUMNS[table]])
        return await self._database.columns(
            f"SELECT {names} FROM {table} WHERE tenant = {{tenant:String}}"
            " AND ({every:UInt8} OR metric_id = {metric_id:UInt32})"
            f" AND {time} >= fromUnixTimestamp64Milli({{start_ms:Int64}})"
            f" AND {time} < fromUnixTimestamp64Milli({{end_ms:Int64}})"
            " ORDER BY metric_id, series_id, ts",
            {**_ranged(wanted), **metric},
        )


def _sql(name: str) -> str:
    return (files("services.collector") / "sql" / f"{name}.sql").read_text()


def _described(wanted: SeriesFilter) -> dict[str, Any]:
    return {
        "tenant": wanted.tenant,
        "metric": wanted.metric,
        "first_day": wanted.first_day,
        "last_day": wanted.last_day,
        "keys": list(wanted.attributes),
        "values": list(wanted.attributes.values()),
    }


def _ranged(wanted: SeriesFilter) -> dict[str, Any]:
    return {"tenant": wanted.tenant, "start_ms": wanted.start_ms, "end_ms": wanted.end_ms}


def _series(row: Sequence[Any]) -> SeriesInfo:
    name, series_id, metric_hash, kind, temporality, rising, unit, resource, scope, version, texts = row
    return SeriesInfo(
        place=SeriesPlace(str(name), int(series_id)),
        metric_id=int(metric_hash),
        type=MetricType(int(kind)),
        temporality=Temporality(int(temporality)),
        monotonic=bool(rising),
        unit=str(unit),
        resource_attributes=dict(resource),
        scope_name=str(scope),
        scope_version=str(version),
        attributes=dict(texts),
    )
