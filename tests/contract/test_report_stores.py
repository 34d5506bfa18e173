"""`ReportStore`: the memory adapter and ClickHouse keep the same promises; the stream's bytes invert."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from services.sla.reports.ledger import (
    DeliveryRecord,
    Facts,
    Outcome,
    Recipients,
    ReportPeriod,
    ReportRecord,
    ReportState,
    report_id,
)
from services.sla.reports.ports import ReportStore
from services.sla.reports.records import decode, encode
from services.sla.reports.store_clickhouse import ClickHouseReports
from services.sla.reports.store_memory import MemoryReports
from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines

NOW = int(time.time()) * 1000
MONTH = ReportPeriod("month", "2026-10", 1_790_805_600_000, 1_793_487_600_000)
ASKED = ReportRecord(
    "acme",
    "gold",
    MONTH,
    1,
    ReportState.GENERATING,
    NOW,
    NOW,
    actor="7f",
    request_id="00000000-0000-4000-8000-000000000001",
    scheduled=True,
    recipients=Recipients(("pdf", "csv"), ("ops@acme.example",), "hook"),
    seq=1,
)
FACTS = Facts("FAIL", "ab" * 32, "Europe/Berlin", (3, 9), NOW, NOW, 77, provisional=False)
CONTENT = '{"name":"Müller \\\\ \'q\'","x":"\\u0000"}\n'.encode() + bytes(range(256))
ISSUED = replace(ASKED, state=ReportState.ISSUED, at_ms=NOW + 5, facts=FACTS, content=CONTENT, seq=2)
SECOND = replace(ASKED, revision=2, replaces=1, recipients=Recipients(), request_id="", seq=3)
TRY = DeliveryRecord(
    "acme",
    "gold",
    MONTH,
    ISSUED.report,
    "email:ops@acme.example",
    1,
    Outcome.RETRYING,
    NOW,
    451,
    "no",
    NOW + 9,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(params=["memory", "clickhouse"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ReportStore]:
    if request.param == "memory":
        yield MemoryReports()
        return
    running: ClickHouseServer = request.getfixturevalue("server")
    name = running.database(f"r_{abs(hash(request.node.name)):x}")
    database = Database(ClickHouseConfig.from_url(running.url, name))
    await migrate(database, load_migrations(), ManualClock())
    yield ClickHouseReports(database)
    await database.command(f"DROP DATABASE IF EXISTS `{name}`", in_database=False)
    await database.close()


async def test_the_last_record_says_how_a_report_is_with_its_bytes(store: ReportStore) -> None:
    await store.store([])
    await store.store([ASKED])
    assert await store.report("acme", ASKED.report) == ASKED
    await store.store([ISSUED, ASKED])
    await store.store([ISSUED])
    assert await store.report("acme", ASKED.report) == ISSUED
    assert await store.report("umbra", ASKED.report) is None
    assert await store.report("acme", "other") is None


async def test_lists_are_newest_first_of_one_tenant_and_without_content(store: ReportStore) -> None:
    foreign = replace(ASKED, tenant="umbra", seq=9)
    silver = replace(ASKED, contract="silver", seq=4)
    await store.store([silver, foreign, ISSUED, ASKED, SECOND])
    assert await store.reports("acme") == [silver, SECOND, replace(ISSUED, content=b"")]
    assert await store.reports("acme", "gold") == [SECOND, replace(ISSUED, content=b"")]
    assert await store.reports("nobody") == []


async def test_what_is_unfinished_and_what_is_to_be_delivered_is_found(store: ReportStore) -> None:
    foreign = replace(ASKED, tenant="umbra", seq=9)
    await store.store([foreign, SECOND, ASKED, ISSUED])
    assert await store.unfinished() == [SECOND, foreign]
    assert await store.to_deliver(since_ms=NOW) == [replace(ISSUED, content=b"")]
    assert await store.to_deliver(since_ms=NOW + 6) == []


async def test_a_request_id_leads_to_the_first_record_of_its_tenant(store: ReportStore) -> None:
    await store.store([ISSUED, ASKED])
    assert await store.asked("acme", ASKED.request_id, since_ms=NOW) == ASKED
    assert await store.asked("acme", ASKED.request_id, since_ms=NOW + 1_000_000) is None
    assert await store.asked("umbra", ASKED.request_id, since_ms=NOW) is None


async def test_attempts_come_back_once_each_in_order(store: ReportStore) -> None:
    first, second = replace(TRY, seq=5), replace(TRY, attempt=2, outcome=Outcome.DELIVERED, seq=6)
    await store.store([second, first])
    await store.store([first])
    assert await store.deliveries("acme", ISSUED.report) == [first, second]
    assert await store.deliveries("umbra", ISSUED.report) == []


def test_the_streams_bytes_give_back_what_was_written() -> None:
    for record in (ASKED, ISSUED, SECOND, TRY):
        assert decode(encode(record), seq=record.seq) == record
    for damaged in (b"", b"{}", b"no json\n", encode(ISSUED)[:-3]):
        with pytest.raises(ValueError, match=r".+"):
            decode(damaged, seq=1)


def test_ids_fit_resource_names_and_never_meet() -> None:
    long = "c" * 63
    wide = ReportPeriod("range", "20261001t000000123-20261101t000000456", 0, 1)
    assert report_id("gold", MONTH, 1) == "month-2026-10-gold-r1"
    assert len({report_id(long, wide, 9999), report_id("c" * 62, wide, 9999)}) == 2
    assert len(report_id(long, wide, 9999)) <= 63
