"""`threenines tenant quota` and `usage`: what a client may send, what it sent, and why it is so much."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from services.cli.times import HELP, parse_time
from services.common.clock import SystemClock
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_TYPES = {
    collector_pb2.METRIC_TYPE_GAUGE: "numbers (gauges, sums)",
    collector_pb2.METRIC_TYPE_HISTOGRAM: "histograms",
    collector_pb2.METRIC_TYPE_EXPONENTIAL_HISTOGRAM: "exponential histograms",
    collector_pb2.METRIC_TYPE_SUMMARY: "summaries",
}
_QUOTA = (
    ("points a second", "points_per_second_count"),
    ("points at once", "burst_point_count"),
    ("bytes a second", "bytes_per_second"),
    ("active series", "active_series_count"),
)

TenantArgument = Annotated[str, typer.Argument(help="Whose.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `tenant`."""
    app.command("quota")(quota)
    app.command("usage")(usage)


def quota(
    tenant: TenantArgument,
    points_per_second: Annotated[int | None, typer.Option(min=0, help="Accepted points a second.")] = None,
    burst: Annotated[int | None, typer.Option(min=0, help="Points at once; 0: ten seconds' worth.")] = None,
    bytes_per_second: Annotated[int | None, typer.Option(min=0, help="Bytes of requests a second.")] = None,
    series: Annotated[int | None, typer.Option(min=0, help="Series active in 24 hours.")] = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Show what a client may send, after changing what is given; 0 is unlimited."""
    given = {
        "points_per_second_count": points_per_second,
        "burst_point_count": burst,
        "bytes_per_second": bytes_per_second,
        "active_series_count": series,
    }
    limits = {name: limit for name, limit in given.items() if limit is not None}
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        if limits:
            shown = set_quota(connection, tenant, limits)
        else:
            request = collector_service_pb2.GetTenantUsageRequest(name=f"tenants/{tenant}/usage")
            shown = fetch_usage(connection, request).quota
        if output is render.Output.JSON:
            render.print_messages(options.console, {"quota": shown})
            return
        options.console.print(render.table(f"Quota of {tenant}", ("limit", ">value"), quota_rows(shown)))


def usage(
    tenant: TenantArgument,
    start: Annotated[str, typer.Option(help=HELP)] = "24h",
    top: Annotated[int, typer.Option(min=1, max=1000, help="So many metrics and attributes.")] = 10,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """What a client stored, and which metrics and attributes give it many series."""
    now_ns = SystemClock().now_ns()
    request = collector_service_pb2.GetTenantUsageRequest(name=f"tenants/{tenant}/usage", top_count=top)
    request.start_time.FromNanoseconds(parse_time(start, now_ns=now_ns, option="--start"))
    request.end_time.FromNanoseconds(now_ns)
    with told_to_people(options.errors):
        found = fetch_usage(options.connection(data_dir), request)
        if output is render.Output.JSON:
            render.print_messages(options.console, {"usage": found})
            return
        _print_usage(tenant, found)


def set_quota(connection: Connection, tenant: str, limits: dict[str, int]) -> collector_pb2.TenantQuota:
    """Change these limits, by their names in the contract, and no other."""
    wish = collector_pb2.TenantQuota(name=f"tenants/{tenant}/quota")
    for name, limit in limits.items():
        setattr(wish, name, limit)
    with connection.channel("collector") as channel:
        return collector_service_pb2_grpc.CollectorServiceStub(channel).SetTenantQuota(
            collector_service_pb2.SetTenantQuotaRequest(
                quota=wish, update_mask=FieldMask(paths=sorted(limits))
            ),
            metadata=connection.metadata,
            timeout=options.RPC_TIMEOUT_S,
        )


def fetch_usage(
    connection: Connection, request: collector_service_pb2.GetTenantUsageRequest
) -> collector_pb2.TenantUsage:
    """GetTenantUsage."""
    with connection.channel("collector") as channel:
        return collector_service_pb2_grpc.CollectorServiceStub(channel).GetTenantUsage(
            request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S
        )


def quota_rows(shown: collector_pb2.TenantQuota) -> list[tuple[str, str]]:
    """The limits for a table."""
    rows = []
    for title, name in _QUOTA:
        limit = getattr(shown, name)
        if name == "burst_point_count" and not limit:
            limit = 10 * shown.points_per_second_count
        rows.append((title, f"{limit:,}" if limit else "unlimited"))
    return rows


def _print_usage(tenant: str, found: collector_pb2.TenantUsage) -> None:
    limit = found.quota.active_series_count
    active = f"{found.active_series_count:,}" if found.HasField("active_series_count") else "being counted"
    rows = [("points", f"{found.point_count:,}")]
    rows += [(f"  {_TYPES[one.type]}", f"{one.point_count:,}") for one in found.types]
    rows += [
        ("series", f"{found.series_count:,}"),
        ("active series", f"{active} of {f'{limit:,}' if limit else 'unlimited'}"),
    ]
    options.console.print(render.table(f"Usage of {tenant}", ("what", ">count"), rows))
    metrics = [(one.metric, f"{one.series_count:,}") for one in found.top_metrics]
    options.console.print(render.table("Metrics with the most series", ("metric", ">series"), metrics))
    attributes = [
        (one.attribute, f"{one.value_count:,}", f"{one.series_count:,}") for one in found.top_attributes
    ]
    columns = ("attribute", ">values", ">series")
    options.console.print(render.table("Attributes with the most values", columns, attributes))
