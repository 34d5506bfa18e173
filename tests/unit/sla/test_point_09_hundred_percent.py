"""A target of 100 %: no budget and nothing divided by it; the first lost point breaches."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.sla.figures import uptime_of
from services.sla.model import ObjectiveKind, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY
from tests.unit.sla.windows_of import S, columns, up

STORED = replace(AVAILABILITY, kind=ObjectiveKind.DATA_AVAILABILITY, good_share=Fraction(1))
WHERE = Window(0, 60 * S, 60 * S)


def test_all_points_stored_keeps_it() -> None:
    uptime = uptime_of(STORED, columns([up(k, 10**9, 10**9) for k in range(60)]), WHERE)

    assert uptime.verdict is Verdict.PASS
    assert uptime.displayed == "100"
    assert uptime.budget.any_failure_breaches
    assert (uptime.budget.total, uptime.budget.remaining, uptime.budget.total_ns) == (0, 0, 0)


@pytest.mark.parametrize("at", [0, 59])
def test_the_first_lost_point_breaches(at: int) -> None:
    slices = [up(k, 10**9 - (k == at), 10**9) for k in range(60)]

    uptime = uptime_of(STORED, columns(slices), WHERE, windows_ms=(300_000, 600_000))

    assert uptime.verdict is Verdict.FAIL
    assert uptime.displayed == "99.999"
    assert (uptime.budget.total, uptime.budget.consumed, uptime.budget.remaining) == (0, 1, -1)
    assert uptime.budget.remaining_ratio == 0
    assert uptime.burn_rates[-1].bad == 1
    assert all(one.any_failure_breaches and one.rate == 0 for one in uptime.burn_rates)


def test_a_running_month_that_lost_one_cannot_be_kept_any_more() -> None:
    slices = [up(k, 9 if k == 3 else 10, 10) for k in range(60)]

    uptime = uptime_of(STORED, columns(slices), Window(0, 600 * S, 60 * S))

    assert uptime.projection is not None
    assert uptime.projection.lost(STORED.good_share)
