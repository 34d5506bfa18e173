"""The figures of an incident objective over a window: who was in time, who was late, who still runs.

An incident belongs to the window in which its clock stopped, by what was known at the window's end; one that
is open then is reported as running, with the worst case, and judged by the window in which it stops. Past its
limit it is late whatever happens, and counts as such in the verdict at once. Nothing stopped and nothing is
overdue: the promise was not broken, PASS. All integers and fractions.
"""

from collections.abc import Sequence
from fractions import Fraction

from services.sla.incidents.clock import Fold, by_incident, fold
from services.sla.incidents.hours import service_time
from services.sla.incidents.model import ClockState, IncidentEvent, IncidentFigure, ResolutionFigures
from services.sla.kernels import intervals
from services.sla.model import IncidentTerms, Objective, Verdict


def resolution_of(
    objective: Objective,
    events: Sequence[IncidentEvent],
    *,
    start_ms: int,
    end_ms: int,
    now_ms: int | None = None,
) -> ResolutionFigures:
    """Figures over [start, end); `now_ms` (None: the end) is how far things are known, worst cases go on.

    `events` are all those of the tenant's incidents that were open in the window, at least.

    Raises:
        ValueError: the objective is not about incidents.
    """
    terms = objective.incident
    if terms is None:
        raise ValueError(f"{objective.key} is not an incident objective")
    known_ms = end_ms if now_ms is None else min(now_ms, end_ms)
    found = [
        _figure(name, one, terms, objective.time_zone, known_ms=known_ms, end_ms=end_ms)
        for name, history in by_incident(events).items()
        if (one := fold(history, terms.until, before_ms=known_ms)) is not None
        and (not terms.severity or one.severity == terms.severity)
        and (one.stopped_ms is None or one.stopped_ms >= start_ms)
    ]
    return _figures(found, terms, objective.good_share)


def elapsed_ms(one: Fold, terms: IncidentTerms, zone: str, *, until_ms: int) -> int:
    """Milliseconds that count of the time for which the clock ran before an instant."""
    ran = one.ran(until_ms)
    if terms.hours is not None and len(ran):
        ran = intervals.intersection(ran, service_time(terms.hours, zone, int(ran[0, 0]), int(ran[-1, 1])))
    return int(intervals.length(ran))


def _figure(
    name: str, one: Fold, terms: IncidentTerms, zone: str, *, known_ms: int, end_ms: int
) -> IncidentFigure:
    elapsed = elapsed_ms(one, terms, zone, until_ms=known_ms)
    worst = elapsed
    if one.state is not ClockState.STOPPED:
        # In the worst case a pause ends now, and nobody does anything until the window is over.
        resumed = Fold(one.until, one.opened_ms, one.title, one.severity, list(one.spans), one.since_ms)
        if resumed.since_ms is None:
            resumed.since_ms = known_ms
        worst = elapsed_ms(resumed, terms, zone, until_ms=end_ms)
    in_time: bool | None = elapsed <= terms.limit_ms
    if in_time and one.state is not ClockState.STOPPED:
        in_time = None
    return IncidentFigure(
        incident=name,
        title=one.title,
        severity=one.severity,
        opened_ms=one.opened_ms,
        stopped_ms=one.stopped_ms,
        state=one.state,
        elapsed_ms=elapsed,
        worst_ms=worst,
        limit_ms=terms.limit_ms,
        in_time=in_time,
    )


def _figures(
    found: Sequence[IncidentFigure], terms: IncidentTerms, good_share: Fraction
) -> ResolutionFigures:
    stopped = [one for one in found if one.state is ClockState.STOPPED]
    running = [one for one in found if one.state is not ClockState.STOPPED]
    in_time = sum(one.in_time is True for one in stopped)
    overdue = sum(one.in_time is False for one in running)
    best = _share(in_time + len(running) - overdue, len(found))
    worst = _share(in_time, len(found))
    if worst is None or best is None or worst >= good_share:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.FAIL if best < good_share else Verdict.INDETERMINATE
    return ResolutionFigures(
        in_time=in_time,
        late=len(stopped) - in_time,
        running=len(running),
        overdue=overdue,
        share=_share(in_time, len(stopped) + overdue),
        worst_share=worst,
        longest_ms=max((one.elapsed_ms for one in found), default=0),
        verdict=verdict,
        clock=terms.clock,
        until=terms.until,
        incidents=tuple(sorted(found, key=lambda one: (one.opened_ms, one.incident))),
    )


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None
