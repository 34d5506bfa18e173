"""`IncidentStore`: the memory adapter and ClickHouse keep the same promises."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from services.sla.incidents.clickhouse import ClickHouseIncidents
from services.sla.incidents.memory import MemoryIncidents
from services.sla.incidents.model import IncidentEvent, IncidentEventKind
from services.sla.incidents.ports import IncidentStore
from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines

T0 = int(time.time()) // 86_400 * 86_400_000
H = 3_600_000


def event(incident: str, at_ms: int, kind: str, tenant: str = "acme") -> IncidentEvent:
    return IncidentEvent(tenant, incident, T0 + at_ms, f"{incident}-{at_ms}-{kind}", IncidentEventKind(kind))


OPEN = [event("open", 0, "opened"), event("open", H, "resolved"), event("open", 2 * H, "reopened")]
DONE = [event("done", 0, "opened"), event("done", H, "resolved"), event("done", H, "verified")]
DONE[2] = replace(DONE[2], seq=1)
FULL = replace(
    event("full", H, "opened"), severity="critical", title="it's \\ down", actor="7f", note="a\nb", seq=3
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(params=["memory", "clickhouse"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[IncidentStore]:
    if request.param == "memory":
        yield MemoryIncidents()
        return
    running: ClickHouseServer = request.getfixturevalue("server")
    name = running.database(f"i_{abs(hash(request.node.name)):x}")
    database = Database(ClickHouseConfig.from_url(running.url, name))
    await migrate(database, load_migrations(), ManualClock())
    yield ClickHouseIncidents(database)
    await database.command(f"DROP DATABASE IF EXISTS `{name}`", in_database=False)
    await database.close()


async def test_events_come_back_as_they_went_once_each_and_in_order(store: IncidentStore) -> None:
    await store.store([])
    await store.store([*reversed(OPEN), FULL])
    await store.store(OPEN)

    assert await store.events("acme", low_ms=T0, high_ms=T0 + 9 * H) == [FULL, *OPEN]


async def test_an_incident_is_given_whole_or_not_at_all(store: IncidentStore) -> None:
    """Verified before the range is over; open, or resolved only, may still count."""
    await store.store([*OPEN, *DONE])

    assert await store.events("acme", low_ms=T0 + H, high_ms=T0 + 2 * H) == [*DONE, *OPEN[:2]]
    assert await store.events("acme", low_ms=T0 + H + 1, high_ms=T0 + 3 * H) == OPEN
    assert await store.events("acme", low_ms=T0 + 5 * H, high_ms=T0 + 6 * H) == OPEN
    assert await store.events("acme", low_ms=T0 - H, high_ms=T0) == []


async def test_tenants_do_not_see_each_other(store: IncidentStore) -> None:
    theirs = event("open", 0, "opened", "umbra")
    await store.store([*OPEN, theirs])

    assert await store.events("umbra", low_ms=T0, high_ms=T0 + H) == [theirs]
    assert await store.events("nobody", low_ms=T0, high_ms=T0 + H) == []
