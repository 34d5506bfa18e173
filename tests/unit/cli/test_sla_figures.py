"""What the commands about figures parse, and what their tables and lines say."""

import io

import pytest
import typer
from rich.console import Console

from services.cli import render
from services.cli.commands import health, sla_common, sla_figures, sla_outcomes
from threenines.sla.v1 import sla_pb2

RATIO = sla_pb2.Ratio


def shown(*columns: str, rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of a table on a terminal of 80 columns."""
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(render.table("acme gold/availability", columns, rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_window_is_a_period_or_a_length() -> None:
    month = sla_common.parse_window("month", "2026-10")
    assert month is not None
    assert month.calendar.period == sla_pb2.CALENDAR_PERIOD_MONTH
    assert month.calendar.inside_time.ToJsonString().startswith("2026-10-15")
    hour = sla_common.parse_window("1h")
    assert hour is not None
    assert hour.rolling_period.seconds == 3600
    assert sla_common.parse_window(None) is None


@pytest.mark.parametrize(
    ("window", "inside"), [("fortnight", None), ("1h", "2026-10"), (None, "2026-10"), ("month", "soon")]
)
def test_other_windows_are_refused(window: str | None, inside: str | None) -> None:
    with pytest.raises(typer.BadParameter):
        sla_common.parse_window(window, inside)


@pytest.mark.parametrize("key", ["availability", "a/b/c", "/b", "a/"])
def test_an_objective_needs_its_contract(key: str) -> None:
    with pytest.raises(typer.BadParameter):
        sla_common.objective_name("acme", key)


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (sla_pb2.VERDICT_FAIL, 3),
        (sla_pb2.VERDICT_INDETERMINATE, 4),
        (sla_pb2.VERDICT_NO_DATA, 5),
        (sla_pb2.VERDICT_UNSPECIFIED, 5),
    ],
)
def test_a_verdict_is_an_exit_code(verdict: int, code: int) -> None:
    sla_common.exit_by(sla_pb2.VERDICT_PASS)
    with pytest.raises(typer.Exit) as ended:
        sla_common.exit_by(verdict)
    assert ended.value.exit_code == code


def test_a_line_shows_the_worst_of_each_run_and_a_dot_for_nothing() -> None:
    assert sla_common.sparkline([0.0, 0.5, 1.0, None]) == "▁▅█·"
    assert sla_common.sparkline([1.0, 1.0], low=0.0, high=1.0) == "██"
    assert sla_common.sparkline([None]) == "·"
    values = [1.0] * 100
    values[57] = 0.0
    short = sla_common.spread([*values], 10)
    assert len(short) == 10
    assert short.count(0.0) == 1


def test_percentages_are_floored_and_money_has_its_currency() -> None:
    assert sla_common.ratio_percent(RATIO(numerator=999_999_9, denominator=10_000_000)) == "99.999 %"
    assert sla_common.ratio_percent(RATIO()) == "-"

    assert (
        sla_common.money(sla_pb2.Money(currency_code="EUR", units=1250, nanos=500_000_000)) == "1,250.50 EUR"
    )


@pytest.mark.parametrize("text", ["1", "95", "1.5", "0.x", "p95"])
def test_a_quantile_lies_between_0_and_1(text: str) -> None:
    assert sla_figures.parse_quantile("0.95") == RATIO(numerator=95, denominator=100)
    with pytest.raises(typer.BadParameter):
        sla_figures.parse_quantile(text)


def test_the_table_of_uptime_fits_a_terminal() -> None:
    found = sla_pb2.Uptime(
        good_count=10**12,
        total_count=10**12 + 7,
        displayed_percent="99.999",
        target=RATIO(numerator=999, denominator=1000),
        down_nanos=4000 * 10**9,
        coverage=RATIO(numerator=9, denominator=10),
        budget=sla_pb2.Budget(remaining_ratio=-1.5, frozen=True),
        verdict=sla_pb2.VERDICT_FAIL,
    )
    lines = shown("", "", rows=sla_figures.uptime_rows(found))

    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    for part in ("99.999 %", "1,000,000,000,007, 7 failed", "1 h 6 min", "-150.0 %, frozen", "FAIL"):
        assert part in text


def test_latency_says_its_bounds_and_what_is_only_known_from_below() -> None:
    found = sla_pb2.Latency(
        quantile=RATIO(numerator=19, denominator=20),
        total_count=3,
        estimate_seconds=1.4,
        lower_seconds=1.0,
        upper_seconds=2.5,
        threshold_seconds=2,
        share_below_lower=RATIO(numerator=93, denominator=100),
        share_below_upper=RATIO(numerator=1, denominator=1),
        verdict=sla_pb2.VERDICT_INDETERMINATE,
    )
    rows = dict(sla_figures.latency_rows(found))
    assert rows["p95"] == "1.4 s (1 s to 2.5 s)"
    assert rows["fast enough"] == "93.000 % to 100.000 %"
    found.saturated = True
    assert dict(sla_figures.latency_rows(found))["p95"] == "more than 1 s"


def test_the_median_of_a_slice_comes_from_its_buckets() -> None:
    smooth = sla_pb2.ExponentialBuckets(scale=0, offset=-2, bucket_counts=[1, 8, 1])
    assert sla_figures.median_seconds(sla_pb2.Distribution(count=10, exponential=smooth)) == 1.0
    stepped = sla_pb2.ExplicitBuckets(bounds_seconds=[0.5, 2.0], bucket_counts=[1, 0, 3])
    assert sla_figures.median_seconds(sla_pb2.Distribution(count=4, explicit=stepped)) == 2.0
    assert sla_figures.median_seconds(sla_pb2.Distribution()) is None


def test_downtime_that_lasts_has_no_length_yet() -> None:
    one = sla_pb2.Downtime(
        objective="tenants/acme/objectives/gold/availability", down_nanos=10**10, bad_count=9
    )
    one.start_time.FromSeconds(1_800_000_000)
    (row,) = sla_outcomes.downtime_rows([one])
    assert row == ("gold/availability", "2027-01-15 08:00:00", "lasts", "10 s", "9", "0")
    one.end_time.FromSeconds(1_800_000_060)
    assert sla_outcomes.downtime_rows([one])[0][2] == "1 min"


def test_a_running_credit_says_both_amounts() -> None:
    one = sla_pb2.SlaCredit(state=sla_pb2.CREDIT_STATE_RUNNING)
    one.amount_so_far.CopyFrom(sla_pb2.Money(currency_code="EUR", units=250))
    rows = dict(sla_outcomes.credit_rows(one))
    assert rows["if it ended now"] == "250.00 EUR"
    assert rows["if the rest is up"] == "nothing"


def test_health_has_a_row_for_each_figure_in_units_of_people() -> None:
    one = sla_pb2.ComponentHealth(component="clickhouse", state=sla_pb2.COMPONENT_STATE_DEGRADED)
    slow = one.indicators.add(name="read.duration", measure=sla_pb2.HEALTH_MEASURE_DATABASE_TIME)
    slow.current, slow.baseline, slow.samples, slow.limit, slow.state = 41_300, 9_000, 300, 29_000, 2
    one.indicators.add(name="rows", measure=sla_pb2.HEALTH_MEASURE_THROUGHPUT, state=0)
    assert health.component_rows(one) == [
        ("clickhouse", "degraded", "read.duration", "41.3 ms", "9.0 ms", "29.0 ms"),
        ("", "", "rows", "-", "-", "-"),
    ]
    assert health.component_rows(sla_pb2.ComponentHealth(component="dr"))[0][1] == "unknown"


@pytest.mark.parametrize(("missing", "shown"), [({}, "100.000 %"), ({"no_data_nanos": 1}, "99.999 %")])
def test_100_percent_is_printed_only_where_nothing_is_missing(missing: dict[str, int], shown: str) -> None:
    """Point 6, in what the commands print."""
    whole = RATIO(numerator=5, denominator=5)
    latency = sla_pb2.Latency(total_count=5, share_below_lower=whole, share_below_upper=whole, **missing)

    assert dict(sla_figures.uptime_rows(sla_pb2.Uptime(time_uptime=whole, **missing)))["time up"] == shown
    assert dict(sla_figures.latency_rows(latency))["fast enough"] == shown
