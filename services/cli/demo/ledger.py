"""Counting what was acknowledged and what is stored, each from its own source."""

import json
from pathlib import Path
from typing import Any

from services.common.clickhouse import ClickHouseConfig, Database

_POINT_TABLES = ("points", "histograms", "exp_histograms", "summaries")


def acknowledged_points(ledger: Path) -> int:
    """Points that a company's exporter got acknowledged, by the company's own ledger."""
    return sum(
        line["points"] for line in _lines(ledger) if line["event"] == "export" and line["acknowledged"]
    )


def first_failure_ns(ledger: Path) -> int | None:
    """When the company served its first failed request, Unix nanoseconds."""
    for line in _lines(ledger):
        if line["event"] == "first_failure":
            return int(line["time_ns"])
    return None


def served_requests(ledger: Path) -> tuple[int, int]:
    """(good, all) requests that the company served, by its own count."""
    for line in _lines(ledger):
        if line["event"] == "served":
            return line["requests"] - line["failed"], line["requests"]
    return 0, 0


async def stored_points(clickhouse_url: str, database: str = "threenines") -> dict[str, int]:
    """Points in ClickHouse by tenant."""
    union = " UNION ALL ".join(
        f"SELECT tenant, count() AS n FROM {table} GROUP BY tenant" for table in _POINT_TABLES
    )
    store = Database(ClickHouseConfig.from_url(clickhouse_url, database))
    try:
        rows = await store.rows(f"SELECT tenant, sum(n) FROM ({union}) GROUP BY tenant")
    finally:
        await store.close()
    return {str(tenant): int(points) for tenant, points in rows}


def _lines(ledger: Path) -> list[dict[str, Any]]:
    if not ledger.exists():
        return []
    return [json.loads(line) for line in ledger.read_text().splitlines() if line.endswith("}")]
