"""The use cases behind SlaService: who may ask, which window, which slices, which figures.

Everything follows from the current slices as ClickHouse has them; nothing here writes to it. What was
computed once is kept under a key that says everything it follows from (`kept_figures.py`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from services.common.auth import PLATFORM_TENANT, Role, current_principal, require_tenant
from services.common.clock import Clock
from services.common.errors import ResourceExhausted
from services.common.telemetry import Counters
from services.sla.back_fills import BackFills, Remark
from services.sla.errors import (
    BadName,
    BadWindow,
    ContractNotFound,
    WrongObjectiveType,
)
from services.sla.figures_burn import default_windows_ms
from services.sla.figures_model import Figures, Latency, Uptime, WindowFigures
from services.sla.figures_source import FigureSource, Question
from services.sla.incidents.ports import IncidentStore
from services.sla.kept_figures import AskedFigures, KeptFigures
from services.sla.model import Contract, Objective, ObjectiveKind, Revision, Verdict
from services.sla.not_in_force import absent_objective
from services.sla.paging import Page, PageRequest, page_of
from services.sla.ports import SliceStore
from services.sla.questions import Asked, Contracts, Questions
from services.sla.verdict import worst

_READERS = (Role.READER, Role.AUDITOR, Role.OPERATOR)
_MOST_TENANTS = 1000
_SHARES = (ObjectiveKind.AVAILABILITY, ObjectiveKind.DATA_AVAILABILITY, ObjectiveKind.COMPOSITE)
_HOUR_MS = 3_600_000
_NOTHING = Remark()


@dataclass(frozen=True, slots=True)
class ObjectiveStatus:
    """One objective with its figures, or why there are none."""

    objective: Objective
    first_data_ms: int | None
    figures: Figures | None
    absent_reason: str = ""
    remark: Remark = _NOTHING

    @property
    def verdict(self) -> Verdict:
        """Whatever the type."""
        return Verdict.NO_DATA if self.figures is None else self.figures.verdict


@dataclass(frozen=True, slots=True)
class Status:
    """All objectives of one tenant. watermark_ms: the earliest over the objectives; None without data."""

    tenant: str
    objectives: tuple[ObjectiveStatus, ...]
    watermark_ms: int | None
    computed_ns: int

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        return worst([one.verdict for one in self.objectives])


@dataclass(frozen=True, slots=True)
class SliceQuery:
    """Which slices: [start, end), None for the last hour up to the watermark."""

    start_ms: int | None = None
    end_ms: int | None = None
    as_of_ms: int | None = None
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class SlicePage:
    """A page of slices of one objective."""

    objective: Objective
    page: Page[Revision]
    watermark_ms: int


class SlaFigures:
    """Answers questions about SLA figures for the caller of the current RPC.

    Every method raises PermissionDenied for another tenant's names and Unavailable while ClickHouse is away.

    Args:
        contracts: what is promised.
        slices: the measurements.
        clock: for when an answer was computed, and for incidents that are still open.
        incidents: None: incident objectives have no incidents.
        kept: figures that were computed before; None: of this process only.
        burn_windows: lengths of an objective's burn windows, ms; None: derived from its period.
        back_fills: which slices were filled in afterwards, which series left out; None: nobody knows.
    """

    def __init__(
        self,
        *,
        contracts: Contracts,
        slices: SliceStore,
        clock: Clock,
        incidents: IncidentStore | None = None,
        kept: KeptFigures | None = None,
        burn_windows: Callable[[Objective], tuple[int, ...]] = default_windows_ms,
        back_fills: BackFills | None = None,
    ) -> None:
        self._contracts = contracts
        self._slices = slices
        self._clock = clock
        self._questions = Questions(
            contracts=contracts, slices=slices, clock=clock, burn_windows=burn_windows
        )
        self._back_fills = back_fills
        self._source = FigureSource(slices, incidents)
        self._kept = KeptFigures(clock, Counters()) if kept is None else kept

    async def uptime(self, tenant: str, key: str, asked: Asked) -> Uptime:
        """Availability of one objective, data availability, or a composite.

        Raises:
            ObjectiveNotFound, ObjectiveNotInForce, WrongObjectiveType, BadWindow, ObjectiveHasNoData.
        """
        figures = await self._figures(self._objective(tenant, key, *_SHARES), asked)
        assert isinstance(figures, Uptime)
        return figures

    async def latency(self, tenant: str, key: str, asked: Asked, quantile: Fraction | None = None) -> Latency:
        """A latency quantile of one objective; None means its own. Errors as `uptime`."""
        objective = self._objective(tenant, key, ObjectiveKind.LATENCY)
        if quantile is not None and not 0 < quantile < 1:
            raise BadWindow("must be above 0 and below 1", field="quantile", reason="BAD_QUANTILE")
        figures = await self._figures(objective, asked, quantile)
        assert isinstance(figures, Latency)
        return figures

    async def window_figures(self, tenant: str, key: str, asked: Asked) -> WindowFigures:
        """All about one objective in a window, local days and downtimes as well. Errors as `uptime`."""
        objective = self._objective(tenant, key)
        return await self._source.window(await self._questions.of(objective, asked))

    async def status(self, tenant: str | None, asked: Asked) -> Status:
        """All objectives of a tenant; None means the caller's."""
        tenant = allowed_tenant(tenant)
        objectives = [one for contract in self._contracts.contracts(tenant) for one in contract.objectives]
        found = await self._statuses(objectives, asked)
        ends = [one.figures.used.window.data_end_ms for one in found if one.figures is not None]
        return Status(
            tenant=tenant,
            objectives=tuple(sorted(found, key=lambda one: one.objective.key)),
            watermark_ms=min(ends, default=None),
            computed_ns=self._clock.now_ns(),
        )

    async def batch_status(self, tenants: Sequence[str | None], asked: Asked) -> list[Status]:
        """Several tenants, all or none; no names means all that the caller may read.

        Raises:
            BadName: a tenant is there twice. ResourceExhausted: more than 1000.
        """
        principal = current_principal()
        names: list[str | None] = list(tenants)
        if not names and principal.tenant == PLATFORM_TENANT:
            names = [*sorted({one.tenant for one in self._contracts.contracts()})]
        elif not names:
            names = [principal.tenant]
        if len(set(names)) < len(names):
            raise BadName("a tenant is there more than once", field="names")
        if len(names) > _MOST_TENANTS:
            raise ResourceExhausted(f"more than {_MOST_TENANTS} tenants", reason="TOO_MANY_TENANTS")
        allowed = [allowed_tenant(one) for one in names]
        # Their heads are read together, and the source bounds how many are computed at once.
        return list(await asyncio.gather(*(self.status(one, asked) for one in allowed)))

    async def slices(self, tenant: str, key: str, query: SliceQuery, page: PageRequest) -> SlicePage:
        """Slices of one objective, ordered by start."""
        objective = self._objective(tenant, key)
        size = page.limit(default=1000, most=10_000)
        span = await self._slices.span(tenant, key, as_of_ms=query.as_of_ms)
        if span is None:
            return SlicePage(objective, Page((), ""), 0)
        watermark = span[2] or span[0]
        end = (span[1] if query.provisional else watermark) if query.end_ms is None else query.end_ms
        start = end - _HOUR_MS if query.start_ms is None else query.start_ms
        if start > end:
            raise BadWindow("the range ends before it starts", field="end_time")
        low = max(start, page.cursor() or start, span[0])
        # One slice more than the page tells whether there is another page.
        high = min(end, low + (size + 1) * objective.slice_ms)
        found = await self._slices.current(
            tenant, key, low_ms=low, high_ms=max(low, high), as_of_ms=query.as_of_ms
        )
        if not query.provisional:
            found = [one for one in found if one.slice.sealed]
        more = low + size * objective.slice_ms
        token = page.next_token(more) if more < min(end, span[1]) else ""
        kept = [one for one in found if one.slice.start_ms < more]
        return SlicePage(objective, Page(kept, token), watermark)

    def contracts(
        self, tenant: str | None, page: PageRequest, *, all_versions: bool = False
    ) -> Page[Contract]:
        """Contracts of a tenant, ordered by name: the versions in force, or all by effective date."""
        tenant = allowed_tenant(tenant)
        return page_of(
            self._contracts.versions(tenant) if all_versions else self._contracts.contracts(tenant), page
        )

    def contract(self, tenant: str, name: str, *, version: int = 0) -> Contract:
        """One contract: the version in force, or the one of that number.

        Raises:
            ContractNotFound: there is no such contract, or none in force, or no such version.
        """
        allowed_tenant(tenant)
        known = [one for one in self._contracts.versions(tenant) if one.name == name]
        found = known if version else [one for one in self._contracts.contracts(tenant) if one.name == name]
        for one in found:
            if version in (0, one.version):
                return one
        if not known:
            raise ContractNotFound(f"tenant {tenant} has no contract {name}")
        versions = ", ".join(str(one.version) for one in known)
        what = f"has no version {version}" if version else "is not in force"
        raise ContractNotFound(
            f"contract {name} of tenant {tenant} {what}", next_step=f"Its versions are {versions}."
        )

    def objectives(self, tenant: str | None, contract: str | None, page: PageRequest) -> Page[Objective]:
        """Objectives of a tenant, or of one of its contracts, ordered by name."""
        found = [
            objective
            for one in self._contracts.contracts(allowed_tenant(tenant))
            if contract is None or one.name == contract
            for objective in one.objectives
        ]
        return page_of(sorted(found, key=lambda one: one.key), page)

    async def _statuses(self, objectives: Sequence[Objective], asked: Asked) -> list[ObjectiveStatus]:
        """In their order; what has slices is read together."""
        questions = await self._questions.each(objectives, asked)
        figures = iter(await self._answers([one for one in questions if isinstance(one, Question)]))
        found = []
        for objective, question in zip(objectives, questions, strict=True):
            remark = _NOTHING
            if self._back_fills is not None:
                remark = await self._back_fills.remark(objective.tenant, objective.key)
            if not isinstance(question, Question):
                found.append(ObjectiveStatus(objective, None, None, question.reason, remark))
                continue
            first_ms = question.head.first_ms if question.head.database else None
            found.append(ObjectiveStatus(objective, first_ms, next(figures), remark=remark))
        return found

    async def _figures(self, objective: Objective, asked: Asked, quantile: Fraction | None = None) -> Figures:
        return (await self._answers([await self._questions.of(objective, asked, quantile)]))[0]

    async def _answers(self, questions: Sequence[Question]) -> list[Figures]:
        """In their order; of one tenant, each objective once."""
        incidents = [one for one in questions if one.objective.kind is ObjectiveKind.INCIDENT_RESOLUTION]
        sliced = [one for one in questions if one.objective.kind is not ObjectiveKind.INCIDENT_RESOLUTION]
        if not incidents:
            return list(await self._of_slices(sliced))
        resolutions, figures = await asyncio.gather(
            asyncio.gather(*(self._source.incidents(one) for one in incidents)), self._of_slices(sliced)
        )
        found: dict[int, Figures] = {
            id(one): told for one, (told, _) in zip(incidents, resolutions, strict=True)
        }
        found.update((id(one), told) for one, told in zip(sliced, figures, strict=True))
        return [found[id(one)] for one in questions]

    async def _of_slices(self, questions: Sequence[Question]) -> Sequence[Uptime | Latency]:
        if not questions or questions[0].as_of_ms is not None:
            # What was known then is asked rarely, and its head says nothing of it.
            return await self._source.figures(questions)
        by_key = {self._questions.key(one): one for one in questions}
        asked = [
            AskedFigures(key, {each.contract_version: each for each in (*one.timeline, one.objective)})
            for key, one in by_key.items()
        ]
        return await self._kept.get(
            asked, lambda missing: self._source.figures([by_key[one.key] for one in missing])
        )

    def _objective(self, tenant: str, key: str, *kinds: ObjectiveKind) -> Objective:
        allowed_tenant(tenant)
        for contract in self._contracts.contracts(tenant):
            for objective in contract.objectives:
                if objective.key != key:
                    continue
                if kinds and objective.kind not in kinds:
                    raise WrongObjectiveType(f"{key} is a {objective.kind} objective", field="objective")
                return objective
        raise absent_objective(tenant, key, self._contracts.timeline(tenant, key))


def allowed_tenant(tenant: str | None) -> str:
    """The tenant if the caller may read it; None means the caller's own.

    Raises:
        PermissionDenied: it may not. BadName: the platform's credential has no tenant of its own.
    """
    if tenant is None:
        tenant = current_principal().tenant
        if tenant == PLATFORM_TENANT:
            raise BadName("name the tenant: this credential has none of its own", field="name")
    require_tenant(tenant, *_READERS)
    return tenant


__all__ = ["Asked", "Contracts", "ObjectiveStatus", "SlaFigures", "SlicePage", "SliceQuery", "Status"]
