"""Incident objectives over a window, each version's terms over its own part. Pure.

An incident is judged by the terms in force when its clock stopped, or, while it is open, by the latest.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from services.sla.figures_model import Resolution, Segment, TermsVerdict, UsedWindow
from services.sla.figures_segments import Terms
from services.sla.incidents.figures import resolution_of
from services.sla.incidents.model import ClockState, IncidentEvent, ResolutionFigures
from services.sla.model import Objective
from services.sla.verdict import worst
from services.sla.windows import Window


def resolution_over(
    objective: Objective, parts: Sequence[Terms], events: Sequence[IncidentEvent], used: UsedWindow
) -> tuple[Resolution, tuple[Segment, ...]]:
    """The figures of the window and of its parts; `events` as `IncidentStore.events` gives them."""
    told = [one for one in parts if one.window.start_ms < one.window.data_end_ms]
    if not told:
        told = [Terms(objective, used.window)]
    found = [_part(one, events, last=one is told[-1]) for one in told]
    segments = tuple(
        Segment(
            one.objective,
            one.window,
            Resolution(
                one.objective,
                replace(used, window=one.window),
                figures,
                figures.verdict,
                (_terms(one.objective, one.window, figures),),
            ),
        )
        for one, figures in zip(told, found, strict=True)
    )
    whole = found[-1] if len(found) == 1 else _together(found)
    terms = tuple(_terms(one.objective, one.window, part) for one, part in zip(told, found, strict=True))
    return Resolution(objective, used, whole, whole.verdict, terms), segments


def _part(terms: Terms, events: Sequence[IncidentEvent], *, last: bool) -> ResolutionFigures:
    where = terms.window

    def over(known: Sequence[IncidentEvent]) -> ResolutionFigures:
        return resolution_of(
            terms.objective, known, start_ms=where.start_ms, end_ms=where.end_ms, now_ms=where.data_end_ms
        )

    found = over(events)
    if last:
        return found
    # What is open at a boundary is judged by the terms in which it stops.
    still_open = {one.incident for one in found.incidents if one.state is not ClockState.STOPPED}
    return over([event for event in events if event.incident not in still_open]) if still_open else found


def _together(parts: Sequence[ResolutionFigures]) -> ResolutionFigures:
    in_time, late = sum(one.in_time for one in parts), sum(one.late for one in parts)
    last = parts[-1]
    judged, everything = in_time + late + last.overdue, in_time + late + last.running
    return replace(
        last,
        in_time=in_time,
        late=late,
        share=Fraction(in_time, judged) if judged else None,
        worst_share=Fraction(in_time, everything) if everything else None,
        longest_ms=max(one.longest_ms for one in parts),
        verdict=worst([one.verdict for one in parts]),
        incidents=tuple(incident for one in parts for incident in one.incidents),
    )


def _terms(objective: Objective, where: Window, found: ResolutionFigures) -> TermsVerdict:
    return TermsVerdict(
        objective.contract_version,
        where.start_ms,
        where.end_ms,
        where.data_end_ms,
        objective.good_share,
        found.share,
        found.verdict,
    )
