"""Consecutive bad intervals, as contracts with periods of downtime count them."""

from fractions import Fraction
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import runs, wide

S = 1_000_000_000
MINUTE = 60 * S


def flags(text):
    return np.array([c == "x" for c in text], np.bool_)


def minutes(bad, count, *, partial=False):
    out = np.zeros(count, np.bool_)
    runs.bad_by_time(np.array(bad, np.int64).reshape(-1, 2), 0, MINUTE, partial, out)
    return out.tolist()


@pytest.mark.parametrize(
    ("bad", "whole", "partial"),
    [
        ([(0, 59 * S)], 0, 1),
        ([(0, MINUTE - 1)], 0, 1),
        ([(0, MINUTE)], 1, 1),
        ([(30 * S, 90 * S)], 0, 2),
        ([(30 * S, 150 * S)], 1, 3),
        ([(0, 30 * S), (30 * S + 1, MINUTE)], 0, 1),
        ([(MINUTE, 3 * MINUTE)], 2, 2),
        ([(MINUTE - 1, MINUTE)], 0, 1),
        ([], 0, 0),
    ],
)
def test_only_whole_aligned_minutes_count_unless_the_contract_takes_parts(bad, whole, partial):
    assert sum(minutes(bad, 5)) == whole
    assert sum(minutes(bad, 5, partial=True)) == partial


@pytest.mark.parametrize(
    ("history", "at_least", "periods", "counted"),
    [
        ("xxxx.xxxx", 5, 0, 0),
        ("xxxxx.xxxx", 5, 1, 5),
        ("xxxx.xxxx", 4, 2, 8),
        ("x", 1, 1, 1),
        ("", 1, 0, 0),
        ("..xx", 2, 1, 2),
        ("xxxxxxxxxx", 10, 1, 10),
        ("xxxxxxxxx.", 10, 0, 0),
    ],
)
def test_shorter_stretches_with_gaps_between_are_no_downtime(history, at_least, periods, counted):
    bad = flags(history)

    assert len(runs.runs(bad, at_least)) == periods
    assert runs.downtime(bad, at_least, np.full(len(bad), MINUTE)) == counted * MINUTE


@given(st.text("x.", max_size=30), st.integers(1, 6))
def test_runs_are_those_that_one_sees(history, at_least):
    expected, place = [], 0
    for c, group in groupby(history):
        size = len(list(group))
        if c == "x" and size >= at_least:
            expected.append([place, place + size])
        place += size

    assert runs.runs(flags(history), at_least).tolist() == expected


COUNTS = st.integers(0, 2**61)


@given(
    st.lists(st.tuples(COUNTS, COUNTS), min_size=1),
    st.fractions(0, 1, max_denominator=10**6),
    st.integers(0, 9),
)
def test_an_interval_is_bad_by_the_exact_share(pairs, above, least):
    good = np.array([min(pair) for pair in pairs], np.int64)
    total = np.array([max(pair) for pair in pairs], np.int64)
    out = np.zeros(len(pairs), np.bool_)

    runs.bad_by_rate(good, total, np.array((above.numerator, above.denominator)), least, out)

    assert out.tolist() == [
        t > 0 and t >= least and Fraction(t - g, t) > above
        for g, t in zip(good.tolist(), total.tolist(), strict=True)
    ]


def test_a_share_at_the_limit_is_not_above_it():
    good, total = np.array([950, 949, 0]), np.array([1000, 1000, 0])
    out = np.zeros(3, np.bool_)

    runs.bad_by_rate(good, total, np.array((1, 20)), 100, out)

    assert out.tolist() == [False, True, False]


def test_too_few_requests_end_a_run():
    good, total = np.zeros(5, np.int64), np.array([200, 200, 99, 200, 200])
    out = np.zeros(5, np.bool_)

    runs.bad_by_rate(good, total, np.array((1, 10)), 100, out)

    assert len(runs.runs(out, 3)) == 0


def test_a_minute_is_bad_only_when_all_of_it_failed():
    out = np.zeros(4, np.bool_)

    runs.bad_if_all_fail(np.array([0, 1, 0, 0]), np.array([3, 3, 0, 2]), 3, out)

    assert out.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("partial", "expected"), [(False, [False, False, True]), (True, [False, True, True])]
)
def test_an_interval_with_excluded_parts_follows_the_contract(partial, expected):
    bad = np.ones(3, np.bool_)

    runs.leave_out(np.array([0, 30 * S, MINUTE]), MINUTE, partial, bad)

    assert bad.tolist() == expected


WIDE = st.integers(0, 2**62 - 1)


@given(WIDE, WIDE, WIDE, WIDE)
def test_wide_products_compare_exactly(a, b, c, d):
    assert wide.greater(a, b, c, d) == (a * b > c * d)
    assert not wide.greater(a, b, b, a)
    high, low = wide.product(a, b)
    assert high * 2**62 + low == a * b
