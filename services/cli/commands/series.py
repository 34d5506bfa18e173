"""`threenines series`: what a client sends, series by series, and the values of its attributes."""

from collections.abc import Iterator
from typing import Annotated

import typer

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from services.cli.times import HELP, parse_pairs, parse_time
from services.common.clock import SystemClock
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_LARGEST_PAGE = 1000
_COLUMNS = ("metric", "type", "unit", "attributes", "resource", "last point (UTC)")

TenantArgument = Annotated[str, typer.Argument(help="Whose series.")]
MetricOption = Annotated[str, typer.Option(help="Only this metric.")]
AttributeOption = Annotated[
    list[str] | None, typer.Option(help="Only series with this value, as key=value; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command("series")(series)


def series(
    tenant: TenantArgument,
    metric: MetricOption = "",
    attribute: AttributeOption = None,
    start: Annotated[str, typer.Option(help=HELP)] = "1h",
    values: Annotated[str, typer.Option(help="List the values of this attribute instead.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many.")] = 200,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """The series of a client that had points lately, or the values that an attribute has in them."""
    now_ns = SystemClock().now_ns()
    start_ns = parse_time(start, now_ns=now_ns, option="--start")
    wanted = parse_pairs(attribute, option="--attribute")
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        if values:
            request = collector_service_pb2.ListAttributeValuesRequest(
                parent=f"tenants/{tenant}", attribute=values, metric=metric, attributes=wanted
            )
            request.start_time.FromNanoseconds(start_ns)
            request.end_time.FromNanoseconds(now_ns)
            _print_values(fetch_values(connection, request, limit), output)
            return
        asked = collector_service_pb2.ListSeriesRequest(
            parent=f"tenants/{tenant}", metric=metric, attributes=wanted
        )
        asked.start_time.FromNanoseconds(start_ns)
        asked.end_time.FromNanoseconds(now_ns)
        _print_series(fetch(connection, asked, limit), limit, output)


def fetch(
    connection: Connection, request: collector_service_pb2.ListSeriesRequest, limit: int
) -> list[collector_pb2.Series]:
    """Up to `limit` series, page by page."""
    found: list[collector_pb2.Series] = []
    with connection.channel("collector") as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        while len(found) < limit:
            request.page_size = min(limit - len(found), _LARGEST_PAGE)
            page = stub.ListSeries(request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S)
            found.extend(page.series)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    return found


def fetch_values(
    connection: Connection, request: collector_service_pb2.ListAttributeValuesRequest, limit: int
) -> list[str]:
    """Up to `limit` values, page by page."""
    found: list[str] = []
    with connection.channel("collector") as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        while len(found) < limit:
            request.page_size = min(limit - len(found), _LARGEST_PAGE)
            page = stub.ListAttributeValues(
                request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
            )
            found.extend(page.values)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    return found


def _print_series(found: list[collector_pb2.Series], limit: int, output: render.Output) -> None:
    if output is render.Output.JSON:
        render.print_messages(options.console, {"series": found})
        return
    if not found:
        options.console.print("No series in this range.", style="dim")
        return
    options.console.print(render.table(None, _COLUMNS, list(rows_of(found))))
    more = ", perhaps more: raise --limit" if len(found) == limit else ""
    options.console.print(f"{len(found)} series{more}", style="dim")


def rows_of(found: list[collector_pb2.Series]) -> Iterator[tuple[str, ...]]:
    """One table row for each series."""
    for each in found:
        kind = collector_pb2.MetricType.Name(each.type).removeprefix("METRIC_TYPE_").lower()
        temporality = collector_pb2.AggregationTemporality.Name(each.temporality)
        word = temporality.removeprefix("AGGREGATION_TEMPORALITY_").lower()
        yield (
            each.metric,
            kind if word == "unspecified" else f"{kind}, {word}",
            each.unit,
            _texts(dict(each.attributes)),
            _texts(dict(each.resource_attributes)),
            each.last_seen_time.ToDatetime().strftime("%m-%d %H:%M:%S"),
        )


def _texts(attributes: dict[str, str]) -> str:
    return " ".join(f"{key}={attributes[key]}" for key in sorted(attributes))


def _print_values(found: list[str], output: render.Output) -> None:
    if output is render.Output.JSON:
        options.console.print_json(data={"values": found})
        return
    for value in found:
        # Not through rich: a value may look like markup.
        print(value)
