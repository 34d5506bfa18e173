"""One suite for `RunReader`: runs made by ClickHouse and runs made here are the same."""

import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from services.sla.clickhouse import ClickHouseSliceStore
from services.sla.downtime import Run, RunQuery, RunReader
from services.sla.downtime_stores import ClickHouseRunReader, SliceRunReader
from services.sla.memory import MemorySliceStore
from services.sla.model import Revision, Slice
from services.sla.ports import SliceStore
from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines

T0 = int(time.time()) // 86_400 * 86_400_000
LENGTH = 10_000
NS = 10**10
KEY = "gold/requests"


@dataclass
class Stores:
    """Slices go into both; runs come out of both."""

    slices: list[SliceStore]
    readers: list[RunReader]

    async def put(self, *slices: Revision, tenant: str = "acme", key: str = KEY) -> None:
        for store in self.slices:
            await store.store(tenant, [(key, one) for one in slices], seq=1)

    async def runs(self, tenant: str = "acme", key: str = KEY, **asked: int | bool) -> list[Run]:
        low, high = asked.pop("low", 0), asked.pop("high", 100)
        query = RunQuery(T0 + low * LENGTH, T0 + high * LENGTH, **asked)
        by_engine, by_hand = [await one.runs(tenant, key, query) for one in self.readers]
        assert by_engine == by_hand
        return by_engine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture
async def stores(server: ClickHouseServer, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    name = server.database(f"r_{abs(hash(request.node.name)):x}")
    database = Database(ClickHouseConfig.from_url(server.url, name))
    await migrate(database, load_migrations(), ManualClock())
    memory = MemorySliceStore()
    yield Stores(
        [ClickHouseSliceStore(database), memory], [ClickHouseRunReader(database), SliceRunReader(memory)]
    )
    await database.command(f"DROP DATABASE `{name}`")
    await database.close()


def one(k: int, state: str = "down", *, revision: int = 1, known: int = 0) -> Revision:
    parts = {"up_ns": NS} if state == "up" else {f"{state}_ns": NS - 3, "excluded_ns": 3}
    good = 10 if state == "up" else 4
    slice_ = Slice(T0 + k * LENGTH, LENGTH, good, 10, sealed=True, **parts)
    return Revision(slice_, revision, T0 + known)


def spans(runs: list[Run]) -> list[tuple[int, int]]:
    return [((run.start_ms - T0) // LENGTH, (run.end_ms - T0) // LENGTH) for run in runs]


async def test_slices_that_follow_on_each_other_are_one_run_newest_first(stores: Stores) -> None:
    await stores.put(one(1), one(2), one(3, "up"), one(4), one(7, "degraded"), one(8))

    runs = await stores.runs()

    assert spans(runs) == [(8, 9), (4, 5), (1, 3)]
    assert runs[2] == Run(T0 + LENGTH, T0 + 3 * LENGTH, 2 * (NS - 3), 0, 6, 12, 20, 2)
    assert spans(await stores.runs(degraded=True)) == [(7, 9), (4, 5), (1, 3)]


async def test_the_newest_revision_counts_and_as_of_shows_what_was_known(stores: Stores) -> None:
    await stores.put(one(1), one(2, known=10), one(1, "up", revision=2, known=500))

    assert spans(await stores.runs()) == [(2, 3)]
    assert spans(await stores.runs(as_of_ms=T0 + 499)) == [(1, 3)]
    assert spans(await stores.runs(as_of_ms=T0 + 9)) == [(1, 2)]


async def test_runs_are_cut_to_the_range_and_limited_from_the_newest(stores: Stores) -> None:
    await stores.put(*(one(k) for k in (0, 1, 2, 5, 9)))
    await stores.put(one(3), tenant="umbra")
    await stores.put(one(3), key="gold/other")

    assert spans(await stores.runs(low=1, high=9)) == [(5, 6), (1, 3)]
    assert spans(await stores.runs(most=1)) == [(9, 10)]
    assert spans(await stores.runs(before_ms=T0 + 9 * LENGTH, most=2)) == [(5, 6), (0, 3)]
    assert await stores.runs(low=4, high=4) == []


async def test_random_states_give_the_same_runs_in_both(stores: Stores) -> None:
    rng = random.Random(9)
    await stores.put(*(one(k, rng.choice(("up", "up", "down", "degraded"))) for k in range(300)))

    for _ in range(5):
        low = rng.randrange(300)
        await stores.runs(low=low, high=low + rng.randrange(200), degraded=rng.random() < 0.5)
