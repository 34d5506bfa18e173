"""`threenines sla uptime`, `latency` and `budget`: one promise in full, with a line of how it went."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from services.cli import options, render
from services.cli.commands import sla_common
from services.cli.commands.sla_common import AS_OF_HELP, CODES, WINDOW_HELP
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from threenines.sla.v1 import sla_pb2, sla_service_pb2

TenantArgument = Annotated[str, typer.Argument(help="Whose.")]
ObjectiveArgument = Annotated[str, typer.Argument(help="contract/objective, such as gold/availability.")]
WindowOption = Annotated[str | None, typer.Option(help=WINDOW_HELP)]
InsideOption = Annotated[
    str | None, typer.Option(help="Which period: 2026-10, a day or a moment in it. Default: the current one.")
]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help=AS_OF_HELP)]
_WIDTH = 60
_SLICES = 360
_Row = tuple[str, str]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("uptime", help=f"Availability of one objective. {CODES}")(uptime)
    app.command("latency", help=f"Response time of one objective. {CODES}")(latency)
    app.command("budget", help=f"What is left of what may fail. {CODES}")(budget)


def uptime(
    tenant: TenantArgument,
    objective: ObjectiveArgument,
    window: WindowOption = None,
    inside: InsideOption = None,
    as_of: AsOfOption = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Availability of one objective."""
    request = sla_service_pb2.GetUptimeRequest(objective=sla_common.objective_name(tenant, objective))
    _fill(request, window, inside, as_of)
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        found = sla_common.ask(connection, lambda stub: stub.GetUptime, request).uptime
        slices = _last_slices(connection, request.objective) if output is render.Output.TABLE else []
    if output is render.Output.JSON:
        render.print_messages(options.console, {"uptime": found})
    else:
        _print(tenant, objective, uptime_rows(found), good_line(slices))
    sla_common.exit_by(found.verdict)


