"""Contracts and objectives to protobuf. Pure and total."""

from services.sla.convert_values import duration, money_to_proto, ratio_to_proto, timestamp
from services.sla.credits.model import CreditTerms
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
    CompositeMode,
    Contract,
    Effect,
    IncidentClock,
    IncidentUntil,
    NoData,
    Objective,
    ObjectiveKind,
    Overlap,
    Reading,
    ReportTerms,
    ServiceHours,
)
from services.sla.names import contract_name, objective_name
from services.sla.windows import Calendar, Period, Rolling
from threenines.sla.v1 import sla_pb2

_TYPES = {
    ObjectiveKind.AVAILABILITY: sla_pb2.OBJECTIVE_TYPE_AVAILABILITY,
    ObjectiveKind.LATENCY: sla_pb2.OBJECTIVE_TYPE_LATENCY,
    ObjectiveKind.INCIDENT_RESOLUTION: sla_pb2.OBJECTIVE_TYPE_INCIDENT_RESOLUTION,
    ObjectiveKind.DATA_AVAILABILITY: sla_pb2.OBJECTIVE_TYPE_DATA_AVAILABILITY,
    ObjectiveKind.COMPOSITE: sla_pb2.OBJECTIVE_TYPE_COMPOSITE,
}
POLICIES = {
    NoData.EXCLUDE: sla_pb2.NO_DATA_POLICY_EXCLUDE,
    NoData.COUNT_DOWN: sla_pb2.NO_DATA_POLICY_COUNT_DOWN,
    NoData.COUNT_UP: sla_pb2.NO_DATA_POLICY_COUNT_UP,
}
PERIODS = {
    Period.DAY: sla_pb2.CALENDAR_PERIOD_DAY,
    Period.WEEK: sla_pb2.CALENDAR_PERIOD_WEEK,
    Period.MONTH: sla_pb2.CALENDAR_PERIOD_MONTH,
    Period.QUARTER: sla_pb2.CALENDAR_PERIOD_QUARTER,
    Period.YEAR: sla_pb2.CALENDAR_PERIOD_YEAR,
}
_METHODS = {
    RequestRatio: sla_pb2.AVAILABILITY_METHOD_REQUEST_RATIO,
    Uptime: sla_pb2.AVAILABILITY_METHOD_UPTIME,
    AllFail: sla_pb2.AVAILABILITY_METHOD_ALL_FAIL,
    ErrorRate: sla_pb2.AVAILABILITY_METHOD_ERROR_RATE,
    MeanErrorRate: sla_pb2.AVAILABILITY_METHOD_MEAN_ERROR_RATE,
}
READINGS = {
    Reading.MERGED: sla_pb2.LATENCY_READING_MERGED,
    Reading.REQUESTS: sla_pb2.LATENCY_READING_REQUESTS,
    Reading.SLICES: sla_pb2.LATENCY_READING_SLICES,
}
EFFECTS = {
    Effect.DROP: sla_pb2.MAINTENANCE_EFFECT_DROP,
    Effect.COUNT_UP: sla_pb2.MAINTENANCE_EFFECT_COUNT_UP,
}
OVERLAPS = {
    Overlap.COUNT: sla_pb2.OVERLAP_RULE_COUNT,
    Overlap.DROP: sla_pb2.OVERLAP_RULE_DROP,
}
CLOCKS = {
    IncidentClock.WALL: sla_pb2.INCIDENT_CLOCK_WALL,
    IncidentClock.SERVICE_HOURS: sla_pb2.INCIDENT_CLOCK_SERVICE_HOURS,
}
UNTILS = {
    IncidentUntil.ACKNOWLEDGED: sla_pb2.INCIDENT_UNTIL_ACKNOWLEDGED,
    IncidentUntil.RESOLVED: sla_pb2.INCIDENT_UNTIL_RESOLVED,
    IncidentUntil.VERIFIED: sla_pb2.INCIDENT_UNTIL_VERIFIED,
}
_MODES = {
    CompositeMode.INTERVAL_UNION: sla_pb2.COMPOSITE_MODE_INTERVAL_UNION,
    CompositeMode.WEIGHTED: sla_pb2.COMPOSITE_MODE_WEIGHTED,
}
_SCHEDULES = {
    "daily": Period.DAY,
    "weekly": Period.WEEK,
    "monthly": Period.MONTH,
    "quarterly": Period.QUARTER,
    "yearly": Period.YEAR,
}


def objective_to_proto(
    objective: Objective, first_data_ms: int | None = None, back_fill_ms: int | None = None
) -> sla_pb2.Objective:
    """One objective."""
    out = sla_pb2.Objective(
        name=objective_name(objective),
        display_name=objective.name,
        contract=contract_name(objective.tenant, objective.contract),
        type=_TYPES[objective.kind],
        target=ratio_to_proto(objective.good_share),
        window=window_to_proto(objective.window),
        slice_duration=duration(objective.slice_ms),
        coverage_floor=ratio_to_proto(objective.coverage_floor),
        no_data_policy=POLICIES[objective.no_data],
        metric=objective.metric,
        maintenance_effect=EFFECTS[objective.effect],
        maintenance_notice=duration(objective.notice_ms),
        effective_start_time=timestamp(objective.from_ms),
        contract_version=objective.contract_version,
    )
    if objective.until_ms is not None:
        out.effective_end_time.CopyFrom(timestamp(objective.until_ms))
    if first_data_ms is not None:
        out.first_data_time.CopyFrom(timestamp(first_data_ms))
    if back_fill_ms is not None:
        out.back_fill_time.CopyFrom(timestamp(back_fill_ms))
    match objective.kind:
        case ObjectiveKind.AVAILABILITY:
            _availability(out, objective)
        case ObjectiveKind.LATENCY:
            out.threshold_seconds = float(objective.threshold_s or 0)
            out.latency_reading = READINGS[objective.reading]
            out.overlap_rule = OVERLAPS[objective.overlap]
        case ObjectiveKind.INCIDENT_RESOLUTION:
            _incident(out, objective)
        case ObjectiveKind.COMPOSITE:
            _composite(out, objective)
        case ObjectiveKind.DATA_AVAILABILITY:
            pass
    return out


