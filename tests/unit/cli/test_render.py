"""Tables and figures as a terminal shows them."""

import io

from rich.console import Console

from services.cli import render
from services.cli.commands import sla
from threenines.sla.v1 import sla_pb2


def shown(table: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def status(tenant: str, contract: str, no_data_nanos: int = 0) -> sla_pb2.SlaStatus:
    name = f"tenants/{tenant}/objectives/{contract}"
    uptime = sla_pb2.Uptime(
        good_count=2_629_000,
        total_count=2_630_000,
        displayed_percent="99.961",
        target=sla_pb2.Ratio(numerator=999, denominator=1000),
        down_nanos=30_000_000_000,
        no_data_nanos=no_data_nanos,
        budget=sla_pb2.Budget(remaining_ratio=0.62),
    )
    latency = sla_pb2.Latency(
        quantile=sla_pb2.Ratio(numerator=19, denominator=20),
        estimate_seconds=0.3456,
        total_count=2_630_000,
        threshold_seconds=2.0,
    )
    return sla_pb2.SlaStatus(
        name=f"tenants/{tenant}/slaStatus",
        objectives=[
            sla_pb2.ObjectiveStatus(
                objective=sla_pb2.Objective(name=f"{name}/availability"),
                verdict=sla_pb2.VERDICT_PASS,
                uptime=uptime,
            ),
            sla_pb2.ObjectiveStatus(
                objective=sla_pb2.Objective(name=f"{name}/latency-p95"),
                verdict=sla_pb2.VERDICT_INDETERMINATE,
                latency=latency,
            ),
        ],
    )


def test_each_objective_is_one_row_with_target_measure_and_verdict() -> None:
    rows = list(sla.rows_of(status("acme", "gold")))

    assert rows[0] == (
        "acme", "gold/availability", "99.9 %", "99.961 %", "2,630,000", "30 s", "0 s", "38 %", "PASS",
    )  # fmt: skip
    assert rows[1] == (
        "acme", "gold/latency-p95", "p95 < 2 s", "346 ms", "2,630,000", "", "0 s", "", "INDETERMINATE",
    )  # fmt: skip


def test_a_saturated_percentile_is_shown_as_a_lower_bound_and_none_as_a_dash() -> None:
    one = status("acme", "gold")
    one.objectives[1].latency.saturated = True
    one.objectives[1].latency.lower_seconds = 10
    assert list(sla.rows_of(one))[1][3] == "> 10 s"

    one.objectives[1].latency.saturated = False
    one.objectives[1].latency.total_count = 0
    assert list(sla.rows_of(one))[1][3] == "-"


def test_a_budget_that_is_frozen_or_absent_is_said() -> None:
    one = status("acme", "gold")
    one.objectives[0].uptime.budget.any_failure_breaches = True
    assert next(iter(sla.rows_of(one)))[7] == "no budget"
    one.objectives[0].uptime.budget.frozen = True
    assert next(iter(sla.rows_of(one)))[7] == "frozen"


def test_the_sla_table_fits_eighty_columns_and_keeps_contract_names_only_when_they_tell(
    printed: io.StringIO,
) -> None:
    sla.print_statuses([status("acme", "gold"), status("globex", "gold")])
    text = printed.getvalue()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "gold/" not in text
    assert "no data" not in text

    sla.print_statuses([status("acme", "gold"), status("acme", "silver", no_data_nanos=10**9)])
    text = printed.getvalue()
    assert "silver/" in text.replace("\n", "")
    assert "no data" in text


def test_durations_use_the_two_largest_units() -> None:
    assert render.duration(0) == "0 s"
    assert render.duration(90_061_000_000_000) == "1 d 1 h"
    assert render.duration(-61_000_000_000) == "-1 min 1 s"


def test_states_are_coloured_and_other_words_are_not() -> None:
    assert render.coloured("FAIL") == "[bold red]FAIL[/]"
    assert render.coloured("acme") == "acme"
    assert "FAIL" in shown(render.table(None, ("a",), [("FAIL",)]))
