"""`threenines export` and `threenines grafana`: what is stored, in forms that others read."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import typer

from services.cli import options
from services.cli.failures import told_to_people
from services.cli.times import HELP, parse_time
from services.collector.clickhouse_views import VIEWS, create_tenant_views
from services.collector.export import export as export_points
from services.collector.export_json import to_json
from services.collector.read_ports import PointReader
from services.collector.series_model import SeriesFilter
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock

_MS = 1_000_000
_STEP_MS = 3_600_000
"""One message holds at most an hour: what is in memory at a time."""

_T = TypeVar("_T")

DatabaseOption = Annotated[
    str, typer.Option("--database", envvar="THREENINES_CLICKHOUSE_DATABASE", help="The platform's database.")
]


class Format(StrEnum):
    """How points are written."""

    JSON = "json"
    PROTOBUF = "protobuf"


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command("export")(export)
    app.command("grafana")(grafana)


def export(
    tenant: Annotated[str, typer.Argument(help="Whose points.")],
    metric: Annotated[str, typer.Option(help="Only this metric.")] = "",
    start: Annotated[str, typer.Option(help=f"From here on: {HELP}")] = "1h",
    end: Annotated[str, typer.Option(help=f"Up to here: {HELP}")] = "0s",
    form: Annotated[
        Format, typer.Option("--format", help="JSON: a request on each line. Protobuf: one request.")
    ] = Format.JSON,
    to: Annotated[Path | None, typer.Option("--to", help="Write to this file.")] = None,
    database: DatabaseOption = "threenines",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
) -> None:
    """Write stored points as OTLP: send them elsewhere, keep them, or compare them with what was sent."""
    now_ns = SystemClock().now_ns()
    start_ns = parse_time(start, now_ns=now_ns, option="--start")
    end_ns = parse_time(end, now_ns=now_ns, option="--end")
    if start_ns >= end_ns:
        raise typer.BadParameter("must be before --end", param_hint="--start")
    wanted = SeriesFilter(tenant, start_ns // _MS, -(-end_ns // _MS), metric)
    # Not at the top: every other command would pay for importing Numba.
    from services.collector.clickhouse_read import ClickHouseReader

    with told_to_people(options.errors):

        async def write(opened: Database) -> int:
            if to is None:
                return await write_points(ClickHouseReader(opened), wanted, form, sys.stdout.buffer)
            with to.open("wb") as file:
                return await write_points(ClickHouseReader(opened), wanted, form, file)

        written = _with_database(data_dir, database, write)
        options.errors.print(f"{written:,} points", style="dim")


def grafana(
    tenant: Annotated[str, typer.Argument(help="Whose points.")],
    database: DatabaseOption = "threenines",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
) -> None:
    """Give a client a database of its own with the tables that OpenTelemetry dashboards expect."""
    with told_to_people(options.errors):
        made = _with_database(data_dir, database, lambda opened: create_tenant_views(opened, tenant))
        options.console.print(f"Database [bold]{made}[/] has {', '.join(VIEWS)}.")
        options.console.print(
            "On a cluster grant its user SELECT there and set row policies: docs/sql.md.", style="dim"
        )


async def write_points(reader: PointReader, wanted: SeriesFilter, form: Format, out: BinaryIO) -> int:
    """Write all points that match, oldest hour first; how many there were.

    Serialised requests that follow each other are one serialised request: their lists are joined.
    """
    points = 0
    for part in _steps(wanted):
        request = await export_points(reader, part)
        found = sum(
            len(getattr(metric, field).data_points)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if (field := metric.WhichOneof("data")) is not None
        )
        if found:
            text = to_json(request).encode() + b"\n"
            out.write(text if form is Format.JSON else request.SerializeToString())
        points += found
    out.flush()
    return points


def _steps(wanted: SeriesFilter) -> Iterator[SeriesFilter]:
    start_ms = wanted.start_ms
    while start_ms < wanted.end_ms:
        end_ms = min(wanted.end_ms, (start_ms // _STEP_MS + 1) * _STEP_MS)
        yield SeriesFilter(wanted.tenant, start_ms, end_ms, wanted.metric)
        start_ms = end_ms


def _with_database(data_dir: Path, name: str, use: Callable[[Database], Awaitable[_T]]) -> _T:
    url = options.connection(data_dir).address("clickhouse")

    async def run() -> _T:
        database = Database(ClickHouseConfig.from_url(url, name))
        try:
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())