def latency(
    tenant: TenantArgument,
    objective: ObjectiveArgument,
    window: WindowOption = None,
    inside: InsideOption = None,
    quantile: Annotated[str | None, typer.Option(help="Another quantile, such as 0.99.")] = None,
    as_of: AsOfOption = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Response time of one objective."""
    request = sla_service_pb2.GetLatencyRequest(objective=sla_common.objective_name(tenant, objective))
    _fill(request, window, inside, as_of)
    if quantile is not None:
        request.quantile.CopyFrom(parse_quantile(quantile))
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        found = sla_common.ask(connection, lambda stub: stub.GetLatency, request).latency
        slices = (
            _last_slices(connection, request.objective, distributions=True)
            if output is render.Output.TABLE
            else []
        )
    if output is render.Output.JSON:
        render.print_messages(options.console, {"latency": found})
    else:
        _print(tenant, objective, latency_rows(found), mean_line(slices))
    sla_common.exit_by(found.verdict)


def budget(
    tenant: TenantArgument,
    objective: ObjectiveArgument,
    window: WindowOption = None,
    inside: InsideOption = None,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """What is left of what may fail, and how fast it goes."""
    name = sla_common.objective_name(tenant, objective)
    request = sla_service_pb2.GetSlaStatusRequest(name=f"tenants/{tenant}/slaStatus")
    _fill(request, window, inside, None)
    with told_to_people(options.errors):
        answer = sla_common.ask(options.connection(data_dir), lambda stub: stub.GetSlaStatus, request)
    chosen = [one for one in answer.objectives if one.objective.name == name]
    if not chosen:
        raise typer.BadParameter(f"{tenant} has no objective {objective}", param_hint="OBJECTIVE")
    (one,) = chosen
    if output is render.Output.JSON:
        render.print_messages(options.console, {"objective_status": one})
    else:
        _print(tenant, objective, budget_rows(one), "")
    sla_common.exit_by(one.verdict)


def uptime_rows(found: sla_pb2.Uptime) -> list[_Row]:
    """What a table says of availability, as (what, value)."""
    percent = found.displayed_percent
    missed = found.down_nanos + found.no_data_nanos
    rows = [
        *_window_rows(found.window),
        ("measured", f"{percent} %" if percent else "-"),
        ("target", sla_common.short_percent(found.target)),
        ("requests", f"{found.total_count:,}, {found.total_count - found.good_count:,} failed"),
        ("time up", sla_common.ratio_percent(found.time_uptime, flawless=not missed)),
        ("down", render.duration(found.down_nanos)),
        ("degraded", render.duration(found.degraded_nanos)),
        ("excluded", render.duration(found.excluded_nanos)),
        ("no data", f"{render.duration(found.no_data_nanos)}, coverage {_coverage(found.coverage)}"),
        ("budget left", budget_text(found.budget)),
    ]
    if found.worst_case_uptime.denominator:
        rows.append(("at worst", sla_common.ratio_percent(found.worst_case_uptime)))
    return [*rows, ("verdict", sla_common.word(found.verdict))]


def latency_rows(found: sla_pb2.Latency) -> list[_Row]:
    """What a table says of latency."""
    quantile = f"p{100 * found.quantile.numerator / max(found.quantile.denominator, 1):g}"
    if not found.total_count:
        measured = "-"
    elif found.saturated:
        measured = f"more than {render.seconds(found.lower_seconds)}"
    else:
        sure = f"{render.seconds(found.lower_seconds)} to {render.seconds(found.upper_seconds)}"
        measured = f"{render.seconds(found.estimate_seconds)} ({sure})"
    low, high = (
        sla_common.ratio_percent(one, flawless=not found.no_data_nanos)
        for one in (found.share_below_lower, found.share_below_upper)
    )
    return [
        *_window_rows(found.window),
        (quantile, measured),
        ("target", f"{quantile} < {render.seconds(found.threshold_seconds)}"),
        ("fast enough", low if low == high else f"{low} to {high}"),
        ("requests", f"{found.total_count:,}"),
        ("no data", f"{render.duration(found.no_data_nanos)}, coverage {_coverage(found.coverage)}"),
        ("budget left", budget_text(found.budget)),
        ("verdict", sla_common.word(found.verdict)),
    ]


def budget_rows(one: sla_pb2.ObjectiveStatus) -> list[_Row]:
    """What a table says of a budget."""
    figures = one.WhichOneof("figures")
    if figures is None:
        return [("budget", "-"), ("why", one.absent_reason), ("verdict", sla_common.word(one.verdict))]
    found: Any = getattr(one, figures)
    rows = _window_rows(found.window)
    if figures != "incident_resolution":
        rows += _budget_rows(found.budget)
        for rate in found.burn_rates:
            length = render.duration(rate.window.ToNanoseconds())
            rows.append((f"burn, {length}", "no data" if rate.no_data else f"{rate.rate:.2f} x"))
    return [*rows, ("verdict", sla_common.word(one.verdict))]


def _budget_rows(found: sla_pb2.Budget) -> list[_Row]:
    rows = [("left", budget_text(found))]
    if found.total_count or found.consumed_count:
        rows.append(("may fail", f"{found.total_count:,}, {found.consumed_count:,} did"))
    if found.total_nanos or found.consumed_nanos:
        rows.append(
            (
                "may be down",
                f"{render.duration(found.total_nanos)}, {render.duration(found.consumed_nanos)} was",
            )
        )
    return rows


def budget_text(found: sla_pb2.Budget) -> str:
    """The rest of a budget; negative when overdrawn."""
    if found.any_failure_breaches:
        return "none: any failure breaches"
    frozen = ", frozen: too little is known" if found.frozen else ""
    return f"{100 * found.remaining_ratio:,.1f} %{frozen}"


def good_line(slices: list[sla_pb2.Slice]) -> str:
    """The last slices, a bar for the share of good requests; a dot where nothing is known."""
    shares = [one.good_count / one.total_count if one.total_count else _state(one) for one in slices]
    return _line(shares, slices, "good requests", low=0.0, high=1.0)


def mean_line(slices: list[sla_pb2.Slice]) -> str:
    """The last slices, a bar for the median latency: the higher the slower."""
    return _line(
        [
            None if (value := median_seconds(one.distribution)) is None else -value
            for one in slices
            if one.HasField("distribution")
        ],
        slices,
        "speed of the median request",
    )


def median_seconds(found: sla_pb2.Distribution) -> float | None:
    """Upper bound of the bucket that holds the median, for a line only; None without requests."""
    if not found.count:
        return None
    rank, seen = -(-found.count // 2), 0
    if found.WhichOneof("buckets") == "explicit":
        bounds = [*found.explicit.bounds_seconds, float("inf")]
        for bound, count in zip(bounds, found.explicit.bucket_counts, strict=False):
            seen += count
            if seen >= rank:
                return bound if bound != float("inf") else bounds[-2]
        return None
    smooth = found.exponential
    seen = smooth.zero_count
    if seen >= rank:
        return 0.0
    for place, count in enumerate(smooth.bucket_counts):
        seen += count
        if seen >= rank:
            return float(2.0 ** ((smooth.offset + place + 1) * 2.0**-smooth.scale))
    return None


def parse_quantile(text: str) -> sla_pb2.Ratio:
    """0.99 as 99/100, exactly. Raises BadParameter."""
    whole, dot, part = text.partition(".")
    if not dot or whole not in ("", "0") or not part.isdigit() or len(part) > 9:
        raise typer.BadParameter("must be like 0.95", param_hint="--quantile")
    return sla_pb2.Ratio(numerator=int(part), denominator=10 ** len(part))


def _state(one: sla_pb2.Slice) -> float | None:
    """Without requests the state says how it went; None: nothing is known."""
    if one.down_nanos:
        return 0.0
    return 1.0 if one.up_nanos or one.degraded_nanos else None


def _line(
    values: list[float | None],
    slices: list[sla_pb2.Slice],
    what: str,
    *,
    low: float | None = None,
    high: float | None = None,
) -> str:
    if not values:
        return ""
    length = slices[-1].end_time.ToNanoseconds() - slices[0].start_time.ToNanoseconds()
    bars = sla_common.sparkline(sla_common.spread(values, _WIDTH), low=low, high=high)
    return f"{bars}  {what}, last {render.duration(length)}"


def _last_slices(
    connection: Connection, objective: str, *, distributions: bool = False
) -> list[sla_pb2.Slice]:
    """Those of the last hour up to the watermark."""
    request = sla_service_pb2.QuerySlicesRequest(objective=objective, include_distributions=distributions)
    call: Callable[[Any], Any] = lambda stub: stub.QuerySlices  # noqa: E731 - the method of a stub
    return [one for page in sla_common.pages(connection, call, request, most=_SLICES) for one in page.slices]


def _fill(request: Any, window: str | None, inside: str | None, as_of: str | None) -> None:
    chosen = sla_common.parse_window(window, inside)
    if chosen is not None:
        request.window.CopyFrom(chosen)
    if as_of is not None:
        request.as_of_time.CopyFrom(sla_common.moment(as_of, "--as-of"))


def _window_rows(window: sla_pb2.ResolvedWindow) -> list[_Row]:
    start, end = (one.ToDatetime().strftime("%Y-%m-%d %H:%M") for one in (window.start_time, window.end_time))
    rows = [("window", f"{start} to {end} UTC")]
    if window.watermark_time != window.end_time:
        rows.append(("data up to", f"{window.watermark_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"))
    return rows


def _coverage(ratio: sla_pb2.Ratio) -> str:
    return sla_common.ratio_percent(ratio, 1)


def _print(tenant: str, objective: str, rows: list[_Row], line: str) -> None:
    options.console.print(render.table(f"{tenant} {objective}", ("figure", "value"), rows))
    if line:
        options.console.print(line, highlight=False, soft_wrap=True)
