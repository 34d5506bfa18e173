"""One objective and the terms around it: the document's words into this service's model."""

import logging
from dataclasses import replace
from fractions import Fraction

from services.common.config_feed import AppliedDocument
from services.common.documents_contract import (
    AvailabilityObjective,
    CompositeObjective,
    ContractSpec,
    DataAvailabilityObjective,
    IncidentObjective,
    LatencyObjective,
)
from services.common.documents_contract_methods import (
    AllFailMethod,
    ErrorRateMethod,
    HeartbeatSignal,
    MeanErrorRateMethod,
    MethodSpec,
    ProbeSignal,
    RequestRatioMethod,
    SignalSpec,
    UptimeMethod,
)
from services.common.documents_contract_objectives import ObjectiveSpec
from services.common.documents_contract_terms import DAYS, CreditsSpec
from services.common.documents_values import WindowLength
from services.sla.credits.model import CreditTerms, Tier
from services.sla.credits.money import minor_digits_of
from services.sla.credits.presets import Preset, preset_of
from services.sla.methods.model import (
    AllFail,
    ErrorRate,
    Heartbeat,
    MeanErrorRate,
    Method,
    Probe,
    RequestRatio,
    Signal,
    Uptime,
)
from services.sla.model import (
    NS_PER_MS,
    CompositeMode,
    CompositeTerms,
    Effect,
    IncidentClock,
    IncidentTerms,
    IncidentUntil,
    NoData,
    Objective,
    ObjectiveKind,
    Overlap,
    Reading,
    ReportTerms,
    ServiceHours,
)
from services.sla.windows import Calendar, Period, Rolling

_logger = logging.getLogger(__name__)
_DAY_NS = 86_400 * 10**9
_Document = AppliedDocument[ContractSpec]


def objective_of(
    document: _Document, one: ObjectiveSpec, *, from_ms: int = 0, until_ms: int | None = None
) -> Objective:
    """One objective of a version whose terms hold in [from_ms, until_ms)."""
    spec = document.spec
    common = replace(_common(document, one), from_ms=from_ms, until_ms=until_ms)
    match one:
        case AvailabilityObjective():
            return _availability(common, one, _preset_of(spec, one.name))
        case LatencyObjective():
            return replace(
                common,
                metric=one.metric,
                match=dict(one.match),
                threshold_s=Fraction(one.target.ns, 10**9),
                reading=Reading(one.reading.value),
                overlap=Overlap(one.overlap.value),
            )
        case IncidentObjective():
            return replace(common, incident=_incident(spec, one))
        case CompositeObjective():
            return replace(common, composite=_composite(one))
        case DataAvailabilityObjective():
            return common


