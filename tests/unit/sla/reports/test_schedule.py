"""The schedule: each period once when its data is final, what was missed later, late data as a revision."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from services.common.clock import SystemClock
from services.sla.model import Contract, Head, ReportTerms
from services.sla.reports.ledger import ReportState
from services.sla.reports.model import ReportInput, VersionRow
from services.sla.reports.schedule import ReportSchedule
from tests.unit.sla.reports.examples import flawless_month
from tests.unit.sla.reports.office import Contracts, Office, office

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TERMS = ReportTerms("monthly", ("pdf",), ("ops@acme.example",))


def berlin(year: int, month: int, day: int, hour: int = 0) -> int:
    return round(datetime(year, month, day, hour, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)


def as_agreed(report: ReportInput) -> ReportInput:
    """Under the version of the contract that is in force, from the newest slices there are."""
    return replace(
        report,
        versions=(VersionRow(3, 0, None, report.period.start_ms, report.period.end_ms),),
        provenance=replace(report.provenance, data_revision=7),
    )


class SetClock(SystemClock):
    """Wall time is what the test says; waiting is real."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def now_ns(self) -> int:
        return self.now_ms * 1_000_000


@dataclass
class Data:
    """How far slices are, and which is the newest of them in any period."""

    sealed_ms: int
    seq: int = 7

    async def heads(self, tenants: Sequence[str]) -> Mapping[tuple[str, str], Head]:
        return {(one, "gold/requests"): Head("d", 1, self.sealed_ms, self.sealed_ms, 1, 9) for one in tenants}

    async def newest(self, _tenant: str, _keys: Sequence[str], *, low_ms: int, high_ms: int) -> int:
        assert low_ms < high_ms
        return self.seq


class OnlyAcme(Contracts):
    def versions(self, tenant: str | None = None) -> list[Contract]:
        return super().versions("acme" if tenant is None else tenant)

    contracts = versions


@dataclass
class Scheduled:
    office: Office
    schedule: ReportSchedule
    clock: SetClock
    data: Data

    async def look(self) -> list[tuple[str, str]]:
        """Look and make once; (report, state) of all, oldest first."""
        await self.schedule.step()
        await self.office.maker_step()
        found = await self.office.store.reports("acme")
        return [(one.report, one.state.name) for one in reversed(found)]


@asynccontextmanager
async def scheduled(
    now_ms: int, *, applied_ms: int, sealed_ms: int | None = None
) -> AsyncIterator[Scheduled]:
    clock, data = SetClock(now_ms), Data(now_ms if sealed_ms is None else sealed_ms)
    contracts = OnlyAcme(TERMS)
    async with office(clock=clock, contracts=contracts, working=False) as running:
        schedule = ReportSchedule(
            contracts=contracts,
            reports=running.parts.reports,
            store=running.store,
            changes=data,
            heads=data,
            clock=clock,
            applied_ms=lambda _contract: applied_ms,
        )
        running.figures.now = as_agreed(running.figures.now)
        yield Scheduled(running, schedule, clock, data)


async def test_a_month_is_reported_once_after_its_end_has_settled() -> None:
    end = berlin(2026, 11, 1)
    async with scheduled(end + 10 * MINUTE, applied_ms=end - 5 * DAY) as it:
        assert await it.look() == []
        it.clock.now_ms = end + 15 * MINUTE
        assert await it.look() == [("month-2026-10-gold-r1", "ISSUED")]
        it.clock.now_ms += DAY
        assert await it.look() == [("month-2026-10-gold-r1", "ISSUED")]
        (made,) = await it.office.store.to_deliver(since_ms=0)
        assert made.recipients.names == ("email:ops@acme.example",)
        assert made.actor == "schedule"


async def test_it_waits_for_data_that_is_not_final_but_not_for_ever() -> None:
    end = berlin(2026, 11, 1)
    async with scheduled(end + HOUR, applied_ms=end - DAY, sealed_ms=end - 1) as it:
        assert await it.look() == []
        it.clock.now_ms = end + 6 * HOUR
        assert len(await it.look()) == 1


async def test_missed_periods_are_made_each_once_and_none_from_before_the_contract() -> None:
    async with scheduled(berlin(2026, 12, 2), applied_ms=berlin(2026, 9, 10)) as it:
        made = await it.look()
        assert made == [(f"month-2026-{month}-gold-r1", "ISSUED") for month in ("09", "10", "11")]
        assert await it.look() == made


async def test_late_data_becomes_a_revision_and_is_told_and_nothing_new_is_not() -> None:
    async with scheduled(berlin(2026, 11, 2), applied_ms=berlin(2026, 10, 10)) as it:
        await it.look()
        it.data.seq = 8
        assert (await it.look())[-1] == ("month-2026-10-gold-r2", "UNCHANGED")
        asked = it.office.figures.asked
        await it.look()
        assert it.office.figures.asked == asked
        it.data.seq = 9
        it.office.figures.now = as_agreed(flawless_month())
        assert (await it.look())[-1] == ("month-2026-10-gold-r2", "ISSUED")
        second = await it.office.store.report("acme", "month-2026-10-gold-r2")
        assert second is not None
        assert second.recipients.names
        assert len(await it.office.store.to_deliver(since_ms=0)) == 2


async def test_a_cancelled_report_is_left_alone_and_a_failed_one_is_tried_again() -> None:
    async with scheduled(berlin(2026, 11, 2), applied_ms=berlin(2026, 10, 10)) as it:
        it.office.figures.failure = RuntimeError("a defect")
        assert await it.look() == [("month-2026-10-gold-r1", "FAILED")]
        it.office.figures.failure = None
        assert await it.look() == [("month-2026-10-gold-r1", "FAILED")]
        it.clock.now_ms += HOUR
        assert await it.look() == [("month-2026-10-gold-r1", "ISSUED")]
        (record,) = await it.office.store.reports("acme")
        await it.office.store.store([replace(record, seq=999, state=ReportState.CANCELLED)])
        it.clock.now_ms += DAY
        assert await it.look() == [("month-2026-10-gold-r1", "CANCELLED")]
