"""`threenines maintenance`: announced time that does not count, said before it happens."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from services.common.clock import SystemClock
from services.common.documents_values import Duration
from services.common.recurrence import recurrence
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

app = typer.Typer(no_args_is_help=True)

TenantArgument = Annotated[str, typer.Argument(help="Whose.")]
_STATES = {
    sla_pb2.MAINTENANCE_WINDOW_STATE_PLANNED: "planned",
    sla_pb2.MAINTENANCE_WINDOW_STATE_ACTIVE: "active",
    sla_pb2.MAINTENANCE_WINDOW_STATE_ENDED: "ended",
    sla_pb2.MAINTENANCE_WINDOW_STATE_CANCELLED: "cancelled",
}
_PAGE = 1000
_SHOWN = 5


@app.command("create")
def create(
    tenant: TenantArgument,
    start: Annotated[str, typer.Option("--from", help='First start, such as "2026-11-29 02:00".')],
    length: Annotated[str, typer.Option("--for", help="How long each time, such as 2h.")],
    title: Annotated[str, typer.Option(help="What is done; the client reads it.")] = "Maintenance",
    zone: Annotated[str, typer.Option(help="IANA zone of the start and its repetitions.")] = "UTC",
    rule: Annotated[str, typer.Option(help="RFC 5545 rule, such as FREQ=WEEKLY;BYDAY=SU.")] = "",
    objective: Annotated[list[str] | None, typer.Option(help="contract/objective; none means all.")] = None,
    window_id: Annotated[str, typer.Option("--id", help="Its id; default: chosen by the server.")] = "",
    reason: Annotated[str, typer.Option(help="Why; reports say it.")] = "",
    retroactive: Annotated[
        bool, typer.Option("--retroactive", help="It has begun; counts only where no notice is asked for.")
    ] = False,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Announce maintenance, and show when it happens next and whether its notice is early enough."""
    start_ms, end_ms = times_of(start, length, zone)
    window = sla_pb2.MaintenanceWindow(
        title=title, recurrence_rule=rule, time_zone=zone, reason=reason, retroactive=retroactive
    )
    window.objectives.extend(f"tenants/{tenant}/objectives/{key}" for key in objective or [])
    window.start_time.FromMilliseconds(start_ms)
    window.end_time.FromMilliseconds(end_ms)
    request = sla_service_pb2.CreateMaintenanceWindowRequest(
        parent=f"tenants/{tenant}",
        maintenance_window=window,
        maintenance_window_id=window_id,
        request_id=str(uuid.uuid4()),
    )
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("sla") as channel:
            made = sla_service_pb2_grpc.SlaServiceStub(channel).CreateMaintenanceWindow(
                request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
            )
    _show([made], output)
    if output is render.Output.TABLE and not made.notice_kept:
        options.errors.print(late_text(made))


