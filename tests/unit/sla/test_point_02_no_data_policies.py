"""No data is a state of its own: what it counts as is the contract's, shown under all three policies."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.sla.figures import uptime_of
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, RequestRatio, Uptime
from services.sla.model import NoData, Objective, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY
from tests.unit.sla.windows_of import S, columns, dark, up

METHODS = [
    RequestRatio(),
    Uptime(),
    AllFail(),
    ErrorRate(Fraction(1, 20), consecutive=2),
    MeanErrorRate(60_000),
]
MONTH = 6 * 60


def test_the_default_leaves_it_out() -> None:
    assert Objective.__dataclass_fields__["no_data"].default is NoData.EXCLUDE


@pytest.mark.parametrize("method", METHODS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("policy", NoData)
def test_a_collector_that_was_dead_all_month_gives_no_data_whatever_the_policy(
    method: object, policy: NoData
) -> None:
    objective = replace(AVAILABILITY, method=method, no_data=policy)
    month = columns([dark(k) for k in range(MONTH)])

    uptime = uptime_of(objective, month, Window(0, MONTH * S, MONTH * S), first_ms=0)

    assert uptime.verdict is Verdict.NO_DATA
    assert uptime.share is None
    assert uptime.displayed == ""
    assert uptime.times.no_data_ns == MONTH * S * 10**6


@pytest.mark.parametrize("method", METHODS, ids=lambda one: type(one).__name__)
def test_the_verdict_is_shown_under_all_three(method: object) -> None:
    slices = [up(k) if k < MONTH - 36 else dark(k) for k in range(MONTH)]
    where = Window(0, MONTH * S, MONTH * S)

    verdicts = dict(uptime_of(replace(AVAILABILITY, method=method), columns(slices), where).policy_verdicts)

    assert set(verdicts) == set(NoData)
    assert verdicts[NoData.EXCLUDE] is Verdict.PASS
    assert verdicts[NoData.COUNT_DOWN] is Verdict.FAIL
    assert verdicts[NoData.COUNT_UP] is Verdict.PASS


@pytest.mark.parametrize("policy", NoData)
def test_the_contracts_own_policy_decides(policy: NoData) -> None:
    slices = [up(k) if k < MONTH - 36 else dark(k) for k in range(MONTH)]

    uptime = uptime_of(
        replace(AVAILABILITY, no_data=policy), columns(slices), Window(0, MONTH * S, MONTH * S)
    )

    assert uptime.verdict is dict(uptime.policy_verdicts)[policy]
    assert uptime.displayed != "100"
