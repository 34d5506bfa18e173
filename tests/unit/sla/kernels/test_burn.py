"""Burn rates of many objectives at once: exact sums, exact thresholds, each window by its own coverage."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import burn


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12), st.integers(0, 140))
def test_burn_counts_are_those_of_the_slices_in_the_window(slices, begin):
    start = np.arange(len(slices), dtype=np.int64) * 10
    good = np.array([min(pair) for pair in slices], np.int64)
    total = np.array([max(pair) for pair in slices], np.int64)

    bad, all_ = burn.window_counts(start, good, total, begin)

    inside = [(max(pair) - min(pair), max(pair)) for i, pair in enumerate(slices) if 10 * i >= begin]
    assert (bad, all_) == (sum(b for b, _ in inside), sum(t for _, t in inside))


SLICES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 9), st.integers(0, 4), st.integers(0, 4)),
    max_size=10,
)


def flat(objectives):
    """(at, start, slices) from [(gap to the last start, bad, good, no data, known)] of each objective."""
    at, start, rows = [0], [], []
    for one in objectives:
        t = 0
        for gap, bad, good, no_data, told in one:
            t += gap
            start.append(t)
            rows.append((bad, bad + good, no_data, no_data + told))
        at.append(len(start))
    table = np.array(rows, np.int64).reshape(-1, 4)
    return np.array(at), np.array(start, np.int64), np.ascontiguousarray(table.T)


@given(
    st.lists(st.tuples(SLICES, st.integers(0, 40)), min_size=1, max_size=5),
    st.lists(st.integers(0, 50), min_size=1, max_size=4).map(sorted),
)
def test_every_window_of_every_objective_is_the_sum_of_its_slices(objectives, windows):
    at, start, slices = flat([one for one, _ in objectives])
    anchor = np.array([end for _, end in objectives], np.int64)
    out = np.full((len(objectives), len(windows), 4), -1, np.int64)

    burn.many(at, start, slices, anchor, np.array(windows, np.int64), out)

    for i, (_, end) in enumerate(objectives):
        own = range(at[i], at[i + 1])
        for w, length in enumerate(windows):
            inside = [k for k in own if end - length <= start[k] < end]
            assert out[i, w].tolist() == [int(slices[c, inside].sum()) for c in range(4)]


NS = st.integers(0, 10**16)


@given(NS, NS, st.integers(0, 10**16), st.fractions(0, 1, max_denominator=1000))
def test_a_window_is_usable_from_its_coverage_floor_on(told, no_data, missing, floor):
    sums = np.array([[[0, 0, no_data, no_data + told]]])
    out = np.zeros((1, 1), np.bool_)

    burn.known(sums, np.array([[missing]]), np.array((floor.numerator, floor.denominator)), out)

    valid = told + no_data + missing
    assert out[0, 0] == (valid > 0 and Fraction(told, valid) >= floor)


def test_a_window_without_any_valid_time_is_not_usable():
    out = np.ones((1, 1), np.bool_)

    burn.known(np.zeros((1, 1, 4), np.int64), np.zeros((1, 1), np.int64), np.array((0, 1)), out)

    assert not out[0, 0]


@given(
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.fractions(0, 1, max_denominator=10**6),
    st.fractions(1, 20, max_denominator=100),
    st.integers(0, 5),
    st.booleans(),
)
def test_a_threshold_is_exceeded_exactly(bad, good, allowed, factor, least, usable):
    sums, limit = np.array([[[bad, bad + good, 0, 1]]]), factor * allowed
    out = np.zeros((1, 1), np.bool_)

    burn.exceeds(sums, np.array([[[limit.numerator, limit.denominator]]]), least, np.array([[usable]]), out)

    over = bad > 0 and Fraction(bad, bad + good) > limit
    assert out[0, 0] == (usable and over and bad >= least)


@pytest.mark.parametrize(("bad", "fires"), [(0, False), (1, True)])
def test_any_failure_exceeds_a_target_of_100_percent(bad, fires):
    out = np.zeros((1, 1), np.bool_)

    burn.exceeds(np.array([[[bad, 10**9, 0, 1]]]), np.array([[[0, 1]]]), 1, np.array([[True]]), out)

    assert out[0, 0] == fires


def test_excluded_and_not_started_time_is_not_valid():
    durations = np.array([[1], [2], [4], [8], [16], [32]])
    out = np.zeros((4, 1), np.int64)

    burn.columns(np.array([7]), np.array([9]), durations, out)

    assert out[:, 0].tolist() == [2, 9, 16, 1 + 2 + 4 + 16]
