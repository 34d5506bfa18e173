"""What can only be seen when the parts of one contract are read together; every problem is told."""

from collections.abc import Iterator, Sequence

from services.common.documents_contract_methods import (
    AllFailMethod,
    ErrorRateMethod,
    MeanErrorRateMethod,
    UptimeMethod,
)
from services.common.documents_contract_objectives import (
    AvailabilityObjective,
    CompositeKind,
    CompositeObjective,
    IncidentObjective,
    LatencyObjective,
    LatencyReading,
    ObjectiveSpec,
    ResolutionClock,
)
from services.common.documents_contract_terms import CreditsSpec, ServiceHoursSpec
from services.common.documents_values import Duration

LONGEST_WINDOW_NS = 400 * 86_400 * 10**9
"""No figure is computed over more: 400 days hold any year."""

# Shorter slices would be more than people can read and a slicer can keep up with; longer ones tell too late.
_SLICE_NS = (10**9, 3600 * 10**9)
# Local midnight is at a whole quarter of an hour of UTC in every zone of today.
_QUARTER_HOUR_NS = 900 * 10**9
_Problems = Iterator[tuple[str, str]]


def contract_problems(
    *,
    objectives: Sequence[ObjectiveSpec],
    slice_length: Duration,
    hours: ServiceHoursSpec | None,
    credit_terms: CreditsSpec | None,
) -> _Problems:
    """(field below the spec, reason) of everything that does not go together."""
    yield from _slice(slice_length)
    names = [objective.name for objective in objectives]
    for place, objective in enumerate(objectives):
        field = f"objectives[{place}]"
        if objective.name in names[:place]:
            yield f"{field}.name", f"{objective.name} is there more than once"
        yield from _window(field, objective, slice_length)
        match objective:
            case AvailabilityObjective():
                yield from _method(field, objective, slice_length)
            case IncidentObjective(clock=ResolutionClock.SERVICE_HOURS) if hours is None:
                yield f"{field}.clock", "the contract has no service_hours"
            case CompositeObjective():
                yield from _children(field, objective, objectives)
                yield from _weights(field, objective)
    if credit_terms is not None:
        yield from _credits(credit_terms, objectives)


def _slice(length: Duration) -> _Problems:
    if length.ns % 1_000_000:
        yield "slice", "must be whole milliseconds"
    if not _SLICE_NS[0] <= length.ns <= _SLICE_NS[1]:
        yield "slice", "must be 1s to 1h"


def _window(field: str, objective: ObjectiveSpec, slice_length: Duration) -> _Problems:
    window = objective.window
    if window.period is not None:
        if _QUARTER_HOUR_NS % slice_length.ns:
            yield (
                f"{field}.window",
                f"a {window.text} begins at local midnight, so the slice must divide 15m;"
                f" {slice_length.text} does not",
            )
        return
    if window.ns > LONGEST_WINDOW_NS:
        yield f"{field}.window", f"{window.text} is over 400d"
    if window.ns % slice_length.ns:
        yield f"{field}.window", f"{window.text} is not a multiple of the slice {slice_length.text}"


def _method(field: str, objective: AvailabilityObjective, slice_length: Duration) -> _Problems:
    method = objective.method
    if objective.signal is not None and not isinstance(method, UptimeMethod | None):
        yield f"{field}.method", f"a {objective.signal.type} has no requests: its method is uptime"
    if isinstance(method, AllFailMethod | ErrorRateMethod | MeanErrorRateMethod):
        interval = method.interval
        if interval.ns % slice_length.ns:
            yield (
                f"{field}.method.interval",
                f"{interval.text} is not a multiple of the slice {slice_length.text}",
            )
        if interval.ns > objective.window.ns:
            yield f"{field}.method.interval", f"{interval.text} is longer than the window"


def _children(field: str, objective: CompositeObjective, objectives: Sequence[ObjectiveSpec]) -> _Problems:
    known = {one.name: one for one in objectives}
    for place, child in enumerate(objective.children):
        where = f"{field}.children[{place}]"
        if child in objective.children[:place]:
            yield where, f"{child} is there more than once"
        elif child not in known:
            yield where, f"there is no objective {child}"
        elif isinstance(known[child], IncidentObjective):
            yield where, f"{child} is about incidents: it has no up and down"
        elif isinstance(known[child], CompositeObjective):
            yield where, f"{child} is a composite itself: name the objectives that it is made of"


def _weights(field: str, objective: CompositeObjective) -> _Problems:
    if not objective.weights:
        return
    if objective.mode is not CompositeKind.WEIGHTED:
        yield f"{field}.weights", "belong to mode weighted"
    for name in objective.weights:
        if name not in objective.children:
            yield f"{field}.weights.{name}", "is no child"
    if all(name in objective.weights and not objective.weights[name].value for name in objective.children):
        yield f"{field}.weights", "are all 0: nothing would count"


def _credits(terms: CreditsSpec, objectives: Sequence[ObjectiveSpec]) -> _Problems:
    objective = next((one for one in objectives if one.name == terms.objective), None)
    if objective is None:
        names = ", ".join(one.name for one in objectives)
        yield "credits.objective", f"there is no objective {terms.objective}, only {names}"
        return
    if isinstance(objective, LatencyObjective) and objective.reading is LatencyReading.MERGED:
        yield (
            "credits.objective",
            f"{objective.name} has no share to pay by: reading must be requests or slices",
        )
    period = objective.window.period
    if period is None:
        yield (
            "credits.objective",
            f"{objective.name} has the rolling window {objective.window.text}:"
            " credits need one of day, week, month, quarter, year",
        )
    elif terms.period not in (None, period):
        yield "credits.period", f"{objective.name} is judged over a {period}"
    for place, tier in enumerate(terms.tiers):
        if tier.below.value > objective.good_share:
            yield (
                f"credits.tiers[{place}].below",
                f"{tier.below.text} is above what {objective.name} promises: it would pay for a promise kept",
            )