@app.command("cancel")
def cancel(
    tenant: TenantArgument,
    window_id: Annotated[str, typer.Argument(help="Which, as `maintenance list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Cancel maintenance from now on; what has happened stays excluded."""
    request = sla_service_pb2.CancelMaintenanceWindowRequest(
        name=f"tenants/{tenant}/maintenanceWindows/{window_id}", reason=reason
    )
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("sla") as channel:
            done = sla_service_pb2_grpc.SlaServiceStub(channel).CancelMaintenanceWindow(
                request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
            )
    _show([done], output)


@app.command("list")
def list_windows(
    tenant: TenantArgument,
    every: Annotated[bool, typer.Option("--all", help="Also what is over or cancelled.")] = False,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Maintenance of a client, newest first, and its next occurrences."""
    states = (
        ()
        if every
        else (
            sla_pb2.MAINTENANCE_WINDOW_STATE_PLANNED,
            sla_pb2.MAINTENANCE_WINDOW_STATE_ACTIVE,
        )
    )
    request = sla_service_pb2.ListMaintenanceWindowsRequest(
        parent=f"tenants/{tenant}", page_size=_PAGE, states=states
    )
    with told_to_people(options.errors):
        found = list(fetch(options.connection(data_dir), request))
    _show(found, output)


def late_text(window: sla_pb2.MaintenanceWindow) -> str:
    """Why the first occurrence of a window does not count."""
    if window.start_time.ToNanoseconds() < window.create_time.ToNanoseconds() and not window.retroactive:
        return (
            "It began before it was announced: its first occurrence does not count. Where the contract asks"
            " for no notice, --retroactive makes it count."
        )
    return "Too late for the contract's notice: its first occurrence does not count."


def fetch(
    connection: Connection, request: sla_service_pb2.ListMaintenanceWindowsRequest
) -> Iterator[sla_pb2.MaintenanceWindow]:
    """All windows of all pages."""
    with connection.channel("sla") as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        while True:
            page = stub.ListMaintenanceWindows(
                request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
            )
            yield from page.maintenance_windows
            request.page_token = page.next_page_token
            if not request.page_token:
                return


def times_of(start: str, length: str, zone: str) -> tuple[int, int]:
    """Unix milliseconds of the first occurrence; a start without an offset is local in the zone.

    Raises:
        BadParameter: names the option.
    """
    try:
        local = ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        raise typer.BadParameter(
            "must be an IANA time zone such as Europe/Berlin", param_hint="--zone"
        ) from None
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        raise typer.BadParameter("must be like 2026-11-29 02:00", param_hint="--from") from None
    try:
        length_ms = Duration.parse(length).ns // 1_000_000
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--for") from None
    if length_ms <= 0:
        raise typer.BadParameter("must be at least 1ms", param_hint="--for")
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=local)
    start_ms = round(aware.timestamp() * 1000)
    return start_ms, start_ms + length_ms


def next_occurrences(window: sla_pb2.MaintenanceWindow, now_ms: int) -> Iterator[tuple[int, int]]:
    """(start, end) in Unix milliseconds of what is not over, soonest first; none when it is cancelled."""
    if window.state == sla_pb2.MAINTENANCE_WINDOW_STATE_CANCELLED:
        return
    start_ms, end_ms = window.start_time.ToMilliseconds(), window.end_time.ToMilliseconds()
    length_ms = end_ms - start_ms
    if not window.recurrence_rule:
        if end_ms > now_ms:
            yield start_ms, end_ms
        return
    repeated = recurrence(window.recurrence_rule, start_ms, window.time_zone or "UTC")
    found = repeated.next_after(now_ms - length_ms + 1)
    while found is not None:
        yield found, found + length_ms
        found = repeated.next_after(found + 1)


def occurrence_rows(
    windows: Sequence[sla_pb2.MaintenanceWindow], now_ms: int
) -> list[tuple[str, str, str, str]]:
    """What comes next, in the zone of each window, for a table."""
    rows = []
    for window in windows:
        zone = ZoneInfo(window.time_zone or "UTC")
        for start_ms, end_ms in islice(next_occurrences(window, now_ms), _SHOWN):
            start, end = (
                datetime.fromtimestamp(one / 1000, UTC).astimezone(zone) for one in (start_ms, end_ms)
            )
            rows.append((start_ms, window.name.rsplit("/", 1)[-1], start, end, window.time_zone))
    rows.sort(key=lambda row: (row[0], row[1]))
    return [
        (name, f"{start:%a %Y-%m-%d %H:%M %z}", f"{end:%a %Y-%m-%d %H:%M %z}", zone_name)
        for _, name, start, end, zone_name in rows
    ]


def _show(windows: Sequence[sla_pb2.MaintenanceWindow], output: render.Output) -> None:
    if output is render.Output.JSON:
        render.print_messages(options.console, {"maintenance_windows": windows})
        return
    rows = [
        (
            window.name.rsplit("/", 1)[-1],
            window.title,
            _STATES.get(window.state, "unknown"),
            "yes" if window.notice_kept else "no",
            window.recurrence_rule or "once",
            ", ".join(name.split("/", 3)[-1] for name in window.objectives) or "all",
        )
        for window in windows
    ]
    columns = ("id", "title", "state", "in time", "repeats", "objectives")
    options.console.print(render.table("Maintenance", columns, rows))
    coming = occurrence_rows(windows, SystemClock().now_ns() // 1_000_000)
    if not coming:
        return
    options.console.print(render.table("Next occurrences", ("id", "from", "to", "zone"), coming))
