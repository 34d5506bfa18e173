"""Protobuf to model and back for reports: form is checked here, meaning in the use cases."""

from fractions import Fraction

from services.sla.convert_requests import page_from_proto, window_from_proto
from services.sla.convert_values import money_to_proto, ratio_to_proto, timestamp
from services.sla.credits.model import Credit, CreditState
from services.sla.errors import BadName, BadReportRequest
from services.sla.model import ObjectiveKind, Verdict
from services.sla.names import contract_name, parse_contract, parse_parent, report_name
from services.sla.paging import Page, PageRequest
from services.sla.reports.canonical import read_report
from services.sla.reports.formats import Document, Format
from services.sla.reports.generate import ReportView
from services.sla.reports.ledger import ReportRecord, ReportState, report_id
from services.sla.reports.model import Change, LatencyReport, ObjectiveReport, ReportInput
from services.sla.windows import Calendar, Custom
from threenines.sla.v1 import sla_pb2, sla_service_pb2

_FORMATS = {
    sla_pb2.SLA_REPORT_FORMAT_JSON: Format.JSON,
    sla_pb2.SLA_REPORT_FORMAT_CSV: Format.CSV,
    sla_pb2.SLA_REPORT_FORMAT_HTML: Format.HTML,
    sla_pb2.SLA_REPORT_FORMAT_PDF: Format.PDF,
}
_STATES = {
    ReportState.GENERATING: sla_pb2.SLA_REPORT_STATE_GENERATING,
    ReportState.ISSUED: sla_pb2.SLA_REPORT_STATE_ISSUED,
    ReportState.FAILED: sla_pb2.SLA_REPORT_STATE_FAILED,
    ReportState.CANCELLED: sla_pb2.SLA_REPORT_STATE_CANCELLED,
}
_CREDIT_STATES = {
    CreditState.NOT_DUE: sla_pb2.CREDIT_STATE_NOT_DUE,
    CreditState.DUE: sla_pb2.CREDIT_STATE_DUE,
    CreditState.REVIEW_REQUIRED: sla_pb2.CREDIT_STATE_REVIEW_REQUIRED,
    CreditState.RUNNING: sla_pb2.CREDIT_STATE_RUNNING,
}


def wish_from_proto(
    request: sla_service_pb2.GenerateSlaReportRequest,
) -> tuple[str, str, Calendar | Custom | None, str]:
    """(tenant, contract, period, request id); no period when none is given. Raises BadName, BadWindow."""
    if request.HasField("window") and request.HasField("custom_window"):
        raise BadReportRequest("give a window or a custom_window, not both", field="custom_window")
    kind = sla_pb2.Window()
    if request.HasField("window"):
        kind.calendar.CopyFrom(request.window)
    elif request.HasField("custom_window"):
        kind.custom.CopyFrom(request.custom_window)
    asked = window_from_proto(kind)
    assert asked is None or isinstance(asked, Calendar | Custom)
    tenant, contract = parse_contract(request.contract, field="contract")
    return tenant, contract, asked, request.request_id


def format_from_proto(request: sla_service_pb2.GetSlaReportContentRequest) -> Format:
    """The format. Raises BadReportRequest."""
    found = _FORMATS.get(request.format)
    if found is None:
        raise BadReportRequest("name a format", field="format")
    return found


def listed_from_proto(
    request: sla_service_pb2.ListSlaReportsRequest,
) -> tuple[str | None, str | None, PageRequest]:
    """(tenant, contract, page); no tenant means the caller's, no contract all. Raises BadName."""
    tenant, page = parse_parent(request.parent), page_from_proto(request)
    if not request.contract:
        return tenant, None, page
    owner, contract = parse_contract(request.contract, field="contract")
    if tenant is not None and owner != tenant:
        raise BadName("belongs to another tenant than parent", field="contract")
    return owner, contract, page


