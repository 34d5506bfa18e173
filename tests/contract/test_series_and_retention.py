"""Who owns an id, and how long rows are kept: the same on the memory adapter and on ClickHouse."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.clickhouse import ClickHousePointStore
from services.collector.dedupe import DedupeWindow
from services.collector.identity import series_key
from services.collector.memory import MemoryPointStore
from services.collector.model import LoggedRequest
from services.collector.ports import IdPlace, PointStore, TableBlock
from services.collector.record import encode_requests
from services.collector.retention import expires
from services.collector.series_ids import SeriesIds
from services.collector.write_batches import BatchBuilder, lasting_rows
from services.collector.write_columns import POINT_TABLES
from services.collector.write_series import SeriesCache
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.log_port import Entry
from tests.collector_store import build_batch
from tests.engines_given import clickhouse_server
from tests.otlp_requests import RequestMaker, rows_of

_DAY_NS = 86_400 * 10**9
_TODAY = time.time_ns() // _DAY_NS
_KEPT = {"short": 9, "long": 60}
_ODD = "räte \\ 'quoted' \"x\" {y} \t"

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.engines]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """A ClickHouse of the module's own."""
    engine = clickhouse_server(tmp_path_factory.mktemp("clickhouse"))
    await asyncio.to_thread(engine.start)
    made = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
    try:
        yield made
    finally:
        await made.close()
        await asyncio.to_thread(engine.stop)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "clickhouse"])
async def store(request: pytest.FixtureRequest, database: Database) -> PointStore:
    """One store for the module."""
    if request.param == "memory":
        return MemoryPointStore()
    made = ClickHousePointStore(database, SystemClock())
    await made.database_id()
    return made


def blocks_of(tenant: str, raw: bytes, *, seq: int) -> tuple[TableBlock, ...]:
    """The blocks of one request as a batch of its own."""
    builder = BatchBuilder(
        DedupeWindow(), SeriesIds(), SeriesCache(), lambda tenant, _table: _KEPT.get(tenant, 30)
    )
    logged = LoggedRequest(seq.to_bytes(16, "big"), raw, rows_of(tenant, raw).points)
    entry = Entry(seq, f"otlp.0.{tenant}", 1, encode_requests(tenant, [logged]), {})
    return tuple(build_batch(builder, [entry]).all_blocks())


async def insert(store: PointStore, blocks: tuple[TableBlock, ...], *, seq: int) -> None:
    for block in blocks:
        token = f"t-{seq}-{block.table}-{block.day}"
        await store.insert(block, query_id=token, token=token)


def gauges(*names: str, day: int = _TODAY) -> bytes:
    """One point in each metric."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name in names:
        point = scope.metrics.add(name=name).gauge.data_points.add(as_int=1)
        point.time_unix_nano = day * _DAY_NS + 5
    return request.SerializeToString()


async def test_owners_are_told_for_what_is_stored_and_for_nothing_else(store: PointStore) -> None:
    for seq, day in enumerate((_TODAY - 1, _TODAY), 1):
        await insert(store, blocks_of("acme", gauges("one", _ODD, day=day), seq=seq), seq=seq)
    identities = (
        BatchBuilder(DedupeWindow(), SeriesIds(), SeriesCache())
        .read(
            [
                Entry(
                    1,
                    "otlp.0.acme",
                    1,
                    encode_requests("acme", [LoggedRequest(b"x" * 16, gauges("one", _ODD), 2)]),
                    {},
                )
            ],
            log_time_ns=0,
        )
        .requests[0]
        .decoded.series.identity
    )
    keys = [series_key("acme", identity) for identity in identities]
    places = [IdPlace("acme", name, key.series_id) for name, key in zip(("one", _ODD), keys, strict=True)]
    others = [
        IdPlace("beta", "one", keys[0].series_id),
        IdPlace("acme", "two", keys[0].series_id),
        IdPlace("acme", "one", keys[1].series_id),
    ]
    unknown = [IdPlace("acme", "one", number) for number in range(2**64 - 5000, 2**64)]

    found = await store.series_owners([*places, *others, *unknown])

    assert found == {place: key.identity_hash for place, key in zip(places, keys, strict=True)}
    assert await store.series_owners([]) == {}


async def test_rows_are_kept_as_long_as_their_tenant_wants(database: Database) -> None:
    """All tables and series: a row goes when its own days have passed, others of its part stay."""
    store = ClickHousePointStore(database, SystemClock())
    await store.database_id()
    requests = {
        days: RequestMaker(days, now_ns=(_TODAY - days) * _DAY_NS + _DAY_NS // 2)
        .request(200)
        .SerializeToString()
        for days in (8, 12, 40)
    }
    seq = 100
    for tenant in ("short", "usual", "long"):
        for raw in requests.values():
            await insert(store, blocks_of(tenant, raw, seq=seq), seq=seq)
            seq += 1
    for table in (*POINT_TABLES, "series"):
        await database.command(f"OPTIMIZE TABLE {table} FINAL")

    for table in (*POINT_TABLES, "series"):
        day = {"series": "day", "exemplars": "toDate(point_ts)"}.get(table, "toDate(ts)")
        rows = await database.rows(
            f"SELECT DISTINCT tenant, toUInt16({day}) FROM {table} WHERE tenant != 'acme'"
        )
        found = {(tenant, _TODAY - day) for tenant, day in rows}
        assert found == {
            ("short", 8), ("usual", 8), ("long", 8), ("usual", 12), ("long", 12), ("long", 40)
        }, table  # fmt: skip


async def test_what_lasts_agrees_with_the_tables() -> None:
    raw = gauges("one", day=_TODAY - 12)
    (block,) = (one for one in blocks_of("short", raw, seq=1) if one.table == "points")
    first_gone = _TODAY - 12 + 9 + 1

    assert expires(block.day, np.array([9])).tolist() == [first_gone]
    assert lasting_rows(block, now_ns=(first_gone - 2) * _DAY_NS) == 1
    # A day of grace.
    assert lasting_rows(block, now_ns=(first_gone - 1) * _DAY_NS) == 0
