"""What a checked configuration promises, for the person who wrote it: a row for each objective.

Reading it back is the only way to see that 99.9% of a month is what was meant. Figures are floored, as a
budget that is shown longer than it is would be a promise.
"""

from collections.abc import Sequence
from fractions import Fraction

from services.common.documents import Document
from services.common.documents_contract import (
    AvailabilityObjective,
    CompositeObjective,
    ContractSpec,
    DataAvailabilityObjective,
    IncidentObjective,
    LatencyObjective,
)
from services.common.documents_contract_objectives import ObjectiveSpec
from services.sla.credits.presets import presets

COLUMNS = ("tenant", "contract", "from", "objective", "promise", "measured by", "window", ">budget")
_MINUTE_NS = 60 * 10**9
_DAY_MINUTES = 24 * 60
# Shortest and longest, in days; a change of the clock takes or gives an hour more.
_DAYS = {"day": (1, 1), "week": (7, 7), "month": (28, 31), "quarter": (90, 92), "year": (365, 366)}
Row = tuple[str, str, str, str, str, str, str, str]


def understood(documents: Sequence[Document]) -> list[Row]:
    """One row for each objective of each contract, in the order of the documents."""
    return [
        (
            document.tenant or "",
            document.name,
            document.spec.effective_from.isoformat(),
            one.name,
            promise(one),
            measured_by(one, document.spec),
            one.window.text + (f", {document.spec.time_zone}" if one.window.period else ""),
            budget(one),
        )
        for document in documents
        if isinstance(document.spec, ContractSpec)
        for one in document.spec.objectives
    ]


def promise(one: ObjectiveSpec) -> str:
    """What is promised, in words."""
    match one:
        case LatencyObjective():
            return f"{_percent(one.quantile.value)} below {one.target.text}"
        case IncidentObjective():
            which = f"{one.severity} incidents" if one.severity else "incidents"
            return f"{_percent(one.share.value)} of {which} {one.until} in {one.target.text}"
        case _:
            return _percent(one.good_share)


def measured_by(one: ObjectiveSpec, contract: ContractSpec) -> str:
    """How it is measured, in a word or two."""
    match one:
        case AvailabilityObjective():
            if one.signal is not None:
                return f"{one.signal.type} {one.signal.metric}"
            terms = contract.credits
            preset = None
            if terms is not None and terms.objective == one.name and terms.preset is not None:
                preset = presets().get(terms.preset)
            if one.method is None and preset is not None:
                return f"as {preset.name}"
            return "request_ratio" if one.method is None else one.method.type
        case LatencyObjective():
            return f"{one.reading} quantile"
        case IncidentObjective():
            return f"{one.clock} clock"
        case CompositeObjective():
            return f"{one.mode} of {', '.join(one.children)}"
        case DataAvailabilityObjective():
            return "points stored"


def budget(one: ObjectiveSpec) -> str:
    """How much may fail: minutes of the window, as time or as its share of requests."""
    allowed = 1 - one.good_share
    if allowed == 0:
        return "none: any failure breaches"
    if isinstance(one, IncidentObjective):
        return f"{_percent(allowed)} of incidents"
    if one.window.period is None:
        return f"{_minutes(allowed * Fraction(one.window.ns, _MINUTE_NS))} min"
    low, high = (_minutes(allowed * days * _DAY_MINUTES) for days in _DAYS[one.window.period])
    return f"{low} min" if low == high else f"{low} to {high} min"


def _minutes(amount: Fraction) -> str:
    whole, rest = divmod(int(amount * 100), 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.12g}%"
