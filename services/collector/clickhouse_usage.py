"""Usage and the series of before from ClickHouse: `UsageReader` and `SeriesHistory`.

`known_series` looks over all tenants on purpose: it fills the count of every tenant at a start,
and nothing of it is shown to anybody.
"""

from importlib.resources import files
from typing import Any

import numpy as np

from services.collector.model import MetricType
from services.collector.quota_ports import KnownSeries
from services.collector.series_model import SeriesFilter
from services.collector.usage import StoredUsage
from services.common.clickhouse import Database
from services.common.clickhouse_errors import UnknownDatabase, UnknownTable

_TABLES = {
    MetricType.GAUGE: "points",
    MetricType.HISTOGRAM: "histograms",
    MetricType.EXP_HISTOGRAM: "exp_histograms",
    MetricType.SUMMARY: "summaries",
}


class ClickHouseUsage:
    """Both ports on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(self, wanted: SeriesFilter, *, top: int) -> StoredUsage:
        """See `UsageReader.usage`."""
        days = {"tenant": wanted.tenant, "first_day": wanted.first_day, "last_day": wanted.last_day}
        metrics = await self._database.rows(_sql("usage_metrics"), {**days, "top": top})
        attributes = await self._database.rows(_sql("usage_attributes"), {**days, "top": top})
        series = await self._database.rows(
            "SELECT uniqExact(series_id) FROM series WHERE tenant = {tenant:String}"
            " AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})",
            days,
        )
        return StoredUsage(
            points=await self._points(wanted),
            series=int(series[0][0]),
            metrics=tuple((str(metric), int(count)) for metric, count in metrics),
            attributes=tuple((str(key), int(values), int(count)) for key, values, count in attributes),
        )

    async def _points(self, wanted: SeriesFilter) -> tuple[tuple[MetricType, int], ...]:
        counts: list[tuple[MetricType, int]] = []
        for kind, table in _TABLES.items():
            rows = await self._database.rows(
                f"SELECT count() FROM {table} WHERE tenant = {{tenant:String}}"
                " AND ts >= fromUnixTimestamp64Milli({start_ms:Int64})"
                " AND ts < fromUnixTimestamp64Milli({end_ms:Int64})",
                {"tenant": wanted.tenant, "start_ms": wanted.start_ms, "end_ms": wanted.end_ms},
            )
            counts.append((kind, int(rows[0][0])))
        return tuple(sorted((one for one in counts if one[1]), key=lambda one: (-one[1], one[0])))

    async def known_series(self, *, first_day: int, since_s: int) -> dict[str, KnownSeries]:
        """See `SeriesHistory.known_series`."""
        days = {"first_day": first_day, "since_s": since_s}
        try:
            found: Any = await self._database.columns(_sql("known_series"), days)
        except (UnknownTable, UnknownDatabase):
            # Before the first migration there is nothing to know.
            return {}
        if not found:
            return {}
        tenants, hours = np.array(found["whose"]), found["seen_s"] // 3600
        known: dict[str, KnownSeries] = {}
        for tenant in set(found["whose"]):
            mine = tenants == tenant
            known[tenant.decode()] = KnownSeries(found["series_id"][mine], hours[mine])
        return known


def _sql(name: str) -> str:
    return (files("services.collector") / "sql" / f"{name}.sql").read_text()
