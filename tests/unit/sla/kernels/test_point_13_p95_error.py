"""A p95 is within its bucket's relative error of the true one, and Prometheus' own results come out too.

10 000 random data sets: with zeros, of one bucket, all equal, over a huge range, at negative scales. The
figures of Prometheus are those that its project publishes as tests of `histogram_quantile`
(promql/promqltest/testdata/histograms.test and native_histograms.test at v3).
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.distribution import (
    explicit_distribution,
    exponential_distribution,
    prometheus_quantile,
    quantile_of,
)
from services.sla.kernels import exponential, prometheus
from tests.unit.sla.kernels import naive

P95 = Fraction(95, 100)
NAN, INF = math.nan, math.inf
NONE = np.zeros(0, np.int64)


def distribution(values, scale):
    indexes = [exponential.index_of(value, scale) for value in values if value > 0]
    first = min(indexes, default=0)
    counts = np.zeros(max(indexes, default=-1) - first + 1, np.int64)
    np.add.at(counts, np.array(indexes, np.int64) - first, 1)
    return exponential_distribution(scale, first, sum(value == 0 for value in values), counts)


def drawn(rng, shape):
    size = int(rng.integers(1, 60))
    values = {
        "lognormal": lambda: rng.lognormal(-2, 1.5, size),
        "with zeros": lambda: rng.lognormal(-2, 1.5, size) * (rng.random(size) < 0.7),
        "one bucket": lambda: 1.0 + rng.random(size) * 0.01,
        "all equal": lambda: np.full(size, rng.uniform(1e-3, 10)),
        "huge range": lambda: 10.0 ** rng.uniform(-12, 12, size),
    }[shape]()
    return values.tolist()


@pytest.mark.parametrize("scale", [-3, -1, 0, 3, 8])
@pytest.mark.parametrize("shape", ["lognormal", "with zeros", "one bucket", "all equal", "huge range"])
def test_the_p95_of_400_random_data_sets_is_within_the_buckets_error(shape, scale):
    rng = np.random.default_rng(1000 + scale)
    base = 2.0 ** (2.0**-scale)
    allowed = (base - 1) / (base + 1) * (1 + 1e-9)
    assert scale != 3 or allowed <= 0.0433

    for _ in range(400):
        values = drawn(rng, shape)
        found, true = quantile_of(distribution(values, scale), P95), naive.nearest_rank(values, P95)
        assert abs(found.estimate - true) <= true * allowed
        assert found.lower <= true * (1 + 1e-12)
        assert true <= found.upper * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shape", ["lognormal", "uniform", "two peaks", "all equal"])
def test_p95_of_large_samples_is_within_4_33_percent_at_scale_3(seed, shape):
    rng = np.random.default_rng(seed)
    values = {
        "lognormal": rng.lognormal(-2, 1.5, 2000),
        "uniform": rng.uniform(0, 3, 2000),
        "two peaks": np.concatenate((rng.normal(0.05, 0.01, 1800), rng.normal(2, 0.1, 200))),
        "all equal": np.full(2000, rng.uniform(0.01, 10)),
    }[shape]
    values = np.abs(values).tolist()

    found = quantile_of(distribution(values, 3), P95)

    assert abs(found.estimate / naive.nearest_rank(values, P95) - 1) <= 0.0433


POSITIVE = ((0.1, 0.2, 1.0, INF), (50, 70, 110, 120))
NEGATIVE = ((-0.2, -0.1, 0.3, INF), (10, 20, 20, 30))
MIDDLES = ((0.0, 2.0, 4.0, 6.0, INF), (0, 10, 20, 30, 30))
REAL = ((0.0, 0.1, 0.2, 1.0, INF), (0, 50, 70, 110, 110))
REAL_NEGATIVE = ((-0.25, -0.2, -0.1, 0.3, INF), (0, 10, 20, 20, 20))
FALLING = ((0.1, 1.0, 10.0, 100.0, 1000.0, INF), (20, 10, 50, 40, 90, 80))
MIXED = ((0.1, 0.2, 0.2, 0.2, INF), (10, 10, 10, 10, 40))

CLASSIC = [
    (POSITIVE, -0.1, -INF),
    (POSITIVE, 1.01, INF),
    (POSITIVE, NAN, NAN),
    (POSITIVE, 0, 0),
    (POSITIVE, 0.2, 0.048),
    (POSITIVE, 0.5, 0.15),
    (POSITIVE, 0.8, 0.72),
    (POSITIVE, 1, 1),
    (NEGATIVE, 0, -0.2),
    (NEGATIVE, 0.2, -0.2),
    (NEGATIVE, 0.5, -0.15),
    (NEGATIVE, 0.8, 0.3),
    (NEGATIVE, 1, 0.3),
    (MIDDLES, 1 / 6, 1),
    (MIDDLES, 0.5, 3),
    (MIDDLES, 5 / 6, 5),
    (REAL, 0.25, 0.055),
    (REAL, 0.5, 0.125),
    (REAL, 0.75, 0.45),
    (REAL, 1, 1),
    (REAL_NEGATIVE, 0, -0.25),
    (REAL_NEGATIVE, 0.25, -0.225),
    (REAL_NEGATIVE, 0.5, -0.2),
    (REAL_NEGATIVE, 0.75, -0.15),
    (FALLING, 0.01, 0.0045),
    (FALLING, 0.5, 8.5),
    (FALLING, 0.99, 979.75),
    (MIXED, 0.5, 0.15),
    (MIXED, 0.75, 0.2),
    (MIXED, 1, 0.2),
    (((0.1, 0.2, INF), (0, 0, 0)), 0.2, NAN),
    (((INF,), (7,)), 0.5, NAN),
    (((1.0, 2.0), (1, 2)), 0.5, NAN),
    (((0.1, 0.2, INF), (100, 190, 250)), 0.3, 0.075),
    (((0.1, 0.2, INF), (100, 190, 250)), 0.5, 0.12777777777777778),
]


@pytest.mark.parametrize(("histogram", "q", "expected"), CLASSIC)
def test_classic_histograms_give_what_prometheus_publishes(histogram, q, expected):
    upper, cumulative = (np.array(column, np.float64) for column in histogram)

    assert prometheus.classic(upper, cumulative, float(q)) == pytest.approx(expected, nan_ok=True, rel=1e-12)


def test_steps_that_are_only_rounding_are_none():
    upper = np.array([0.1, 0.2, INF])

    assert prometheus.classic(upper, np.array([100.0, 100.00000000001, 100.0]), 1.0) == 0.1


ROW = (2, 3, 0, 1, 4)
NATIVE = {
    # schema, buckets from the one that 1 ends, negative ones likewise, zero count, zero width, total
    "single": (0, (1, 2, 1), (), 0, 0.0, 4),
    "only zeros": (0, (), (), 1, 0.5, 1),
    "upside down": (0, (), (1, 2, 1), 0, 0.0, 4),
    "balanced": (0, (1, 2, 1), (1, 2, 1), 0, 0.0, 8),
    "positive": (0, ROW, (), 2, 0.001, 12),
    "negative": (0, (), ROW, 2, 0.001, 12),
    "both": (0, ROW, ROW, 4, 0.001, 24),
    "scale -1": (-1, (0, 5), (), 0, 0.0, 5),
    "scale 0": (0, (0, 5), (), 0, 0.0, 5),
    "scale 1": (1, (0, 5), (), 0, 0.0, 5),
    "further, scale -1": (-1, (0, 0, 5), (), 0, 0.0, 5),
    "further, scale 0": (0, (0, 0, 5), (), 0, 0.0, 5),
    "further, scale 1": (1, (0, 0, 5), (), 0, 0.0, 5),
    "below 0, scale -1": (-1, (), (0, 0, 5), 0, 0.0, 5),
    "below 0, scale 1": (1, (), (0, 0, 5), 0, 0.0, 5),
    "empty": (0, (), (), 0, 0.0, 0),
}
PUBLISHED = [
    *[("single", 0.5, 1.414213562373095), ("only zeros", 0.5, 0), ("upside down", 0.5, -1.414213562373095)],
    *[("balanced", 0.5, 0.5), ("empty", 0.5, NAN), ("single", NAN, NAN)],
    *[("positive", 1.001, INF), ("positive", 1, 16), ("positive", 0.99, 15.67072476139083)],
    *[("positive", 0.9, 12.99603834169977), ("positive", 0.6, 4.594793419988138)],
    *[("positive", 0.5, 1.5874010519681994), ("positive", 0.1, 0.0006), ("positive", 0, 0)],
    *[("positive", -1, -INF), ("positive", 0.08333333333333333, 0.0005), ("positive", 0.6320802083934297, 6)],
    *[("negative", 1, 0), ("negative", 0.99, -0.00006), ("negative", 0.9, -0.0006)],
    *[("negative", 0.5, -1.5874010519681996), ("negative", 0.1, -12.996038341699768), ("negative", 0, -16)],
    *[("negative", 0.9166666666666666, -0.0005), ("negative", 0.36791979160657035, -6)],
    *[("both", 1, 16), ("both", 0.99, 15.34822590920423), ("both", 0.9, 10.556063286183155)],
    *[("both", 0.7, 1.2030250360821164), ("both", 0.55, 0.0006), ("both", 0.5, 0), ("both", 0.45, -0.0006)],
    *[("both", 0.3, -1.2030250360821169), ("both", 0.1, -10.556063286183155)],
    *[("both", 0.01, -15.34822590920423), ("both", 0, -16), ("both", 0.5416666666666666, 0.0005)],
    *[("scale -1", 0.5, 2.0), ("scale 0", 0.5, 1.4142135623730951), ("scale 1", 0.5, 1.189207115002721)],
    *[("further, scale -1", 0.5, 8.0), ("further, scale 0", 0.5, 2.82842712474619)],
    *[("further, scale 1", 0.5, 1.6817928305074292), ("below 0, scale -1", 0.5, -8.0)],
    *[("below 0, scale 1", 0.5, -1.6817928305074292)],
]


@pytest.mark.parametrize(("name", "q", "expected"), PUBLISHED)
def test_native_histograms_give_what_prometheus_publishes(name, q, expected):
    scale, above, below, zero_count, width, total = NATIVE[name]
    # Prometheus counts from the bucket that ends at 1, OTLP from the one that begins there.
    found = prometheus.buckets(
        scale, -1, np.array(above, np.int64), -1, np.array(below, np.int64), zero_count, width
    )

    result = prometheus.native(*found, float(total), float(q), False)

    assert result == pytest.approx(expected, nan_ok=True, rel=1e-12, abs=1e-16)


def test_observations_that_are_not_a_number_move_the_ranks_up():
    found = prometheus.buckets(0, -1, np.array([1, 2, 1]), 0, NONE, 0, 0.0)

    assert prometheus.native(*found, 8.0, 0.25, True) == pytest.approx(math.sqrt(2))
    assert prometheus.native(*found, 8.0, 0.9, True) == 4.0


COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=12)


@given(COUNTS, st.integers(-3, 8), st.integers(-20, 20), st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
def test_the_reading_of_prometheus_rises_with_q_and_stays_in_a_populated_bucket(
    counts, scale, offset, zeros, first, second
):
    part = exponential_distribution(scale, offset, zeros, np.array(counts, np.int64))
    low, high = (prometheus_quantile(part, Fraction(q)) for q in sorted((first, second)))

    if part.total == 0:
        assert math.isnan(low)
        return
    assert low <= high * (1 + 1e-12)
    populated = [k for k, n in enumerate(counts) if n]
    top = exponential.lower_bound(offset + populated[-1] + 1, scale) if populated else 0.0
    assert low >= 0.0
    assert high <= top * (1 + 1e-12)


def test_where_prometheus_says_one_number_ours_says_what_is_sure():
    part = explicit_distribution((1.0, 2.5), np.array([930, 70, 0]))

    ours = quantile_of(part, P95)

    assert prometheus_quantile(part, P95) == pytest.approx(1 + 1.5 * 20 / 70)
    assert (ours.lower, ours.upper) == (1.0, 2.5)
