"""Figures of windows: additive, from merged distributions, with every nanosecond accounted for."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.columns import columns_of
from services.sla.figures import latency_of, merged, uptime_of
from services.sla.model import Distribution, DistributionKind, Revision, Slice, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, LATENCY

S = 10_000
NS = 10**6


def columns(slices):
    return columns_of([(Revision(one, 1, 0), k) for k, one in enumerate(slices)])


def covered(k, good, total, **more):
    return Slice(k * S, S, good, total, up_ns=S * NS, sealed=True, **more)


def smooth(*counts, scale=3, offset=0, zero=0):
    return Distribution(DistributionKind.EXPONENTIAL, counts, scale, offset, zero)


def test_the_times_of_a_window_sum_to_its_length():
    slices = [
        replace(covered(3, 5, 5), up_ns=4 * 10**9, not_started_ns=6 * 10**9),
        replace(covered(4, 5, 5), up_ns=0, degraded_ns=10**10),
        replace(covered(5, 0, 5), up_ns=0, down_ns=7 * 10**9, no_data_ns=3 * 10**9),
    ]

    uptime = uptime_of(AVAILABILITY, columns(slices), Window(0, 8 * S, 7 * S))

    times = uptime.times
    assert (times.up_ns, times.degraded_ns, times.down_ns) == (4 * 10**9, 10**10, 7 * 10**9)
    assert times.not_started_ns == 36 * 10**9
    assert times.no_data_ns == 13 * 10**9
    assert sum((times.up_ns, times.degraded_ns, times.down_ns, times.no_data_ns, times.not_started_ns)) == (
        7 * S * NS
    )


def test_a_month_of_ratios_is_the_ratio_of_the_month():
    slices = [covered(0, 0, 1), *(covered(k, 1000, 1000) for k in range(1, 6))]

    uptime = uptime_of(AVAILABILITY, columns(slices), Window(0, 6 * S, 6 * S))

    assert uptime.share == Fraction(5000, 5001)
    assert uptime.verdict is Verdict.PASS
    assert uptime.displayed == "99.980"


def test_a_window_without_data_has_a_state_of_its_own():
    uptime = uptime_of(AVAILABILITY, columns([]), Window(0, S, S))

    assert uptime.verdict is Verdict.NO_DATA
    assert uptime.displayed == ""
    assert uptime.times.not_started_ns == S * NS


def test_missing_time_freezes_the_budget_and_never_prints_100():
    slices = [covered(0, 10, 10), replace(covered(1, 0, 0), up_ns=0, no_data_ns=S * NS)]

    uptime = uptime_of(AVAILABILITY, columns(slices), Window(0, 2 * S, 2 * S))

    assert uptime.budget.frozen
    assert uptime.displayed == "99.999"
    assert dict(uptime.policy_verdicts) == {
        "exclude": Verdict.PASS,
        "count_down": Verdict.FAIL,
        "count_up": Verdict.PASS,
    }


def test_burn_rates_look_at_their_own_windows():
    slices = [covered(k, 90 if k >= 350 else 100, 100) for k in range(360)]

    short, long = uptime_of(AVAILABILITY, columns(slices), Window(0, 360 * S, 360 * S)).burn_rates

    assert (short.bad, short.total) == (100, 3000)
    assert short.rate == pytest.approx(100 / 3000 / 0.001)
    assert (long.bad, long.total) == (100, 36_000)


def test_p95_of_a_window_is_that_of_the_merged_samples_and_not_a_mean():
    quiet = covered(0, 0, 0, distribution=smooth(*[0] * 24, 10, scale=3, offset=0))
    busy = covered(1, 0, 0, distribution=smooth(10_000, scale=3, offset=-16))

    latency = latency_of(LATENCY, columns([quiet, busy]), Window(0, 2 * S, 2 * S))

    assert latency.verdict is Verdict.PASS
    assert latency.bounds.upper < 0.3
    alone = latency_of(LATENCY, columns([quiet]), Window(0, S, S))
    assert (alone.bounds.estimate + 0.25) / 2 > 2


def test_a_threshold_between_bounds_leaves_the_verdict_open():
    part = Distribution(DistributionKind.EXPLICIT, (930, 70, 0), bounds=(1.0, 2.5))

    latency = latency_of(LATENCY, columns([covered(0, 930, 1000, distribution=part)]), Window(0, S, S))

    assert latency.verdict is Verdict.INDETERMINATE
    assert (latency.bounds.lower, latency.bounds.upper) == (1.0, 2.5)
    assert (latency.sure, latency.possible, latency.total) == (930, 1000, 1000)


@given(st.integers(0, 10**6), st.integers(1, 11))
def test_figures_of_two_halves_add_up(seed, cut):
    rng = random.Random(seed)
    slices = []
    for k in range(12):
        total = rng.randrange(50)
        counts = [rng.randrange(9) for _ in range(rng.randrange(1, 6))]
        part = smooth(*counts, scale=rng.randrange(-2, 6), offset=rng.randrange(-40, 40), zero=k % 3)
        slices.append(covered(k, rng.randint(0, total), total, distribution=part))

    whole = uptime_of(AVAILABILITY, columns(slices), Window(0, 12 * S, 12 * S))
    halves = [
        uptime_of(AVAILABILITY, columns(slices[:cut]), Window(0, cut * S, cut * S)),
        uptime_of(AVAILABILITY, columns(slices[cut:]), Window(cut * S, 12 * S, 12 * S)),
    ]

    assert (whole.good, whole.total) == (sum(h.good for h in halves), sum(h.total for h in halves))
    together = merged(columns(slices))
    assert together.total == sum(one.distribution.total for one in slices)
