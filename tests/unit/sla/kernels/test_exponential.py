"""Exponential buckets against exact arithmetic: index, bounds, downscaling, differences, slices, sums."""

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.kernels import exponential
from tests.unit.sla.kernels import naive

SCALES = st.integers(-10, 20)
VALUES = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)
WIDEST = 320


@given(VALUES, SCALES)
def test_the_index_is_exact_but_for_the_last_digit_of_the_logarithm(value, scale):
    index = exponential.index_of(value, scale)
    exact = naive.index_of(value, scale)

    assert (
        abs(index - exact) <= (1 if scale > 10 else 0)
        or min(abs(value / exponential.lower_bound(i, scale) - 1) for i in (index, index + 1)) < 1e-12
    )


@given(VALUES, SCALES)
def test_a_value_lies_inside_the_bounds_of_its_bucket(value, scale):
    index = exponential.index_of(value, scale)

    # The logarithm may be off by a few units in the last place, which the bounds show.
    assert exponential.lower_bound(index, scale) <= value * (1 + 1e-13)
    assert exponential.lower_bound(index + 1, scale) >= value * (1 - 1e-13)


@given(st.integers(-(2**40), 2**40), st.integers(0, 50))
def test_downscaling_is_the_floor_of_halving(index, k):
    assert exponential.down(index, k) == math.floor(index / 2**k) if k < 50 else True


def flat(histograms):
    """(scale, offset, at, counts) of [(scale, offset, [counts])]."""
    at = np.cumsum([0, *(len(counts) for _, _, counts in histograms)]).astype(np.int64)
    return (
        np.array([h[0] for h in histograms], np.int64),
        np.array([h[1] for h in histograms], np.int64),
        at,
        np.array([n for h in histograms for n in h[2]], np.int64),
    )


def as_counter(offset, counts):
    return Counter({offset + j: n for j, n in enumerate(counts) if n})


HISTOGRAMS = st.lists(
    st.tuples(st.integers(-4, 6), st.integers(-300, 300), st.lists(st.integers(0, 5), max_size=12)),
    min_size=1,
    max_size=6,
)


@given(HISTOGRAMS)
def test_a_merge_is_the_sum_at_the_common_scale(histograms):
    columns = flat(histograms)
    scale, offset, length = exponential.merge_shape(*columns, WIDEST)
    out = np.zeros(length, np.int64)
    exponential.merge(*columns, scale, offset, out)

    expected: Counter[int] = Counter()
    for own, first, counts in histograms:
        if any(counts):
            expected += naive.downscale(as_counter(first, counts), own - scale)
    assert as_counter(offset, out.tolist()) == expected
    assert length <= WIDEST


@given(HISTOGRAMS, HISTOGRAMS)
def test_merging_in_parts_gives_the_same(left, right):
    def merged(histograms):
        columns = flat(histograms)
        scale, offset, length = exponential.merge_shape(*columns, 8)
        out = np.zeros(length, np.int64)
        exponential.merge(*columns, scale, offset, out)
        return scale, offset, out.tolist()

    parts = [part for part in (merged(left), merged(right)) if part[2]]

    assert (merged(parts) if parts else (0, 0, [])) == merged(left + right)


def increments(histograms, prev):
    scale, offset, at, counts = flat(histograms)
    shape = np.zeros((2, len(scale)), np.int64)
    out_at = np.zeros(len(scale) + 1, np.int64)
    before = np.array(prev, np.int64)
    exponential.increment_shapes(scale, offset, at, before, shape[0], shape[1], out_at)
    out = np.zeros(int(out_at[-1]), np.int64)
    exponential.increments(scale, offset, at, counts, before, shape, out_at, out)
    return shape, out_at, out


@given(st.lists(VALUES, min_size=1, max_size=30), st.integers(0, 30), st.integers(0, 6), st.integers(0, 3))
def test_the_increment_holds_the_new_values_when_the_scale_fell(values, cut, scale, fall):
    values = [min(max(value, 1e-3), 1e3) for value in values]
    old = naive.buckets(values[:cut], scale + fall)
    new = naive.buckets(values, scale)
    histograms = []
    for counts, own in ((old, scale + fall), (new, scale)):
        first = min(counts, default=0)
        histograms.append((own, first, [counts[i] for i in range(first, max(counts, default=-1) + 1)]))

    shape, at, out = increments(histograms, [-1, 0])

    assert shape[0, 1] == scale
    added = as_counter(shape[1, 1], out[at[1] : at[2]].tolist())
    assert added == naive.buckets(values[cut:], scale)


def test_a_bucket_that_falls_is_seen_although_the_count_grew():
    histograms = [(3, 0, [4, 1]), (3, 0, [9, 0]), (2, 0, [9])]
    fell = np.zeros(3, np.bool_)

    exponential.buckets_fell(np.array([1, 1, 1]), *flat(histograms), fell)

    assert fell.tolist() == [False, True, False]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(0, 40),
        st.integers(0, 4),
        st.integers(-20, 20),
        st.lists(st.integers(0, 9), max_size=6),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(ROWS)
def test_slices_hold_the_shares_of_every_bucket(rows):
    scale, offset, at, counts = flat([(row[2], row[3], row[4]) for row in rows])
    start = np.array([row[0] for row in rows], np.int64)
    end = start + np.array([row[1] for row in rows], np.int64)
    grid = np.array((10, 10), np.int64)
    shape = np.stack((scale, offset))
    slices = np.zeros((3, 8), np.int64)
    exponential.slice_shapes(start, end, shape, at, counts, grid, WIDEST, slices)
    out = np.zeros(int(slices[2].sum()), np.int64)
    exponential.slice_counts(start, end, shape, at, counts, grid, slices, out)

    place = 0
    for k in range(8):
        found = as_counter(slices[1, k], out[place : place + slices[2, k]].tolist())
        place += slices[2, k]
        expected: Counter[int] = Counter()
        for s, length, own, first, row in rows:
            part = Counter(
                {
                    first + j: naive.share(n, s, s + length, 10 + 10 * k, 20 + 10 * k)
                    for j, n in enumerate(row)
                }
            )
            if part.total():
                expected += naive.downscale(part, own - int(slices[0, k]))
        assert found == +expected
