"""One state for each instant, whatever overlaps: against a walk over every unit of time."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import intervals, states

UP, DEGRADED, DOWN, EXCLUDED, NO_DATA = range(5)
ORDER = (4, 3, 2, 0, 1)
"""Excluded before no data before down before degraded before up."""
NOW_NS = 1_790_000_000_000_000_000

EVENTS = st.lists(st.tuples(st.integers(-20, 120), st.integers(-3, 60), st.integers(0, 4)), max_size=14)


def ints(values):
    return np.array(values, np.int64)


def table(events, origin=0, unit=1):
    start = ints([event[0] for event in events])
    end = start + ints([event[1] for event in events])
    return start * unit + origin, end * unit + origin, ints([event[2] for event in events])


def told(events, t, order):
    found = [state for s, length, state in events if s <= t < s + length]
    return min(found, key=lambda state: order[state]) if found else NO_DATA


@given(EVENTS, st.permutations(range(5)), st.integers(-10, 60), st.integers(0, 80))
def test_each_unit_of_time_has_the_state_that_comes_first(events, order, low, length):
    edges, held = states.timeline(*table(events), ints(order), low, low + length, NO_DATA)

    assert edges[0] == low
    assert edges[-1] == low + length
    assert all(a != b for a, b in pairwise(held.tolist()))
    walk = [
        state
        for (a, b), state in zip(pairwise(edges.tolist()), held.tolist(), strict=True)
        for _ in range(a, b)
    ]
    assert walk == [told(events, t, order) for t in range(low, low + length)]


@given(
    st.lists(
        st.tuples(st.integers(-(10**13), 10**14), st.integers(0, 10**14), st.integers(0, 4)), max_size=30
    ),
    st.lists(st.integers(0, 10**14), max_size=10),
)
def test_the_five_durations_of_every_slice_sum_to_its_length_to_the_nanosecond(events, cuts):
    slices = ints(sorted({0, 10**14, *cuts})) + NOW_NS
    edges, held = states.timeline(
        *table(events, NOW_NS), ints(ORDER), int(slices[0]), int(slices[-1]), NO_DATA
    )
    out = np.zeros((len(slices) - 1, 5), np.int64)

    states.durations(edges, held, slices, out)

    assert out.sum(axis=1).tolist() == np.diff(slices).tolist()
    assert (out >= 0).all()
    for state in range(5):
        assert intervals.length(states.of_state(edges, held, state)) == out[:, state].sum()


@given(EVENTS, st.lists(st.integers(0, 100), min_size=2, max_size=7, unique=True).map(sorted))
def test_durations_are_counted_unit_by_unit(events, slices):
    edges, held = states.timeline(*table(events), ints(ORDER), slices[0], slices[-1], NO_DATA)
    out = np.zeros((len(slices) - 1, 5), np.int64)

    states.durations(edges, held, ints(slices), out)

    for (a, b), row in zip(pairwise(slices), out.tolist(), strict=True):
        walk = [told(events, t, ORDER) for t in range(a, b)]
        assert row == [walk.count(state) for state in range(5)]


def test_maintenance_divides_an_outage_exactly():
    events = [(0, 100, UP), (40, 30, DOWN), (60, 20, EXCLUDED)]
    edges, held = states.timeline(*table(events), ints(ORDER), 0, 100, NO_DATA)

    assert states.of_state(edges, held, DOWN).tolist() == [[40, 60]]
    assert states.of_state(edges, held, EXCLUDED).tolist() == [[60, 80]]
    assert states.of_state(edges, held, UP).tolist() == [[0, 40], [80, 100]]
