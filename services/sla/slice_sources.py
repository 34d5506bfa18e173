"""Sources of slices besides request histograms: probes, heartbeats, and the collector's own counts.

`Sources` is the one that the engine gets: each objective is sent to the source of its way of measuring.
Reading is here, what follows from it is in `slice_signals` and `slice_stored`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.common.telemetry import Counters
from services.sla.kernels import intervals
from services.sla.methods.model import Heartbeat, Probe
from services.sla.model import Exports, Ints, Numbers, Objective, ObjectiveKind, Series, Slice
from services.sla.ports import NumberReader, PointReader
from services.sla.slice_compute import Grid
from services.sla.slice_coverage import LOOKBACK_MS, Covered, covered
from services.sla.slice_numbers import KnownSeries
from services.sla.slice_rows import matches
from services.sla.slice_signals import heartbeat_slices, of_series, probe_slices, reports_covered
from services.sla.slice_source import Feed, Loaded, RequestSource, Source
from services.sla.slice_stored_source import StoredSource

_NO_EXPORTS = Exports(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


class Sources:
    """`Source` of every objective that has slices."""

    def __init__(self, reader: PointReader, counters: Counters | None = None) -> None:
        self._requests = RequestSource(reader, counters)
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
        """See `Source.load`."""
        return await self._of(objectives[0]).load(objectives, low_ms, high_ms, rows=rows)

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


def _signal_feed(objective: Objective, way: str) -> Feed:
    assert objective.signal is not None
    return Feed(objective.tenant, objective.signal.metric, way)


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
        self._known = KnownSeries(reader)

    def feed(self, objective: Objective) -> Feed:
        """See `Source.feed`."""
        return _signal_feed(objective, "probe")

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        tenant, metric, _ = self.feed(objective)
        return await self._reader.number_extent(tenant, metric)

    async def load(
        self,
        objectives: Sequence[Objective],
        low_ms: int,
        high_ms: int,
        *,
        rows: bool = True,  # noqa: ARG002
    ) -> Loaded:
        """See `Source.load`; all of it takes part in what is covered, so `rows` makes no difference."""
        tenant, metric, _ = self.feed(objectives[0])
        # Two lookbacks: the intervals of reports before the range are learned from those before them.
        numbers = await self._reader.numbers(tenant, metric, low_ms=low_ms - 2 * LOOKBACK_MS, high_ms=high_ms)
        series = await self._known.of(tenant, metric, numbers)
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
        self._known = KnownSeries(reader)

    def feed(self, objective: Objective) -> Feed:
        """See `Source.feed`."""
        return _signal_feed(objective, "heartbeat")

    async def extent(self, objective: Objective) -> tuple[int, int] | None:
        """See `Source.extent`."""
        tenant, metric, _ = self.feed(objective)
        return await self._reader.number_extent(tenant, metric)

    async def load(
        self,
        objectives: Sequence[Objective],
        low_ms: int,
        high_ms: int,
        *,
        rows: bool = True,  # noqa: ARG002
    ) -> Loaded:
        """See `Source.load`; all of it takes part in what is covered, so `rows` makes no difference."""
        tenant, metric, _ = self.feed(objectives[0])
        back = max(_interval_ms(one) for one in objectives)
        numbers = await self._reader.numbers(tenant, metric, low_ms=low_ms - back, high_ms=high_ms)
        series = await self._known.of(tenant, metric, numbers)
        beats = await self._reader.witnesses(tenant, metric, low_ms=low_ms - 2 * LOOKBACK_MS, high_ms=high_ms)
        members = {who: who for who in beats.sender.tolist()}
        heard = covered(_NO_EXPORTS, beats, members)
        # Whether anything came long before decides between silence and "not started".
        before = await self._reader.last_number(tenant, metric, before_ms=low_ms)
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


__all__ = ["HeartbeatSource", "ProbeSource", "Sources"]
