"""What an objective promises and how it is measured, in sentences. Terms in, text out; no figures."""

from fractions import Fraction

from services.sla.methods.model import (
    AllFail,
    ErrorRate,
    Heartbeat,
    MeanErrorRate,
    Probe,
    RequestRatio,
    Uptime,
)
from services.sla.model import (
    NS_PER_MS,
    CompositeMode,
    Effect,
    IncidentClock,
    IncidentUntil,
    NoData,
    Objective,
    ObjectiveKind,
)
from services.sla.reports.canonical import decimal_text
from services.sla.reports.wording import duration_text, seconds_text, target_percent
from services.sla.windows import Rolling

_UNTIL = {
    IncidentUntil.ACKNOWLEDGED: "acknowledged",
    IncidentUntil.RESOLVED: "resolved",
    IncidentUntil.VERIFIED: "resolved, and verified to be,",
}
_NO_DATA = {
    NoData.EXCLUDE: "Time without data is left out.",
    NoData.COUNT_DOWN: "Time without data counts as down.",
    NoData.COUNT_UP: "Time without data counts as up.",
}


def promise_of(objective: Objective) -> str:
    """The promise in a sentence."""
    share = target_percent(objective.good_share)
    match objective.kind:
        case ObjectiveKind.LATENCY:
            assert objective.threshold_s is not None
            limit = seconds_text(objective.threshold_s)
            return (
                f"The {_ordinal(100 * objective.good_share)} percentile of response times is within {limit}."
            )
        case ObjectiveKind.INCIDENT_RESOLUTION:
            assert objective.incident is not None
            terms = objective.incident
            which = f"{terms.severity} incidents" if terms.severity else "incidents"
            many = f"All {which}" if objective.good_share == 1 else f"At least {share} of {which}"
            return f"{many} are {_UNTIL[terms.until]} within {_length(terms.limit_ms)}."
        case ObjectiveKind.DATA_AVAILABILITY:
            many = "All" if objective.good_share == 1 else f"At least {share} of all"
            return f"{many} data points that were acknowledged are stored."
        case ObjectiveKind.COMPOSITE:
            return f"All parts together are up at least {share} of the time."
    if isinstance(objective.method, RequestRatio) and objective.signal is None:
        return f"At least {share} of requests succeed."
    return f"The service is available at least {share} of the time."


def window_text(objective: Objective) -> str:
    """The period over which the promise holds."""
    if isinstance(objective.window, Rolling):
        return f"the last {_length(objective.window.length_ms)}, rolling"
    return f"calendar {objective.window.period.value}, {objective.time_zone}"


def method_of(objective: Objective) -> tuple[str, ...]:
    """How it is measured, in sentences that a person can check against the contract."""
    match objective.kind:
        case ObjectiveKind.INCIDENT_RESOLUTION:
            return (*_incidents(objective),)
        case ObjectiveKind.COMPOSITE:
            own = _composite(objective)
        case ObjectiveKind.DATA_AVAILABILITY:
            own = (
                "Stored points of acknowledged ones, from the counters of the collector; repeats count once.",
            )
        case ObjectiveKind.LATENCY:
            own = (f"Response times of {_source(objective)}, from histograms, added exactly.",)
        case ObjectiveKind.AVAILABILITY:
            own = _availability(objective)
    slices = f"Computed from slices of {_length(objective.slice_ms)}."
    floor = (
        f"Below a coverage of {target_percent(objective.coverage_floor)} budgets freeze."
        if objective.coverage_floor
        else "No coverage is asked for."
    )
    return (*own, slices, _NO_DATA[objective.no_data], floor, _maintenance(objective))


def _availability(objective: Objective) -> tuple[str, ...]:
    match objective.signal:
        case Probe(metric, up_at_least):
            share = "all" if up_at_least == 1 else f"at least {target_percent(up_at_least)}"
            return (f"Up while {share} of the probes of {metric} report 1.", *_by_method(objective))
        case Heartbeat(metric, every_ms):
            return (
                f"Down when {metric} was not reported for more than {_length(every_ms)} while other telemetry"
                " arrived.",
                *_by_method(objective),
            )
    return (
        f"Requests counted from {_source(objective)}.",
        f"A request failed when its {objective.bad_attribute} is {objective.bad_at_least} or above.",
        *_by_method(objective),
    )


def _by_method(objective: Objective) -> tuple[str, ...]:
    match objective.method:
        case RequestRatio():
            return ("Good requests of all requests.",) if objective.signal is None else ()
        case AllFail(interval_ms, least):
            return (
                f"An interval of {_length(interval_ms)} is down when it has at least {least} requests"
                " and all of them failed.",
            )
        case ErrorRate(above, interval_ms, consecutive, least, partial):
            whole = "count by their own share" if partial else "count only if bad throughout"
            return (
                f"A downtime is {consecutive} or more intervals of {_length(interval_ms)} in a row, each with"
                f" at least {least} requests of which more than {target_percent(above)} failed.",
                f"Intervals that are bad in part {whole}.",
            )
        case MeanErrorRate(interval_ms):
            return (
                f"1 minus the mean of the error rates of intervals of {_length(interval_ms)}; an interval"
                " without requests has an error rate of 0.",
            )
        case Uptime():
            if objective.signal is not None:
                return ("Time that was not down, of the time with data.",)
            share = target_percent(objective.down_above)
            return (
                f"Time that was not down; a slice is down when more than {share} of its requests failed.",
            )


def _incidents(objective: Objective) -> tuple[str, ...]:
    terms = objective.incident
    assert terms is not None
    clock = "The clock runs at all hours"
    if terms.clock is IncidentClock.SERVICE_HOURS:
        clock = "The clock runs in service hours only"
    return (
        f"{clock}, from opening until the incident is {_UNTIL[terms.until].rstrip(',')}.",
        "Pauses do not count; an incident that is opened again goes on from where its clock stood.",
        "An incident belongs to the period in which its clock stopped; open ones have a worst case.",
    )


def _composite(objective: Objective) -> tuple[str, ...]:
    terms = objective.composite
    assert terms is not None
    names = ", ".join(terms.children)
    if terms.mode is CompositeMode.INTERVAL_UNION:
        return (f"Down while any of {names} is down; what is down twice counts once.",)
    weights = ", ".join(
        f"{name} {decimal_text(weight, 6)}"
        for name, weight in zip(terms.children, terms.weights, strict=False)
    )
    return (f"The mean of the shares of {names} by weight{f' ({weights})' if weights else ''}.",)


def _maintenance(objective: Objective) -> str:
    effect = "leaves the denominator" if objective.effect is Effect.DROP else "counts as up"
    if not objective.notice_ms:
        return f"Announced maintenance {effect}."
    return f"Maintenance that is announced at least {_length(objective.notice_ms)} ahead {effect}."


def _source(objective: Objective) -> str:
    match = ", ".join(f"{key} = {value}" for key, value in sorted(objective.match.items()))
    return f"{objective.metric} where {match}" if match else objective.metric


def _length(ms: int) -> str:
    return duration_text(ms * NS_PER_MS)


def _ordinal(percentile: Fraction) -> str:
    text = decimal_text(percentile, 6)
    if "." in text:
        return f"{text}th"
    ending = (
        "th" if text[-2:] in ("11", "12", "13") else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
    )
    return text + ending
