"""`threenines sla`: does each client get what it was promised?"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf import duration_pb2

from services.cli import options, render
from services.cli.commands import maintenance, sla_figures, sla_outcomes, sla_reports
from services.cli.connection import Connection
from services.cli.failures import EXIT_OUTSIDE_PROMISE, told_to_people
from services.common.documents_values import Duration
from services.common.errors import FailedPrecondition
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

app = typer.Typer(no_args_is_help=True)
sla_figures.register(app)
sla_outcomes.register(app)
sla_reports.register(app)
app.add_typer(maintenance.app, name="maintenance", help="Announced time that does not count.")

_COLUMNS = (
    *("tenant", "objective", "target", ">measured", ">requests"),
    *(">down", ">no data", ">budget\nused", "verdict"),
)
_NO_DATA = _COLUMNS.index(">no data")
_CONTRACT_SEPARATOR = "/"
_ABSENT = {"OBJECTIVE_HAS_NO_DATA": "no data yet"}


@app.command("status")
def status(
    tenants: Annotated[list[str] | None, typer.Argument(help="Which clients; none means all.")] = None,
    window: Annotated[
        str | None, typer.Option(help="A rolling window such as 1h or 30d; default: each objective's own.")
    ] = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Every objective of every client: target, measured, verdict. Exit code 3 when one is missed."""
    with told_to_people(options.errors):
        statuses = fetch(options.connection(data_dir), tenants or [], window)
        if tenants:
            check_promised(statuses)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"sla_statuses": statuses})
    else:
        print_statuses(statuses)
    if any(each.verdict == sla_pb2.VERDICT_FAIL for each in statuses):
        raise typer.Exit(EXIT_OUTSIDE_PROMISE)


def check_promised(statuses: Sequence[sla_pb2.SlaStatus]) -> None:
    """A client that was named and has no promise is a mistake, not a promise that is kept.

    Raises:
        FailedPrecondition: names every such client.
    """
    without = [each.name.split("/")[1] for each in statuses if not each.objectives]
    if without:
        raise FailedPrecondition(
            f"no contract is in force for {', '.join(without)}",
            reason="NO_CONTRACT",
            next_step="apply one with `threenines config apply FILE`, or list all with `sla status`;"
            " one whose `effective_from` is still to come promises nothing yet",
        )


def fetch(connection: Connection, tenants: list[str], window: str | None) -> list[sla_pb2.SlaStatus]:
    """The status of the named tenants, or of all of them."""
    request = sla_service_pb2.BatchGetSlaStatusRequest(
        names=[f"tenants/{each}/slaStatus" for each in tenants]
    )
    if window is not None:
        period = duration_pb2.Duration()
        try:
            period.FromNanoseconds(Duration.parse(window).ns)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--window") from None
        request.window.rolling_period.CopyFrom(period)
    with connection.channel("sla") as channel:
        response = sla_service_pb2_grpc.SlaServiceStub(channel).BatchGetSlaStatus(
            request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
        )
    return list(response.sla_statuses)


def print_statuses(statuses: Sequence[sla_pb2.SlaStatus], title: str | None = None) -> None:
    """One table of all objectives; columns and contract names that say nothing are left out."""
    rows = [row for each in statuses for row in rows_of(each)]
    if not rows:
        options.console.print("No contract yet: `threenines config apply FILE`.", style="dim")
        return
    contracts = {(row[0], row[1].split(_CONTRACT_SEPARATOR)[0]) for row in rows}
    if len(contracts) == len({tenant for tenant, _ in contracts}):
        rows = [(row[0], row[1].split(_CONTRACT_SEPARATOR)[-1], *row[2:]) for row in rows]
    columns: tuple[str, ...] = _COLUMNS
    if all(row[_NO_DATA] in ("", "0 s") for row in rows):
        columns = columns[:_NO_DATA] + columns[_NO_DATA + 1 :]
        rows = [row[:_NO_DATA] + row[_NO_DATA + 1 :] for row in rows]
    options.console.print(render.table(title, columns, rows))
    for status in statuses:
        for each in status.objectives:
            for reason in each.left_out_reasons:
                name = each.objective.name.removeprefix("tenants/").replace("/objectives/", " ")
                options.console.print(f"{name} leaves series out: {reason}.", style="yellow", markup=False)


def rows_of(status: sla_pb2.SlaStatus) -> Iterator[tuple[str, ...]]:
    """One table row for each objective of a status."""
    tenant = status.name.split("/")[1]
    for each in status.objectives:
        figures = each.WhichOneof("figures")
        cells = (
            _uptime_cells(each.uptime)
            if figures == "uptime"
            else _latency_cells(each.latency)
            if figures == "latency"
            else ("", _ABSENT.get(each.absent_reason, each.absent_reason) or "-", "", "", "", "")
        )
        verdict = sla_pb2.Verdict.Name(each.verdict).removeprefix("VERDICT_")
        yield (tenant, each.objective.name.split("/objectives/")[-1], *cells, verdict)


def _uptime_cells(uptime: sla_pb2.Uptime) -> tuple[str, ...]:
    target = 100 * uptime.target.numerator / max(uptime.target.denominator, 1)
    budget = uptime.budget
    used = f"{_spent_percent(budget):,.0f} %"
    if budget.any_failure_breaches:
        used = "no budget"
    return (
        f"{target:g} %",
        _percent(uptime.displayed_percent),
        f"{uptime.total_count:,}",
        render.duration(uptime.down_nanos),
        render.duration(uptime.no_data_nanos),
        "frozen" if budget.frozen else used,
    )


def _latency_cells(latency: sla_pb2.Latency) -> tuple[str, ...]:
    quantile = 100 * latency.quantile.numerator / max(latency.quantile.denominator, 1)
    measured = (
        ("> " + render.seconds(latency.lower_seconds))
        if latency.saturated
        else (render.seconds(latency.estimate_seconds) if latency.total_count else "-")
    )
    return (
        f"p{quantile:g} < {render.seconds(latency.threshold_seconds)}",
        measured,
        f"{latency.total_count:,}",
        "",
        render.duration(latency.no_data_nanos),
        "",
    )


def _spent_percent(budget: sla_pb2.Budget) -> float:
    return 100 * (1 - budget.remaining_ratio)


def _percent(displayed: str) -> str:
    return displayed if not displayed or displayed.endswith("%") else f"{displayed} %"
