"""Explicit buckets: falls, increments, shares, dropped bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import explicit
from tests.unit.sla.kernels import naive


def test_increments_are_differences_per_bucket():
    counts = np.array([[1, 2, 0], [4, 2, 1], [0, 0, 3]], np.int64)
    out = np.zeros_like(counts)

    explicit.increments(counts, np.array([-2, 0, -1]), out)

    assert out.tolist() == [[0, 0, 0], [3, 0, 1], [0, 0, 3]]


def test_a_bucket_that_falls_is_seen_inside_its_group_only():
    counts = np.array([[1, 2], [0, 9], [0, 1]], np.int64)
    fell = np.zeros(3, np.bool_)

    explicit.buckets_fell(np.array([1, 1, 2]), counts, fell)

    assert fell.tolist() == [False, True, False]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 60), st.integers(0, 40), st.lists(st.integers(0, 9), min_size=3, max_size=3)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_slices_hold_the_shares_of_every_bucket(rows):
    start = np.array([row[0] for row in rows], np.int64)
    end = start + np.array([row[1] for row in rows], np.int64)
    out = np.zeros((8, 3), np.int64)

    explicit.slice_counts(start, end, np.array([row[2] for row in rows], np.int64), 10, 10, out)

    for j in range(3):
        assert out[:, j].tolist() == naive.spread([(s, s + d, n[j]) for s, d, n in rows], 10, 10, 8)


def test_a_dropped_bound_joins_its_two_buckets():
    out = np.zeros(2, np.int64)

    explicit.coarsen(np.array([1, 2, 4]), np.array([0, 0, 1]), out)

    assert out.tolist() == [3, 4]
