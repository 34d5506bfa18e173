"""A window with two versions of a contract: each judges its own part, and the worst of them decides."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.sla.figures_days import days_of, downtimes_of
from services.sla.figures_model import Latency, Uptime
from services.sla.figures_segments import Basis, figures_of, split
from services.sla.methods.model import RequestRatio
from services.sla.methods.model import Uptime as ByTime
from services.sla.model import Distribution, DistributionKind, NoData, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from tests.unit.sla.windows_of import FULL, S, columns, down, up

B = 60
OLD = replace(AVAILABILITY, good_share=Fraction(99, 100), contract_version=1, until_ms=B * S)
NEW = replace(AVAILABILITY, good_share=Fraction(9999, 10000), contract_version=2, from_ms=B * S)
WHERE = Window(0, 2 * B * S, 2 * B * S)


def figures(slices, timeline=(OLD, NEW), where=WHERE, first_ms=0):
    basis = Basis(columns(slices), first_ms, (300_000,))
    return figures_of(timeline[-1], split(timeline, where), basis, where)


def test_each_half_is_judged_by_its_own_terms() -> None:
    """5 of 1000 failed in each half: kept under 99 %, missed under 99.99 %."""
    slices = [up(k, 995, 1000) for k in range(2 * B)]

    whole, segments = figures(slices)

    assert isinstance(whole, Uptime)
    assert [one.figures.verdict for one in segments] == [Verdict.PASS, Verdict.FAIL]
    assert whole.verdict is Verdict.FAIL
    assert [(one.contract_version, one.target, one.verdict) for one in whole.terms] == [
        (1, OLD.good_share, Verdict.PASS),
        (2, NEW.good_share, Verdict.FAIL),
    ]
    assert [(one.start_ms, one.end_ms) for one in whole.terms] == [(0, B * S), (B * S, 2 * B * S)]
    assert (whole.good, whole.total, whole.share) == (119_400, 120_000, Fraction(995, 1000))


@pytest.mark.parametrize("latency", [False, True])
def test_terms_that_were_missed_are_not_forgotten_under_later_ones(latency: bool) -> None:
    """Missed under the strict terms of the first half, kept under the lenient ones of the second."""
    strict = replace(OLD, good_share=NEW.good_share)
    lenient = replace(NEW, good_share=OLD.good_share)
    slices = [up(k, 995, 1000) for k in range(2 * B)]
    if latency:
        slow = Distribution(DistributionKind.EXPLICIT, bounds=(2.0, 4.0), counts=(995, 5, 0))
        slices = [replace(one, distribution=slow) for one in slices]
        strict, lenient = (
            replace(LATENCY, good_share=one.good_share, from_ms=one.from_ms, until_ms=one.until_ms)
            for one in (strict, lenient)
        )

    whole, segments = figures(slices, (strict, lenient))

    assert [one.figures.verdict for one in segments] == [Verdict.FAIL, Verdict.PASS]
    assert whole.verdict is Verdict.FAIL


def test_a_fault_before_the_boundary_is_not_judged_by_the_stricter_terms() -> None:
    slices = [up(k, 995 if k < B else 1000, 1000) for k in range(2 * B)]

    whole, _ = figures(slices)
    strict, _ = figures(slices, (replace(NEW, from_ms=0),))

    assert whole.verdict is Verdict.PASS
    assert strict.verdict is Verdict.FAIL


def test_allowances_add_up() -> None:
    slices = [up(k, 995, 1000) for k in range(2 * B)]

    budget = figures(slices)[0].budget

    assert budget.total == 600 + 6
    assert budget.consumed == 600
    assert budget.remaining_ratio == 1 - Fraction(600, 606)
    assert budget.total_ns == B * FULL // 100 + B * FULL // 10_000


def test_versions_that_measure_in_different_ways_have_no_common_share() -> None:
    slices = [up(k, 995, 1000) for k in range(B)] + [down(B)] + [up(k) for k in range(B + 1, 2 * B)]

    whole, segments = figures(slices, (replace(OLD, method=RequestRatio()), replace(NEW, method=ByTime())))

    assert isinstance(whole, Uptime)
    assert (whole.share, whole.displayed, whole.total) == (None, "", 0)
    assert [one.share for one in whole.terms] == [Fraction(995, 1000), Fraction(B - 1, B)]
    assert whole.verdict is Verdict.FAIL
    assert whole.times.down_ns == FULL
    assert len(segments) == 2


def test_time_in_which_nothing_was_promised_is_not_started() -> None:
    """A version in between did not have the objective."""
    late = replace(NEW, from_ms=(B + 10) * S)
    slices = [up(k, 1000, 1000) for k in range(2 * B) if not B <= k < B + 10]

    whole, _ = figures(slices, (OLD, late))

    assert isinstance(whole, Uptime)
    assert whole.times.not_started_ns == 10 * FULL
    assert whole.times.no_data_ns == 0
    assert whole.verdict is Verdict.PASS


def test_a_version_before_the_first_data_has_no_say() -> None:
    slices = [up(k, 10_000, 10_000) for k in range(B, 2 * B)]

    whole, _ = figures(slices, first_ms=B * S)

    assert whole.verdict is Verdict.PASS
    assert isinstance(whole, Uptime)
    assert set(dict(whole.policy_verdicts).values()) == {Verdict.PASS}
    assert dict(whole.policy_verdicts)[NoData.COUNT_DOWN] is Verdict.PASS


def test_latency_under_two_thresholds() -> None:
    part = Distribution(DistributionKind.EXPLICIT, (90, 10), bounds=(1.0,))
    one = replace(LATENCY, threshold_s=Fraction(1), good_share=Fraction(9, 10), until_ms=B * S)
    two = replace(LATENCY, threshold_s=Fraction(1), contract_version=2, from_ms=B * S)
    slices = [up(k, distribution=part) for k in range(2 * B)]

    whole, _ = figures(slices, (one, two))

    assert isinstance(whole, Latency)
    assert [told.verdict for told in whole.terms] == [Verdict.PASS, Verdict.FAIL]
    assert whole.verdict is Verdict.FAIL
    assert (whole.sure, whole.total, whole.requests) == (180 * B, 200 * B, 200 * B)


def test_a_boundary_that_is_still_to_come_changes_nothing() -> None:
    slices = [up(k, 995, 1000) for k in range(30)]

    whole, segments = figures(slices, where=Window(0, 2 * B * S, 30 * S))

    assert len(segments) == 1
    assert whole.verdict is Verdict.PASS
    assert [one.contract_version for one in whole.terms] == [1]


def test_days_and_downtimes_follow_their_versions() -> None:
    slices = [down(k) if k in (5, 6, 70) else up(k) for k in range(2 * B)]
    held = columns(slices)
    parts = split((OLD, NEW), WHERE)
    basis = Basis(held, 0, ())

    days = days_of(parts, basis, WHERE)
    downtimes = downtimes_of(figures(slices)[1], held)

    assert [(one.start_ms, one.end_ms, one.total) for one in days] == [
        (0, B * S, 600),
        (B * S, 2 * B * S, 600),
    ]
    assert [(one.start_ms, one.end_ms, one.down_ns, one.bad) for one in downtimes] == [
        (5 * S, 7 * S, 2 * FULL, 20),
        (70 * S, 71 * S, FULL, 10),
    ]
