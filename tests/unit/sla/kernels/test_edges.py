"""Counts over slices that maintenance cut into pieces: the grid's results on a grid, the rule everywhere."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.kernels import edges, explicit, exponential, intervals, spread
from tests.unit.sla.kernels import naive
from tests.unit.sla.kernels.test_exponential import as_counter, flat

ROWS = st.lists(st.tuples(st.integers(-50, 200), st.integers(0, 150), st.integers(0, 1000)), max_size=8)
EDGES = st.lists(st.integers(-40, 240), min_size=1, max_size=12).map(sorted)
CUTS = st.lists(st.tuples(st.integers(-20, 180), st.integers(0, 60)), max_size=5)


def ints(values):
    return np.array(values, np.int64)


def columns(rows):
    start = ints([row[0] for row in rows])
    return start, start + ints([row[1] for row in rows]), ints([row[2] for row in rows])


@given(ROWS, st.integers(-30, 30), st.integers(1, 70), st.integers(1, 9))
def test_on_a_grid_the_edges_give_what_the_grid_gives(rows, origin, width, count):
    on_edges, on_grid = np.zeros(count, np.int64), np.zeros(count, np.int64)

    edges.spread_edges(*columns(rows), edges.grid(origin, width, count), on_edges)
    spread.spread(*columns(rows), origin, width, on_grid)

    assert on_edges.tolist() == on_grid.tolist()


@given(ROWS, EDGES)
def test_pieces_get_what_the_rule_says(rows, cuts):
    out = np.zeros(len(cuts) - 1, np.int64)
    start, end, n = columns(rows)

    edges.spread_edges(start, end, n, ints(cuts), out)

    assert out.tolist() == naive.spread_edges(list(zip(start, end, n, strict=True)), cuts)


@given(
    st.integers(0, 2**41), st.integers(0, 2**41), st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**42))
)
def test_nothing_is_lost_however_time_is_cut(start, length, n, cuts):
    places = sorted({start - 1, start + length, *cuts})
    out = np.zeros(len(places) - 1, np.int64)

    edges.spread_edges(ints([start]), ints([start + length]), ints([n]), ints(places), out)

    inside = [
        count for a, count in zip(places, out.tolist(), strict=False) if start - 1 <= a < start + length
    ]
    assert sum(inside) == out.sum() == n
    assert (out >= 0).all()


@given(ROWS, CUTS, st.integers(-30, 30), st.integers(1, 70), st.integers(1, 6))
def test_the_pieces_of_a_slice_sum_to_the_slice(rows, cuts, origin, width, count):
    start = ints([cut[0] for cut in cuts])
    out_of_order = intervals.normalise(start, start + ints([cut[1] for cut in cuts]))
    slices = edges.grid(origin, width, count)

    places, owner, cut = edges.kept(slices, out_of_order)

    found = np.zeros(len(places) - 1, np.int64)
    edges.spread_edges(*columns(rows), places, found)
    whole = np.zeros(count, np.int64)
    spread.spread(*columns(rows), origin, width, whole)
    assert np.bincount(owner, found, count).astype(int).tolist() == whole.tolist()
    gone = naive.instants(out_of_order.tolist())
    for k, (a, b) in enumerate(zip(places[:-1].tolist(), places[1:].tolist(), strict=True)):
        assert a < b
        assert all((t in gone) == bool(cut[k]) for t in range(a, b))
        assert slices[owner[k]] <= a < b <= slices[owner[k] + 1]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(0, 30), st.integers(0, 30))), EDGES
)
def test_explicit_buckets_are_shared_out_one_by_one(rows, cuts):
    start = ints([row[0] for row in rows])
    end = start + ints([row[1] for row in rows])
    counts = ints([row[2:] for row in rows]).reshape(len(rows), 2)
    out = np.zeros((len(cuts) - 1, 2), np.int64)

    edges.spread_explicit(start, end, counts, ints(cuts), out)

    for j in range(2):
        plain = list(zip(start.tolist(), end.tolist(), counts[:, j].tolist(), strict=True))
        assert out[:, j].tolist() == naive.spread_edges(plain, cuts)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(0, 30)), min_size=1))
def test_explicit_slices_are_pieces_of_one_width(rows):
    start, end, n = columns(rows)
    out = np.zeros((5, 1), np.int64)

    explicit.slice_counts(start, end, n.reshape(-1, 1).copy(), 10, 12, out)

    assert out[:, 0].tolist() == naive.spread(list(zip(start, end, n, strict=True)), 10, 12, 5)


BUCKETS = st.lists(
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
@given(BUCKETS, EDGES)
def test_exponential_buckets_are_shared_out_one_by_one(rows, cuts):
    scale, offset, at, counts = flat([(row[2], row[3], row[4]) for row in rows])
    start = ints([row[0] for row in rows])
    end = start + ints([row[1] for row in rows])
    shape, places = np.stack((scale, offset)), ints(cuts)
    shapes = np.zeros((3, len(cuts) - 1), np.int64)
    exponential.piece_shapes(start, end, shape, at, counts, places, 320, shapes)
    out = np.zeros(int(shapes[2].sum()), np.int64)
    exponential.piece_counts(start, end, shape, at, counts, places, shapes, out)

    ends = np.cumsum(shapes[2])
    for k in range(len(cuts) - 1):
        expected: Counter[int] = Counter()
        for s, length, own, first, row in rows:
            shares = [naive.share(n, s, s + length, cuts[k], cuts[k + 1]) for n in row]
            if any(shares):
                expected += naive.downscale(as_counter(first, shares), own - int(shapes[0, k]))
        found = out[ends[k] - shapes[2, k] : ends[k]].tolist()
        assert as_counter(int(shapes[1, k]), found) == expected
