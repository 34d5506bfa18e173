"""Which time is covered: unions counted instant by instant, intervals learned from the past only."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import coverage
from tests.unit.sla.kernels import naive


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 40)), max_size=8))
def test_the_union_counts_every_instant_once(rows):
    rows = sorted((s, s + length) for s, length in rows)
    out = np.zeros(6, np.int64)

    coverage.union_lengths(
        np.array([s for s, _ in rows], np.int64), np.array([e for _, e in rows], np.int64), 20, 10, out
    )

    assert out.tolist() == naive.covered(rows, 20, 10, 6)


def test_the_interval_is_the_median_of_the_gaps_before():
    sender = np.array([1, 1, 1, 1, 1, 2], np.int64)
    ts = np.array([0, 10, 20, 50, 60, 60], np.int64)
    out = np.zeros(6, np.int64)

    coverage.learn_intervals(sender, ts, 100, 60, out)

    assert out.tolist() == [60, 60, 10, 10, 10, 60]


def test_gaps_that_began_before_the_lookback_teach_nothing():
    ts = np.array([0, 40, 45, 50], np.int64)
    out = np.zeros(4, np.int64)

    coverage.learn_intervals(np.ones(4, np.int64), ts, 20, 60, out)

    assert out.tolist() == [60, 60, 60, 5]


def test_an_export_covers_back_to_the_previous_one_unless_the_silence_was_too_long():
    sender = np.array([1, 1, 1, 2], np.int64)
    ts = np.array([10, 20, 90, 95], np.int64)
    out = ts.copy()
    out[3] = 93

    coverage.covered_from(sender, ts, ts - 50, out)

    assert out.tolist() == [10, 10, 90, 93]
