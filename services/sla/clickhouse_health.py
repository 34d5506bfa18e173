"""`OwnMetrics` over the collector's tables. The statements are in sql/; every value is bound."""

from collections.abc import Mapping
from typing import Any

from services.common.clickhouse import Database
from services.sla.platform_health import STEP_MS, Durations
from services.sla.read_columns import metric_id, sql

_TENANT = "threenines"


class ClickHouseOwnMetrics:
    """Reads what our services reported about themselves as tenant `threenines`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def durations(self, metric: str, label: str, *, low_ms: int, high_ms: int) -> list[Durations]:
        """See `OwnMetrics.durations`."""
        asked = {**_of(metric), "label": label, "low": low_ms, "high": high_ms, "step_ms": STEP_MS}
        return [
            Durations(str(service), str(name), int(step), int(number), float(seconds))
            for service, name, step, number, seconds in await self._rows("health_durations", asked)
        ]

    async def counts(self, metric: str, *, low_ms: int, high_ms: int) -> Mapping[int, int]:
        """See `OwnMetrics.counts`."""
        return await self._steps("health_counts", metric, low_ms, high_ms)

    async def levels(self, metric: str, *, low_ms: int, high_ms: int) -> Mapping[int, int]:
        """See `OwnMetrics.levels`."""
        return await self._steps("health_levels", metric, low_ms, high_ms)

    async def reported(self, *, low_ms: int) -> Mapping[str, int]:
        """See `OwnMetrics.reported`."""
        found = await self._rows("health_reported", {**_of("common.up"), "low": low_ms})
        return {str(name): int(last_ms) for name, last_ms in found}

    async def _steps(self, name: str, metric: str, low_ms: int, high_ms: int) -> Mapping[int, int]:
        asked = {**_of(metric), "low": low_ms, "high": high_ms, "step_ms": STEP_MS}
        return {int(step): int(number) for step, number in await self._rows(name, asked)}

    async def _rows(self, name: str, asked: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return await self._database.rows(sql(name), asked)


def _of(metric: str) -> dict[str, Any]:
    name = f"threenines.{metric}"
    return {"tenant": _TENANT, "metric": name, "metric_id": metric_id(name)}
