"""The share below 2 s is exact, every power of two lies in its bucket, and merging loses nothing.

Values at 2.0, one unit in the last place below and above; all scales from -10 to 20; downscaling, merging
and the zero buckets of a merge against bucketing the raw values again.
"""

import math
from collections import Counter
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import exponential, merging, quantile, zero
from tests.unit.sla.kernels import naive
from tests.unit.sla.kernels.test_exponential import as_counter

AROUND = (1.0, math.nextafter(2.0, 0.0), 2.0, math.nextafter(2.0, 3.0), 4.0)


@pytest.mark.parametrize("scale", range(-10, 21))
def test_every_power_of_two_is_in_the_bucket_that_it_ends(scale):
    for exponent in range(-1074, 1024):
        expected = (exponent << scale) - 1 if scale >= 0 else math.ceil(exponent / 2**-scale) - 1
        assert exponential.index_of(math.ldexp(1.0, exponent), scale) == expected


@pytest.mark.parametrize("scale", range(21))
def test_two_seconds_and_its_neighbours_lie_on_the_right_sides(scale):
    last_within = (1 << scale) - 1

    assert exponential.index_of(2.0, scale) == last_within
    assert exponential.index_of(math.nextafter(2.0, 3), scale) == last_within + 1
    assert exponential.index_of(math.nextafter(2.0, 1), scale) == last_within
    assert exponential.lower_bound(last_within + 1, scale) == 2.0


@given(st.lists(st.sampled_from((0.0, *AROUND)), min_size=1, max_size=50), st.integers(0, 20))
def test_the_share_within_two_seconds_is_the_exact_count_at_scales_0_to_20(values, scale):
    indexes = [exponential.index_of(value, scale) for value in values if value > 0]
    first = min(indexes, default=0)
    counts = np.zeros(max(indexes, default=-1) - first + 1, np.int64)
    for index in indexes:
        counts[index - first] += 1

    sure, possible = quantile.exponential_share(scale, first, values.count(0.0), counts, 2.0)

    assert sure == possible == sum(value <= 2.0 for value in values)


@pytest.mark.parametrize("scale", range(-10, 21))
def test_the_share_at_any_power_of_two_is_exact_where_it_is_a_bound(scale):
    counts = np.array([1, 10, 100], np.int64)
    for exponent in range(-20, 21):
        threshold = math.ldexp(1.0, exponent)
        index = exponential.index_of(threshold, scale)

        sure, possible = quantile.exponential_share(scale, index - 1, 1000, counts, threshold)

        assert possible == 1011
        assert sure == (1011 if scale >= 0 or exponent % 2**-scale == 0 else 1001)


VALUES = st.floats(min_value=1e-6, max_value=1e6)
SETS = st.lists(
    st.tuples(
        st.lists(VALUES, max_size=12), st.integers(-10, 12), st.sampled_from([0.0, 1e-5, 0.001, 0.7, 3.0])
    ),
    min_size=1,
    max_size=5,
)


def recorded(values, scale, threshold):
    """(offset, counts, zero count) as a client would send it."""
    counts = Counter(exponential.index_of(value, scale) for value in values if value > threshold)
    first = min(counts, default=0)
    row = [counts[i] for i in range(first, max(counts, default=-1) + 1)]
    return first, row, sum(value <= threshold for value in values)


def columns(sets):
    rows = [recorded(*one) for one in sets]
    at = np.array(list(accumulate((len(row) for _, row, _ in rows), initial=0)), np.int64)
    return (
        np.array([scale for _, scale, _ in sets], np.int64),
        np.array([first for first, _, _ in rows], np.int64),
        at,
        np.array([n for _, row, _ in rows for n in row], np.int64),
        np.array([nothing for _, _, nothing in rows], np.int64),
    )


@given(SETS)
def test_a_merge_equals_bucketing_the_raw_values_again(sets):
    sets = [(values, scale, 0.0) for values, scale, _ in sets]
    *table, _ = columns(sets)

    scale, offset, counts = merging.merge_all(*table, 320)

    # The client's bucket decides about a value whose logarithm is a bound but for the last digit.
    expected: Counter[int] = Counter()
    for values, own, _ in sets:
        expected += naive.downscale(Counter(exponential.index_of(v, own) for v in values), own - scale)
    assert as_counter(offset, counts.tolist()) == expected
    if all(own <= 8 for _, own, _ in sets):
        assert expected.total() == 0 or expected == naive.buckets([v for vs, _, _ in sets for v in vs], scale)


@given(st.lists(VALUES, min_size=1, max_size=30), st.integers(-4, 20), st.integers(0, 10))
def test_a_coarser_scale_equals_bucketing_at_that_scale(values, scale, k):
    shifted = Counter(exponential.down(exponential.index_of(value, scale), k) for value in values)

    assert shifted == Counter(exponential.index_of(value, scale - k) for value in values)


@given(SETS)
def test_zero_buckets_of_a_merge_hold_all_that_is_below_the_common_threshold(sets):
    scale, offset, at, counts, zeros = columns(sets)
    thresholds = np.array([threshold for _, _, threshold in sets])

    common = zero.common_threshold(scale, offset, at, counts, thresholds)
    zero.absorb(scale, offset, at, counts, zeros, common)

    assert common >= thresholds.max()
    for i, (values, own, threshold) in enumerate(sets):
        # A bucket is absorbed whole or not at all, so its upper bound decides.
        above = [
            v
            for v in values
            if v > threshold and exponential.lower_bound(exponential.index_of(v, own) + 1, own) > common
        ]
        assert zeros[i] == len(values) - len(above)
        assert counts[at[i] : at[i + 1]].sum() == len(above)
        assert all(v >= common * (1 - 1e-12) for v in above)


def test_a_threshold_inside_a_populated_bucket_is_raised_to_its_upper_bound():
    one, at = np.zeros(1, np.int64), np.array((0, 2))
    counts, zeros = np.array([3, 5]), np.array([1])

    common = zero.common_threshold(one, one, at, counts, np.array([1.5]))
    zero.absorb(one, one, at, counts, zeros, common)

    assert (common, zeros.tolist(), counts.tolist()) == (2.0, [4], [0, 5])


def test_a_threshold_inside_an_empty_bucket_stays():
    one, at = np.zeros(1, np.int64), np.array((0, 2))

    assert zero.common_threshold(one, one, at, np.array([0, 5]), np.array([1.5])) == 1.5


def test_raising_goes_on_until_no_row_is_cut():
    scale, offset, at = np.array([0, -1]), np.array([0, 0]), np.array([0, 1, 2])

    # 1.5 is inside (1, 2], 2 inside (1, 4] of the other row.
    assert zero.common_threshold(scale, offset, at, np.array([1, 1]), np.array([1.5, 0.0])) == 4.0
