"""Model to protobuf for answers. Pure and total; requests are read in `convert_requests.py`."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from services.sla.convert_contract import (
    CLOCKS,
    EFFECTS,
    POLICIES,
    READINGS,
    UNTILS,
    contract_to_proto,
    objective_to_proto,
)
from services.sla.convert_values import duration, ratio_to_proto, timestamp
from services.sla.figures_model import BurnRate, Latency, Resolution, TermsVerdict, Uptime, UsedWindow
from services.sla.model import (
    Contract,
    Distribution,
    DistributionKind,
    Objective,
    Reading,
    Revision,
    Verdict,
)
from services.sla.names import objective_name, status_name
from services.sla.paging import Page
from services.sla.serve import ObjectiveStatus, SlicePage, Status
from services.sla.verdict import Budget
from threenines.sla.v1 import sla_pb2, sla_service_pb2

_VERDICTS = {
    Verdict.PASS: sla_pb2.VERDICT_PASS,
    Verdict.FAIL: sla_pb2.VERDICT_FAIL,
    Verdict.INDETERMINATE: sla_pb2.VERDICT_INDETERMINATE,
    Verdict.NO_DATA: sla_pb2.VERDICT_NO_DATA,
}


def uptime_to_proto(uptime: Uptime) -> sla_pb2.Uptime:
    """Availability figures."""
    times = uptime.times
    return sla_pb2.Uptime(
        objective=objective_name(uptime.objective),
        window=_window(uptime.used),
        good_count=uptime.good,
        total_count=uptime.total,
        up_nanos=times.up_ns,
        degraded_nanos=times.degraded_ns,
        down_nanos=times.down_ns,
        excluded_nanos=times.excluded_ns,
        no_data_nanos=times.no_data_ns,
        not_started_nanos=times.not_started_ns,
        coverage=ratio_to_proto(times.coverage),
        uptime=ratio_to_proto(uptime.share),
        displayed_percent=uptime.displayed,
        target=ratio_to_proto(uptime.objective.good_share),
        verdict=_VERDICTS[uptime.verdict],
        budget=_budget(uptime.budget),
        burn_rates=[_burn_rate(one) for one in uptime.burn_rates],
        no_data_policy=POLICIES[uptime.objective.no_data],
        policy_verdicts=_policy_verdicts(uptime),
        time_uptime=ratio_to_proto(times.uptime),
        worst_case_uptime=ratio_to_proto(None if uptime.projection is None else uptime.projection.worst),
        projection=_projection(uptime),
        terms=_terms(uptime.terms),
        counted_nanos=0 if uptime.measured is None else uptime.measured.valid_ns,
        maintenance_effect=EFFECTS[uptime.objective.effect],
    )


def latency_to_proto(latency: Latency) -> sla_pb2.Latency:
    """Latency figures."""
    out = sla_pb2.Latency(
        objective=objective_name(latency.objective),
        window=_window(latency.used),
        quantile=ratio_to_proto(latency.quantile),
        total_count=latency.requests,
        threshold_seconds=float(latency.objective.threshold_s or 0),
        share_below_lower=ratio_to_proto(_share(latency.sure, latency.total)),
        share_below_upper=ratio_to_proto(_share(latency.possible, latency.total)),
        verdict=_VERDICTS[latency.verdict],
        coverage=ratio_to_proto(latency.times.coverage),
        no_data_nanos=latency.times.no_data_ns,
        not_started_nanos=latency.times.not_started_ns,
        excluded_nanos=latency.times.excluded_ns,
        budget=_budget(latency.budget),
        burn_rates=[_burn_rate(one) for one in latency.burn_rates],
        reading=READINGS[latency.objective.reading],
        slice_count=latency.total if latency.objective.reading is Reading.SLICES else 0,
        terms=_terms(latency.terms),
        no_data_policy=POLICIES[latency.objective.no_data],
        policy_verdicts=_policy_verdicts(latency),
    )
    if latency.bounds is not None:
        out.estimate_seconds = latency.bounds.estimate
        out.lower_seconds = latency.bounds.lower
        out.upper_seconds = latency.bounds.upper
        out.saturated = latency.bounds.saturated
    return out


def resolution_to_proto(resolution: Resolution) -> sla_pb2.IncidentResolution:
    """Incident figures."""
    found, terms = resolution.found, resolution.objective.incident
    return sla_pb2.IncidentResolution(
        objective=objective_name(resolution.objective),
        window=_window(resolution.used),
        in_time_count=found.in_time,
        late_count=found.late,
        running_count=found.running,
        longest=duration(found.longest_ms),
        limit=duration(0 if terms is None else terms.limit_ms),
        verdict=_VERDICTS[resolution.verdict],
        overdue_count=found.overdue,
        share=ratio_to_proto(found.share),
        worst_case_share=ratio_to_proto(found.worst_share),
        clock=CLOCKS[found.clock],
        until=UNTILS[found.until],
        terms=_terms(resolution.terms),
    )


def objective_status_to_proto(one: ObjectiveStatus) -> sla_pb2.ObjectiveStatus:
    """One objective of a status."""
    out = sla_pb2.ObjectiveStatus(
        objective=objective_to_proto(one.objective, one.first_data_ms, one.remark.until_ms),
        verdict=_VERDICTS[one.verdict],
        absent_reason=one.absent_reason,
        left_out_reasons=one.remark.left_out,
    )
    match one.figures:
        case Uptime():
            out.uptime.CopyFrom(uptime_to_proto(one.figures))
        case Latency():
            out.latency.CopyFrom(latency_to_proto(one.figures))
        case Resolution():
            out.incident_resolution.CopyFrom(resolution_to_proto(one.figures))
        case None:
            pass
    return out


def status_to_proto(
    status: Status, part: Callable[[ObjectiveStatus], sla_pb2.ObjectiveStatus] = objective_status_to_proto
) -> sla_pb2.SlaStatus:
    """All objectives of one tenant. `part` makes the message of each, which is copied."""
    out = sla_pb2.SlaStatus(
        name=status_name(status.tenant),
        verdict=_VERDICTS[status.verdict],
        objectives=map(part, status.objectives),
    )
    if status.watermark_ms is not None:
        out.watermark_time.CopyFrom(timestamp(status.watermark_ms))
    out.compute_time.FromNanoseconds(status.computed_ns)
    return out


def slice_to_proto(objective: Objective, one: Revision, *, distribution: bool) -> sla_pb2.Slice:
    """One slice, with its distribution if asked for."""
    slice_ = one.slice
    out = sla_pb2.Slice(
        objective=objective_name(objective),
        start_time=timestamp(slice_.start_ms),
        end_time=timestamp(slice_.end_ms),
        good_count=slice_.good,
        total_count=slice_.total,
        up_nanos=slice_.up_ns,
        degraded_nanos=slice_.degraded_ns,
        down_nanos=slice_.down_ns,
        excluded_nanos=slice_.excluded_ns,
        no_data_nanos=slice_.no_data_ns + slice_.not_started_ns,
        revision=one.revision,
        known_time=timestamp(one.known_at_ms),
        state=sla_pb2.SLICE_STATE_SEALED if slice_.sealed else sla_pb2.SLICE_STATE_PROVISIONAL,
    )
    if distribution and slice_.distribution is not None:
        out.distribution.CopyFrom(_distribution(slice_.distribution))
    return out


def slices_to_proto(found: SlicePage, *, distributions: bool) -> sla_service_pb2.QuerySlicesResponse:
    """One page of slices."""
    out = sla_service_pb2.QuerySlicesResponse(
        slices=[slice_to_proto(found.objective, one, distribution=distributions) for one in found.page.items],
        next_page_token=found.page.next_token,
    )
    if found.watermark_ms:
        out.watermark_time.CopyFrom(timestamp(found.watermark_ms))
    return out


def contracts_to_proto(page: Page[Contract]) -> sla_service_pb2.ListContractsResponse:
    """One page of contracts."""
    return sla_service_pb2.ListContractsResponse(
        contracts=[contract_to_proto(one) for one in page.items], next_page_token=page.next_token
    )


def objectives_to_proto(page: Page[Objective]) -> sla_service_pb2.ListObjectivesResponse:
    """One page of objectives."""
    return sla_service_pb2.ListObjectivesResponse(
        objectives=[objective_to_proto(one) for one in page.items], next_page_token=page.next_token
    )


def _window(used: UsedWindow) -> sla_pb2.ResolvedWindow:
    return sla_pb2.ResolvedWindow(
        start_time=timestamp(used.window.start_ms),
        end_time=timestamp(used.window.end_ms),
        watermark_time=timestamp(used.window.data_end_ms),
        time_zone=used.time_zone,
        provisional=used.provisional,
        data_revision=used.data_revision,
    )


def _policy_verdicts(figures: Uptime | Latency) -> list[sla_pb2.PolicyVerdict]:
    return [
        sla_pb2.PolicyVerdict(no_data_policy=POLICIES[policy], verdict=_VERDICTS[verdict])
        for policy, verdict in figures.policy_verdicts
    ]


def _projection(uptime: Uptime) -> sla_pb2.Projection | None:
    projection = uptime.projection
    if projection is None:
        return None
    return sla_pb2.Projection(
        so_far=ratio_to_proto(projection.so_far),
        projected=ratio_to_proto(projection.projected),
        worst_case=ratio_to_proto(projection.worst),
        rest_nanos=projection.rest_ns,
        lost=projection.lost(uptime.objective.good_share),
    )


def _terms(terms: Sequence[TermsVerdict]) -> list[sla_pb2.TermsVerdict]:
    return [
        sla_pb2.TermsVerdict(
            contract_version=one.contract_version,
            start_time=timestamp(one.start_ms),
            end_time=timestamp(one.end_ms),
            target=ratio_to_proto(one.target),
            share=ratio_to_proto(one.share),
            verdict=_VERDICTS[one.verdict],
        )
        for one in terms
    ]


def _budget(budget: Budget) -> sla_pb2.Budget:
    return sla_pb2.Budget(
        total_nanos=budget.total_ns,
        consumed_nanos=budget.consumed_ns,
        remaining_nanos=budget.total_ns - budget.consumed_ns,
        period_total_nanos=budget.period_total_ns or 0,
        frozen_time=None if budget.frozen_at_ms is None else timestamp(budget.frozen_at_ms),
        total_count=budget.total,
        consumed_count=budget.consumed,
        remaining_count=budget.remaining,
        remaining_ratio=float(budget.remaining_ratio),
        frozen=budget.frozen,
        any_failure_breaches=budget.any_failure_breaches,
    )


def _burn_rate(one: BurnRate) -> sla_pb2.BurnRate:
    return sla_pb2.BurnRate(
        window=duration(one.window_ms),
        rate=one.rate,
        bad_count=one.bad,
        total_count=one.total,
        any_failure_breaches=one.any_failure_breaches,
        no_data=one.no_data,
    )


def _distribution(one: Distribution) -> sla_pb2.Distribution:
    if one.kind is DistributionKind.EXPLICIT:
        buckets = sla_pb2.ExplicitBuckets(bounds_seconds=one.bounds, bucket_counts=one.counts)
        return sla_pb2.Distribution(count=one.total, explicit=buckets)
    return sla_pb2.Distribution(
        count=one.total,
        exponential=sla_pb2.ExponentialBuckets(
            scale=one.scale, zero_count=one.zero_count, offset=one.offset, bucket_counts=one.counts
        ),
    )


def _share(part: int, total: int) -> Fraction | None:
    return Fraction(part, total) if total else None
