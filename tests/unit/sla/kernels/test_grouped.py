"""Exact quantiles by group: against sorting, and bit by bit against ClickHouse's `quantileExact`."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import grouped
from tests.unit.sla.kernels import naive

GROUPS = 10_000
ANY = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
LISTS = st.lists(st.lists(ANY, max_size=40), min_size=1, max_size=6)
LEVELS = (0.0, 0.25, 0.29, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def flat(lists):
    at = np.cumsum([0, *(len(one) for one in lists)]).astype(np.int64)
    return np.array([value for one in lists for value in one], np.float64), at


def bits(values):
    return np.asarray(values, np.float64).view(np.int64).tolist()


def in_order(values):
    """Without NaN, -0.0 before 0.0."""
    return sorted((v for v in values if v == v), key=lambda v: (v, np.copysign(1.0, v)))


@given(LISTS, st.sampled_from(LEVELS))
def test_the_element_is_that_of_the_sorted_values(lists, level):
    values, at = flat(lists)
    out = np.zeros(len(lists))

    grouped.quantile_exact(values, at, level, out)

    expected = []
    for one in map(in_order, lists):
        rank = int(level * len(one)) if level < 1 else len(one) - 1
        expected.append(one[rank] if one else float("nan"))
    assert np.isnan(out).tolist() == np.isnan(expected).tolist()
    assert bits(out[~np.isnan(out)]) == bits([v for v in expected if v == v])


@given(LISTS, st.fractions(0, 1, max_denominator=10_000).filter(lambda q: q > 0))
def test_the_nearest_rank_is_that_of_the_sorted_values(lists, q):
    values, at = flat(lists)
    out = np.zeros(len(lists))

    grouped.nearest_rank(values, at, q.numerator, q.denominator, out)

    for one, found in zip(map(in_order, lists), out, strict=True):
        assert np.isnan(found) if not one else found == naive.nearest_rank(one, q)


@pytest.mark.parametrize("size", [17, 511, 512, 4096, 20_000])
@pytest.mark.parametrize("shape", ["random", "equal", "two values", "rising", "falling", "saw", "zeros"])
def test_large_groups_of_every_shape(size, shape):
    rng = np.random.default_rng(size)
    values = {
        "random": rng.lognormal(0, 3, size),
        "equal": np.full(size, 7.25),
        "two values": rng.choice([1.0, 2.0], size),
        "rising": np.arange(size, dtype=np.float64),
        "falling": -np.arange(size, dtype=np.float64),
        "saw": np.arange(size) % 127.0,
        "zeros": rng.choice([0.0, -0.0, 1e-300], size),
    }[shape]
    whole = in_order(values.tolist())
    out = np.zeros(1)

    for level in LEVELS:
        grouped.quantile_exact(values, np.array((0, size)), level, out)

        assert bits(out) == bits([whole[int(level * size) if level < 1 else size - 1]])


@given(st.lists(st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)), min_size=1), st.data())
def test_halving_finds_the_element_when_samples_mislead(values, data):
    rank = data.draw(st.integers(0, len(values) - 1))

    assert grouped._halving(np.array(values, np.int64), len(values), rank) == sorted(values)[rank]


@given(st.lists(st.tuples(st.integers(-1, 5), st.floats(0, 9)), max_size=30))
def test_rows_are_gathered_by_group_in_their_order(rows):
    group = np.array([row[0] for row in rows], np.int64)

    at, found = grouped.gather(group, np.array([row[1] for row in rows], np.float64), 4)

    for g in range(4):
        assert found[at[g] : at[g + 1]].tolist() == [value for own, value in rows if own == g]


def columns():
    """10 000 groups, 0 to 120 values each: duplicates, infinities, NaN, subnormals, zeros of both signs."""
    rng = np.random.default_rng(20_261_101)
    group = np.repeat(np.arange(GROUPS), rng.integers(0, 120, GROUPS))
    values = rng.lognormal(-2, 3, len(group)) * rng.choice([1.0, 1.0, -1.0], len(group))
    odd = rng.random(len(group))
    for share, value in ((0.02, np.nan), (0.03, np.inf), (0.04, -np.inf), (0.06, 0.5), (0.07, 5e-324)):
        values[(odd < share) & (odd >= share - 0.02)] = value
    # Zeros of one sign in a group: of two equal elements ClickHouse gives either.
    zero = (odd >= 0.07) & (odd < 0.12)
    values[zero] = np.where(group[zero] % 2 == 0, 0.0, -0.0)
    order = rng.permutation(len(group))
    return group[order], values[order]


QUERY = """
import sys, chdb
rows, out, *levels = sys.argv[1:]
chosen = ", ".join(f"reinterpretAsInt64(quantileExact({q})(reinterpretAsFloat64(v)))" for q in levels)
source = f"file('{rows}', RowBinary, 'g Int64, v Int64')"
found = chdb.query(f"SELECT g, {chosen} FROM {source} GROUP BY g ORDER BY g", "RowBinary")
open(out, "wb").write(found.bytes())
"""
CHECKED = (0.5, 0.95, 0.99, 0.29, 1.0)


def test_10_000_random_groups_are_bit_equal_to_the_real_quantile_exact(tmp_path):
    group, values = columns()
    np.stack((group, values.view(np.int64))).T.copy().tofile(tmp_path / "rows")
    at, gathered = grouped.gather(group, values, GROUPS)

    # In a process of its own, as everywhere: the engine's threads do not mix with those of other tests.
    command = [sys.executable, "-c", QUERY, str(tmp_path / "rows"), str(tmp_path / "out"), *map(str, CHECKED)]
    subprocess.run(command, check=True, timeout=120)

    found = np.fromfile(tmp_path / "out", np.int64).reshape(-1, 1 + len(CHECKED))
    told = found[:, 0]
    assert len(told) > 9_000
    for level, theirs in zip(CHECKED, found[:, 1:].T.copy(), strict=True):
        ours = np.zeros(GROUPS)
        grouped.quantile_exact(gathered, at, level, ours)
        empty = np.isnan(ours[told])
        assert np.array_equal(empty, np.isnan(theirs.view(np.float64)))
        assert np.array_equal(ours[told].view(np.int64)[~empty], theirs[~empty])
        assert np.isnan(np.delete(ours, told)).all()


def test_the_two_rules_differ_where_the_product_is_whole():
    values, at = np.arange(1.0, 21.0), np.array((0, 20))
    ours, theirs = np.zeros(1), np.zeros(1)

    grouped.nearest_rank(values, at, 95, 100, ours)
    grouped.quantile_exact(values, at, 0.95, theirs)

    assert (ours[0], theirs[0]) == (19.0, 20.0)
    assert ours[0] == naive.nearest_rank(values.tolist(), Fraction(95, 100))
