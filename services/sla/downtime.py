"""The use case behind ListDowntime: when objectives were down, in runs of slices, newest first.

A run is made of slices that follow on each other and were down (or degraded, where asked for) at any time.
Only such slices leave the store: a quiet month is nothing to read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.sla.model import Objective
from services.sla.not_in_force import absent_objective
from services.sla.paging import Page, PageRequest
from services.sla.ports import SliceStore
from services.sla.serve import Asked, Contracts, allowed_tenant
from services.sla.windows import Rolling, Window, resolve

_LAST_30_DAYS = Rolling(30 * 86_400_000)
_FOREVER_MS = 4_102_444_800_000
_PLACES = 1 << 16


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch [start, end) ms of slices that were down or degraded, with what their counts add up to."""

    start_ms: int
    end_ms: int
    down_ns: int
    degraded_ns: int
    excluded_ns: int
    bad: int
    total: int
    slices: int


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs of one objective: of slices that start in [low, high), and that start before `before`."""

    low_ms: int
    high_ms: int
    before_ms: int = _FOREVER_MS
    as_of_ms: int | None = None
    degraded: bool = False
    most: int = 1000


class RunReader(Protocol):
    """Reads runs. MUST read only slices with time down or degraded, of each start the current revision."""

    async def runs(self, tenant: str, objective: str, query: RunQuery) -> list[Run]:
        """Runs, newest first. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """A run of one objective; `lasting` while its end is the newest data."""

    objective: Objective
    run: Run
    lasting: bool


class DowntimeList:
    """Answers ListDowntime for the caller of the current RPC."""

    def __init__(self, *, contracts: Contracts, slices: SliceStore, runs: RunReader) -> None:
        self._contracts = contracts
        self._slices = slices
        self._runs = runs

    async def page(
        self, tenant: str | None, key: str | None, asked: Asked, page: PageRequest, *, degraded: bool = False
    ) -> Page[Outage]:
        """Runs of one objective, or of all in force, newest first.

        Raises:
            PermissionDenied, ObjectiveNotFound, ObjectiveNotInForce, BadWindow, BadPage, Unavailable.
        """
        tenant = allowed_tenant(tenant)
        objectives = self._objectives(tenant, key)
        size = page.limit(default=100, most=1000)
        cursor = page.cursor()
        found: list[tuple[int, int, Outage]] = []
        for place, objective in enumerate(objectives):
            found_window = await self._window(objective, asked)
            if found_window is None:
                continue
            where, newest = found_window
            # Runs of one instant come in the order of objectives: those before the cursor's are done.
            before = _before(cursor, place)
            query = RunQuery(
                where.start_ms, where.data_end_ms, before, asked.as_of_ms, degraded=degraded, most=size + 1
            )
            for run in await self._runs.runs(tenant, objective.key, query):
                outage = Outage(objective, run, lasting=run.end_ms == newest)
                found.append((-run.start_ms, place, outage))
        found.sort(key=lambda one: one[:2])
        token = ""
        if len(found) > size:
            start, place, _ = found[size - 1]
            token = page.next_token(-start * _PLACES + (_PLACES - 1 - place))
        return Page(tuple(outage for _, _, outage in found[:size]), token)

    def _objectives(self, tenant: str, key: str | None) -> Sequence[Objective]:
        known = sorted(
            (one for contract in self._contracts.contracts(tenant) for one in contract.objectives),
            key=lambda one: one.key,
        )
        if key is None:
            return known
        chosen = [one for one in known if one.key == key]
        if not chosen:
            raise absent_objective(tenant, key, self._contracts.timeline(tenant, key))
        return chosen

    async def _window(self, objective: Objective, asked: Asked) -> tuple[Window, int] | None:
        """The window and where the data ends; None for an objective without slices."""
        span = await self._slices.span(objective.tenant, objective.key, as_of_ms=asked.as_of_ms)
        if span is None:
            return None
        newest = span[2] or span[1]
        where = resolve(
            asked.window or _LAST_30_DAYS,
            anchor_ms=newest,
            slice_ms=objective.slice_ms,
            zone=objective.time_zone,
        )
        return where, newest


def _before(cursor: int | None, place: int) -> int:
    """Runs of the objective at `place` that come after the cursor start before this."""
    if cursor is None:
        return _FOREVER_MS
    start, rest = divmod(cursor, _PLACES)
    return start + 1 if place > _PLACES - 1 - rest else start


def runs_of(slices: Sequence[Run]) -> list[Run]:
    """Slices as runs of one, in order of start, joined where one ends as the next starts; oldest first."""
    out: list[Run] = []
    for one in slices:
        if out and out[-1].end_ms == one.start_ms:
            out[-1] = _together(out[-1], one)
        else:
            out.append(one)
    return out


def _together(left: Run, right: Run) -> Run:
    return Run(
        left.start_ms,
        right.end_ms,
        left.down_ns + right.down_ns,
        left.degraded_ns + right.degraded_ns,
        left.excluded_ns + right.excluded_ns,
        left.bad + right.bad,
        left.total + right.total,
        left.slices + right.slices,
    )
