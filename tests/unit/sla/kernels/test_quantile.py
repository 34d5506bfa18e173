"""Quantiles from buckets: within the bucket's error of the true sample, and honest about what is unknown."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.distribution import explicit_distribution, exponential_distribution, quantile_of
from services.sla.kernels import exponential, quantile
from tests.unit.sla.kernels import naive

P95 = Fraction(95, 100)
LATENCIES = st.one_of(
    st.floats(1e-6, 1e5),
    st.just(0.0),
    st.sampled_from([0.25, 0.5, 1.0, 2.0, 1.9999999999999998, 2.0000000000000004]),
)


def distribution(values, scale):
    zero = sum(value == 0 for value in values)
    counts = Counter(exponential.index_of(value, scale) for value in values if value > 0)
    first = min(counts, default=0)
    buckets = [counts[i] for i in range(first, max(counts, default=-1) + 1)]
    return exponential_distribution(scale, first, zero, np.array(buckets, np.int64))


@settings(max_examples=300)
@given(
    st.lists(LATENCIES, min_size=1, max_size=60),
    st.integers(-2, 8),
    st.fractions(0, 1).filter(lambda q: q > 0),
)
def test_the_estimate_is_within_the_buckets_relative_error(values, scale, q):
    found = quantile_of(distribution(values, scale), q)
    true = naive.nearest_rank(values, q)

    base = 2.0 ** (2.0**-scale)
    assert abs(found.estimate - true) <= true * (base - 1) / (base + 1) * (1 + 1e-9)
    assert found.lower <= true * (1 + 1e-12)
    assert true <= found.upper * (1 + 1e-12)


def test_the_rank_in_the_overflow_bucket_gives_a_lower_bound_only():
    found = quantile_of(explicit_distribution((1.0, 2.5), np.array([0, 10, 90])), P95)

    assert (found.estimate, found.lower, found.upper, found.saturated) == (2.5, 2.5, 2.5, True)


def test_an_explicit_quantile_lies_between_the_bounds_of_its_bucket():
    found = quantile_of(explicit_distribution((1.0, 2.5), np.array([930, 70, 0])), P95)

    assert (found.lower, found.upper, found.saturated) == (1.0, 2.5, False)
    assert found.estimate == pytest.approx(1 + 1.5 * 20 / 70)


def test_nothing_is_known_without_buckets():
    found = quantile_of(explicit_distribution((), np.array([7])), P95)

    assert (found.lower, found.saturated) == (0.0, True)
    assert quantile_of(explicit_distribution((), np.array([0])), P95) is None


@given(st.lists(LATENCIES, min_size=1, max_size=40), st.integers(-4, 6), st.floats(1e-3, 100))
def test_the_shares_enclose_the_true_count(values, scale, threshold):
    part = distribution(values, scale)
    counts = np.array(part.counts, np.int64)

    sure, possible = quantile.exponential_share(scale, part.offset, part.zero_count, counts, threshold)

    assert sure <= sum(value <= threshold for value in values) <= possible


@given(
    st.lists(st.floats(0, 20), max_size=40),
    st.lists(st.floats(0.1, 15), max_size=5, unique=True),
    st.floats(0.1, 20),
)
def test_explicit_shares_enclose_the_true_count(values, bounds, threshold):
    bounds = np.array(sorted(bounds))
    counts = np.zeros(len(bounds) + 1, np.int64)
    for value in values:
        counts[np.searchsorted(bounds, value)] += 1

    sure, possible = quantile.explicit_share(bounds, counts, threshold)

    assert sure <= sum(value <= threshold for value in values) <= possible
