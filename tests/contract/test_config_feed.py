"""The configuration feed on the log in memory and on JetStream."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.common.clock import SystemClock
from services.common.config_entries import subject_for
from services.common.config_feed import (
    Applied,
    ConfigFeed,
    apply_document,
    delete_document,
    put_document,
)
from services.common.documents import Document, Kind, document_from_json
from services.common.documents_contract import ContractSpec
from services.common.documents_platform import PlatformSpec, TenantSpec
from services.common.errors import InvalidArgument, Unavailable
from services.common.log import Entry, Log
from services.common.log_memory import MemoryEngine, MemoryLog
from tests.engines_nats import nats_engine

_names = itertools.count()
CLOCK = SystemClock()


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["memory", pytest.param("nats", marks=pytest.mark.engines)]
)
async def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Log]:
    """One log for the module: every test uses a tenant of its own."""
    if request.param == "memory":
        yield MemoryEngine(SystemClock()).log
    else:
        async with nats_engine(tmp_path_factory.mktemp("nats")) as engine:
            yield engine.log


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def tenant() -> str:
    return f"client-{next(_names)}"


@pytest_asyncio.fixture(loop_scope="module")
async def feed(log: Log) -> AsyncIterator[ConfigFeed]:
    running = ConfigFeed(log, CLOCK)
    await running.start()
    yield running
    await running.stop()


def tenant_document(name: str, display_name: str = "") -> Document:
    return Document(Kind.TENANT, None, name, TenantSpec(display_name=display_name))


def receiver_document(tenant: str) -> Document:
    spec = {"type": "webhook", "url": "http://127.0.0.1:9/"}
    return document_from_json({"kind": "Receiver", "tenant": tenant, "name": "hook", "spec": spec})


def contract_document(tenant: str, target: str) -> Document:
    objective = {"name": "up", "type": "availability", "target": target, "window": "30d"}
    spec = {"time_zone": "Europe/Berlin", "effective_from": "2026-01-01", "objectives": [objective]}
    return document_from_json({"kind": "Contract", "tenant": tenant, "name": "gold", "spec": spec})


async def apply(log: Log, document: Document) -> int:
    return await apply_document(log, document, actor="tests", clock=CLOCK)


async def test_a_feed_starts_with_what_was_applied_before(log: Log, tenant: str) -> None:
    seq = await apply(log, contract_document(tenant, "99.9%"))
    feed = ConfigFeed(log, CLOCK)
    await feed.start()
    found = feed.specs(ContractSpec, tenant)
    await feed.stop()

    assert feed.seq >= seq
    assert [(document.tenant, document.name, document.seq) for document in found] == [(tenant, "gold", seq)]
    assert found[0].spec == contract_document(tenant, "99.9%").spec
    assert feed.get("Contract", tenant, "gold") == found[0]


async def test_a_running_feed_sees_a_change_and_tells_its_subscribers(
    log: Log, feed: ConfigFeed, tenant: str
) -> None:
    told = asyncio.Event()
    feed.on_change(lambda: 1 // 0)
    feed.on_change(told.set)
    seq = await apply(log, tenant_document(tenant, "First"))
    await asyncio.wait_for(feed.wait_for(seq), 5)

    assert told.is_set()
    assert feed.get(Kind.TENANT, None, tenant).spec == TenantSpec(display_name="First")


async def test_applying_the_same_again_changes_nothing(log: Log, tenant: str) -> None:
    first = await put_document(log, tenant_document(tenant), actor="a", clock=CLOCK)
    again = await put_document(log, tenant_document(tenant), actor="b", clock=CLOCK)

    assert first.changed
    assert again == Applied(first.seq, changed=False)


async def test_going_back_to_an_earlier_text_is_a_change(log: Log, feed: ConfigFeed, tenant: str) -> None:
    seqs = [await apply(log, tenant_document(tenant, name)) for name in ("A", "B", "A", "B")]
    await asyncio.wait_for(feed.wait_for(seqs[-1]), 5)

    assert seqs == sorted(set(seqs))
    assert feed.get(Kind.TENANT, None, tenant).spec == TenantSpec(display_name="B")


async def test_two_who_apply_the_same_at_once_make_one_change(log: Log, tenant: str) -> None:
    before = await log.last_seq("CONFIG")
    seqs = await asyncio.gather(*(apply(log, tenant_document(tenant)) for _ in range(5)))

    assert set(seqs) == {before + 1}
    assert await log.last_seq("CONFIG") == before + 1


async def test_a_deleted_document_is_gone_and_may_come_back(log: Log, feed: ConfigFeed, tenant: str) -> None:
    document = contract_document(tenant, "99%")
    assert not (await delete_document(log, document.key, actor="tests", clock=CLOCK)).changed
    await apply(log, document)
    deleted = await delete_document(log, document.key, actor="tests", clock=CLOCK)
    await asyncio.wait_for(feed.wait_for(deleted.seq), 5)
    assert feed.documents(Kind.CONTRACT, tenant) == []
    back = await apply(log, document)
    await asyncio.wait_for(feed.wait_for(back), 5)

    assert [found.seq for found in feed.documents("Contract", tenant)] == [back]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"version":2,"op":"apply"}',
        b'{"version":1,"op":"explode","kind":"Tenant","name":"NAME"}',
        b'{"version":1,"op":"apply","kind":"Tenant","tenant":null,"name":"NAME","spec":{"no":1}}',
        b'{"version":1,"op":"apply","kind":"Tenant","tenant":null,"name":"NAME","spec":7}',
        b'{"version":1,"op":"apply","kind":"Tenant","tenant":null,"name":"other","spec":{}}',
        b'{"version":1,"op":"apply","kind":["Tenant"],"tenant":{},"name":"NAME","spec":{}}',
    ],
)
async def test_a_record_that_cannot_be_read_is_skipped(
    log: Log, feed: ConfigFeed, tenant: str, data: bytes
) -> None:
    kept = await apply(log, tenant_document(tenant, "kept"))
    await asyncio.wait_for(feed.wait_for(kept), 5)
    skipped = feed.skipped
    subject = subject_for(Kind.TENANT, None, tenant)
    bad = await log.append("CONFIG", subject, data.replace(b"NAME", tenant.encode()), msg_id=f"{tenant}-bad")
    await asyncio.wait_for(feed.wait_for(bad.seq), 5)

    assert feed.skipped == skipped + 1
    assert feed.get(Kind.TENANT, None, tenant).spec == TenantSpec(display_name="kept")
    repaired = await put_document(log, tenant_document(tenant, "kept"), actor="tests", clock=CLOCK)
    assert repaired.changed


async def test_documents_for_every_tenant_have_a_place_of_their_own(log: Log, feed: ConfigFeed) -> None:
    seq = await apply(log, receiver_document("*"))
    await asyncio.wait_for(feed.wait_for(seq), 5)

    assert [document.tenant for document in feed.documents(Kind.RECEIVER, "*")] == ["*"]


async def test_a_platform_document_is_not_applied(log: Log) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await apply(log, Document(Kind.PLATFORM, None, "here", PlatformSpec()))
    assert refused.value.reason == "NOT_APPLICABLE"


class _SometimesDown(MemoryLog):
    """Reads fail as often as told, then work."""

    failures = 3

    async def read(
        self,
        stream: str,
        from_seq: int,
        *,
        max_messages: int = 1000,
        max_bytes: int = 8 << 20,
        wait_s: float = 0.0,
    ) -> list[Entry]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("down", reason="LOG_UNAVAILABLE", retry_after_s=0.01)
        return await super().read(
            stream, from_seq, max_messages=max_messages, max_bytes=max_bytes, wait_s=wait_s
        )


async def test_a_feed_outlives_an_outage_of_the_log(tenant: str, tmp_path: Path) -> None:
    log = _SometimesDown(CLOCK)
    first = await apply(log, tenant_document(tenant, "before"))
    feed = ConfigFeed(log, CLOCK)
    await asyncio.wait_for(feed.start(), 5)
    assert feed.seq == first
    log.failures = 3
    second = await apply(log, tenant_document(tenant, "after"))
    await asyncio.wait_for(feed.wait_for(second), 5)
    await feed.stop()

    assert feed.get(Kind.TENANT, None, tenant).seq == second
