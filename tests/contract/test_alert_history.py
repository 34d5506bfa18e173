"""`HistoryStore`: the memory adapter and ClickHouse keep the same promises."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from services.alerting.clickhouse import ClickHouseHistory
from services.alerting.memory import MemoryHistory
from services.alerting.ports import AttemptRow, EventRow, HistoryStore
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from tests.engines_given import ClickHouseServer, clickhouse_server
from tests.unit.alerting.transitions_text import outage_story

pytestmark = pytest.mark.engines

STORY = outage_story()
T0 = 1_760_000_000_000_000_000
ROW = AttemptRow(
    tenant="acme",
    decided_ns=T0,
    id="0a",
    attempt=0,
    receiver="hook",
    group_key='{}:{alertname="outage"}',
    fingerprint="00ff",
    rule="outage",
    status="firing",
    outcome="queued",
    reason="NEW_ALERT",
    at_ns=T0 + 5_000_000,
    alerts_seq=3,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(params=["memory", "clickhouse"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[HistoryStore]:
    if request.param == "memory":
        yield MemoryHistory()
        return
    running: ClickHouseServer = request.getfixturevalue("server")
    name = running.database(f"t_{abs(hash(request.node.name)):x}")
    database = Database(ClickHouseConfig.from_url(running.url, name))
    yield ClickHouseHistory(database, ManualClock())
    await database.command(f"DROP DATABASE IF EXISTS `{name}`", in_database=False)
    await database.close()


async def test_an_empty_history_has_nothing(store: HistoryStore) -> None:
    assert await store.last_event_seq(7) == 0
    assert await store.attempts("acme", from_ns=0, to_ns=2 * T0) == []


async def test_events_know_their_place_in_their_own_stream(store: HistoryStore) -> None:
    rows = [EventRow(change, seq, incarnation=7) for seq, change in enumerate(STORY, 10)]
    await store.store_events(rows)
    await store.store_events(rows)

    assert await store.last_event_seq(7) == 12
    assert await store.last_event_seq(8) == 0


async def test_attempts_come_back_as_they_went_newest_decision_first(store: HistoryStore) -> None:
    sent = replace(ROW, attempt=1, outcome="retry", reason="HTTP_503", status_code=503, duration_ms=12)
    later = replace(ROW, id="0b", decided_ns=T0 + 1_000_000_000, error="it's \\ \n", retry_after_ms=7000)
    await store.store_attempts([sent, ROW])
    await store.store_attempts([later])

    assert await store.attempts("acme", from_ns=T0, to_ns=2 * T0) == [later, ROW, sent]
    assert await store.attempts("acme", from_ns=T0 + 1, to_ns=2 * T0) == [later]
    assert await store.attempts("acme", from_ns=T0, to_ns=T0 + 1) == [ROW, sent]


async def test_an_attempt_stored_again_shows_once_and_the_latest_counts(store: HistoryStore) -> None:
    again = replace(ROW, at_ns=ROW.at_ns + 1_000_000, reason="NEW_ALERT", alerts_seq=4)
    await store.store_attempts([ROW])
    await store.store_attempts([again])
    await store.store_attempts([again])

    assert await store.attempts("acme", from_ns=0, to_ns=2 * T0) == [again]


async def test_a_tenant_sees_its_own(store: HistoryStore) -> None:
    other = replace(ROW, tenant="globex")
    await store.store_attempts([ROW, other])

    assert await store.attempts("globex", from_ns=0, to_ns=2 * T0) == [other]
    assert len(await store.attempts(None, from_ns=0, to_ns=2 * T0)) == 2
    assert await store.attempts("", from_ns=0, to_ns=2 * T0) == []


async def test_a_clickhouse_that_is_away_is_unavailable() -> None:
    database = Database(ClickHouseConfig.from_url("http://127.0.0.1:9", "nowhere"))
    with pytest.raises(Unavailable):
        await ClickHouseHistory(database, ManualClock()).last_event_seq(1)
    await database.close()
