"""Merging invents nothing: what is not known after it shows as wide bounds."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.sla.distribution import merge, quantile_of
from services.sla.kernels import exponential
from services.sla.model import Distribution, DistributionKind
from tests.unit.sla.kernels import naive

VALUES = st.lists(st.floats(1e-3, 20), max_size=20)


def smooth(values, scale):
    indexes = [exponential.index_of(value, scale) for value in values]
    first = min(indexes, default=0)
    counts = tuple(indexes.count(i) for i in range(first, max(indexes, default=-1) + 1))
    return Distribution(DistributionKind.EXPONENTIAL, counts, scale, first)


def stepped(values, bounds):
    edges = [0.0, *bounds, float("inf")]
    counts = tuple(sum(low < value <= high for value in values) for low, high in pairwise(edges))
    return Distribution(DistributionKind.EXPLICIT, counts, bounds=tuple(bounds))


BOUNDS = st.lists(st.sampled_from([0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0]), unique=True).map(sorted)


@given(
    st.lists(st.tuples(VALUES, st.integers(-1, 5)), max_size=3),
    st.lists(st.tuples(VALUES, BOUNDS), max_size=3),
    st.sampled_from([Fraction(1, 2), Fraction(95, 100), Fraction(1)]),
)
def test_the_true_quantile_of_all_samples_lies_between_the_bounds(exponential_ones, explicit_ones, q):
    everything = [v for values, _ in exponential_ones for v in values]
    everything += [v for values, _ in explicit_ones for v in values]
    parts = [smooth(values, scale) for values, scale in exponential_ones]
    parts += [stepped(values, bounds) for values, bounds in explicit_ones]

    together = merge(parts)

    if not everything:
        assert together is None
        return
    assert together.total == len(everything)
    found, true = quantile_of(together, q), naive.nearest_rank(everything, q)
    assert found.lower <= true * (1 + 1e-12)
    assert found.saturated or true <= found.upper * (1 + 1e-12)


def test_explicit_histograms_keep_the_bounds_that_all_have():
    left = Distribution(DistributionKind.EXPLICIT, (1, 2, 3, 4), bounds=(0.5, 1.0, 2.5))
    right = Distribution(DistributionKind.EXPLICIT, (5, 6), bounds=(1.0,))

    assert merge([left, right]) == Distribution(DistributionKind.EXPLICIT, (8, 13), bounds=(1.0,))


def test_empty_parts_decide_nothing():
    empty = Distribution(DistributionKind.EXPONENTIAL, (), scale=-10)
    full = Distribution(DistributionKind.EXPONENTIAL, (4,), scale=8, offset=3)

    assert merge([empty, full, empty]) == full
    assert merge([empty]) is None
