"""Sums over windows: equal to a sum from scratch, at every step of a rolling one and in calendar months."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.kernels import window


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=4, max_size=4), min_size=1, max_size=6))
def test_totals_add_up_over_any_cut(rows):
    table = np.array(rows, np.int64)
    whole, parts = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)

    window.totals(table, whole)
    window.totals(np.ascontiguousarray(table[:, :1]), parts)
    window.totals(np.ascontiguousarray(table[:, 1:]), parts)

    assert whole.tolist() == parts.tolist() == [sum(row) for row in rows]


SLICES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)


def made(rows):
    start = np.cumsum([row[0] for row in rows]).astype(np.int64)
    columns = np.array([row[1:] for row in rows], np.int64).T.copy()
    sums = np.zeros((2, len(rows) + 1), np.int64)
    assert all(window.running(columns[c], sums[c]) for c in range(2))
    return start, columns, sums


@given(SLICES, st.integers(0, 60))
def test_a_rolling_window_equals_a_sum_from_scratch_at_every_step(rows, length):
    start, columns, sums = made(rows)
    steps = np.arange(-2, int(start[-1]) + length + 3)
    out = np.zeros((2, len(steps)), np.int64)

    window.rolling(start, sums, steps, length, out)

    for i, step in enumerate(steps):
        inside = (start >= step - length) & (start < step)
        assert out[:, i].tolist() == columns[:, inside].sum(axis=1).tolist()


@given(SLICES, st.lists(st.integers(-5, 100), min_size=1, max_size=9).map(sorted))
def test_calendar_windows_tile_what_lies_between_their_edges(rows, edges):
    start, columns, sums = made(rows)
    out = np.zeros((2, len(edges) - 1), np.int64)

    window.consecutive(start, sums, np.array(edges, np.int64), out)

    for i in range(len(edges) - 1):
        inside = (start >= edges[i]) & (start < edges[i + 1])
        assert out[:, i].tolist() == columns[:, inside].sum(axis=1).tolist()
    between = (start >= edges[0]) & (start < edges[-1])
    assert out.sum(axis=1).tolist() == columns[:, between].sum(axis=1).tolist()


def test_months_of_hours_hold_as_many_hours_as_they_have():
    edges = [int(datetime(2026, month, 1, tzinfo=UTC).timestamp() * 1000) for month in range(1, 13)]
    start = np.arange(edges[0], edges[-1], 3_600_000)
    sums = np.arange(len(start) + 1).reshape(1, -1)
    out = np.zeros((1, 11), np.int64)

    window.consecutive(start, sums, np.array(edges), out)

    assert out[0].tolist() == [24 * days for days in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30)]


@pytest.mark.parametrize(
    ("values", "fits"),
    [([2**62, 2**62 - 1], True), ([2**62, 2**62], False), ([5, -1], False), ([2**63 - 1], True), ([], True)],
)
def test_a_sum_that_does_not_fit_is_told_and_never_wraps(values, fits):
    assert window.running(np.array(values, np.int64), np.zeros(len(values) + 1, np.int64)) is fits
