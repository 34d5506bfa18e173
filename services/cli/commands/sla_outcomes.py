"""`threenines sla downtime`, `credits`, `objectives` and `watch`: what came of promises."""

from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from google.protobuf import duration_pb2

from services.cli import options, render
from services.cli.commands import sla_common
from services.cli.commands.sla_common import AS_OF_HELP, WINDOW_HELP, WINDOWS
from services.cli.commands.sla_figures import InsideOption, TenantArgument, budget_text
from services.cli.failures import EXIT_OUTSIDE_PROMISE, told_to_people
from services.common.documents_values import Duration
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

_CREDIT_WORDS: dict[int, str] = {
    sla_pb2.CREDIT_STATE_NOT_DUE: "not due",
    sla_pb2.CREDIT_STATE_DUE: "DUE",
    sla_pb2.CREDIT_STATE_REVIEW_REQUIRED: "to be reviewed",
    sla_pb2.CREDIT_STATE_RUNNING: "running",
}
_TYPES = "OBJECTIVE_TYPE_"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("downtime")(downtime)
    app.command("credits")(credits_of)
    app.command("objectives")(objectives)
    app.command("watch")(watch)


def downtime(
    tenant: TenantArgument,
    objective: Annotated[str | None, typer.Argument(help="contract/objective; none means all.")] = None,
    window: Annotated[str | None, typer.Option(help=f"{WINDOWS}. Default: 30d.")] = None,
    inside: InsideOption = None,
    degraded: Annotated[bool, typer.Option("--degraded", help="Also what was only degraded.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, newest first.")] = 50,
    as_of: Annotated[str | None, typer.Option("--as-of", help=AS_OF_HELP)] = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """When promises were down, newest first."""
    request = sla_service_pb2.ListDowntimeRequest(parent=f"tenants/{tenant}", include_degraded=degraded)
    if objective is not None:
        request.objective = sla_common.objective_name(tenant, objective)
    chosen = sla_common.parse_window(window, inside)
    if chosen is not None:
        request.window.CopyFrom(chosen)
    if as_of is not None:
        request.as_of_time.CopyFrom(sla_common.moment(as_of, "--as-of"))
    with told_to_people(options.errors):
        found = [
            one
            for page in sla_common.pages(
                options.connection(data_dir), lambda stub: stub.ListDowntime, request, most=limit
            )
            for one in page.downtimes
        ]
    if output is render.Output.JSON:
        render.print_messages(options.console, {"downtimes": found})
    elif not found:
        options.console.print("Nothing was down.", style="dim")
    else:
        columns = ("objective", "from (UTC)", ">for", ">down", ">failed", ">requests")
        options.console.print(render.table(f"{tenant}: downtime", columns, downtime_rows(found)))


def downtime_rows(found: Sequence[sla_pb2.Downtime]) -> list[tuple[str, ...]]:
    """One table row for each stretch."""
    rows: list[tuple[str, ...]] = []
    for one in found:
        start = one.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
        length = "lasts"
        if one.HasField("end_time"):
            length = render.duration(one.end_time.ToNanoseconds() - one.start_time.ToNanoseconds())
        down = render.duration(one.down_nanos) if one.down_nanos else "degraded"
        name = one.objective.split("/objectives/")[-1]
        rows.append((name, start, length, down, f"{one.bad_count:,}", f"{one.total_count:,}"))
    return rows


def credits_of(
    tenant: TenantArgument,
    contract: Annotated[str, typer.Argument(help="Which contract.")],
    period: Annotated[
        str | None, typer.Option(help="day, week, month, quarter or year. Default: the last complete one.")
    ] = None,
    inside: InsideOption = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help=AS_OF_HELP)] = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """What missed promises cost, step by step. Exit code: 3 a credit is due, 4 one is to be reviewed."""
    request = sla_service_pb2.CalculateSlaCreditsRequest(contract=f"tenants/{tenant}/contracts/{contract}")
    if period is not None and period not in sla_common.PERIODS:
        raise typer.BadParameter(f"must be one of {', '.join(sla_common.PERIODS)}", param_hint="--period")
    if period is not None or inside is not None:
        chosen = sla_common.parse_window(period or "month", inside)
        assert chosen is not None
        request.window.CopyFrom(chosen.calendar)
    if as_of is not None:
        request.as_of_time.CopyFrom(sla_common.moment(as_of, "--as-of"))
    with told_to_people(options.errors):
        answer = sla_common.ask(options.connection(data_dir), lambda stub: stub.CalculateSlaCredits, request)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"credits": answer.credits})
    elif not answer.credits:
        options.console.print("No version of the contract was in force then.", style="dim")
    else:
        for one in answer.credits:
            title = f"{tenant} {contract}, version {one.contract_version}"
            options.console.print(render.table(title, ("figure", "value"), credit_rows(one)))
            for sentence in one.trace:
                options.console.print(f"- {sentence}", highlight=False)
    states = {one.state for one in answer.credits}
    if sla_pb2.CREDIT_STATE_DUE in states:
        raise typer.Exit(EXIT_OUTSIDE_PROMISE)
    if sla_pb2.CREDIT_STATE_REVIEW_REQUIRED in states:
        raise typer.Exit(sla_common.EXIT_INDETERMINATE)


