"""What the `threenines sla` commands share: names, windows, exit codes, calls."""

from collections.abc import Callable, Iterator
from typing import Any

import typer
from google.protobuf import timestamp_pb2

from services.cli import options
from services.cli.connection import Connection
from services.cli.failures import EXIT_OUTSIDE_PROMISE
from services.cli.times import parse_time
from services.common.clock import SystemClock
from services.common.documents_values import Duration
from threenines.sla.v1 import sla_pb2, sla_service_pb2_grpc

EXIT_INDETERMINATE = 4
EXIT_NO_DATA = 5
CODES = "Exit code: 0 kept, 3 missed, 4 cannot be told, 5 no data."
WINDOWS = "day, week, month, quarter, year, or so long: 1h, 30d"
WINDOW_HELP = f"{WINDOWS}. Default: the objective's own."
AS_OF_HELP = "As it was known then: RFC 3339, or how long ago, such as 7d."

_EXITS: dict[int, int] = {
    sla_pb2.VERDICT_PASS: 0,
    sla_pb2.VERDICT_FAIL: EXIT_OUTSIDE_PROMISE,
    sla_pb2.VERDICT_INDETERMINATE: EXIT_INDETERMINATE,
    sla_pb2.VERDICT_NO_DATA: EXIT_NO_DATA,
}
PERIODS = {
    name: getattr(sla_pb2, f"CALENDAR_PERIOD_{name.upper()}")
    for name in ("day", "week", "month", "quarter", "year")
}
_BARS = "▁▂▃▄▅▆▇█"
GAP = "·"


def exit_by(verdict: int) -> None:
    """End with the exit code of a verdict. Raises Exit, but for PASS."""
    code = _EXITS.get(verdict, EXIT_NO_DATA)
    if code:
        raise typer.Exit(code)


def word(verdict: int) -> str:
    """A verdict as a table has it."""
    return sla_pb2.Verdict.Name(verdict).removeprefix("VERDICT_")  # type: ignore[arg-type]  # an int of the wire


def objective_name(tenant: str, key: str) -> str:
    """The resource name of `contract/objective`.

    Raises:
        BadParameter: it has no slash.
    """
    if key.count("/") != 1 or not all(key.split("/")):
        raise typer.BadParameter(
            f"{key!r} is not contract/objective, such as gold/availability", param_hint="OBJECTIVE"
        )
    return f"tenants/{tenant}/objectives/{key}"


def parse_window(text: str | None, inside: str | None = None) -> sla_pb2.Window | None:
    """The window of --window and --inside; None for the objective's own.

    Raises:
        BadParameter: neither a period nor a length.
    """
    if text is None:
        if inside is not None:
            raise typer.BadParameter("needs --window with a period", param_hint="--inside")
        return None
    window = sla_pb2.Window()
    if text in PERIODS:
        window.calendar.period = PERIODS[text]
        if inside is not None:
            window.calendar.inside_time.CopyFrom(inside_time(inside))
        return window
    if inside is not None:
        raise typer.BadParameter("needs --window with a period", param_hint="--inside")
    try:
        window.rolling_period.FromNanoseconds(Duration.parse(text).ns)
    except ValueError as error:
        names = ", ".join(PERIODS)
        raise typer.BadParameter(f"{error}; or one of {names}", param_hint="--window") from None
    return window


def inside_time(text: str) -> timestamp_pb2.Timestamp:
    """A month as 2026-10, a day as 2026-10-05, a moment, or how long ago. Raises BadParameter."""
    if len(text) == len("2026-10") and text[4] == "-":
        # The middle of the month is in it in every zone.
        text += "-15"
    elif len(text) == len("2026-10-05") and text[4] == text[7] == "-":
        text += "T12:00:00Z"
    return moment(text, "--inside")


def moment(text: str, option: str) -> timestamp_pb2.Timestamp:
    """A moment as people type it. Raises BadParameter."""
    out = timestamp_pb2.Timestamp()
    out.FromNanoseconds(parse_time(text, now_ns=SystemClock().now_ns(), option=option))
    return out


def ask(connection: Connection, call: Callable[[Any], Callable[..., Any]], request: Any) -> Any:
    """One call of SlaService, signed: `ask(connection, lambda stub: stub.GetUptime, request)`."""
    with connection.channel("sla") as channel:
        method = call(sla_service_pb2_grpc.SlaServiceStub(channel))
        return method(request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S)


def pages(
    connection: Connection, call: Callable[[Any], Callable[..., Any]], request: Any, *, most: int
) -> Iterator[Any]:
    """Answers page by page, as long as fewer than `most` entries were asked for."""
    left = most
    with connection.channel("sla") as channel:
        method = call(sla_service_pb2_grpc.SlaServiceStub(channel))
        while left > 0:
            request.page_size = min(left, 1000)
            page = method(request, metadata=connection.metadata, timeout=options.RPC_TIMEOUT_S)
            yield page
            left -= request.page_size
            request.page_token = page.next_page_token
            if not request.page_token:
                return


def sparkline(values: list[float | None], *, low: float | None = None, high: float | None = None) -> str:
    """One bar for each value between the lowest and the highest; a dot for None."""
    known = [one for one in values if one is not None]
    if not known:
        return GAP * len(values)
    bottom = min(known) if low is None else low
    top = max(known) if high is None else high
    span = top - bottom
    last = len(_BARS) - 1

    def bar(value: float) -> str:
        if span <= 0:
            return _BARS[last]
        return _BARS[max(0, min(last, round((value - bottom) / span * last)))]

    return "".join(GAP if one is None else bar(one) for one in values)


def spread(values: list[float | None], width: int) -> list[float | None]:
    """At most `width` values: the worst (lowest) of each run, so that a short outage stays in sight."""
    if len(values) <= width:
        return values
    out: list[float | None] = []
    for k in range(width):
        part = [
            one
            for one in values[k * len(values) // width : (k + 1) * len(values) // width]
            if one is not None
        ]
        out.append(min(part) if part else None)
    return out


def ratio_percent(ratio: sla_pb2.Ratio, decimals: int = 3, *, flawless: bool = True) -> str:
    """A share in percent, floored: what is printed is never better than it is, and 100 only where nothing was
    down or missing. `-` without data."""
    if not ratio.denominator:
        return "-"
    scale: int = 10**decimals
    steps = ratio.numerator * 100 * scale // ratio.denominator
    if not flawless:
        steps = min(steps, 100 * scale - 1)
    whole, part = divmod(steps, scale)
    return f"{whole}.{part:0{decimals}d} %"


def short_percent(ratio: sla_pb2.Ratio) -> str:
    """A target in percent without zeros that say nothing: `99.9 %`."""
    return ratio_percent(ratio, 6).removesuffix(" %").rstrip("0").rstrip(".") + " %"


def money(amount: sla_pb2.Money) -> str:
    """An amount with two decimals at least."""
    sign = "-" if amount.units < 0 or amount.nanos < 0 else ""
    minor = f"{abs(amount.nanos):09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{abs(amount.units):,}.{minor} {amount.currency_code}"
