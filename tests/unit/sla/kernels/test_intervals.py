"""Sets of time against Python's sets of whole units."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import intervals
from tests.unit.sla.kernels import naive

LOOSE = st.lists(st.tuples(st.integers(-30, 60), st.integers(-5, 25)), max_size=8).map(
    lambda pairs: [(s, s + n) for s, n in pairs]
)
HUGE = 1_800_000_000_000_000_000


def made(pairs, origin=0):
    table = np.array(pairs, np.int64).reshape(-1, 2) + origin
    return intervals.normalise(table[:, 0].copy(), table[:, 1].copy())


@given(LOOSE)
def test_a_set_is_the_fewest_intervals_in_order(pairs):
    assert made(pairs).tolist() == naive.runs(naive.instants(pairs))


@given(LOOSE, LOOSE, st.sampled_from([0, HUGE]))
def test_union_intersection_and_difference_are_those_of_sets(left, right, origin):
    a, b = made(left, origin), made(right, origin)
    x, y = naive.instants(left), naive.instants(right)

    assert (intervals.union(a, b) - origin).tolist() == naive.runs(x | y)
    assert (intervals.intersection(a, b) - origin).tolist() == naive.runs(x & y)
    assert (intervals.difference(a, b) - origin).tolist() == naive.runs(x - y)


@given(LOOSE, LOOSE)
def test_an_outage_is_divided_by_maintenance_without_loss(outage, maintenance):
    a, b = made(outage), made(maintenance)

    excused, charged = intervals.intersection(a, b), intervals.difference(a, b)

    assert intervals.length(excused) + intervals.length(charged) == intervals.length(a)
    assert intervals.length(charged) >= 0


@given(LOOSE, st.integers(-40, 70), st.integers(-10, 60))
def test_clipping_keeps_what_is_inside(pairs, low, length):
    high = low + length

    found = intervals.clip(made(pairs), low, high)

    assert found.tolist() == naive.runs({t for t in naive.instants(pairs) if low <= t < high})


@given(LOOSE, st.lists(st.integers(-40, 90), min_size=1, max_size=8).map(sorted))
def test_lengths_within_slices_are_counted_unit_by_unit(pairs, edges):
    out = np.zeros(len(edges) - 1, np.int64)

    intervals.lengths(made(pairs), np.array(edges, np.int64), out)

    times = naive.instants(pairs)
    assert out.tolist() == [sum(t in times for t in range(a, b)) for a, b in pairwise(edges)]
