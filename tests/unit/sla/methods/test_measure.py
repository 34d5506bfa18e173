"""Methods by columns equal methods by hand; shares stay between 0 and 1; a month is quick."""

import random
import time
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.methods.intervals import intervals_of, slices_fit
from services.sla.methods.measure import Measured, doubts, measure
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, RequestRatio, Uptime
from services.sla.methods.runs import joined, keep_long_runs
from services.sla.model import NoData, Slice
from services.sla.verdict import request_ratio
from tests.unit.sla.methods.months import measured_month, month_of
from tests.unit.sla.methods.naive_methods import NS, columns, share, times_of

S = 10_000
MINUTE = 60_000
METHODS = [
    AllFail(MINUTE, 1),
    AllFail(MINUTE, 3),
    ErrorRate(Fraction(1, 10), MINUTE, 2, 2),
    ErrorRate(Fraction(1, 3), MINUTE, 1, 1, partial_intervals=True),
    ErrorRate(Fraction(1, 20), MINUTE, 2, 1, partial_intervals=True),
    MeanErrorRate(2 * MINUTE),
]
EVERY = [*METHODS, RequestRatio(), Uptime()]


@st.composite
def months(draw):
    """(slices, start, end): a few minutes, cut anywhere, with gaps, outages, maintenance and no data."""
    count = draw(st.integers(0, 40))
    start = draw(st.integers(0, 11)) * S
    rng = random.Random(draw(st.integers(0, 2**32)))
    moods = draw(st.lists(st.sampled_from("ggggbbmxn"), min_size=1, max_size=6))
    slices = [_slice(start + k * S, rng, moods[k // 7 % len(moods)]) for k in range(count)]
    return [one for one in slices if one is not None], start, start + count * S + draw(st.integers(0, 3)) * S


def _slice(start, rng, mood):
    total = rng.choice((0, 0, 1, 2, 5))
    good = {"g": total, "b": 0}.get(mood, rng.randint(0, total))
    whole = S * NS
    if mood == "n":
        return None if rng.random() < 0.5 else Slice(start, S, no_data_ns=whole)
    if mood == "x":
        return Slice(start, S, good, total, excluded_ns=whole)
    if mood == "m":
        cut = sorted(rng.randrange(whole + 1) for _ in range(4))
        edges = [0, *cut, whole]
        up, degraded, down, excluded, no_data = (b - a for a, b in pairwise(edges))
        return Slice(start, S, good, total, up, degraded, down, excluded, no_data)
    down = whole if mood == "b" and total else 0
    return Slice(start, S, good, total, up_ns=whole - down, down_ns=down)


def measured(method, month, no_data=NoData.EXCLUDE, *, up=False):
    slices, start, end = month
    return measure(
        method,
        columns(slices),
        start_ms=start,
        end_ms=end,
        times=times_of(slices, start, end),
        no_data=no_data,
        excluded_counts_up=up,
    )


@pytest.mark.parametrize("method", METHODS, ids=repr)
@given(month=months(), no_data=st.sampled_from(NoData), up=st.booleans())
@settings(max_examples=60)
def test_by_columns_is_as_by_hand(method, month, no_data, up):
    assert measured(method, month, no_data, up=up).share == share(method, *month, no_data, up)


@pytest.mark.parametrize("method", EVERY, ids=repr)
@given(month=months(), no_data=st.sampled_from(NoData), up=st.booleans())
@settings(max_examples=40)
def test_shares_are_exact_and_between_the_bounds(method, month, no_data, up):
    got = measured(method, month, no_data, up=up)

    assert type(got.bad_ns) is int
    assert type(got.valid_ns) is int
    assert 0 <= got.bad_ns <= got.valid_ns <= (month[2] - month[1]) * NS
    if got.share is not None:
        assert type(got.share) is Fraction
        assert 0 <= got.low <= got.share <= got.high <= 1
    assert all(a < b for a, b in got.downtimes)
    assert all(a[1] < b[0] for a, b in pairwise(got.downtimes))


@pytest.mark.parametrize("method", [AllFail(MINUTE), Uptime()], ids=repr)
@given(month=months(), cut=st.integers(0, 8), no_data=st.sampled_from(NoData), up=st.booleans())
@settings(max_examples=40)
def test_times_of_two_windows_add_up_to_those_of_both(method, month, cut, no_data, up):
    slices, start, end = month
    middle = min(max((start // MINUTE + cut) * MINUTE, start), end)
    left = [one for one in slices if one.start_ms < middle]
    right = [one for one in slices if one.start_ms >= middle]
    if not left or not right or right[0].start_ms != middle:
        return  # time before the first slice has not started, so a cut in a gap moves it

    whole = measured(method, month, no_data, up=up)
    parts = [
        measured(method, (left, start, middle), no_data, up=up),
        measured(method, (right, middle, end), no_data, up=up),
    ]

    assert sum(part.bad_ns for part in parts) == whole.bad_ns
    assert sum(part.valid_ns for part in parts) == whole.valid_ns


@given(month=months())
def test_intervals_divide_the_window_to_the_nanosecond(month):
    slices, start, end = month
    got = intervals_of(columns(slices), MINUTE, start, end)

    times = times_of(slices, start, end)
    assert int(got.inside_ns.sum()) == (end - start) * NS
    assert int(got.covered_ns.sum()) == times.covered_ns
    assert int(got.no_data_ns.sum()) == times.no_data_ns
    assert int(got.excluded_ns.sum()) == times.excluded_ns
    assert (got.covered_ns >= 0).all()
    assert (got.not_started_ns >= 0).all()


@given(month=months(), no_data=st.sampled_from(NoData))
def test_a_request_ratio_is_that_of_the_verdicts_when_nothing_is_excluded(month, no_data):
    slices = [one for one in month[0] if one.excluded_ns == 0]
    times = times_of(slices, *month[1:])
    good, total = sum(one.good for one in slices), sum(one.total for one in slices)

    got = measured(RequestRatio(), (slices, *month[1:]), no_data)

    assert got.share == (request_ratio(good, total, times, no_data) if times.covered_ns else None)


def covered(k, good, total, *, down=False):
    ns = S * NS
    return Slice(k * S, S, good, total, up_ns=0 if down else ns, down_ns=ns if down else 0)


def test_maintenance_leaves_the_time_or_counts_as_up():
    slices = [covered(k, 1, 1, down=k < 6) for k in range(30)]
    slices += [Slice(k * S, S, 0, 1, excluded_ns=S * NS) for k in range(30, 60)]
    month = (slices, 0, 60 * S)

    assert measured(Uptime(), month).share == Fraction(24, 30)
    assert measured(Uptime(), month, up=True).share == Fraction(54, 60)
    assert measured(RequestRatio(), month).share == 1


def test_a_month_without_any_data_is_no_share_under_every_policy():
    for method in EVERY:
        for no_data in NoData:
            month = ([Slice(k * S, S, no_data_ns=S * NS) for k in range(60)], 0, 60 * S)
            assert measured(method, month, no_data).share is None


def test_a_live_month_without_requests_is_up_but_has_no_ratio():
    month = ([covered(k, 0, 0) for k in range(60)], 0, 60 * S)

    assert measured(RequestRatio(), month).share is None
    assert {measured(method, month).share for method in [*METHODS, Uptime()]} == {1}


def test_an_interval_without_requests_has_no_errors_in_the_mean():
    slices = [covered(k, 0, 1) for k in range(30)] + [covered(k, 0, 0) for k in range(30, 60)]

    assert measured(MeanErrorRate(300_000), (slices, 0, 60 * S)).share == Fraction(1, 2)


def test_the_mean_of_rates_is_not_the_rate_of_all():
    slices = [covered(0, 0, 1), *(covered(k, 0, 0) for k in range(1, 30)), covered(30, 999, 999)]
    slices += [covered(k, 0, 0) for k in range(31, 60)]

    assert measured(MeanErrorRate(300_000), (slices, 0, 60 * S)).share == Fraction(1, 2)
    assert measured(RequestRatio(), (slices, 0, 60 * S)).share == Fraction(999, 1000)


def test_missing_minutes_that_could_decide_are_told():
    down = [covered(k, 0, 1, down=True) for k in range(6)]
    up = [covered(k, 1, 1) for k in range(12, 60)]
    for method in (AllFail(), ErrorRate(Fraction(1, 10)), Uptime(), RequestRatio()):
        got = measured(method, (down + up, 0, 60 * S))

        assert got.low < got.share < got.high
        assert doubts(got, [Fraction(85, 100)])
        assert not doubts(got, [Fraction(1, 2), Fraction(95, 100)])
        assert not doubts(measured(method, (down + up, 0, 60 * S), NoData.COUNT_UP), [Fraction(85, 100)])


def test_an_edge_is_in_doubt_only_when_it_lies_above_the_lower_bound():
    got = Measured(Fraction(1), 0, 1, (), (), Fraction(9, 10), Fraction(99, 100))

    assert not doubts(got, [Fraction(9, 10)])
    assert len(doubts(got, [Fraction(99, 100), Fraction(95, 100)])) == 2


def test_two_short_outages_with_an_unseen_minute_between_may_be_a_long_one():
    bad = [covered(k, 0, 1) for k in range(24)]
    gap = [Slice(k * S, S, no_data_ns=S * NS) for k in range(24, 30)]
    more = [covered(k, 0, 1) for k in range(30, 54)]
    good = [covered(k, 1, 1) for k in range(54, 600)]

    got = measured(ErrorRate(Fraction(1, 10), consecutive=5), (bad + gap + more + good, 0, 600 * S))

    assert (got.share, got.high, got.low) == (1, 1, Fraction(91, 100))


def test_hourly_slices_cannot_tell_minutes():
    hours = [Slice(k * 3_600_000, 3_600_000, 1, 1, up_ns=3_600_000 * NS) for k in range(3)]

    got = measured(AllFail(), (hours, 0, 3 * 3_600_000))

    assert got.share is None
    assert "60 s" in got.ambiguous[0]
    assert measured(MeanErrorRate(3_600_000), (hours, 0, 3 * 3_600_000)).share == 1
    with pytest.raises(ValueError, match="do not fit"):
        intervals_of(columns(hours), MINUTE, 0, 3 * 3_600_000)


def test_hours_can_start_at_the_half_hour_of_a_zone():
    half = 1_800_000
    slices = [Slice(half + k * S, S, 0 if k < 360 else 1, 1, up_ns=S * NS) for k in range(720)]
    month = (slices, half, half + 720 * S)
    told = {"start_ms": half, "end_ms": month[2], "times": times_of(*month), "no_data": NoData.EXCLUDE}

    by_zone = measure(
        MeanErrorRate(3_600_000), columns(slices), **told, excluded_counts_up=False, anchor_ms=half
    )

    assert by_zone.share == Fraction(1, 2)
    assert measured(MeanErrorRate(3_600_000), month).share == Fraction(1, 2)
    assert len(intervals_of(columns(slices), 3_600_000, half, month[2]).start_ms) == 3
    assert slices_fit(columns(slices), 3_600_000, half, month[2], anchor_ms=half)


def test_counts_beyond_int64_products_are_compared_exactly():
    above = Fraction(10**12 + 1, 10**15)
    total = 10**15
    slices = [Slice(k * S, S, total - 10**12 - 1, total, up_ns=S * NS) for k in range(6)]
    more = [Slice(k * S, S, total - 10**12 - 2, total, up_ns=S * NS) for k in range(6, 12)]

    got = measured(ErrorRate(above), (slices + more, 0, 12 * S))

    assert got.downtimes == ((60_000, 120_000),)


def test_downtimes_by_state_join_neighbours_and_count_gaps_where_the_contract_does():
    slices = [covered(0, 1, 1), covered(1, 0, 1, down=True), covered(2, 0, 1, down=True), covered(5, 1, 1)]

    assert measured(Uptime(), (slices, 0, 7 * S)).downtimes == ((10_000, 30_000),)
    counted = measured(Uptime(), (slices, 0, 7 * S), NoData.COUNT_DOWN)
    assert counted.downtimes == ((10_000, 50_000), (60_000, 70_000))
    assert counted.bad_ns == 50_000 * NS


def test_runs_are_kept_by_their_length():
    flags = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1], np.bool_)

    assert keep_long_runs(flags, 3).tolist() == [False] * 3 + [True] * 3 + [False] * 3
    assert keep_long_runs(flags, 1).tolist() == flags.tolist()
    assert not keep_long_runs(flags[:0], 1).tolist()
    assert joined(np.array([], np.int64), np.array([], np.int64)) == ()


@pytest.mark.parametrize("method", EVERY, ids=repr)
def test_a_month_of_ten_second_slices_needs_no_loop_over_them(method):
    rng = np.random.default_rng(5)
    total = rng.integers(0, 50, 259_200)
    month = month_of(0, S, total - (rng.random(259_200) < 0.02) * (total > 0), total)

    before = time.process_time()
    got = measured_month(method, month)

    assert time.process_time() - before < 1
    assert got.share is not None
