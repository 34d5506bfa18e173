"""Bytes a sample after all merges, over all columns, by kind of value.

2000 series x 1000 points, every 10 s with 3 ms of jitter (`storage_data.py`), in our table `points` and, the
gauges, in the gauge table of the OpenTelemetry Collector's ClickHouse exporter, in the same engine. The duty
is for what telemetry mostly is: integer counters and gauges with two decimals. A random walk in full
precision is incompressible whatever the codec (about 7 of the 8 bytes of its values remain).
"""

import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np

from services.collector.clickhouse import ClickHousePointStore
from services.collector.identity import metric_id
from services.collector.model import MS_IN_DAY
from services.collector.ports import TableBlock, TableColumn
from services.collector.write_columns import COLUMN_TYPES
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.native_columns import CodedStrings, NumpyArray
from tests.bench.exporter_tables import GAUGE_TABLE, gauge_rows_from_points
from tests.bench.report import Row
from tests.bench.storage_data import KINDS, Samples, samples
from tests.engines import EmbeddedClickHouse

DUTY_BYTES = 2.0
_PARTS = 4


def blocks(data: Samples) -> list[TableBlock]:
    """The samples as the writer would insert them, in a few parts that are still to be merged."""
    ids = np.sort(np.random.default_rng(5).integers(1, 2**63, int(data.series[-1]) + 1).astype(np.uint64))
    found = []
    for part in range(_PARTS):
        rows = np.flatnonzero((np.arange(len(data.series)) // 250) % _PARTS == part)
        count = len(rows)
        columns: dict[str, NumpyArray] = {
            "metric_id": np.full(count, metric_id("bench"), np.uint32),
            "series_id": ids[data.series[rows]],
            "ts": data.ts_ms[rows],
            "start": data.start_ms[rows],
            "flags": np.zeros(count, np.uint32),
            "bits": np.zeros(count, np.uint8),
            "batch": data.batch[rows].astype(np.uint32),
            "kind": np.full(count, data.kind, np.int8),
            "value_int": data.value_int[rows],
            "value_double": data.value_double[rows],
        }
        types = COLUMN_TYPES["points"]
        found.append(
            TableBlock(
                "points",
                int(data.ts_ms[0]) // MS_IN_DAY,
                count,
                (
                    TableColumn("tenant", "String", CodedStrings.constant("acme", count)),
                    *(TableColumn(name, types[name], column) for name, column in columns.items()),
                    TableColumn("keep_days", "UInt16", np.full(count, 30, np.uint16)),
                ),
            )
        )
    return found


async def _merged(database: Database, table: str) -> dict[str, float]:
    """Bytes on disk of each column, and of the parts as a whole under the empty name."""
    await database.command(f"OPTIMIZE TABLE {table} FINAL")
    where = "active AND database = currentDatabase() AND table = {table:String}"
    sizes = await database.rows(
        "SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns"
        f" WHERE {where} GROUP BY column",
        {"table": table},
    )
    whole = await database.rows(
        f"SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE {where}", {"table": table}
    )
    rows = float(whole[0][1])
    return {name: float(size) / rows for name, size in sizes} | {"": float(whole[0][0]) / rows}


async def _measure(path: Path) -> list[Row]:
    clock = SystemClock()
    with EmbeddedClickHouse(path) as server:
        database = Database(ClickHouseConfig.from_url(server.url, "threenines"))
        try:
            store = ClickHousePointStore(database, clock)
            await store.database_id()
            rows, total = [], {}
            for kind in KINDS:
                await database.command("TRUNCATE TABLE points SYNC")
                for number, block in enumerate(blocks(samples(kind, clock.now_ns()))):
                    await store.insert(block, query_id=f"s-{kind[0]}-{number}", token=f"{kind}-{number}")
                sizes = await _merged(database, "points")
                total[kind] = sizes.pop("")
                rows.append(Row(f"{kind}, everything on disk", total[kind], "B/sample"))
                large = sorted(sizes.items(), key=lambda item: -item[1])
                rows += [Row(f"  column {name}", size, "B/sample") for name, size in large if size > 0.005]
                if kind == KINDS[1]:
                    rows.append(await _exporter(database))
            usual = (total[KINDS[0]] + total[KINDS[1]]) / 2
            return [Row("counters and gauges, half and half", usual, "B/sample", at_most=DUTY_BYTES), *rows]
        finally:
            await database.close()


async def _exporter(database: Database) -> Row:
    await database.command(GAUGE_TABLE)
    begun = time.monotonic()
    await database.command(gauge_rows_from_points())
    sizes = await _merged(database, "otel_metrics_gauge_stock")
    assert time.monotonic() - begun < 120
    return Row("  the same gauges in the exporter's table, everything on disk", sizes[""], "B/sample")


def run() -> list[Row]:
    """Bytes a sample of each kind."""
    with tempfile.TemporaryDirectory(prefix="bench-storage-") as path:
        return asyncio.run(_measure(Path(path)))
