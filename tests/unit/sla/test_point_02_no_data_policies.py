"""No data is a state of its own: what it counts as is the contract's, shown under all three policies."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.sla.convert import latency_to_proto
from services.sla.credits.figures import measured_of
from services.sla.figures import latency_of, uptime_of
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, RequestRatio, Uptime
from services.sla.model import Distribution, DistributionKind, NoData, Objective, Reading, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from tests.unit.sla.windows_of import S, columns, dark, up
from threenines.sla.v1 import sla_pb2

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


def timed(k: int, *, slow: int = 0, open_: int = 0) -> object:
    """Slice k of a hundred requests: so many slow, so many of which nobody can tell."""
    part = Distribution(DistributionKind.EXPLICIT, (100 - slow - open_, open_, slow), bounds=(1.0, 2.5))
    return up(k, 100 - slow - open_, 100, distribution=part)


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize("policy", NoData)
def test_latency_of_a_month_in_the_dark_is_no_data_too(reading: Reading, policy: NoData) -> None:
    objective = replace(LATENCY, reading=reading, no_data=policy)

    latency = latency_of(objective, columns([dark(k) for k in range(MONTH)]), Window(0, MONTH * S, MONTH * S))

    assert (latency.verdict, latency.share, latency.bounds) == (Verdict.NO_DATA, None, None)
    assert {verdict for _, verdict in latency.policy_verdicts} == {Verdict.NO_DATA}


@pytest.mark.parametrize("reading", [Reading.MERGED, Reading.REQUESTS])
@pytest.mark.parametrize(
    ("slow", "open_", "verdicts"),
    [
        # A tenth of the time is dark. All within: 1, 9/10 and 1 against 95/100.
        (0, 0, (Verdict.PASS, Verdict.FAIL, Verdict.PASS)),
        # 94/100 is too little; with the dark tenth as quick it is 946/1000.
        (6, 0, (Verdict.FAIL, Verdict.FAIL, Verdict.FAIL)),
        # 945/1000 and 9505/10000 when 5.5 of 100 are slow.
        (5, 0, (Verdict.PASS, Verdict.FAIL, Verdict.PASS)),
        # Between 94 and 100 of 100: nobody can tell, and with the dark tenth slow it is 9/10 at best.
        (0, 6, (Verdict.INDETERMINATE, Verdict.FAIL, Verdict.INDETERMINATE)),
    ],
)
def test_latency_is_judged_under_all_three(
    reading: Reading, slow: int, open_: int, verdicts: tuple[Verdict, ...]
) -> None:
    slices = [timed(k, slow=slow, open_=open_) if k < MONTH - 36 else dark(k) for k in range(MONTH)]
    where = Window(0, MONTH * S, MONTH * S)

    found = [
        latency_of(replace(LATENCY, reading=reading, no_data=policy), columns(slices), where)
        for policy in NoData
    ]

    assert tuple(one.verdict for one in found) == verdicts
    assert all(one.policy_verdicts == tuple(zip(NoData, verdicts, strict=True)) for one in found)
    sure = Fraction(100 - slow - open_, 100)
    assert [one.share for one in found] == [sure, sure * 9 / 10, 1 - (1 - sure) * 9 / 10]
    assert [measured_of(one).share for one in found] == [one.share for one in found]
    assert [one.budget.remaining_ratio for one in found] == [1 - (1 - one.share) * 20 for one in found]
    told = latency_to_proto(found[1])
    assert told.no_data_policy == sla_pb2.NO_DATA_POLICY_COUNT_DOWN
    assert len(told.policy_verdicts) == 3
    assert told.policy_verdicts[1].verdict == sla_pb2.VERDICT_FAIL


def test_latency_that_reads_slices_takes_dark_slices_at_the_average_rate() -> None:
    slices = [timed(k, slow=0 if k % 50 else 9) if k < MONTH - 36 else dark(k) for k in range(MONTH)]
    objective = replace(LATENCY, reading=Reading.SLICES, no_data=NoData.COUNT_DOWN)

    latency = latency_of(objective, columns(slices), Window(0, MONTH * S, MONTH * S))

    kept = Fraction(324 - 7, 324)
    assert (latency.total, latency.share) == (324, kept * 9 / 10)
    assert dict(latency.policy_verdicts)[NoData.EXCLUDE] is Verdict.PASS
    assert latency.verdict is Verdict.FAIL
