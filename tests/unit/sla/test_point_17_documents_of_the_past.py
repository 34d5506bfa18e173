"""Maintenance that took place stays excluded, whatever becomes of the document that announced it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from services.common.clock import ManualClock
from services.common.config_feed import ConfigFeed, apply_document, delete_document
from services.common.documents import Document, Kind, document_from_json
from services.common.documents_maintenance import MaintenanceRecord
from services.common.log_memory import MemoryLog
from services.sla.maintenance.feed import MaintenanceBook
from services.sla.model import Objective
from services.sla.slice_terms import exclusions_from
from tests.unit.sla.slicing import AVAILABILITY, TENANT

H = 3_600_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("UTC")).timestamp() * 1000)


LOW, HIGH = at("2026-11-01"), at("2026-12-01")


@dataclass
class Desk:
    """Applies documents at told times, and looks at what November excludes."""

    log: MemoryLog
    clock: ManualClock
    feed: ConfigFeed
    book: MaintenanceBook

    def go(self, text: str) -> None:
        self.clock.advance((at(text) * 1_000_000 - self.clock.now_ns()) // 10**9)

    async def put(self, start: str, end: str, *, record: MaintenanceRecord | None = None, **more: object):
        spec = {"start": f"{start}Z", "end": f"{end}Z", **more}
        one = document_from_json(
            {"kind": "MaintenanceWindow", "tenant": TENANT, "name": "move", "spec": spec}, source="test"
        )
        spec = one.spec.model_copy(update={"record": record})
        done = Document(one.kind, one.tenant, one.name, spec)
        await self.feed.wait_for(await apply_document(self.log, done, actor="anna", clock=self.clock))

    async def delete(self) -> None:
        key = (Kind.MAINTENANCE_WINDOW, TENANT, "move", "")
        done = await delete_document(self.log, key, actor="anna", clock=self.clock)
        await self.feed.wait_for(done.seq)

    def excluded(self, objective: Objective = AVAILABILITY) -> list[tuple[int, int]]:
        found = exclusions_from(self.book.windows)(objective, LOW, HIGH)
        return [(int(a), int(b)) for a, b in found]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = ManualClock(now_ns=at("2026-11-01") * 1_000_000)
    log = MemoryLog(clock)
    feed = ConfigFeed(log, clock)
    await feed.start()
    yield Desk(log, clock, feed, MaintenanceBook(feed))
    await feed.stop()


async def test_a_window_that_is_deleted_after_it_keeps_its_time(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00")
    kept = [(at("2026-11-03T02:00"), at("2026-11-03T04:00"))]
    assert desk.excluded() == kept

    desk.go("2026-11-10")
    await desk.delete()

    assert desk.excluded() == kept
    assert desk.book.applied(TENANT) == ()


async def test_of_a_rule_that_is_deleted_what_had_happened_stays(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00", rule="FREQ=DAILY", zone="UTC")
    desk.go("2026-11-05T03:00")

    await desk.delete()

    days = [("03", "04:00"), ("04", "04:00"), ("05", "03:00")]
    assert desk.excluded() == [(at(f"2026-11-{d}T02:00"), at(f"2026-11-{d}T{end}")) for d, end in days]


async def test_one_that_is_deleted_before_it_never_was(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00")
    desk.go("2026-11-03T02:00")

    await desk.delete()

    assert desk.excluded() == []
    assert desk.book.windows(TENANT) == ()


async def test_a_file_with_the_next_window_under_the_old_name_keeps_the_last_one(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00")
    desk.go("2026-11-10")
    await desk.put("2026-11-20T02:00", "2026-11-20T04:00")

    nights = ("03", "20")
    assert desk.excluded() == [(at(f"2026-11-{d}T02:00"), at(f"2026-11-{d}T04:00")) for d in nights]
    assert [one.start_ms for one in desk.book.applied(TENANT)] == [at("2026-11-20T02:00")]


async def test_another_title_is_no_other_announcement(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00", title="Mvoe")
    desk.go("2026-11-03T03:00")
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00", title="Move")

    assert desk.excluded() == [(at("2026-11-03T02:00"), at("2026-11-03T04:00"))]
    (window,) = desk.book.windows(TENANT)
    assert (window.title, window.announced_ms) == ("Move", at("2026-11-01"))


async def test_a_cancelled_one_that_is_announced_again_is_late(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00")
    desk.go("2026-11-02")
    record = MaintenanceRecord(announced_ms=at("2026-11-01"), cancelled=True)
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00", record=record)
    assert desk.excluded() == []

    desk.go("2026-11-03T03:00")
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00")

    assert desk.excluded() == []


async def test_a_cancellation_ends_it_once(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00", title="Move")
    desk.go("2026-11-03T03:00")
    record = MaintenanceRecord(announced_ms=at("2026-11-01"), cancelled=True)
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00", title="Move", record=record)

    assert desk.excluded() == [(at("2026-11-03T02:00"), at("2026-11-03T03:00"))]
    assert len(desk.book.windows(TENANT)) == 1


async def test_a_new_process_knows_the_past_too(desk: Desk) -> None:
    await desk.put("2026-11-03T02:00", "2026-11-03T04:00")
    desk.go("2026-11-10")
    await desk.put("2026-11-20T02:00", "2026-11-20T04:00")
    await desk.delete()
    known = desk.excluded()

    desk.feed = ConfigFeed(desk.log, desk.clock)
    await desk.feed.start()
    desk.book = MaintenanceBook(desk.feed)

    assert len(known) == 1
    assert desk.excluded() == known
    await desk.feed.stop()
