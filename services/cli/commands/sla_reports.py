"""`threenines sla report` and `sla reports`: the document that a client gets, and those it got."""

import time
import uuid
import webbrowser
from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, Progress, TextColumn

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import EXIT_OUTSIDE_PROMISE, told_to_people
from services.common.errors import FailedPrecondition
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

_LOOK_S = 0.2
_PATIENCE_S = 600.0
_PAGE = 1000
_STATES = {
    sla_pb2.SLA_REPORT_STATE_GENERATING: "generating",
    sla_pb2.SLA_REPORT_STATE_ISSUED: "issued",
    sla_pb2.SLA_REPORT_STATE_FAILED: "failed",
    sla_pb2.SLA_REPORT_STATE_CANCELLED: "cancelled",
}

TenantArgument = Annotated[str, typer.Argument(help="Whose.")]


class Format(StrEnum):
    """Formats of a report."""

    HTML = "html"
    PDF = "pdf"
    CSV = "csv"
    JSON = "json"


_FORMATS = {
    Format.HTML: sla_pb2.SLA_REPORT_FORMAT_HTML,
    Format.PDF: sla_pb2.SLA_REPORT_FORMAT_PDF,
    Format.CSV: sla_pb2.SLA_REPORT_FORMAT_CSV,
    Format.JSON: sla_pb2.SLA_REPORT_FORMAT_JSON,
}


def register(app: typer.Typer) -> None:
    """Add the commands to `threenines sla`."""
    app.command("report")(report)
    app.command("reports")(reports)


