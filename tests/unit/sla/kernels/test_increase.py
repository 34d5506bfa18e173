"""Increments of counters, each rule of resets by hand and all of them against the plain version."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import increase
from tests.unit.sla.kernels import naive

ABSENT, UNKNOWN = increase.START_ABSENT, increase.START_IS_TIME


def run(points, *, delta=False):
    points = sorted(points)
    series, start, ts, bits, count = (np.array([p[i] for p in points], np.int64) for i in range(5))
    new = np.ones(len(points), np.int64)
    new[1:] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    group = np.cumsum(new)
    fell = np.zeros(len(points), np.bool_)
    increase.count_fell(group, count, fell)
    since, prev, n = (np.zeros(len(points), np.int64) for _ in range(3))
    increase.increase(group, start, ts, bits, np.full(len(points), delta), fell, since, prev)
    increase.increments(count, prev, n)
    return list(zip(since.tolist(), ts.tolist(), n.tolist(), strict=True))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param([(1, 5, 10, 0, 3), (1, 5, 20, 0, 8)], [(5, 10, 3), (10, 20, 5)], id="true reset"),
        pytest.param(
            [(1, 10, 10, UNKNOWN, 3), (1, 10, 20, 0, 8)], [(10, 10, 0), (10, 20, 5)], id="unknown start"
        ),
        pytest.param(
            [(1, 0, 10, ABSENT, 3), (1, 0, 20, ABSENT, 8), (1, 0, 30, ABSENT, 2)],
            [(10, 10, 0), (10, 20, 5), (20, 30, 2)],
            id="no start, then the value falls",
        ),
        pytest.param(
            [(1, 5, 10, 0, 9), (1, 5, 20, 0, 4)], [(5, 10, 9), (10, 20, 4)], id="falls without a new start"
        ),
        pytest.param(
            [(1, 5, 10, 0, 9), (1, 12, 20, 0, 4), (1, 12, 30, 0, 6)],
            [(5, 10, 9), (12, 20, 4), (20, 30, 2)],
            id="a later start is a reset",
        ),
        pytest.param([(1, 7, 7, 0, 4)], [(7, 7, 4)], id="start and time differ by less than a millisecond"),
    ],
)
def test_cumulative_points_by_hand(points, expected):
    assert run(points) == expected


def test_each_delta_is_its_own_increment_over_its_own_interval():
    points = [(1, 0, 10, 0, 3), (1, 10, 20, 0, 8), (1, 0, 25, ABSENT, 2)]

    assert sorted(run(points, delta=True)) == [(0, 10, 3), (10, 20, 8), (25, 25, 2)]


POINTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(3, 40),
        st.sampled_from([0, 0, 1]),
        st.integers(0, 9),
    ),
    max_size=20,
    unique_by=lambda p: p[:3],
)


@given(POINTS, st.booleans())
def test_increments_are_those_of_the_plain_version(points, delta):
    assert run(points, delta=delta) == naive.increase(sorted(points), delta=delta)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=10))
def test_a_cumulative_series_without_resets_sums_to_its_last_value(steps):
    totals = np.cumsum(steps)
    points = [(1, 1, 10 * (i + 1), 0, int(total)) for i, total in enumerate(totals)]

    assert sum(n for _, _, n in run(points)) == totals[-1]
