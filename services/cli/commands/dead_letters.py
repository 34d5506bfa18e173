"""`threenines dead-letters`: what could not be written, and appending it again after an upgrade."""

from typing import Annotated, Literal

import typer

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

app = typer.Typer(no_args_is_help=True)

_LARGEST_PAGE = 1000
_COLUMNS = ("tenant", ">number", "logged (UTC)", "reason", ">points", "record", "region", "replayed (UTC)")

TenantArgument = Annotated[str, typer.Argument(help="Whose.")]
NumberArgument = Annotated[int, typer.Argument(min=1, help="Its number in the list.")]


@app.command("list")
def list_letters(
    tenant: Annotated[str, typer.Argument(help="One client, or - for all.")] = "-",
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that were replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many.")] = 200,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """What a client sent, was told to be safe, and cannot be written; oldest first."""
    with told_to_people(options.errors):
        found = fetch(options.connection(data_dir), tenant, limit, replayed=replayed)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"dead_letters": found})
        return
    if not found:
        options.console.print("No dead letter.", style="dim")
        return
    options.console.print(render.table(None, _COLUMNS, [_row(each) for each in found]))
    points = sum(each.point_count for each in found)
    options.console.print(f"{len(found)} dead letters, {points:,} points", style="dim")


@app.command("show")
def show(
    tenant: TenantArgument,
    number: NumberArgument,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """One dead letter: why, and the first of its bytes."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("collector") as channel:
            found = collector_service_pb2_grpc.CollectorServiceStub(channel).GetDeadLetter(
                collector_service_pb2.GetDeadLetterRequest(name=_name(tenant, number)),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            )
    _print_letter(found, output)


@app.command("replay")
def replay(
    tenant: TenantArgument,
    number: NumberArgument,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Append it to the log again, once however often this is called; the writer takes it from there."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("collector") as channel:
            found = collector_service_pb2_grpc.CollectorServiceStub(channel).ReplayDeadLetter(
                collector_service_pb2.ReplayDeadLetterRequest(name=_name(tenant, number)),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            )
    _print_letter(found, output)


def fetch(
    connection: Connection, tenant: str, limit: int, *, replayed: bool
) -> list[collector_pb2.DeadLetter]:
    """Up to `limit` dead letters, page by page."""
    found: list[collector_pb2.DeadLetter] = []
    request = collector_service_pb2.ListDeadLettersRequest(parent=f"tenants/{tenant}", show_replayed=replayed)
    with connection.channel("collector") as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        while len(found) < limit:
            request.page_size = min(limit - len(found), _LARGEST_PAGE)
            page = stub.ListDeadLetters(request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S)
            found.extend(page.dead_letters)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    return found


def _name(tenant: str, number: int) -> str:
    return f"tenants/{tenant}/deadLetters/{number}"


def _row(each: collector_pb2.DeadLetter) -> tuple[str, ...]:
    return (
        each.name.split("/")[1],
        each.name.rpartition("/")[2],
        _time(each, "append_time"),
        each.reason,
        f"{each.point_count:,}",
        _place(each),
        each.region.removeprefix("regions/"),
        _time(each, "replay_time"),
    )


def _place(each: collector_pb2.DeadLetter) -> str:
    request = f", request {each.request_index}" if each.HasField("request_index") else ""
    return f"{each.stream} {each.sequence}{request}"


def _time(each: collector_pb2.DeadLetter, field: Literal["append_time", "replay_time"]) -> str:
    return getattr(each, field).ToDatetime().strftime("%m-%d %H:%M:%S") if each.HasField(field) else ""


def _print_letter(found: collector_pb2.DeadLetter, output: render.Output) -> None:
    if output is render.Output.JSON:
        render.print_messages(options.console, {"dead_letter": found})
        return
    rows = [
        ("reason", found.reason),
        ("detail", found.detail),
        ("points", f"{found.point_count:,}"),
        ("record", _place(found)),
        ("logged (UTC)", _time(found, "append_time")),
        ("region", found.region.removeprefix("regions/")),
        ("bytes kept", f"{found.kept_bytes:,}"),
        ("replayed (UTC)", _time(found, "replay_time") or "no"),
    ]
    if found.replay_sequence:
        rows.append(("replayed as", f"{found.stream} {found.replay_sequence}"))
    title = f"Dead letter {found.name.rpartition('/')[2]}"
    options.console.print(render.table(title, ("what", "value"), rows))
    for start in range(0, len(found.data_head), 32):
        # Not through rich: bytes may look like markup.
        print(f"  {start:4x}  {found.data_head[start : start + 32].hex(' ')}")
