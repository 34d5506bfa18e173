"""Sources of slices besides request histograms: probes, heartbeats, and the collector's own counts.

`Sources` is the one that the engine gets: each objective is sent to the source of its way of measuring.
Reading is here, what follows from it is in `slice_signals` and `slice_stored`.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.sla.kernels import intervals
from services.sla.methods.model import Heartbeat, Probe
from services.sla.model import Exports, Ints, Numbers, Objective, ObjectiveKind, Series, Slice
from services.sla.ports import NumberReader, PointReader
from services.sla.slice_compute import Grid
from services.sla.slice_coverage import LOOKBACK_MS, Covered, covered
from services.sla.slice_rows import matches
from services.sla.slice_signals import heartbeat_slices, of_series, probe_slices, reports_covered
from services.sla.slice_source import Feed, Loaded, RequestSource, Source
from services.sla.slice_stored import (
    METRICS,
    OWN_TENANT,
    SETTLE_MS,
    STORED,
    WINDOW_MS,
    Counted,
    stored_cover,
    stored_slices,
)

_BACK_MS = WINDOW_MS + 2 * SETTLE_MS
_NO_EXPORTS = Exports(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def is_sliced(objective: Objective) -> bool:
    """Whether the objective has slices; of incidents and composites there are none."""
    return objective.kind in (
        ObjectiveKind.AVAILABILITY,
        ObjectiveKind.LATENCY,
        ObjectiveKind.DATA_AVAILABILITY,
    )


class Sources:
    """`Source` of every objective that has slices."""

    def __init__(self, reader: PointReader) -> None:
        self._requests = RequestSource(reader)
        self._probes = ProbeSource(reader)
        self._heartbeats = HeartbeatSource(reader)
        self._stored = StoredSource(reader)

    def feed(self, objective: Objective) -> Feed:
        """See `Source.feed`."""
        return self._of(objective).feed(objective)

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        return await self._of(objective).extent(objective)

    async def load(
        self, objectives: Sequence[Objective], low_ms: int, high_ms: int, *, rows: bool = True
    ) -> Loaded:
        """See `Source.load`. One metric may feed several sources."""
        by_source: dict[Source, list[Objective]] = {}
        for one in objectives:
            by_source.setdefault(self._of(one), []).append(one)
        if len(by_source) == 1:
            ((source, same),) = by_source.items()
            return await source.load(same, low_ms, high_ms, rows=rows)
        parts = {
            one.key: loaded
            for source, same in by_source.items()
            for loaded in [await source.load(same, low_ms, high_ms, rows=rows)]
            for one in same
        }
        return _Mixed(low_ms, high_ms, parts)

    def _of(self, objective: Objective) -> Source:
        if objective.kind is ObjectiveKind.DATA_AVAILABILITY:
            return self._stored
        match objective.signal:
            case Probe():
                return self._probes
            case Heartbeat():
                return self._heartbeats
            case None:
                return self._requests


@dataclass(frozen=True, slots=True)
class _Mixed:
    low_ms: int
    high_ms: int
    parts: Mapping[str, Loaded]

    def cover(self, objective: Objective) -> Covered:
        return self.parts[objective.key].cover(objective)

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        return self.parts[objective.key].spans(objective)

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        part = self.parts[objective.key]
        return part.slices(objective, grid=grid, first_ms=first_ms, excluded=excluded)


class _Known:
    """Series of metrics, read again when points of an unknown one turn up."""

    def __init__(self, reader: NumberReader) -> None:
        self._reader = reader
        self._series: dict[Feed, dict[int, Series]] = {}

    async def of(self, feed: Feed, numbers: Numbers) -> Mapping[int, Series]:
        known = self._series.setdefault(feed, {})
        if not set(numbers.series.tolist()) <= known.keys():
            known.update({one.series_id: one for one in await self._reader.number_series(*feed)})
        return known


def _signal_feed(objective: Objective) -> Feed:
    assert objective.signal is not None
    return objective.tenant, objective.signal.metric


def _counted(objective: Objective, series: Mapping[int, Series], numbers: Numbers) -> Numbers:
    return of_series(numbers, {s: one for s, one in series.items() if matches(one, objective)})


@dataclass(frozen=True, slots=True)
class _Probes:
    low_ms: int
    high_ms: int
    numbers: Mapping[str, Numbers]
    covers: Mapping[str, Covered]

    def cover(self, objective: Objective) -> Covered:
        return self.covers[objective.key]

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        cover = self.covers[objective.key]
        return [(cover.start, cover.ts)]

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        assert isinstance(objective.signal, Probe)
        key = objective.key
        return probe_slices(
            objective.signal,
            self.numbers[key],
            self.covers[key],
            grid=grid,
            first_ms=first_ms,
            excluded=excluded,
        )


class ProbeSource:
    """`Source` over gauges that say up or down."""

    def __init__(self, reader: NumberReader) -> None:
        self._reader = reader
        self._known = _Known(reader)

    def feed(self, objective: Objective) -> Feed:
        """See `Source.feed`."""
        return _signal_feed(objective)

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        return await self._reader.number_extent(*self.feed(objective))

    async def load(
        self,
        objectives: Sequence[Objective],
        low_ms: int,
        high_ms: int,
        *,
        rows: bool = True,  # noqa: ARG002
    ) -> Loaded:
        """See `Source.load`; all of it takes part in what is covered, so `rows` makes no difference."""
        feed = self.feed(objectives[0])
        # Two lookbacks: the intervals of reports before the range are learned from those before them.
        numbers = await self._reader.numbers(*feed, low_ms=low_ms - 2 * LOOKBACK_MS, high_ms=high_ms)
        series = await self._known.of(feed, numbers)
        own = {one.key: _counted(one, series, numbers) for one in objectives}
        covers = {key: reports_covered(found) for key, found in own.items()}
        return _Probes(low_ms, high_ms, own, covers)


@dataclass(frozen=True, slots=True)
class _Heartbeats:
    """Reports of each objective, ascending, and what of the tenant is covered from the first of them on."""

    low_ms: int
    high_ms: int
    reports: Mapping[str, Ints]
    others: Mapping[str, Covered]

    def cover(self, objective: Objective) -> Covered:
        reports, others = self.reports[objective.key], self.others[objective.key]
        none = np.zeros(len(reports), np.int64)
        return Covered(
            np.concatenate((others.sender, none)),
            np.concatenate((others.start, reports)),
            np.concatenate((others.ts, reports)),
            np.concatenate((others.interval, none + _interval_ms(objective))),
        )

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        reports, others = self.reports[objective.key], self.others[objective.key]
        alive = self._alive(objective)
        return [(others.start, others.ts), (alive[:, 0], alive[:, 1]), (reports[:-1], reports[1:])]

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        key = objective.key
        return heartbeat_slices(
            self._alive(objective),
            self.reports[key],
            self.others[key],
            grid=grid,
            first_ms=first_ms,
            excluded=excluded,
        )

    def _alive(self, objective: Objective) -> Ints:
        """Up to the last that was heard of anything: behind that nobody knows yet."""
        reports, others = self.reports[objective.key], self.others[objective.key]
        heard = max(int(reports.max(initial=0)), int(others.ts.max(initial=0)))
        ends = np.minimum(reports + _interval_ms(objective), heard)
        return intervals.normalise(reports, ends)


def _interval_ms(objective: Objective) -> int:
    assert isinstance(objective.signal, Heartbeat)
    return objective.signal.every_ms


class HeartbeatSource:
    """`Source` over reports that have to come."""

    def __init__(self, reader: NumberReader) -> None:
        self._reader = reader
        self._known = _Known(reader)

    def feed(self, objective: Objective) -> Feed:
        """See `Source.feed`."""
        return _signal_feed(objective)

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        return await self._reader.number_extent(*self.feed(objective))

    async def load(
        self,
        objectives: Sequence[Objective],
        low_ms: int,
        high_ms: int,
        *,
        rows: bool = True,  # noqa: ARG002
    ) -> Loaded:
        """See `Source.load`; all of it takes part in what is covered, so `rows` makes no difference."""
        feed = self.feed(objectives[0])
        back = max(_interval_ms(one) for one in objectives)
        numbers = await self._reader.numbers(*feed, low_ms=low_ms - back, high_ms=high_ms)
        series = await self._known.of(feed, numbers)
        beats = await self._reader.witnesses(*feed, low_ms=low_ms - 2 * LOOKBACK_MS, high_ms=high_ms)
        members = {who: who for who in beats.sender.tolist()}
        heard = covered(_NO_EXPORTS, beats, members)
        # Whether anything came long before decides between silence and "not started".
        before = await self._reader.last_number(*feed, before_ms=low_ms)
        reports, others = {}, {}
        for one in objectives:
            own = np.unique(_counted(one, series, numbers).ts)
            reports[one.key] = own
            began = before if before is not None else (int(own[0]) if len(own) else None)
            others[one.key] = _since(heard, began)
        return _Heartbeats(low_ms, high_ms, reports, others)


def _since(cover: Covered, began_ms: int | None) -> Covered:
    """What is covered after the first report; nothing when there is none."""
    keep = cover.ts > (2**62 if began_ms is None else began_ms)
    start = np.maximum(cover.start[keep], began_ms or 0)
    return Covered(cover.sender[keep], start, cover.ts[keep], cover.interval[keep])


@dataclass(frozen=True, slots=True)
class _Stored:
    low_ms: int
    high_ms: int
    counted: Mapping[str, Mapping[str, Counted]]
    covers: Mapping[str, Covered]

    def cover(self, objective: Objective) -> Covered:
        return self.covers[objective.tenant]

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        cover = self.covers[objective.tenant]
        found = [(cover.start, cover.ts)]
        for name, one in self.counted[objective.tenant].items():
            added = one.increments()
            found.append((added.start, added.ts))
            if name != STORED:
                # A late report moves the balance that reports up to a window behind it are judged by.
                last = int(added.ts.max(initial=0))
                found.append((added.ts, np.minimum(added.ts + _BACK_MS, last)))
        return found

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        return stored_slices(
            objective,
            self.counted[objective.tenant],
            self.covers[objective.tenant],
            grid=grid,
            first_ms=first_ms,
            excluded=excluded,
        )


class StoredSource:
    """`Source` over what the collector counts about itself."""

    def __init__(self, reader: NumberReader) -> None:
        self._reader = reader
        self._known = _Known(reader)

    def feed(self, objective: Objective) -> Feed:  # noqa: ARG002
        """See `Source.feed`; all tenants share it."""
        return OWN_TENANT, STORED

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        return await self._reader.number_extent(*self.feed(objective))

    async def load(
        self,
        objectives: Sequence[Objective],
        low_ms: int,
        high_ms: int,
        *,
        rows: bool = True,  # noqa: ARG002
    ) -> Loaded:
        """See `Source.load`; all of it takes part in what is covered, so `rows` makes no difference."""
        all_counted = {}
        for name in METRICS:
            # Later reports are read as well: those up to a window behind a late one are judged by it.
            numbers = await self._reader.numbers(
                OWN_TENANT, name, low_ms=low_ms - _BACK_MS, high_ms=high_ms + _BACK_MS
            )
            all_counted[name] = Counted(numbers, await self._known.of((OWN_TENANT, name), numbers))
        return await asyncio.to_thread(self._of_tenants, objectives, all_counted, low_ms, high_ms)

    @staticmethod
    def _of_tenants(
        objectives: Sequence[Objective], found: Mapping[str, Counted], low_ms: int, high_ms: int
    ) -> Loaded:
        tenants = {one.tenant for one in objectives}
        counted = {tenant: {name: one.of_tenant(tenant) for name, one in found.items()} for tenant in tenants}
        covers = {tenant: stored_cover(one) for tenant, one in counted.items()}
        return _Stored(low_ms, high_ms, counted, covers)


__all__ = ["HeartbeatSource", "ProbeSource", "Sources", "StoredSource", "is_sliced"]
