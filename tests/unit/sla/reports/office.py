"""The parts of reports over memory adapters, running, with figures that a test sets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction

from services.common.clock import Clock, SystemClock
from services.common.errors import ThreeninesError
from services.common.kv_memory import MemoryKeyValue
from services.common.log_memory import MemoryLog
from services.sla.model import Contract, Objective, ObjectiveKind, ReportTerms
from services.sla.reports.generate import Reports
from services.sla.reports.history import Histories
from services.sla.reports.ledger import ReportPeriod
from services.sla.reports.model import ReportInput
from services.sla.reports.parts import ReportParts, build_reports
from services.sla.reports.ports import Progress
from services.sla.reports.store_memory import MemoryReports
from services.sla.reports.work import Part
from tests.unit.sla.reports.examples import rich_month

DAY = 86_400_000


@dataclass
class Figures:
    """`ReportSource`: what the test says, with the period and names that were asked for."""

    now: ReportInput = field(default_factory=rich_month)
    failure: ThreeninesError | Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    async def report_input(
        self, tenant: str, contract: str, period: ReportPeriod, *, progress: Progress
    ) -> ReportInput:
        self.asked += 1
        self.began.set()
        progress(50)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        of = replace(self.now.period, label=period.label, start_ms=period.start_ms, end_ms=period.end_ms)
        return replace(self.now, tenant=tenant, contract=contract, period=of)


class Contracts:
    """One contract of each of two tenants, in Berlin."""

    def __init__(self, reports: ReportTerms | None = None) -> None:
        self.reports = reports

    def versions(self, tenant: str | None = None) -> list[Contract]:
        return [self._one(name) for name in ("acme", "umbra") if tenant in (None, name)]

    contracts = versions

    def _one(self, tenant: str) -> Contract:
        objective = Objective(
            tenant, "gold", "requests", ObjectiveKind.AVAILABILITY, Fraction(999, 1000), 30 * DAY, "m"
        )
        return Contract(tenant, "gold", 3, "Europe/Berlin", 0, (objective,), reports=self.reports)


@dataclass
class Office:
    """Everything that runs."""

    parts: ReportParts
    store: MemoryReports
    log: MemoryLog
    figures: Figures

    async def maker_step(self) -> int:
        """Make what is asked for, as the worker does."""
        return await self.parts.worker.parts[0].step()


@asynccontextmanager
async def office(
    *,
    clock: Clock | None = None,
    contracts: Contracts | None = None,
    more: Callable[[Reports, Histories], Sequence[Part]] | None = None,
    working: bool = True,
    log: MemoryLog | None = None,
) -> AsyncIterator[Office]:
    """Storer and worker run until the end of the block; without `working` nobody makes reports. `log`: that
    of another office, as another region has it."""
    clock = SystemClock() if clock is None else clock
    log, store, figures = log or MemoryLog(clock), MemoryReports(), Figures()
    parts = build_reports(
        log=log,
        kv=MemoryKeyValue(clock),
        clock=clock,
        store=store,
        source=figures,
        contracts=contracts or Contracts(),
        database_id=_database_id,
        region="eu",
        holder="test",
        more=more,
    )
    runs = [parts.storer.run(), *([parts.worker.run()] if working else [])]
    tasks = [asyncio.create_task(one) for one in runs]
    try:
        yield Office(parts, store, log, figures)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _database_id() -> str:
    return "memory"
