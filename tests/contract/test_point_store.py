"""What every store of points must do; the same tests run on the memory adapter and on ClickHouse."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from services.collector.clickhouse import ClickHousePointStore
from services.collector.memory import MemoryPointStore
from services.collector.ports import PointStore, TableBlock, TableColumn
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from tests.engines_given import clickhouse_server

# Days that are within the tables' retention, else the rows would go at once.
_DAY = SystemClock().now_ns() // (86_400 * 10**9) - 2
_OTHER_DAY = _DAY + 1
_batches = itertools.count(1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["memory", pytest.param("clickhouse", marks=pytest.mark.engines)],
)
async def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PointStore]:
    """One store for the module: every test uses batches of its own."""
    if request.param == "memory":
        yield MemoryPointStore()
        return
    engine = clickhouse_server(tmp_path_factory.mktemp("clickhouse"))
    await asyncio.to_thread(engine.start)
    database = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
    try:
        made = ClickHousePointStore(database, SystemClock())
        await made.database_id()
        yield made
    finally:
        await database.close()
        await asyncio.to_thread(engine.stop)


@pytest.fixture
def batch() -> int:
    """A batch number that no other test uses."""
    return next(_batches)


def points(batch: int, rows: int, *, day: int = _DAY) -> TableBlock:
    """A block of integer points."""
    times = np.arange(rows, dtype=np.int64) * 1000 + day * 86_400_000
    columns = (
        TableColumn("tenant", "String", ["acme"] * rows),
        TableColumn("metric_id", "UInt32", np.full(rows, 7, dtype=np.uint32)),
        TableColumn("series_id", "UInt64", np.full(rows, 2**64 - 1, dtype=np.uint64)),
        TableColumn("ts", "DateTime64(3, 'UTC')", times),
        TableColumn("start", "DateTime64(3, 'UTC')", times - 1),
        TableColumn("flags", "UInt32", np.zeros(rows, dtype=np.uint32)),
        TableColumn("bits", "UInt8", np.zeros(rows, dtype=np.uint8)),
        TableColumn("batch", "UInt32", np.full(rows, batch, dtype=np.uint32)),
        TableColumn("kind", "Enum8('none' = 0, 'int' = 1, 'double' = 2)", np.ones(rows, dtype=np.int8)),
        TableColumn("value_int", "Int64", np.arange(rows, dtype=np.int64)),
        TableColumn("value_double", "Float64", np.zeros(rows, dtype=np.float64)),
    )
    return TableBlock("points", day, rows, columns)


async def test_counts_what_was_inserted(store: PointStore, batch: int) -> None:
    await store.insert(points(batch, 5), query_id=f"w-{batch}", token=f"t-{batch}")

    assert await store.count("points", day=_DAY, batch=batch) == 5


async def test_counts_nothing_of_other_batches_days_and_tables(store: PointStore, batch: int) -> None:
    other = next(_batches)
    await store.insert(points(batch, 5), query_id=f"w-{batch}", token=f"t-{batch}")
    await store.insert(points(other, 3), query_id=f"w-{other}", token=f"t-{other}")

    assert await store.count("points", day=_OTHER_DAY, batch=batch) == 0
    assert await store.count("points", day=_DAY, batch=other) == 3
    for table in ("histograms", "exp_histograms", "summaries", "exemplars"):
        assert await store.count(table, day=_DAY, batch=batch) == 0


async def test_counts_each_day_of_a_batch_apart(store: PointStore, batch: int) -> None:
    await store.insert(points(batch, 5), query_id=f"w-{batch}-a", token=f"t-{batch}-a")
    await store.insert(points(batch, 2, day=_OTHER_DAY), query_id=f"w-{batch}-b", token=f"t-{batch}-b")

    assert await store.count("points", day=_DAY, batch=batch) == 5
    assert await store.count("points", day=_OTHER_DAY, batch=batch) == 2


async def test_a_repeated_token_stores_nothing(store: PointStore, batch: int) -> None:
    for attempt in range(2):
        await store.insert(points(batch, 4), query_id=f"w-{batch}-{attempt}", token=f"t-{batch}")

    assert await store.count("points", day=_DAY, batch=batch) == 4


async def test_another_token_stores_again(store: PointStore, batch: int) -> None:
    """The token is a net, not the rule: whoever inserts again must have counted before."""
    for attempt in range(2):
        await store.insert(points(batch, 4), query_id=f"w-{batch}-{attempt}", token=f"t-{batch}-{attempt}")

    assert await store.count("points", day=_DAY, batch=batch) == 8


async def test_an_insert_that_returned_is_not_running(store: PointStore, batch: int) -> None:
    await store.insert(points(batch, 1), query_id=f"w-{batch}", token=f"t-{batch}")

    assert not await store.running([f"w-{batch}", "w-never"])


async def test_the_database_keeps_its_identity(store: PointStore) -> None:
    first = await store.database_id()

    assert len(first) == 36
    assert await store.database_id() == first


async def test_answers_the_probe(store: PointStore) -> None:
    await store.probe()
