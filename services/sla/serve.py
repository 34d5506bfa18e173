"""The use cases behind SlaService: who may ask, which window, which slices, which figures.

Everything is computed from the current slices as ClickHouse has them; nothing here writes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from services.common.auth import PLATFORM_TENANT, Role, current_principal, require_tenant
from services.common.clock import Clock
from services.common.errors import ResourceExhausted
from services.sla.errors import (
    BadName,
    BadWindow,
    ContractNotFound,
    ObjectiveHasNoData,
    ObjectiveNotFound,
    WrongObjectiveType,
)
from services.sla.figures import latency_of, uptime_of
from services.sla.figures_model import Latency, Uptime
from services.sla.model import Contract, Objective, ObjectiveKind, Revision, Verdict
from services.sla.paging import Page, PageRequest, page_of
from services.sla.ports import SliceStore
from services.sla.verdict import worst
from services.sla.windows import Window, WindowRequest, resolve

_READERS = (Role.READER, Role.AUDITOR, Role.OPERATOR)
_MOST_TENANTS = 1000
_HOUR_MS = 3_600_000


class Contracts(Protocol):
    """The contracts that are applied."""

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        """The versions in force, in order of tenant and name; of one tenant when it is given."""
        ...

    def versions(self, tenant: str | None = None) -> list[Contract]:
        """Every version, in order of tenant, name and effective date; of one tenant when it is given."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What every question about figures says: None stands for the objective's own window, and for now."""

    window: WindowRequest | None = None
    as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectiveStatus:
    """One objective with its figures, or why there are none."""

    objective: Objective
    first_data_ms: int | None
    figures: Uptime | Latency | None
    absent_reason: str = ""

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
    """

    def __init__(self, *, contracts: Contracts, slices: SliceStore, clock: Clock) -> None:
        self._contracts = contracts
        self._slices = slices
        self._clock = clock

    async def uptime(self, tenant: str, key: str, asked: Asked) -> Uptime:
        """Availability of one objective.

        Raises:
            ObjectiveNotFound, WrongObjectiveType, BadWindow, ObjectiveHasNoData.
        """
        objective = self._objective(tenant, key, ObjectiveKind.AVAILABILITY)
        where = await self._window(objective, asked)
        columns = await self._slices.columns(
            tenant, key, low_ms=where.start_ms, high_ms=where.data_end_ms, as_of_ms=asked.as_of_ms
        )
        return await asyncio.to_thread(uptime_of, objective, columns, where)

    async def latency(self, tenant: str, key: str, asked: Asked, quantile: Fraction | None = None) -> Latency:
        """A latency quantile of one objective; None means its own. Errors as `uptime`."""
        objective = self._objective(tenant, key, ObjectiveKind.LATENCY)
        if quantile is not None and not 0 < quantile < 1:
            raise BadWindow("must be above 0 and below 1", field="quantile", reason="BAD_QUANTILE")
        where = await self._window(objective, asked)
        columns = await self._slices.columns(
            tenant, key, low_ms=where.start_ms, high_ms=where.data_end_ms, as_of_ms=asked.as_of_ms
        )
        return await asyncio.to_thread(latency_of, objective, columns, where, quantile)

    async def status(self, tenant: str | None, asked: Asked) -> Status:
        """All objectives of a tenant; None means the caller's."""
        tenant = allowed_tenant(tenant)
        found = [
            await self._objective_status(objective, asked)
            for contract in self._contracts.contracts(tenant)
            for objective in contract.objectives
        ]
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
        return [await self.status(one, asked) for one in allowed]

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

    async def _objective_status(self, objective: Objective, asked: Asked) -> ObjectiveStatus:
        span = await self._slices.span(objective.tenant, objective.key, as_of_ms=asked.as_of_ms)
        if span is None:
            return ObjectiveStatus(objective, None, None, ObjectiveHasNoData.default_reason)
        figures: Uptime | Latency
        if objective.kind is ObjectiveKind.AVAILABILITY:
            figures = await self.uptime(objective.tenant, objective.key, asked)
        else:
            figures = await self.latency(objective.tenant, objective.key, asked)
        return ObjectiveStatus(objective, span[0], figures)

    def _objective(self, tenant: str, key: str, kind: ObjectiveKind | None = None) -> Objective:
        allowed_tenant(tenant)
        for contract in self._contracts.contracts(tenant):
            for objective in contract.objectives:
                if objective.key != key:
                    continue
                if kind is not None and objective.kind is not kind:
                    raise WrongObjectiveType(f"{key} is a {objective.kind} objective", field="objective")
                return objective
        raise ObjectiveNotFound(f"tenant {tenant} has no objective {key}")

    async def _window(self, objective: Objective, asked: Asked) -> Window:
        span = await self._slices.span(objective.tenant, objective.key, as_of_ms=asked.as_of_ms)
        if span is None:
            raise ObjectiveHasNoData(
                f"nothing has been computed for {objective.key} yet",
                next_step=f"Send {objective.metric} over OTLP with a token of {objective.tenant}.",
            )
        # Until a first slice is sealed there is only the provisional one to show.
        return resolve(
            asked.window or objective.window,
            anchor_ms=span[2] or span[1],
            slice_ms=objective.slice_ms,
            zone=objective.time_zone,
        )


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


__all__ = ["Asked", "ObjectiveStatus", "SlaFigures", "SlicePage", "SliceQuery", "Status"]