def credit_rows(one: sla_pb2.SlaCredit) -> list[tuple[str, str]]:
    """What a table says of a credit."""
    zone = ZoneInfo(one.window.time_zone or "UTC")
    start, end = (
        moment.ToDatetime(tzinfo=ZoneInfo("UTC")).astimezone(zone).strftime("%Y-%m-%d %H:%M")
        for moment in (one.window.start_time, one.window.end_time)
    )
    running = one.state == sla_pb2.CREDIT_STATE_RUNNING
    rows = [
        ("period", f"{start} to {end} {one.window.time_zone}"),
        ("objective", one.objective.split("/objectives/")[-1]),
        ("measured", sla_common.ratio_percent(one.measured, 4)),
        ("state", _CREDIT_WORDS.get(one.state, "unknown")),
    ]
    if running:
        rows.append(("if it ended now", _amount(one, "amount_so_far")))
        rows.append(("projected", sla_common.ratio_percent(one.projected, 4)))
    rows.append(("if the rest is up" if running else "amount", _amount(one, "amount")))
    if one.HasField("claim_by_time"):
        rows.append(("claim before", f"{one.claim_by_time.ToDatetime():%Y-%m-%d %H:%M} UTC"))
    return rows


def _amount(one: sla_pb2.SlaCredit, field: str) -> str:
    return sla_common.money(getattr(one, field)) if one.HasField(field) else "nothing"  # type: ignore[arg-type]


def objectives(
    tenant: TenantArgument,
    contract: Annotated[str | None, typer.Option(help="Only of this contract.")] = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """What was promised."""
    request = sla_service_pb2.ListObjectivesRequest(parent=f"tenants/{tenant}")
    if contract is not None:
        request.contract = f"tenants/{tenant}/contracts/{contract}"
    with told_to_people(options.errors):
        found = [
            one
            for page in sla_common.pages(
                options.connection(data_dir), lambda stub: stub.ListObjectives, request, most=10_000
            )
            for one in page.objectives
        ]
    if output is render.Output.JSON:
        render.print_messages(options.console, {"objectives": found})
    elif not found:
        options.console.print("No contract yet: `threenines config apply FILE`.", style="dim")
    else:
        columns = ("objective", "type", "promise", "window")
        options.console.print(
            render.table(f"{tenant}: promises", columns, [objective_row(one) for one in found])
        )


def objective_row(one: sla_pb2.Objective) -> tuple[str, ...]:
    """One table row of a promise."""
    kind = sla_pb2.ObjectiveType.Name(one.type).removeprefix(_TYPES).lower().replace("_", " ")
    promise = sla_common.short_percent(one.target)
    if one.type == sla_pb2.OBJECTIVE_TYPE_LATENCY:
        promise += f" < {render.seconds(one.threshold_seconds)}"
    match one.window.WhichOneof("kind"):
        case "rolling_period":
            window = render.duration(one.window.rolling_period.ToNanoseconds())
        case "calendar":
            names = {number: name for name, number in sla_common.PERIODS.items()}
            window = f"calendar {names.get(one.window.calendar.period, '')}"
        case _:
            window = "-"
    return (one.name.split("/objectives/")[-1], kind, promise, window)


def watch(
    tenant: TenantArgument,
    window: Annotated[str | None, typer.Option(help=WINDOW_HELP)] = None,
    every: Annotated[str, typer.Option(help="At most one line for each objective in so long.")] = "5s",
    count: Annotated[int, typer.Option(min=0, help="Stop after so many; 0 means never.")] = 0,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Every promise of a client now and after each change, a line each, until Ctrl-C."""
    request = sla_service_pb2.WatchSlaStatusRequest(name=f"tenants/{tenant}/slaStatus")
    chosen = sla_common.parse_window(window)
    if chosen is not None:
        request.window.CopyFrom(chosen)
    request.min_interval.CopyFrom(_length(every))
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("sla") as channel:
            call = sla_service_pb2_grpc.SlaServiceStub(channel).WatchSlaStatus(
                request, metadata=connection.metadata
            )
            for seen, answer in enumerate(call, 1):
                _show(answer.sla_status, output)
                if seen == count:
                    call.cancel()
                    return


def _length(text: str) -> duration_pb2.Duration:
    out = duration_pb2.Duration()
    try:
        out.FromNanoseconds(Duration.parse(text).ns)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--every") from None
    return out


def _show(status: sla_pb2.SlaStatus, output: render.Output) -> None:
    if output is render.Output.JSON:
        render.print_messages(options.console, {"sla_status": status})
        return
    for one in status.objectives:
        options.console.print(status_line(status, one), highlight=False, soft_wrap=True)


def status_line(status: sla_pb2.SlaStatus, one: sla_pb2.ObjectiveStatus) -> str:
    """When, which, what it is and what is left, in one line."""
    at = f"{status.watermark_time.ToDatetime():%H:%M:%S}" if status.HasField("watermark_time") else "-"
    name = one.objective.name.split("/objectives/")[-1]
    measured, left = one.absent_reason or "-", ""
    match one.WhichOneof("figures"):
        case "uptime":
            percent = one.uptime.displayed_percent
            measured, left = f"{percent} %" if percent else "-", budget_text(one.uptime.budget)
        case "latency":
            measured = render.seconds(one.latency.estimate_seconds) if one.latency.total_count else "-"
            left = budget_text(one.latency.budget)
    verdict = render.coloured(sla_common.word(one.verdict))
    return f"{at:8} {name:30} {measured:>10}  {verdict}  {'budget ' + left if left else ''}".rstrip()
