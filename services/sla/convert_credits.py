"""Credits and downtime between protobuf and the model. Pure."""

from services.sla.convert_requests import PERIODS_BY_PROTO, milliseconds, page_from_proto, window_from_proto
from services.sla.convert_values import money_to_proto, ratio_to_proto, timestamp
from services.sla.credits.model import CreditState, Tier
from services.sla.credits.serve import CreditFound
from services.sla.downtime import Outage
from services.sla.errors import BadWindow
from services.sla.names import objective_name, parse_contract, parse_objective, parse_parent
from services.sla.paging import Page, PageRequest
from services.sla.serve import Asked
from services.sla.windows import Calendar
from threenines.sla.v1 import sla_pb2, sla_service_pb2

_STATES = {
    CreditState.NOT_DUE: sla_pb2.CREDIT_STATE_NOT_DUE,
    CreditState.DUE: sla_pb2.CREDIT_STATE_DUE,
    CreditState.REVIEW_REQUIRED: sla_pb2.CREDIT_STATE_REVIEW_REQUIRED,
    CreditState.RUNNING: sla_pb2.CREDIT_STATE_RUNNING,
}


def credit_query_from_proto(
    request: sla_service_pb2.CalculateSlaCreditsRequest,
) -> tuple[str, str, Calendar | None, int | None]:
    """(tenant, contract, period or None for the last complete one, as_of_ms). Raises BadName, BadWindow."""
    tenant, contract = parse_contract(request.contract, field="contract")
    as_of = milliseconds(request.as_of_time, "as_of_time") if request.HasField("as_of_time") else None
    if not request.HasField("window"):
        return tenant, contract, None, as_of
    period = PERIODS_BY_PROTO.get(request.window.period)
    if period is None:
        raise BadWindow("name a calendar period", field="window.period")
    inside = None
    if request.window.HasField("inside_time"):
        inside = milliseconds(request.window.inside_time, "window.inside_time")
    return tenant, contract, Calendar(period, inside), as_of


def credits_to_proto(found: list[CreditFound]) -> sla_service_pb2.CalculateSlaCreditsResponse:
    """All credits of one period."""
    return sla_service_pb2.CalculateSlaCreditsResponse(credits=[credit_to_proto(one) for one in found])


def credit_to_proto(found: CreditFound) -> sla_pb2.SlaCredit:
    """One credit."""
    credit, where = found.credit, found.used.window
    out = sla_pb2.SlaCredit(
        name=credit.name,
        contract_version=credit.contract_version,
        window=sla_pb2.ResolvedWindow(
            start_time=timestamp(where.start_ms),
            end_time=timestamp(where.end_ms),
            watermark_time=timestamp(where.data_end_ms),
            time_zone=found.used.time_zone,
            provisional=found.used.provisional,
            data_revision=found.used.data_revision,
        ),
        measured=ratio_to_proto(credit.measured),
        state=_STATES[credit.state],
        trace=credit.trace,
        projected=ratio_to_proto(credit.projected),
        objective=objective_name(found.objective),
    )
    if credit.tier is not None:
        out.tier.CopyFrom(tier_to_proto(credit.tier))
    if credit.amount:
        out.amount.CopyFrom(money_to_proto(credit.amount, credit.currency))
    if credit.amount_so_far:
        out.amount_so_far.CopyFrom(money_to_proto(credit.amount_so_far, credit.currency))
    if credit.claim_by_ms is not None:
        out.claim_by_time.CopyFrom(timestamp(credit.claim_by_ms))
    return out


def tier_to_proto(tier: Tier) -> sla_pb2.CreditTier:
    """One step of a schedule."""
    return sla_pb2.CreditTier(below=ratio_to_proto(tier.below), credit_ratio=ratio_to_proto(tier.credit))


def downtime_query_from_proto(
    request: sla_service_pb2.ListDowntimeRequest,
) -> tuple[str | None, str | None, Asked, PageRequest]:
    """(tenant or None for the caller's, objective's key or None for all, window, page).

    An objective of another tenant than the parent's is of no use to anybody: it is refused by its form.
    Raises BadName, BadWindow.
    """
    tenant = parse_parent(request.parent)
    key = None
    if request.objective:
        owner, key = parse_objective(request.objective)
        if tenant is None:
            tenant = owner
        elif tenant != owner:
            raise BadWindow(
                "belongs to another tenant than parent", field="objective", reason="BAD_RESOURCE_NAME"
            )
    window = window_from_proto(request.window) if request.HasField("window") else None
    as_of = milliseconds(request.as_of_time, "as_of_time") if request.HasField("as_of_time") else None
    return tenant, key, Asked(window, as_of), page_from_proto(request)


def downtimes_to_proto(page: Page[Outage]) -> sla_service_pb2.ListDowntimeResponse:
    """One page of downtime."""
    return sla_service_pb2.ListDowntimeResponse(
        downtimes=[downtime_to_proto(one) for one in page.items], next_page_token=page.next_token
    )


def downtime_to_proto(one: Outage) -> sla_pb2.Downtime:
    """One stretch."""
    run = one.run
    out = sla_pb2.Downtime(
        objective=objective_name(one.objective),
        start_time=timestamp(run.start_ms),
        down_nanos=run.down_ns,
        degraded_nanos=run.degraded_ns,
        excluded_nanos=run.excluded_ns,
        bad_count=run.bad,
        total_count=run.total,
        slice_count=run.slices,
    )
    if not one.lasting:
        out.end_time.CopyFrom(timestamp(run.end_ms))
    return out