def report_to_proto(view: ReportView) -> sla_pb2.SlaReport:
    """One report; with its details if it is issued and has its content here."""
    record = view.record
    out = _summary(record, view.progress)
    if record.content:
        _add_details(out, read_report(record.content))
    return out


def reports_to_proto(page: Page[ReportView]) -> sla_service_pb2.ListSlaReportsResponse:
    """One page, without details."""
    return sla_service_pb2.ListSlaReportsResponse(
        sla_reports=[_summary(one.record, one.progress) for one in page.items],
        next_page_token=page.next_token,
    )


def document_to_proto(found: Document) -> sla_service_pb2.GetSlaReportContentResponse:
    """A report in a format."""
    return sla_service_pb2.GetSlaReportContentResponse(
        content=found.content,
        media_type=found.media_type,
        file_name=found.file_name,
        content_sha256=found.content_sha256,
    )


def _summary(record: ReportRecord, progress: int) -> sla_pb2.SlaReport:
    period, facts = record.period, record.facts
    out = sla_pb2.SlaReport(
        name=report_name(record.tenant, record.report),
        contract=contract_name(record.tenant, record.contract),
        window=sla_pb2.ResolvedWindow(
            start_time=timestamp(period.start_ms), end_time=timestamp(period.end_ms)
        ),
        revision=record.revision,
        state=_STATES[record.state],
        progress_percent=progress,
        create_time=timestamp(record.created_ms),
        period_label=period.label,
    )
    if record.replaces:
        out.replaces = report_name(record.tenant, report_id(record.contract, period, record.replaces))
    if record.state is ReportState.FAILED:
        out.failure.reason, out.failure.message = record.failure_reason, record.failure_message
        out.failure.remedy = record.failure_remedy
    if facts is not None:
        out.issue_time.CopyFrom(timestamp(record.at_ms))
        out.contract_versions.extend(facts.versions)
        out.window.watermark_time.CopyFrom(timestamp(facts.data_end_ms))
        out.window.time_zone = facts.zone
        out.window.provisional = facts.provisional
        out.window.data_revision = facts.data_revision
        out.content_sha256 = facts.content_sha256
        out.verdict = _verdict(facts.verdict)
    return out


def _add_details(out: sla_pb2.SlaReport, report: ReportInput) -> None:
    for one in report.objectives:
        name = f"tenants/{report.tenant}/objectives/{report.contract}/{one.name}"
        out.objectives.append(_objective(name, one, out.window))
        out.downtimes.extend(
            sla_pb2.Downtime(
                objective=name,
                start_time=timestamp(row.start_ms),
                end_time=timestamp(row.end_ms),
                down_nanos=row.down_ns,
                degraded_nanos=row.degraded_ns,
                excluded_nanos=row.excluded_ns,
                bad_count=row.bad,
                total_count=row.total,
            )
            for row in one.downtimes
        )
    windows: dict[str, sla_pb2.MaintenanceWindow] = {}
    for row in (row for one in report.objectives for row in one.exclusions if row.counted):
        window = sla_pb2.MaintenanceWindow(
            name=f"tenants/{report.tenant}/maintenanceWindows/{row.window}",
            title=row.title,
            start_time=timestamp(row.start_ms),
            end_time=timestamp(row.end_ms),
            creator=row.announced_by,
            notice_kept=True,
            reason=row.reason,
        )
        windows.setdefault(f"{row.window} {row.start_ms}", window)
    out.maintenance_windows.extend(windows.values())
    out.credits.extend(_credit(one) for one in report.credits)
    out.changes.extend(_change(one) for one in report.replaces.changes)


def _objective(name: str, one: ObjectiveReport, window: sla_pb2.ResolvedWindow) -> sla_pb2.ObjectiveStatus:
    out = sla_pb2.ObjectiveStatus(objective=sla_pb2.Objective(name=name), verdict=_verdict(one.verdict))
    if one.latency is not None:
        out.latency.CopyFrom(_latency(name, one, one.latency, window))
    elif one.kind == ObjectiveKind.INCIDENT_RESOLUTION.value:
        out.incident_resolution.CopyFrom(_resolution(name, one, window))
    else:
        out.uptime.CopyFrom(_uptime(name, one, window))
    return out


