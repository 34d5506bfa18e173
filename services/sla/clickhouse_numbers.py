"""Gauges and sums over ClickHouse. The statements are in sql/; every value is a bound parameter."""

from collections.abc import Sequence

import numpy as np

from services.common.clickhouse import Database
from services.sla.model import Heartbeats, Numbers, Series
from services.sla.read_columns import (
    NEAR_MS,
    Columns,
    floats,
    ints,
    metric_id,
    series_of,
    sql,
    without_base,
)
from services.sla.rows_build import joined_numbers, numbers_of


class ClickHouseNumberReader:
    """`NumberReader` over the collector's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def number_series(self, tenant: str, metric: str) -> Sequence[Series]:
        """See `NumberReader.number_series`."""
        return series_of(
            await self._database.columns(sql("number_series"), {"tenant": tenant, "metric": metric})
        )

    async def numbers(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Numbers:
        """See `NumberReader.numbers`."""
        near = low_ms - NEAR_MS
        where = {
            "tenant": tenant,
            "metric_id": metric_id(metric),
            "low": low_ms,
            "high": high_ms,
            "near": near,
        }
        found = _numbers(await self._database.columns(sql("numbers"), where))
        if series := without_base(found, low_ms, near):
            deep = await self._database.columns(sql("numbers_before"), {**where, "series": series})
            found = joined_numbers(found, _numbers(deep))
        return found

    async def last_number(self, tenant: str, metric: str, *, before_ms: int) -> int | None:
        """See `NumberReader.last_number`."""
        found = await self._database.rows(
            sql("number_last"), {"tenant": tenant, "metric_id": metric_id(metric), "before": before_ms}
        )
        return int(found[0][0]) if found else None

    async def witnesses(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """See `NumberReader.witnesses`."""
        found = await self._database.columns(
            sql("witnesses"), {"tenant": tenant, "metric": metric, "low": low_ms, "high": high_ms}
        )
        if not found:
            none = np.zeros(0, np.int64)
            return Heartbeats(none, none)
        return Heartbeats(ints(found["sender"]), ints(found["ts"]))

    async def number_extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """See `NumberReader.number_extent`."""
        found = await self._database.rows(
            sql("number_extent"), {"tenant": tenant, "metric_id": metric_id(metric)}
        )
        return (int(found[0][0]), int(found[0][1])) if found else None


def _numbers(found: Columns) -> Numbers:
    if not found:
        return numbers_of(())
    return Numbers(
        series=ints(found["series_id"]),
        start=ints(found["start"]),
        start_ns=ints(found["start_ns"]),
        ts=ints(found["ts"]),
        ts_ns=ints(found["ts_ns"]),
        bits=ints(found["bits"]),
        count=ints(found["whole"]),
        value=floats(found["value"]),
    )
