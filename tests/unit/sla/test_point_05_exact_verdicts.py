"""Uptime, verdicts and credits in integers and fractions: one nanosecond decides, and no float is near."""

import ast
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

import services.sla
from services.sla.credits.compute import credit_of
from services.sla.credits.model import CreditState, CreditTerms, Tier
from services.sla.figures import uptime_of
from services.sla.methods.measure import measure
from services.sla.methods.model import Uptime
from services.sla.model import NoData, Slice, Verdict
from services.sla.verdict import judge_share, request_budget
from services.sla.windows import Period, Window
from tests.unit.sla.methods.naive_methods import columns, times_of
from tests.unit.sla.slicing import AVAILABILITY

DAY_MS = 86_400_000
NS = 10**6
T999 = Fraction(999, 1000)
NOVEMBER = 1_793_491_200_000
"""2026-11-01 00:00 UTC; November has 30 days."""

HOME = Path(services.sla.__file__).parent
KERNELS = "burn coverage explicit increase intervals merging runs states wide window"
"""Those that verdicts follow from; buckets have bounds in doubles, as OTLP does."""
VERDICT_PATH = sorted(
    [
        *(HOME / f"{name}.py" for name in ("verdict", "terms", "windows", "slice_grid", "slice_overlap")),
        *(HOME / f"figures_{name}.py" for name in ("times", "days", "incident")),
        *(HOME / "kernels" / f"{name}.py" for name in KERNELS.split()),
        *(
            one
            for part in ("methods", "credits", "incidents", "maintenance")
            for one in HOME.glob(f"{part}/*.py")
        ),
    ]
)
FRACTIONS = [
    HOME / f"{name}.py" for name in ("composite", "figures_budget", "figures_segments", "figures_composite")
]
"""They divide fractions by fractions."""
FLOATING = {
    "float",
    "Floats",
    "float32",
    "float64",
    "mean",
    "average",
    "divide",
    "true_divide",
    "sqrt",
    "fsum",
}


def down_for(ns):
    """Thirty days of which so many nanoseconds are down, spread over slices of a day."""
    slices = []
    for k in range(30):
        down = min(ns, DAY_MS * NS)
        ns -= down
        slices.append(Slice(NOVEMBER + k * DAY_MS, DAY_MS, up_ns=DAY_MS * NS - down, down_ns=down))
    return slices


def measured(slices):
    end = NOVEMBER + 30 * DAY_MS
    return measure(
        Uptime(),
        columns(slices),
        start_ms=NOVEMBER,
        end_ms=end,
        times=times_of(slices, NOVEMBER, end),
        no_data=NoData.EXCLUDE,
        excluded_counts_up=False,
    )


def credited(slices):
    terms = CreditTerms("up", Period.MONTH, (Tier(T999, Fraction(1, 10)),), "EUR", Decimal("1000.00"))
    return credit_of(
        terms,
        measured(slices),
        tenant="acme",
        contract="gold",
        contract_version=1,
        period_start_ms=NOVEMBER,
        period_end_ms=NOVEMBER + 30 * DAY_MS,
    )


def test_2592_seconds_of_30_days_are_exactly_three_nines():
    kept = down_for(2592 * 10**9)

    assert measured(kept).share == T999
    assert judge_share(measured(kept).share, T999) is Verdict.PASS
    assert credited(kept).state is CreditState.NOT_DUE


def test_one_nanosecond_more_is_a_breach():
    broken = down_for(2592 * 10**9 + 1)

    assert judge_share(measured(broken).share, T999) is Verdict.FAIL
    assert credited(broken).state is CreditState.DUE
    assert credited(broken).amount == Decimal("100.00")


def test_where_binary_floats_would_see_a_breach_there_is_none():
    allowed = (100 - 99.9) / 100

    assert allowed < 2592 / 2_592_000
    assert judge_share(measured(down_for(2592 * 10**9)).share, T999) is Verdict.PASS


def test_a_remaining_budget_is_exact():
    assert request_budget(3, 2000, T999, frozen=False).remaining_ratio == Fraction(-1, 2)


@pytest.mark.parametrize("path", VERDICT_PATH, ids=lambda path: str(path.relative_to(HOME)))
def test_no_float_is_in_the_verdict_path(path):
    assert floating(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", FRACTIONS, ids=lambda path: path.name)
def test_where_fractions_are_divided_nothing_makes_a_float(path):
    assert floating(path.read_text("utf-8"), divided=True) == []


@pytest.mark.parametrize(
    "text",
    ["x = 0.5", "x = a / b", "a /= b", "x: float", "np.mean(a)", "x = a.astype(np.float64)", "x = 1e9"],
)
def test_a_float_would_be_found(text):
    assert floating(text)


def test_the_verdict_path_is_not_empty():
    assert len(VERDICT_PATH) > 40
    assert all(path.exists() for path in (*VERDICT_PATH, *FRACTIONS))


def floating(text, *, divided=False):
    """Lines with a float literal, true division unless `divided`, or a name that makes floats."""
    found = []
    for node in ast.walk(ast.parse(text)):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        name = (isinstance(node, ast.Name) and node.id in FLOATING) or (
            isinstance(node, ast.Attribute) and node.attr in FLOATING
        )
        # `files(...) / "presets"` joins a path.
        path = division and isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant)
        if literal or name or (division and not divided and not (path and isinstance(node.right.value, str))):
            found.append(node.lineno)
    return found


def test_a_slice_of_one_nanosecond_down_is_not_flawless():
    one = measured([replace(one) for one in down_for(1)])

    assert one.share == 1 - Fraction(1, 30 * DAY_MS * NS)
    assert one.downtimes == ((NOVEMBER, NOVEMBER + DAY_MS),)


@pytest.mark.parametrize(("more_ns", "verdict"), [(0, Verdict.PASS), (1, Verdict.FAIL)])
def test_the_figure_of_a_window_decides_on_the_nanosecond_too(more_ns, verdict):
    objective = replace(AVAILABILITY, method=Uptime(), good_share=T999, slice_ms=DAY_MS)
    where = Window(NOVEMBER, NOVEMBER + 30 * DAY_MS, NOVEMBER + 30 * DAY_MS)

    found = uptime_of(objective, columns(down_for(2592 * 10**9 + more_ns)), where, windows_ms=())

    assert found.verdict is verdict
    assert (found.budget.total_ns, found.budget.consumed_ns) == (2592 * 10**9, 2592 * 10**9 + more_ns)
    assert found.displayed == ("99.900" if verdict is Verdict.PASS else "99.899")
