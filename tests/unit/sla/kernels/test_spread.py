"""Counts spread over slices: exact, additive, whole."""

from itertools import pairwise
from math import gcd

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from services.sla.kernels import spread
from tests.unit.sla.kernels import naive

COUNTS = st.integers(0, 2**63 - 1)
LENGTHS = st.integers(1, 2**42 - 1)


@given(COUNTS, LENGTHS, st.data())
@example(2**63 - 1, 2**42 - 1, None)
def test_a_share_is_exact_where_the_product_needs_more_than_64_bits(n, length, data):
    part = length - 1 if data is None else data.draw(st.integers(0, length))

    assert spread.mul_div(n, part, length) == n * part // length


@given(st.integers(1, 2**22), st.integers(2, 2**42 - 1))
def test_a_share_just_below_a_whole_number_is_not_rounded_up(n, length):
    # n * d is one short of a multiple of the length: the worst case for a quotient of doubles.
    common = gcd(n, length)
    d = -pow(n // common, -1, length // common) % (length // common)

    for part in (d, length // common - d, max(0, d - 1), length - 1):
        assert spread.mul_div(n, part, length) == n * part // length


@given(st.lists(st.tuples(st.integers(-50, 200), st.integers(0, 150), st.integers(0, 1000)), max_size=8))
def test_slices_get_what_the_rule_says(rows):
    rows = [(s, s + length, n) for s, length, n in rows]
    start, end, n = (np.array([row[i] for row in rows], np.int64) for i in range(3))
    out = np.zeros(7, np.int64)

    spread.spread(start, end, n, 3, 20, out)

    assert out.tolist() == naive.spread(rows, 3, 20, 7)


@given(st.integers(0, 10**6), st.integers(0, 10**6), COUNTS, st.integers(1, 100_000))
def test_nothing_is_lost_whatever_the_slices_are(start, length, n, width):
    origin = start // width * width
    slices = (start + length) // width - start // width + 2
    if slices > 2_000:
        width, slices, origin = 10**6, 4, 0
    out = np.zeros(slices, np.int64)
    one = np.array([start], np.int64)

    spread.spread(one, one + length, np.array([n]), origin - width, width, out)

    # An instant at a boundary belongs to the slice that it ends, one before the first here.
    assert out.sum() == n
    assert (out >= 0).all()


@given(st.integers(0, 1000), st.integers(1, 500), COUNTS, st.lists(st.integers(0, 600), min_size=1))
def test_cutting_a_slice_in_two_divides_its_share(start, length, n, cuts):
    edges = sorted({start, start + length, *(start + cut for cut in cuts if cut <= length)})
    shares = [spread.share(n, start, start + length, a, b) for a, b in pairwise(edges)]

    assert sum(shares) == n
    assert min(shares) >= 0


def test_a_point_at_a_boundary_belongs_to_the_slice_that_it_ends():
    out = np.zeros(3, np.int64)
    at_twenty = np.array([20], np.int64)

    spread.spread(at_twenty, at_twenty, np.array([5]), 0, 10, out)

    assert out.tolist() == [0, 5, 0]
