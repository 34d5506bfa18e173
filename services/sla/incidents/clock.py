"""The clock of one incident: its events folded into the time for which it ran.

The rules:

1. It starts when the incident opens and stops at what the contract names: the first acknowledgement, the
   resolution, or the verified resolution. A later step stands for an earlier one that nobody recorded.
2. Reopening continues it where it stopped: the time in between is not counted, nothing starts at zero again.
   An acknowledgement holds for good.
3. A pause stops it until it is resumed. Changes of severity or policy end no pause and give back no time.
   Resolving ends a pause: a reopened incident runs.
4. Only service time counts, where the contract has service hours; a pause outside of them saves nothing.
5. An incident is of the last severity that it had.

Events that repeat what already is so change nothing. No engine here, and no contract but its terms.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.sla.incidents.model import ClockState, IncidentEvent, IncidentEventKind
from services.sla.kernels import intervals
from services.sla.model import IncidentUntil, Ints

_STOPS = {
    IncidentUntil.ACKNOWLEDGED: frozenset(
        {IncidentEventKind.ACKNOWLEDGED, IncidentEventKind.RESOLVED, IncidentEventKind.VERIFIED}
    ),
    IncidentUntil.RESOLVED: frozenset({IncidentEventKind.RESOLVED, IncidentEventKind.VERIFIED}),
    IncidentUntil.VERIFIED: frozenset({IncidentEventKind.VERIFIED}),
}


@dataclass(slots=True)
class Fold:
    """An incident after some of its events. spans: when the clock ran, the open one not among them."""

    until: IncidentUntil
    opened_ms: int
    title: str
    severity: str
    spans: list[tuple[int, int]] = field(default_factory=list)
    since_ms: int | None = None
    stopped_ms: int | None = None

    @property
    def state(self) -> ClockState:
        """Where the clock is."""
        if self.stopped_ms is not None:
            return ClockState.STOPPED
        return ClockState.PAUSED if self.since_ms is None else ClockState.RUNNING

    def ran(self, end_ms: int) -> Ints:
        """(n, 2) milliseconds at which it ran before `end_ms`; sorted, disjoint."""
        spans = list(self.spans)
        if self.since_ms is not None:
            spans.append((self.since_ms, max(self.since_ms, end_ms)))
        array = np.array(spans, np.int64).reshape(-1, 2)
        found = intervals.normalise(np.ascontiguousarray(array[:, 0]), np.ascontiguousarray(array[:, 1]))
        return intervals.clip(found, self.opened_ms, max(self.opened_ms, end_ms))

    def apply(self, event: IncidentEvent) -> None:
        """One event later."""
        kind, at_ms = event.kind, event.at_ms
        if kind is IncidentEventKind.SEVERITY_CHANGED:
            self.severity = event.severity
        elif kind is IncidentEventKind.REOPENED:
            self._reopen(at_ms)
        elif kind in _STOPS[self.until] and self.stopped_ms is None:
            self._halt(at_ms)
            self.stopped_ms = at_ms
        elif kind is IncidentEventKind.RESOLVED and self.stopped_ms is None:
            # Only where the verification stops the clock: until then it runs on, paused or not.
            self._run(at_ms)
        elif kind is IncidentEventKind.PAUSED and self.stopped_ms is None:
            self._halt(at_ms)
        elif kind is IncidentEventKind.RESUMED and self.stopped_ms is None:
            self._run(at_ms)

    def _reopen(self, at_ms: int) -> None:
        if self.stopped_ms is None or self.until is IncidentUntil.ACKNOWLEDGED:
            return
        self.stopped_ms = None
        self._run(at_ms)

    def _run(self, at_ms: int) -> None:
        if self.since_ms is None:
            self.since_ms = at_ms

    def _halt(self, at_ms: int) -> None:
        if self.since_ms is not None:
            self.spans.append((self.since_ms, at_ms))
            self.since_ms = None


def fold(events: Iterable[IncidentEvent], until: IncidentUntil, *, before_ms: int) -> Fold | None:
    """One incident after its events before an instant; None when it had not opened.

    Events come in any order and may repeat; what is dated before the opening counts as nothing.
    """
    known = {event.id: event for event in events if event.at_ms < before_ms}
    ordered = sorted(known.values(), key=lambda event: (event.at_ms, event.seq, event.id))
    found: Fold | None = None
    for event in ordered:
        if found is not None:
            found.apply(event)
        elif event.kind is IncidentEventKind.OPENED:
            found = Fold(until, event.at_ms, event.title, event.severity, since_ms=event.at_ms)
    return found


def by_incident(events: Sequence[IncidentEvent]) -> dict[str, list[IncidentEvent]]:
    """Events of each incident, in order of their names."""
    found: dict[str, list[IncidentEvent]] = {}
    for event in events:
        found.setdefault(event.incident, []).append(event)
    return dict(sorted(found.items()))
