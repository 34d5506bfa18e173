"""What the engine of slices asks of the stored points: load a range, what it covers, slices of it.

One source for each way of measuring; `RequestSource` reads request histograms. The engine knows this shape
only, so another way is another source. What a source says depends on the points and on nothing else.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from services.common.telemetry import Counters
from services.sla.model import Ints, Objective, ObjectiveKind, PointKind, Rows, Series, Slice
from services.sla.ports import PointReader
from services.sla.slice_compute import Grid, compute
from services.sla.slice_coverage import LOOKBACK_MS, Covered, covered, reports_of
from services.sla.slice_overlap import Overlaps
from services.sla.slice_rows import (
    MOST_COUNT,
    Increments,
    impossible,
    in_order,
    increments_of,
    matches,
    unit_problem,
)

_logger = logging.getLogger(__name__)


class Feed(NamedTuple):
    """Points that make slices: of which tenant and metric, and by which way of measuring they are read.

    Any other metric of the tenant may be the heartbeat of its senders.
    """

    tenant: str
    metric: str
    way: str


REQUESTS = "requests"
_MOST_REASONS = 5


class Loaded(Protocol):
    """What overlaps (low_ms, high_ms] of one feed."""

    @property
    def low_ms(self) -> int:
        """Where it begins."""
        ...

    @property
    def high_ms(self) -> int:
        """Where it ends."""
        ...

    def cover(self, objective: Objective) -> Covered:
        """The time that the objective's senders cover; empty while it has no data here."""
        ...

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        """(start, end) of all intervals that a point has a part in: how far a change reaches."""
        ...

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        """Every slice of the grid, provisional; `excluded` is maintenance. Runs in a thread."""
        ...


def left_out(loaded: Loaded, objective: Objective) -> tuple[str, ...]:
    """Why series that reported in the loaded range are left out of an objective, in order; mostly nothing."""
    return loaded.left_out.get(objective.key, ()) if isinstance(loaded, _Requests) else ()


class Source(Protocol):
    """Where slices come from."""

    def feed(self, objective: Objective) -> Feed:
        """Whose points make the objective's slices."""
        ...

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """(first, last) time of any point of its feed, ms; None when there is none."""
        ...

    async def load(
        self, objectives: Sequence[Objective], low_ms: int, high_ms: int, *, rows: bool = True
    ) -> Loaded:
        """Everything that decides about the slices of (low, high] of objectives that share a feed.

        Without `rows` only what they cover.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Requests:
    """Increments of request histograms, and what their senders cover."""

    low_ms: int
    high_ms: int
    series: Mapping[int, Series]
    parts: tuple[Increments, ...]
    covers: Mapping[tuple[str, int], Covered]
    left_out: Mapping[str, tuple[str, ...]]

    def cover(self, objective: Objective) -> Covered:
        """See `Loaded.cover`."""
        return self.covers[objective.key, objective.from_ms]

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        """See `Loaded.spans`."""
        cover = self.covers[objective.key, objective.from_ms]
        return [*((part.start, part.ts) for part in self.parts), (cover.start, cover.ts)]

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        """See `Loaded.slices`."""
        return compute(
            objective,
            self.parts,
            self.series,
            self.covers[objective.key, objective.from_ms],
            grid=grid,
            first_ms=first_ms,
            excluded=excluded,
        )


class RequestSource:
    """`Source` over request histograms."""

    def __init__(self, reader: PointReader, counters: Counters | None = None) -> None:
        self._reader = reader
        self._overlaps = Overlaps(counters)
        self._told: set[int] = set()
        self._broken: set[int] = set()
        self._series: dict[tuple[str, str], dict[int, Series]] = {}

    def feed(self, objective: Objective) -> Feed:
        """See `Source.feed`."""
        return Feed(objective.tenant, objective.metric, REQUESTS)

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        return await self._reader.extent(objective.tenant, objective.metric)

    async def load(
        self, objectives: Sequence[Objective], low_ms: int, high_ms: int, *, rows: bool = True
    ) -> Loaded:
        """See `Source.load`."""
        tenant, metric, _ = self.feed(objectives[0])
        exports = await self._reader.exports(tenant, metric, low_ms=low_ms - LOOKBACK_MS, high_ms=high_ms)
        beats = await self._reader.heartbeats(tenant, metric, low_ms=low_ms - LOOKBACK_MS, high_ms=high_ms)
        series = await self._known_series(tenant, metric, set(exports.series.tolist()))
        parts, reports = [], reports_of(exports, series)
        for kind in sorted({one.kind for one in series.values()} if rows else ()):
            found = await self._reader.rows(tenant, metric, PointKind(kind), low_ms=low_ms, high_ms=high_ms)
            self._tell_impossible(tenant, metric, found)
            if len(found):
                parts.append(await asyncio.to_thread(increments_of, in_order(found), series, reports))
        self._overlaps.seen(tenant, metric, parts)
        covers = {}
        reported = {s: series[s] for s in set(exports.series.tolist()) if s in series}
        left_out = {one.key: self._left_out(one, reported) for one in objectives}
        for one in objectives:
            senders = {found.sender_id for found in series.values() if matches(found, one)}
            members = {s: known.sender_id for s, known in series.items() if known.sender_id in senders}
            covers[one.key, one.from_ms] = covered(exports, beats, members)
        return _Requests(low_ms, high_ms, series, tuple(parts), covers, left_out)

    def _left_out(self, objective: Objective, series: Mapping[int, Series]) -> tuple[str, ...]:
        """Why a latency objective leaves series out; each is logged once."""
        if objective.kind is not ObjectiveKind.LATENCY:
            return ()
        problems = {
            one.series_id: problem
            for one in series.values()
            if matches(one, replace(objective, kind=ObjectiveKind.AVAILABILITY))
            and (problem := unit_problem(one))
        }
        for series_id in problems.keys() - self._told:
            self._told.add(series_id)
            _logger.warning(
                "%s of %s leaves out series of %s: %s",
                objective.key,
                objective.tenant,
                objective.metric,
                problems[series_id],
            )
        return tuple(sorted(set(problems.values())))[:_MOST_REASONS]

    def _tell_impossible(self, tenant: str, metric: str, rows: Rows) -> None:
        """Series that sent a count which cannot be, once each."""
        for series in set(rows.series[impossible(rows)].tolist()) - self._broken:
            self._broken.add(series)
            shown = series % (1 << 64)
            _logger.warning(
                "a point of series %016x of %s %s counts more than %d and is left out",
                shown,
                tenant,
                metric,
                MOST_COUNT,
            )

    async def _known_series(self, tenant: str, metric: str, needed: set[int]) -> Mapping[int, Series]:
        known = self._series.setdefault((tenant, metric), {})
        if not needed <= known.keys():
            known.update({one.series_id: one for one in await self._reader.series(tenant, metric)})
        return known
