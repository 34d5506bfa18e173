"""One objective's figures as a report says them: floats of displays become decimals, nothing is rounded up.

Knows the figures' dataclasses, and neither stores nor any format of reports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from services.sla.composite import CompositeFigures
from services.sla.figures_model import DayRow as DayFigures
from services.sla.figures_model import (
    Downtime,
    Figures,
    Latency,
    Projection,
    Resolution,
    Uptime,
    WindowFigures,
)
from services.sla.incidents.model import IncidentFigure
from services.sla.maintenance.model import Exclusion, MaintenanceWindow
from services.sla.methods.model import RequestRatio
from services.sla.methods.model import Uptime as ByState
from services.sla.model import NS_PER_MS, Distribution, Objective, ObjectiveKind, Verdict
from services.sla.reports.build_burn import burn_of
from services.sla.reports.build_latency import decimal_of, latency_projection, speed_of
from services.sla.reports.build_words import method_of, promise_of, window_text
from services.sla.reports.model import (
    BudgetRow,
    ChildRow,
    DayRow,
    DownRow,
    ExclusionRow,
    IncidentRow,
    ObjectiveReport,
    PolicyVerdict,
    ProjectionRow,
    SegmentRow,
)
from services.sla.reports.wording import seconds_text
from services.sla.verdict import Times, displayed_percent, judge_share
from services.sla.windows import Window

NO_TIMES = Times(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ObjectiveParts:
    """What the report of one objective is made from.

    figures: None when it never had any data. distribution: of all requests of the period, of latency
    objectives. exclusions: over the period, with the windows that they are of, by name.
    """

    objective: Objective
    figures: WindowFigures | None
    distribution: Distribution | None = None
    exclusions: Sequence[Exclusion] = ()
    windows: Mapping[str, MaintenanceWindow] = field(default_factory=dict)


def objective_report(parts: ObjectiveParts, where: Window) -> ObjectiveReport:
    """What the report says of one objective over a period."""
    objective, found = parts.objective, parts.figures
    if found is None:
        times = Times(0, 0, 0, 0, 0, (where.data_end_ms - where.start_ms) * NS_PER_MS)
        return _report(parts, times=times, verdict=Verdict.NO_DATA, budget=BudgetRow(), share=None)
    figures = found.figures
    match figures:
        case Uptime():
            return _uptime(parts, found, figures)
        case Latency():
            return _latency(parts, found, figures)
        case Resolution(found=resolved):
            counted = resolved.in_time + resolved.late + resolved.overdue
            return _report(
                parts,
                times=NO_TIMES,
                verdict=figures.verdict,
                budget=BudgetRow(any_failure_breaches=objective.good_share == 1),
                share=resolved.share,
                displayed=displayed_percent(resolved.share, flawless=resolved.in_time == counted),
                good=resolved.in_time,
                total=counted,
                segments=_segments(found),
                incidents=tuple(incident_row(one) for one in resolved.incidents),
            )


def incident_row(one: IncidentFigure) -> IncidentRow:
    """An incident against the limit of its objective."""
    return IncidentRow(
        incident=one.incident,
        title=one.title,
        severity=one.severity,
        opened_ms=one.opened_ms,
        stopped_ms=one.stopped_ms,
        state=one.state.name,
        elapsed_ns=one.elapsed_ms * NS_PER_MS,
        worst_ns=one.worst_ms * NS_PER_MS,
        limit_ns=one.limit_ms * NS_PER_MS,
        in_time=one.in_time,
    )


def _uptime(parts: ObjectiveParts, found: WindowFigures, figures: Uptime) -> ObjectiveReport:
    objective, budget = parts.objective, figures.budget
    by_requests = isinstance(objective.method, RequestRatio) and objective.signal is None
    counted = by_requests and objective.kind is not ObjectiveKind.COMPOSITE
    known = figures.share is not None and not budget.any_failure_breaches
    return _report(
        parts,
        times=figures.times,
        verdict=figures.verdict,
        budget=BudgetRow(
            allowed_ns=budget.total_ns,
            consumed_ns=budget.consumed_ns,
            remaining_ns=budget.total_ns - budget.consumed_ns,
            allowed=budget.total if counted else None,
            consumed=budget.consumed if counted else None,
            remaining=budget.remaining if counted else None,
            remaining_share=budget.remaining_ratio if known else None,
            frozen=budget.frozen,
            any_failure_breaches=budget.any_failure_breaches,
            period_allowed_ns=budget.period_total_ns,
            frozen_at_ms=budget.frozen_at_ms,
        ),
        share=figures.share,
        displayed=figures.displayed,
        good=figures.good,
        total=figures.total,
        policies=_policies(objective, figures),
        projection=_projection(figures.projection, objective.good_share),
        segments=_segments(found),
        days=tuple(_day(row) for row in found.days),
        downtimes=_downtimes(objective, found.downtimes),
        children=_children(found.composite),
        burn=burn_of(found),
    )


def _latency(parts: ObjectiveParts, found: WindowFigures, figures: Latency) -> ObjectiveReport:
    objective, budget = parts.objective, figures.budget
    known = figures.share is not None and not budget.any_failure_breaches
    return _report(
        parts,
        times=figures.times,
        verdict=figures.verdict,
        budget=BudgetRow(
            allowed=budget.total,
            consumed=budget.consumed,
            remaining=budget.remaining,
            remaining_share=budget.remaining_ratio if known else None,
            frozen=budget.frozen,
            any_failure_breaches=budget.any_failure_breaches,
            frozen_at_ms=budget.frozen_at_ms,
        ),
        share=figures.share,
        displayed=displayed_percent(figures.share, flawless=figures.flawless),
        good=figures.sure,
        total=figures.total,
        policies=_policies(objective, figures),
        projection=latency_projection(figures),
        reading=objective.reading.value,
        segments=_segments(found),
        days=tuple(_day(row) for row in found.days),
        downtimes=_downtimes(objective, found.downtimes),
        burn=burn_of(found),
        latency=speed_of(figures, parts.distribution),
    )


def _policies(objective: Objective, figures: Uptime | Latency) -> tuple[PolicyVerdict, ...]:
    return tuple(
        PolicyVerdict(policy.value, verdict.name, policy is objective.no_data)
        for policy, verdict in figures.policy_verdicts
    )


def _report(
    parts: ObjectiveParts,
    *,
    times: Times,
    verdict: Verdict,
    budget: BudgetRow,
    share: Fraction | None,
    displayed: str = "",
    good: int = 0,
    total: int = 0,
    **more: object,
) -> ObjectiveReport:
    """What every kind says; `more`: fields of ObjectiveReport that only some have."""
    objective = parts.objective
    return ObjectiveReport(
        name=objective.name,
        kind=objective.kind.value,
        promise=promise_of(objective),
        method=method_of(objective),
        window=window_text(objective),
        target=objective.good_share,
        verdict=verdict.name,
        share=share,
        displayed=displayed,
        times=times,
        coverage=times.coverage,
        coverage_floor=objective.coverage_floor,
        good=good,
        total=total,
        unit=_unit(objective),
        budget=budget,
        exclusions=tuple(_exclusion(one, parts) for one in parts.exclusions),
        **more,  # type: ignore[arg-type]
    )


def _unit(objective: Objective) -> str:
    match objective.kind:
        case ObjectiveKind.LATENCY:
            return "slices" if objective.reading.value == "slices" else "requests"
        case ObjectiveKind.INCIDENT_RESOLUTION:
            return "incidents"
        case ObjectiveKind.DATA_AVAILABILITY:
            return "points"
        case ObjectiveKind.COMPOSITE:
            return ""
    return "requests" if objective.signal is None else ""


def _segments(found: WindowFigures) -> tuple[SegmentRow, ...]:
    return tuple(
        SegmentRow(
            contract_version=one.objective.contract_version,
            start_ms=one.window.start_ms,
            end_ms=one.window.end_ms,
            terms=promise_of(one.objective),
            target=one.objective.good_share,
            verdict=one.figures.verdict.name,
            **_measured(one.figures),  # type: ignore[arg-type]
        )
        for one in found.segments
    )


def _measured(figures: Figures) -> dict[str, object]:
    match figures:
        case Uptime():
            text = f"{figures.displayed} %" if figures.displayed else ""
            return {"share": figures.share, "displayed": text, "good": figures.good, "total": figures.total}
        case Latency():
            estimate = None if figures.bounds is None else decimal_of(figures.bounds.estimate)
            text = "" if estimate is None else seconds_text(estimate)
            counts = {"good": figures.sure, "total": figures.total}
            return {"share": figures.share, "displayed": text, **counts}
        case Resolution(found=one):
            counted = one.in_time + one.late + one.overdue
            shown = displayed_percent(one.share, flawless=one.in_time == counted)
            text = f"{shown} %" if shown else ""
            return {"share": one.share, "displayed": text, "good": one.in_time, "total": counted}


def _day(row: DayFigures) -> DayRow:
    latency = row.bounds is not None or row.sure > 0 or row.possible > 0
    displayed = row.displayed
    if latency and not displayed:
        missed = row.times.down_ns + row.times.no_data_ns
        displayed = displayed_percent(row.share, flawless=row.sure == row.total and not missed)
    return DayRow(
        date=row.date,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        good=row.sure if latency else row.good,
        total=row.total,
        times=row.times,
        share=row.share,
        displayed=displayed,
        verdict=row.verdict.name,
        quantile_s=None if row.bounds is None else decimal_of(row.bounds.estimate),
    )


def _downtimes(objective: Objective, rows: Sequence[Downtime]) -> tuple[DownRow, ...]:
    """By states only what was down in some part; by intervals each interval as a whole."""
    by_state = isinstance(objective.method, RequestRatio | ByState)
    return tuple(
        DownRow(
            start_ms=row.start_ms,
            end_ms=row.end_ms,
            down_ns=row.down_ns if by_state else (row.end_ms - row.start_ms) * NS_PER_MS - row.excluded_ns,
            degraded_ns=row.degraded_ns,
            excluded_ns=row.excluded_ns,
            bad=row.bad,
            total=row.total,
        )
        for row in rows
        if row.down_ns or not by_state
    )


def _exclusion(one: Exclusion, parts: ObjectiveParts) -> ExclusionRow:
    window = parts.windows.get(one.window)
    return ExclusionRow(
        start_ms=one.start_ms,
        end_ms=one.end_ms,
        window=one.window,
        title=one.title,
        effect=parts.objective.effect.value,
        counted=one.counted,
        why_not=one.why_not,
        announced_ms=None if window is None else window.announced_ms,
        announced_by="" if window is None else window.creator,
        reason="" if window is None else window.cancel_reason or window.reason,
    )


def _projection(found: Projection | None, target: Fraction) -> ProjectionRow | None:
    if found is None:
        return None
    shares = (found.so_far, found.projected, found.worst)
    so_far, projected, worst = (judge_share(share, target).name for share in shares)
    return ProjectionRow(found.so_far, so_far, found.projected, projected, found.worst, worst, found.rest_ns)


def _children(found: CompositeFigures | None) -> tuple[ChildRow, ...]:
    if found is None:
        return ()
    return tuple(
        ChildRow(one.name, one.weight, one.down, one.no_data, one.excluded, one.share)
        for one in found.children
    )