def contract_to_proto(contract: Contract) -> sla_pb2.Contract:
    """One version of a contract."""
    out = sla_pb2.Contract(
        name=contract_name(contract.tenant, contract.name),
        display_name=contract.name,
        version=contract.version,
        effective_start_time=timestamp(contract.effective_from_ms),
        time_zone=contract.time_zone,
        objectives=[objective_to_proto(one) for one in contract.objectives],
    )
    if contract.until_ms is not None:
        out.effective_end_time.CopyFrom(timestamp(contract.until_ms))
    if contract.credits is not None:
        out.credit_schedule.CopyFrom(_credit_schedule(contract.tenant, contract.credits))
    if contract.hours is not None:
        out.service_hours.CopyFrom(_hours(contract.hours))
    if contract.reports is not None:
        out.report_terms.CopyFrom(_reports(contract.reports))
    return out


def window_to_proto(window: Rolling | Calendar) -> sla_pb2.Window:
    """The window by which an objective is judged."""
    match window:
        case Rolling():
            return sla_pb2.Window(rolling_period=duration(window.length_ms))
        case Calendar():
            return sla_pb2.Window(calendar=sla_pb2.CalendarWindow(period=PERIODS[window.period]))


def _availability(out: sla_pb2.Objective, objective: Objective) -> None:
    method = objective.method
    out.availability_method = _METHODS[type(method)]
    terms = out.method_terms
    terms.SetInParent()
    if isinstance(method, AllFail | ErrorRate | MeanErrorRate):
        terms.interval.CopyFrom(duration(method.interval_ms))
    if isinstance(method, AllFail | ErrorRate):
        terms.min_request_count = method.min_requests
    if isinstance(method, ErrorRate):
        terms.error_share_above.CopyFrom(ratio_to_proto(method.above))
        terms.consecutive_count = method.consecutive
        terms.partial_intervals = method.partial_intervals
    match objective.signal:
        case Probe():
            out.signal.metric = objective.signal.metric
            out.signal.probe.up_at_least.CopyFrom(ratio_to_proto(objective.signal.up_at_least))
        case Heartbeat():
            out.signal.metric = objective.signal.metric
            out.signal.heartbeat.interval.CopyFrom(duration(objective.signal.every_ms))
        case None:
            out.overlap_rule = OVERLAPS[objective.overlap]


def _incident(out: sla_pb2.Objective, objective: Objective) -> None:
    terms = objective.incident
    if terms is None:
        return
    out.resolution_limit.CopyFrom(duration(terms.limit_ms))
    out.incident_terms.CopyFrom(
        sla_pb2.IncidentTerms(severity=terms.severity, clock=CLOCKS[terms.clock], until=UNTILS[terms.until])
    )


def _composite(out: sla_pb2.Objective, objective: Objective) -> None:
    terms = objective.composite
    if terms is None:
        return
    out.composite_terms.mode = _MODES[terms.mode]
    prefix = f"tenants/{objective.tenant}/objectives/{objective.contract}"
    for place, child in enumerate(terms.children):
        made = out.composite_terms.children.add(objective=f"{prefix}/{child}")
        if terms.mode is CompositeMode.WEIGHTED:
            made.weight.CopyFrom(ratio_to_proto(terms.weights[place]))


def _credit_schedule(tenant: str, terms: CreditTerms) -> sla_pb2.CreditSchedule:
    out = sla_pb2.CreditSchedule(
        objective=f"tenants/{tenant}/objectives/{terms.objective}",
        period=PERIODS[terms.period],
        tiers=[
            sla_pb2.CreditTier(below=ratio_to_proto(tier.below), credit_ratio=ratio_to_proto(tier.credit))
            for tier in sorted(terms.tiers, key=lambda tier: -tier.below)
        ],
        base_fee=money_to_proto(terms.base_fee, terms.currency),
        preset=terms.preset,
        source=terms.source,
        rounding=terms.rounding,
        claim_days=terms.claim_within_days or 0,
        claim_cycles=terms.claim_within_cycles or 0,
    )
    if terms.cap is not None:
        out.cap_ratio.CopyFrom(ratio_to_proto(terms.cap))
    if terms.minimum is not None:
        currency = terms.minimum_currency or terms.currency
        out.minimum_credit.CopyFrom(money_to_proto(terms.minimum, currency))
    return out


def _hours(hours: ServiceHours) -> sla_pb2.ServiceHours:
    return sla_pb2.ServiceHours(
        weekdays=[day + 1 for day in hours.days],
        start_minute=hours.from_minute,
        end_minute=hours.to_minute,
        holidays=[day.isoformat() for day in hours.holidays],
    )


def _reports(terms: ReportTerms) -> sla_pb2.ReportTerms:
    return sla_pb2.ReportTerms(
        period=PERIODS[_SCHEDULES[terms.schedule]],
        formats=terms.formats,
        emails=terms.email,
        receiver=terms.webhook,
    )
