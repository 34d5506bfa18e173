"""Doubles and counters come back bit for bit, whatever the codec of their column does with them."""

import struct
import time
from pathlib import Path

import numpy as np

from services.collector.clickhouse import ClickHousePointStore
from services.collector.model import MS_IN_DAY
from services.collector.ports import TableBlock, TableColumn
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.native_columns import CodedStrings, NumpyArray
from tests.engines_given import clickhouse_server

_SPECIAL = (
    *(0.0, -0.0, float("inf"), float("-inf"), 5e-324, -5e-324, 2.2250738585072014e-308),
    *(1.7976931348623157e308, 0.1, 0.1 + 0.2, 1e22, 1e23, 9007199254740993.0, 1 / 3),
)


async def test_doubles_are_stored_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    bits = np.concatenate(
        (
            np.array([struct.unpack("<Q", struct.pack("<d", one))[0] for one in _SPECIAL], np.uint64),
            # NaNs that carry a payload, and every kind of double there is.
            np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], np.uint64),
            rng.integers(0, 2**64, 20_000, dtype=np.uint64),
            np.round(rng.normal(50, 9, 20_000), 2).view(np.uint64),
            np.round(rng.normal(0, 1e9, 5_000), 4).view(np.uint64),
            (rng.integers(-(2**53), 2**53, 5_000) / 1000).view(np.uint64),
        )
    )
    count, now_ms = len(bits), time.time_ns() // 10**6 // MS_IN_DAY * MS_IN_DAY
    columns: dict[str, tuple[str, NumpyArray]] = {
        "metric_id": ("UInt32", np.zeros(count, np.uint32)),
        "series_id": ("UInt64", np.arange(count, dtype=np.uint64)),
        "ts": ("DateTime64(3, 'UTC')", np.full(count, now_ms)),
        "value_int": ("Int64", bits.view(np.int64)),
        "value_double": ("Float64", bits.view(np.float64)),
    }
    tenant = TableColumn("tenant", "String", CodedStrings.constant("acme", count))
    block = TableBlock(
        "points",
        now_ms // MS_IN_DAY,
        count,
        (tenant, *(TableColumn(name, kind, data) for name, (kind, data) in columns.items())),
    )
    server = clickhouse_server(tmp_path)
    server.start()
    try:
        database = Database(ClickHouseConfig.from_url(server.login_url, server.database("doubles")))
        store = ClickHousePointStore(database, SystemClock())
        await store.database_id()
        await store.insert(block, query_id="doubles", token="doubles")
        await database.command("OPTIMIZE TABLE points FINAL")
        found = await database.columns("SELECT value_int, value_double FROM points ORDER BY series_id")
        await database.close()
    finally:
        server.stop()

    assert np.array_equal(np.asarray(found["value_int"]), bits.view(np.int64))
    assert np.array_equal(np.asarray(found["value_double"]).view(np.uint64), bits)
