"""The sum of many exponential histograms in one pass, against the same sum said plainly."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import exponential, merging
from tests.unit.sla.kernels import naive
from tests.unit.sla.kernels.test_exponential import as_counter, flat

NEAR = st.tuples(st.integers(-4, 6), st.integers(-300, 300), st.lists(st.integers(0, 5), max_size=12))
FAR = st.tuples(
    st.integers(-40, 40),
    st.integers(-(2**45), 2**45),
    st.lists(st.integers(0, 2), max_size=3),
)


def slow(columns, widest):
    """The sum by the two kernels that need no dense arrays."""
    scale, offset, length = exponential.merge_shape(*columns, widest)
    out = np.zeros(length, np.int64)
    if length:
        exponential.merge(*columns, scale, offset, out)
    return scale, offset, out.tolist()


@given(st.lists(st.one_of(NEAR, FAR), min_size=1, max_size=8), st.sampled_from([2, 20, 320]))
def test_one_pass_gives_what_two_gave(histograms, widest):
    columns = flat(histograms)

    scale, offset, counts = merging.merge_all(*columns, widest)

    assert (scale, offset, counts.tolist()) == slow(columns, widest)


@given(st.lists(NEAR, min_size=1, max_size=8))
def test_the_sum_holds_every_sample_in_its_bucket(histograms):
    scale, offset, counts = merging.merge_all(*flat(histograms), 320)

    expected: Counter[int] = Counter()
    for own, first, row in histograms:
        if any(row):
            expected += naive.downscale(as_counter(first, row), own - scale)
    assert as_counter(offset, counts.tolist()) == expected
    assert len(counts) <= 320
    assert not len(counts) or (counts[0] > 0 and counts[-1] > 0)


@given(st.lists(NEAR, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(histograms, random):
    other = random.sample(histograms, len(histograms))

    scale, offset, counts = merging.merge_all(*flat(histograms), 16)

    assert (scale, offset, counts.tolist()) == (
        *(found := merging.merge_all(*flat(other), 16))[:2],
        found[2].tolist(),
    )


@pytest.mark.parametrize("far", [2**20, 2**39, 2**41])
def test_rows_too_far_apart_for_dense_arrays_are_added_all_the_same(far):
    columns = flat([(20, -far, [3]), (20, far, [4]), (20, 0, [])])

    scale, offset, counts = merging.merge_all(*columns, 320)

    assert counts.sum() == 7
    assert (scale, offset, counts.tolist()) == slow(columns, 320)