def _uptime(name: str, one: ObjectiveReport, window: sla_pb2.ResolvedWindow) -> sla_pb2.Uptime:
    times = one.times
    return sla_pb2.Uptime(
        objective=name,
        window=window,
        good_count=one.good,
        total_count=one.total,
        up_nanos=times.up_ns,
        degraded_nanos=times.degraded_ns,
        down_nanos=times.down_ns,
        excluded_nanos=times.excluded_ns,
        no_data_nanos=times.no_data_ns,
        not_started_nanos=times.not_started_ns,
        coverage=ratio_to_proto(one.coverage),
        uptime=ratio_to_proto(one.share),
        displayed_percent=one.displayed,
        target=ratio_to_proto(one.target),
        verdict=_verdict(one.verdict),
    )


def _resolution(
    name: str, one: ObjectiveReport, window: sla_pb2.ResolvedWindow
) -> sla_pb2.IncidentResolution:
    running = [row for row in one.incidents if row.stopped_ms is None]
    overdue = sum(row.in_time is False for row in running)
    out = sla_pb2.IncidentResolution(
        objective=name,
        window=window,
        in_time_count=one.good,
        late_count=one.total - one.good - overdue,
        running_count=len(running),
        overdue_count=overdue,
        share=ratio_to_proto(one.share),
        worst_case_share=ratio_to_proto(_share(one.good, len(one.incidents))),
        verdict=_verdict(one.verdict),
    )
    out.longest.FromNanoseconds(max((row.elapsed_ns for row in one.incidents), default=0))
    if one.incidents and one.incidents[0].limit_ns is not None:
        out.limit.FromNanoseconds(one.incidents[0].limit_ns)
    return out


def _latency(
    name: str, one: ObjectiveReport, found: LatencyReport, window: sla_pb2.ResolvedWindow
) -> sla_pb2.Latency:
    times = one.times
    return sla_pb2.Latency(
        objective=name,
        window=window,
        quantile=ratio_to_proto(found.quantile),
        total_count=found.total,
        threshold_seconds=float(found.threshold_s),
        share_below_lower=ratio_to_proto(_share(found.sure, found.total)),
        share_below_upper=ratio_to_proto(_share(found.possible, found.total)),
        estimate_seconds=float(found.estimate_s or 0),
        lower_seconds=float(found.lower_s or 0),
        upper_seconds=float(found.upper_s or 0),
        saturated=found.saturated,
        verdict=_verdict(one.verdict),
        coverage=ratio_to_proto(one.coverage),
        no_data_nanos=times.no_data_ns,
        not_started_nanos=times.not_started_ns,
        excluded_nanos=times.excluded_ns,
    )


def _credit(one: Credit) -> sla_pb2.SlaCredit:
    out = sla_pb2.SlaCredit(
        name=one.name,
        contract_version=one.contract_version,
        window=sla_pb2.ResolvedWindow(
            start_time=timestamp(one.period_start_ms), end_time=timestamp(one.period_end_ms)
        ),
        measured=ratio_to_proto(one.measured),
        state=_CREDIT_STATES[one.state],
        trace=one.trace,
    )
    if one.state is not CreditState.NOT_DUE:
        out.amount.CopyFrom(money_to_proto(one.amount, one.currency))
    return out


def _change(one: Change) -> sla_pb2.ReportChange:
    return sla_pb2.ReportChange(
        path=one.path, old_value=one.old, new_value=one.new, reason=one.reason, actor=one.actor
    )


def _verdict(name: str) -> sla_pb2.Verdict.ValueType:
    found = Verdict.__members__.get(name)
    return sla_pb2.VERDICT_UNSPECIFIED if found is None else sla_pb2.Verdict.ValueType(found)


def _share(part: int, total: int) -> Fraction | None:
    return Fraction(part, total) if total else None