def window_of(window: WindowLength) -> Rolling | Calendar:
    """A rolling window, or the calendar period around the watermark."""
    return Rolling(window.ns // NS_PER_MS) if window.period is None else Calendar(Period(window.period))


def method_of(method: MethodSpec) -> Method:
    """The way to measure that a document names."""
    match method:
        case RequestRatioMethod():
            return RequestRatio()
        case UptimeMethod():
            return Uptime()
        case AllFailMethod():
            return AllFail(method.interval.ns // NS_PER_MS, method.min_requests)
        case ErrorRateMethod():
            return ErrorRate(
                above=method.above.value,
                interval_ms=method.interval.ns // NS_PER_MS,
                consecutive=method.consecutive,
                min_requests=method.min_requests,
                partial_intervals=method.partial_intervals,
            )
        case MeanErrorRateMethod():
            return MeanErrorRate(method.interval.ns // NS_PER_MS)


def signal_of(signal: SignalSpec | None) -> Signal:
    """What tells up from down; None: the requests do."""
    match signal:
        case ProbeSignal():
            return Probe(signal.metric, signal.up_at_least.value)
        case HeartbeatSignal():
            return Heartbeat(signal.metric, signal.every.ns // NS_PER_MS)
        case None:
            return None


def contract_hours(spec: ContractSpec) -> ServiceHours | None:
    """When service is owed; None: always."""
    hours = spec.service_hours
    if hours is None:
        return None
    return ServiceHours(
        days=tuple(sorted(DAYS.index(day) for day in hours.days)),
        from_minute=hours.from_.minute,
        to_minute=hours.to.minute,
        holidays=tuple(sorted(hours.holidays)),
    )


def contract_reports(spec: ContractSpec) -> ReportTerms | None:
    """Who gets which reports; None: nobody."""
    reports = spec.reports
    if reports is None:
        return None
    return ReportTerms(reports.schedule, reports.formats, reports.email, reports.webhook or "")


def contract_credits(document: _Document) -> CreditTerms | None:
    """What a missed objective costs; None: nothing."""
    said = document.spec.credits
    objective = None if said is None else document.spec.objective(said.objective)
    if said is None or objective is None or objective.window.period is None:
        return None
    key = f"{document.name}/{said.objective}"
    period = Period(objective.window.period)
    preset = _preset_of(document.spec, said.objective)
    if said.preset is not None and preset is None:
        return None
    if preset is None:
        terms = CreditTerms(
            objective=key,
            period=period,
            tiers=tuple(Tier(tier.below.value, tier.credit.value) for tier in said.tiers),
            currency=said.currency,
            base_fee=said.base_fee.value,
            rounding=said.rounding,
            minor_digits=minor_digits_of(said.currency),
        )
    else:
        try:
            terms = preset.terms(
                objective=key,
                target=objective.good_share,
                base_fee=said.base_fee.value,
                currency=said.currency,
                period=period,
                rounding=said.rounding,
            )
        except ValueError as err:
            _logger.warning("credits of %s are not computed: %s", key, err)
            return None
    return _changed(terms, said)


def _changed(terms: CreditTerms, said: CreditsSpec) -> CreditTerms:
    """The terms with what the contract states itself."""
    if said.cap is not None:
        terms = replace(terms, cap=said.cap.value)
    if said.minimum is not None:
        terms = replace(terms, minimum=said.minimum.value, minimum_currency=said.currency)
    if said.claim_within is not None:
        days = said.claim_within.ns // _DAY_NS
        terms = replace(terms, claim_within_days=days, claim_within_cycles=None)
    if said.minor_digits is not None:
        terms = replace(terms, minor_digits=said.minor_digits)
    return terms


def _common(document: _Document, one: ObjectiveSpec) -> Objective:
    """What objectives of every type have."""
    spec = document.spec
    return Objective(
        tenant=document.tenant or "",
        contract=document.name,
        name=one.name,
        kind=ObjectiveKind(one.type),
        good_share=one.good_share,
        window_ms=one.window.ns // NS_PER_MS,
        metric="",
        slice_ms=spec.slice.ns // NS_PER_MS,
        down_above=spec.down_above.value,
        no_data=NoData(spec.no_data.value),
        coverage_floor=spec.coverage_floor.value,
        time_zone=str(spec.time_zone),
        window=window_of(one.window),
        effect=Effect(spec.maintenance.effect.value),
        notice_ms=spec.maintenance.notice.ns // NS_PER_MS,
        contract_version=document.seq,
    )


def _availability(common: Objective, one: AvailabilityObjective, preset: Preset | None) -> Objective:
    signal = signal_of(one.signal)
    method: Method
    if one.method is not None:
        method = method_of(one.method)
    elif signal is not None:
        method = Uptime()
    else:
        method = RequestRatio() if preset is None else preset.method
    return replace(
        common,
        metric=one.metric if signal is None else signal.metric,
        match=dict(one.match),
        bad_attribute=one.bad.attribute,
        bad_at_least=one.bad.at_least,
        method=method,
        signal=signal,
        overlap=Overlap(one.overlap.value),
    )


def _preset_of(spec: ContractSpec, objective: str) -> Preset | None:
    """The published schedule by which an objective is paid for.

    One that this release does not have was refused when it was applied; here it must not take every other
    contract down, so it is told and the objective has no credits.
    """
    said = spec.credits
    if said is None or said.preset is None or said.objective != objective:
        return None
    try:
        return preset_of(said.preset)
    except ValueError as err:
        _logger.warning("credits of %s are not computed: %s", objective, err)
        return None


def _incident(spec: ContractSpec, one: IncidentObjective) -> IncidentTerms:
    clock = IncidentClock(one.clock.value)
    return IncidentTerms(
        severity=one.severity,
        limit_ms=one.target.ns // NS_PER_MS,
        clock=clock,
        until=IncidentUntil(one.until.value),
        hours=contract_hours(spec) if clock is IncidentClock.SERVICE_HOURS else None,
    )


def _composite(one: CompositeObjective) -> CompositeTerms:
    weights = (one.weights[child].value if child in one.weights else Fraction(1) for child in one.children)
    return CompositeTerms(one.children, CompositeMode(one.mode.value), tuple(weights))
