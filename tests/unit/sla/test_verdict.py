"""Verdicts: exact at the boundary, floored for people, never 100 % where something was missing."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.model import NoData, Verdict
from services.sla.verdict import (
    Times,
    displayed_percent,
    judge_bounds,
    judge_share,
    request_budget,
    request_ratio,
    worst,
)

T999 = Fraction(999, 1000)
COVERED = Times(100, 0, 0, 0, 0, 0)
HALF = Times(50, 0, 0, 0, 50, 0)


def test_exactly_the_target_passes_and_one_more_failure_does_not():
    assert judge_share(request_ratio(999_000, 1_000_000, COVERED, NoData.EXCLUDE), T999) is Verdict.PASS
    assert judge_share(request_ratio(998_999, 1_000_000, COVERED, NoData.EXCLUDE), T999) is Verdict.FAIL


def test_no_requests_are_no_data():
    assert judge_share(request_ratio(0, 0, COVERED, NoData.COUNT_UP), T999) is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("policy", "share"),
    [
        (NoData.EXCLUDE, Fraction(9, 10)),
        (NoData.COUNT_DOWN, Fraction(9, 20)),
        (NoData.COUNT_UP, Fraction(19, 20)),
    ],
)
def test_missing_time_counts_as_the_policy_says(policy, share):
    assert request_ratio(9, 10, HALF, policy) == share


def test_bounds_on_both_sides_of_the_target_decide_nothing():
    p95 = Fraction(95, 100)

    assert judge_bounds(930, 1000, 1000, p95) is Verdict.INDETERMINATE
    assert judge_bounds(950, 1000, 1000, p95) is Verdict.PASS
    assert judge_bounds(930, 949, 1000, p95) is Verdict.FAIL
    assert judge_bounds(0, 0, 0, p95) is Verdict.NO_DATA


@given(st.integers(0, 10**15), st.integers(1, 10**15), st.booleans())
def test_percentages_are_floored_and_100_is_earned(good, total, flawless):
    share = Fraction(min(good, total), total)

    text = displayed_percent(share, flawless=flawless and share == 1)

    assert Fraction(text) <= 100 * share
    assert (text == "100") == (flawless and share == 1)


def test_99_9996_percent_is_not_100():
    assert displayed_percent(Fraction(999_996, 1_000_000), flawless=False) == "99.999"
    assert displayed_percent(None, flawless=True) == ""


def test_a_budget_of_nothing_breaks_nothing():
    budget = request_budget(3, 1000, Fraction(1), frozen=False)

    assert (budget.total, budget.consumed, budget.remaining, budget.remaining_ratio) == (0, 3, -3, 0.0)
    assert budget.any_failure_breaches


def test_a_budget_is_signed_and_floored():
    budget = request_budget(3, 1999, T999, frozen=True)

    assert (budget.total, budget.remaining) == (1, -2)
    assert budget.remaining_ratio == pytest.approx(1 - 3 / 1.999)
    assert budget.frozen


def test_coverage_leaves_out_what_has_not_started_or_was_excluded():
    assert Times(60, 20, 10, 500, 10, 1000).coverage == Fraction(90, 100)
    assert Times(0, 0, 0, 5, 0, 5).coverage is None
    assert Times(60, 20, 20, 0, 100, 0).uptime == Fraction(80, 100)
    assert Times(0, 0, 0, 0, 100, 0).uptime is None


def test_the_worst_verdict_leads():
    assert worst([Verdict.PASS, Verdict.INDETERMINATE]) is Verdict.INDETERMINATE
    assert worst([Verdict.NO_DATA, Verdict.INDETERMINATE]) is Verdict.NO_DATA
    assert worst([Verdict.NO_DATA, Verdict.FAIL]) is Verdict.FAIL
    assert worst([]) is Verdict.NO_DATA
