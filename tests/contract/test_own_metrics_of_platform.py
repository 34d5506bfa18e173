"""What platform health reads of our own metrics, from real ClickHouse: steps, restarts, services."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from services.sla.clickhouse_health import ClickHouseOwnMetrics
from services.sla.platform_health import STEP_MS, Durations
from services.sla.read_columns import metric_id
from tests.engines_given import clickhouse_server

pytestmark = pytest.mark.engines

DURATION = "threenines.common.rpc.duration"
STORED = "threenines.collector.points.acknowledged"
UP = "threenines.common.up"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with clickhouse_server(tmp_path / "clickhouse") as server:
        found = Database(ClickHouseConfig.from_url(server.url, server.database("own")))
        await migrate(found, load_migrations(), ManualClock())
        yield found
        await found.close()


async def insert(database: Database, metric: str, series: int, kind: str, code: str, rows: str) -> None:
    """Points of one series of a service; `rows` are SELECTs of ts and start in ms, and the values."""
    number = metric_id(metric)
    await database.command(
        "INSERT INTO series (tenant, metric, metric_id, series_id, day, type, service, attributes)"
        f" SELECT 'threenines', '{metric}', {number}, {series}, today(), '{kind}', 'threenines-sla',"
        f" map('code', '{code}')"
    )
    table, columns = (
        ("exp_histograms", "count, sum") if kind == "exp_histogram" else ("points", "kind, value_int")
    )
    await database.command(
        f"INSERT INTO {table} (tenant, metric_id, series_id, ts, start, {columns})"
        f" SELECT 'threenines', {number}, {series}, fromUnixTimestamp64Milli(ts, 'UTC'),"
        f" fromUnixTimestamp64Milli(start, 'UTC'), {columns} FROM ({rows})"
    )


def points(*rows: tuple[int, int, str]) -> str:
    return " UNION ALL ".join(
        f"SELECT toInt64({ts}) AS ts, toInt64({start}) AS start, {rest}" for ts, start, rest in rows
    )


async def test_steps_hold_what_they_added_also_over_a_restart(database: Database) -> None:
    high = int(await database.command("SELECT toUnixTimestamp64Milli(now64(3))")) // STEP_MS * STEP_MS
    low, first = high - 4 * STEP_MS, high // STEP_MS - 4

    def at(step: float) -> int:
        return low + round(step * STEP_MS)

    calls = [
        (at(0.5), at(-9), "10 AS count, 1.0 AS sum"),  # begun before: only a base
        (at(1.5), at(-9), "16 AS count, 4.0 AS sum"),
        (at(1.9), at(-9), "20 AS count, 6.0 AS sum"),
        (at(3.5), at(2.2), "3 AS count, 0.5 AS sum"),  # a new process: all of it
    ]
    await insert(database, DURATION, 1, "exp_histogram", "OK", points(*calls))
    counted = [
        (at(0.5), at(-9), "'int' AS kind, 100 AS value_int"),
        (at(1), at(-9), "'int' AS kind, 150 AS value_int"),  # a point at a boundary ends the step
        (at(1.1), at(-9), "'int' AS kind, 170 AS value_int"),
    ]
    await insert(database, STORED, 2, "sum", "", points(*counted))
    await insert(database, UP, 3, "gauge", "", points((at(2), 0, "'int' AS kind, 1 AS value_int")))
    metrics = ClickHouseOwnMetrics(database)

    found = await metrics.durations("common.rpc.duration", "code", low_ms=low, high_ms=high)
    counts = await metrics.counts("collector.points.acknowledged", low_ms=low, high_ms=high)

    assert found == [
        Durations("threenines-sla", "OK", first + 1, 10, 5.0),
        Durations("threenines-sla", "OK", first + 3, 3, 0.5),
    ]
    assert counts == {first + 1: 20}
    assert await metrics.levels("common.up", low_ms=low, high_ms=high) == {first + 1: 1000}
    assert await metrics.reported(low_ms=low) == {"threenines-sla": at(2)}