def report(
    tenant: TenantArgument,
    month: Annotated[str | None, typer.Option(help="Such as 2026-10; default: the running month.")] = None,
    quarter: Annotated[str | None, typer.Option(help="Such as 2026-Q4.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help='Such as 2026-10-01 or "2026-10-01 06:00".')
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Exclusive; with --from.")] = None,
    contract: Annotated[str | None, typer.Option(help="Which, if there are several.")] = None,
    chosen: Annotated[
        list[Format] | None, typer.Option("--format", help="Of the file; may be repeated. Default: html.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file, or a directory for files of their own names. Default: here."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Make a client's report, or get it if nothing has changed. Exit code 3 when a promise is missed."""
    formats = _formats(chosen, out)
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("sla") as channel:
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            found = _contract(stub, connection.metadata, tenant, contract)
            request = request_of(found, month=month, quarter=quarter, start=start, end=end)
            made = _made(stub, connection.metadata, request)
            documents = [_document(stub, connection.metadata, made, one) for one in formats]
        files = _written(documents, out)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"sla_report": made})
    else:
        _print_made(made, files)
    if open_:
        _show(files[0])
    if made.verdict == sla_pb2.VERDICT_FAIL:
        raise typer.Exit(EXIT_OUTSIDE_PROMISE)


def reports(
    tenant: TenantArgument,
    contract: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also revisions that were replaced.")] = False,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """A client's reports, newest first."""
    request = sla_service_pb2.ListSlaReportsRequest(
        parent=f"tenants/{tenant}",
        page_size=_PAGE,
        contract=f"tenants/{tenant}/contracts/{contract}" if contract else "",
        show_replaced=every,
    )
    found: list[sla_pb2.SlaReport] = []
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("sla") as channel:
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            while True:
                page = stub.ListSlaReports(
                    request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
                )
                found += page.sla_reports
                request.page_token = page.next_page_token
                if not request.page_token:
                    break
    if output is render.Output.JSON:
        render.print_messages(options.console, {"sla_reports": found})
        return
    columns = ("report", "contract", "period", ">revision", "state", "issued", "verdict")
    options.console.print(render.table(None, columns, [_row(one) for one in found]))


def write_report(
    connection: Connection, tenant: str, directory: Path, formats: Sequence[Format], *, inside_ms: int
) -> tuple[sla_pb2.SlaReport, list[Path]]:
    """The report of a client's only contract for the month of an instant, and the files written of it.

    Raises:
        FailedPrecondition: NO_CONTRACT, or why it was not issued.
    """
    with connection.channel("sla") as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        request = request_of(_contract(stub, connection.metadata, tenant, None))
        request.window.inside_time.FromMilliseconds(inside_ms)
        made, files = _made(stub, connection.metadata, request), []
        directory.mkdir(parents=True, exist_ok=True)
        for chosen in formats:
            document = _document(stub, connection.metadata, made, chosen)
            files.append(directory / document.file_name)
            files[-1].write_bytes(document.content)
    return made, files


def request_of(
    contract: sla_pb2.Contract,
    *,
    month: str | None = None,
    quarter: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> sla_service_pb2.GenerateSlaReportRequest:
    """The request for a period in the contract's zone; none named means the running month.

    Raises:
        BadParameter: names the option.
    """
    request = sla_service_pb2.GenerateSlaReportRequest(contract=contract.name, request_id=str(uuid.uuid4()))
    if sum(one is not None for one in (month, quarter, start or end)) > 1:
        raise typer.BadParameter("give one of --month, --quarter and --from with --to")
    zone = ZoneInfo(contract.time_zone or "UTC")
    if start is not None or end is not None:
        if start is None or end is None:
            raise typer.BadParameter("--from and --to belong together", param_hint="--to")
        request.custom_window.start_time.FromMilliseconds(_instant(start, zone, "--from"))
        request.custom_window.end_time.FromMilliseconds(_instant(end, zone, "--to"))
        return request
    request.window.period = sla_pb2.CALENDAR_PERIOD_MONTH
    if month is not None:
        request.window.inside_time.FromMilliseconds(_inside(_month(month), zone))
    if quarter is not None:
        request.window.period = sla_pb2.CALENDAR_PERIOD_QUARTER
        request.window.inside_time.FromMilliseconds(_inside(_quarter(quarter), zone))
    return request


def _contract(
    stub: sla_service_pb2_grpc.SlaServiceStub,
    metadata: tuple[tuple[str, str], ...],
    tenant: str,
    name: str | None,
) -> sla_pb2.Contract:
    request = sla_service_pb2.ListContractsRequest(parent=f"tenants/{tenant}", page_size=_PAGE)
    found = stub.ListContracts(request, metadata=metadata, timeout=options.RPC_TIMEOUT_S).contracts
    names = [one.name.rsplit("/", 1)[-1] for one in found]
    chosen = [one for one, known in zip(found, names, strict=True) if name in (None, known)]
    if len(chosen) == 1:
        return chosen[0]
    if not names:
        raise FailedPrecondition(
            f"no contract is applied for {tenant}",
            reason="NO_CONTRACT",
            next_step="apply one with `threenines config apply FILE`",
        )
    raise typer.BadParameter(f"must be one of {', '.join(names)}", param_hint="--contract")


def _made(
    stub: sla_service_pb2_grpc.SlaServiceStub,
    metadata: tuple[tuple[str, str], ...],
    request: sla_service_pb2.GenerateSlaReportRequest,
) -> sla_pb2.SlaReport:
    """The issued report, waited for with a bar."""
    made = stub.GenerateSlaReport(request, metadata=metadata, timeout=options.RPC_TIMEOUT_S)
    end_s = time.monotonic() + _PATIENCE_S
    with Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        console=options.errors,
        transient=True,
    ) as bars:
        bar = bars.add_task(f"Report {made.period_label}", total=100)
        while made.state == sla_pb2.SLA_REPORT_STATE_GENERATING and time.monotonic() < end_s:
            time.sleep(_LOOK_S)
            name = sla_service_pb2.GetSlaReportRequest(name=made.name)
            made = stub.GetSlaReport(name, metadata=metadata, timeout=options.RPC_TIMEOUT_S)
            bars.update(bar, completed=made.progress_percent)
    if made.state != sla_pb2.SLA_REPORT_STATE_ISSUED:
        raise FailedPrecondition(
            made.failure.message or f"the report is {_STATES.get(made.state, 'unknown')}",
            reason=made.failure.reason or "REPORT_NOT_ISSUED",
            next_step=made.failure.remedy or None,
        )
    return made


def _document(
    stub: sla_service_pb2_grpc.SlaServiceStub,
    metadata: tuple[tuple[str, str], ...],
    made: sla_pb2.SlaReport,
    chosen: Format,
) -> sla_service_pb2.GetSlaReportContentResponse:
    request = sla_service_pb2.GetSlaReportContentRequest(name=made.name, format=_FORMATS[chosen])
    return stub.GetSlaReportContent(request, metadata=metadata, timeout=options.RPC_TIMEOUT_S)


def _formats(chosen: Sequence[Format] | None, out: Path | None) -> list[Format]:
    formats = list(dict.fromkeys(chosen or [Format.HTML]))
    if out is not None and len(formats) > 1 and not out.is_dir():
        raise typer.BadParameter("must be a directory for several formats", param_hint="--out")
    return formats


def _written(
    documents: Sequence[sla_service_pb2.GetSlaReportContentResponse], out: Path | None
) -> list[Path]:
    """The files, written.

    Raises:
        FailedPrecondition: one cannot be written.
    """
    files = []
    for document in documents:
        file = Path(document.file_name)
        if out is not None:
            file = out / file if out.is_dir() else out
        try:
            file.write_bytes(document.content)
        except OSError as err:
            raise FailedPrecondition(
                f"{file} cannot be written: {err.strerror}",
                reason="FILE_NOT_WRITTEN",
                next_step="name another place with --out",
            ) from err
        files.append(file)
    return files


def _show(file: Path) -> None:
    if not webbrowser.open(file.resolve().as_uri()):
        options.errors.print(f"There is no browser here; open {file} yourself.", soft_wrap=True)


def _print_made(made: sla_pb2.SlaReport, files: Sequence[Path]) -> None:
    rows = [_row(made)]
    columns = ("report", "contract", "period", ">revision", "state", "issued", "verdict")
    options.console.print(render.table(None, columns, rows))
    if made.window.provisional or not made.window.watermark_time.ToMilliseconds():
        options.console.print("Not all of its data is final yet.", style="dim")
    options.console.print(f"SHA-256 {made.content_sha256}", style="dim", highlight=False)
    for file in files:
        options.console.print(f"Written to {file}", highlight=False, soft_wrap=True)


def _row(one: sla_pb2.SlaReport) -> Sequence[str]:
    issued = f"{one.issue_time.ToDatetime(UTC):%Y-%m-%d %H:%M} UTC" if one.HasField("issue_time") else "-"
    verdict = sla_pb2.Verdict.Name(one.verdict).removeprefix("VERDICT_") if one.verdict else "-"
    return (
        one.name.rsplit("/", 1)[-1],
        one.contract.rsplit("/", 1)[-1],
        one.period_label,
        str(one.revision),
        _STATES.get(one.state, "unknown"),
        issued,
        verdict,
    )


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month, no instant
    except ValueError:
        raise typer.BadParameter("must be like 2026-10", param_hint="--month") from None


def _quarter(text: str) -> date:
    year, _, number = text.upper().partition("-Q")
    if not (year.isdigit() and len(year) == len("2026") and number in ("1", "2", "3", "4")):
        raise typer.BadParameter("must be like 2026-Q4", param_hint="--quarter")
    return date(int(year), 3 * int(number) - 2, 1)


def _inside(first: date, zone: ZoneInfo) -> int:
    """Noon of a period's first day: inside it whatever the clock does at midnight."""
    return round(datetime(first.year, first.month, first.day, 12, tzinfo=zone).timestamp() * 1000)


def _instant(text: str, zone: ZoneInfo, option: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be like 2026-10-01 or 2026-10-01 06:00", param_hint=option) from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return round(aware.timestamp() * 1000)
