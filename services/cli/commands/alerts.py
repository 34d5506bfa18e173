"""`threenines alerts`: what fires now, and what was sent to whom."""

from typing import Annotated

import typer

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from threenines.alerting.v1 import alert_service_pb2, alert_service_pb2_grpc, alerting_pb2

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_alerts(
    tenant: Annotated[str, typer.Argument(help="One client, or - for all.")] = "-",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """The alerts of a client, newest state first."""
    with told_to_people(options.errors):
        alerts = fetch(options.connection(data_dir), tenant)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"alerts": alerts})
        return
    if not alerts:
        options.console.print("No alert.", style="dim")
        return
    columns = ("tenant", "alert", "objective", "state", "since (UTC)", "what")
    options.console.print(render.table(None, columns, [_row(alert) for alert in alerts]))


@app.command("notifications")
def list_notifications(
    tenant: Annotated[str, typer.Argument(help="One client, or - for all.")] = "-",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Every notification with its attempts."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("alerting") as channel:
            response = alert_service_pb2_grpc.AlertServiceStub(channel).ListNotifications(
                alert_service_pb2.ListNotificationsRequest(parent=f"tenants/{tenant}", page_size=1000),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            )
    if output is render.Output.JSON:
        render.print_messages(options.console, {"notifications": list(response.notifications)})
        return
    rows = [
        (
            each.create_time.ToDatetime().strftime("%m-%d %H:%M:%S"),
            each.receiver,
            "firing" if each.firing else "resolved",
            alerting_pb2.NotificationState.Name(each.state).removeprefix("NOTIFICATION_STATE_"),
            len(each.attempts),
            each.reason,
        )
        for each in response.notifications
    ]
    columns = ("decided (UTC)", "receiver", "status", "state", ">attempts", "why")
    options.console.print(render.table(None, columns, rows))


def fetch(connection: Connection, tenant: str) -> list[alerting_pb2.Alert]:
    """The alerts of a tenant, `-` for all."""
    with connection.channel("alerting") as channel:
        response = alert_service_pb2_grpc.AlertServiceStub(channel).ListAlerts(
            alert_service_pb2.ListAlertsRequest(parent=f"tenants/{tenant}", page_size=1000),
            metadata=connection.metadata,
            timeout=options.RPC_TIMEOUT_S,
        )
    return list(response.alerts)


def _row(alert: alerting_pb2.Alert) -> tuple[str, ...]:
    state = alerting_pb2.AlertState.Name(alert.state).removeprefix("ALERT_STATE_")
    since = alert.fired_time if alert.HasField("fired_time") else alert.active_time
    return (
        alert.tenant.removeprefix("tenants/"),
        alert.rule.split("/")[-1],
        alert.objective.split("/objectives/")[-1],
        state,
        since.ToDatetime().strftime("%m-%d %H:%M:%S") if since.seconds else "",
        alert.annotations.get("summary", ""),
    )
