"""The order of rows, and what points reach over, against NumPy's sort and a plain loop."""

import numpy as np
import pytest

from services.collector.kernels import rows


@pytest.mark.parametrize("series", [1, 3, 40, 5000])
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_rows_are_sorted_by_rank_id_time_and_place(count: int, series: int) -> None:
    rng = np.random.default_rng(count * 10_000 + series)
    which = rng.integers(0, series, count)
    ids = (which.astype(np.uint64) % 7 + 1) * np.uint64(0x9E3779B97F4A7C15)
    ranks = which % 5
    ts = rng.integers(-3, 50, count)
    order = np.empty(count, np.int64)

    rows.order_rows(np.argsort(ids), ranks, ids, ts, np.empty(5, np.int64), order)

    expected = np.lexsort((ts, ids, ranks))
    assert order.tolist() == expected.tolist()
    new = np.empty(count, np.bool_)
    rows.find_runs(ranks[order], ids[order], new)
    pairs = list(zip(ranks[order].tolist(), ids[order].tolist(), strict=True))
    assert new.tolist() == [place == 0 or pair != pairs[place - 1] for place, pair in enumerate(pairs)]


@pytest.mark.parametrize("sorted_times", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3000])
def test_points_are_sorted_by_the_number_of_their_series_time_and_place(
    count: int, *, sorted_times: bool
) -> None:
    rng = np.random.default_rng(count)
    series, numbers = rng.integers(0, 90, 5000), rng.permutation(np.arange(90) % 30)
    place = rng.permutation(5000)[:count]
    ts = rng.integers(-3, 50, count)
    if sorted_times:
        ts.sort()
    order, ends = np.empty(count, np.int64), np.empty(30, np.int64)

    rows.order_points(place, series, numbers, ts, ends, np.empty(30, np.int64), order)

    number = numbers[series[place]]
    assert order.tolist() == np.lexsort((ts, number)).tolist()
    assert ends.tolist() == np.cumsum(np.bincount(number, minlength=30)).tolist()


def test_groups_reach_to_the_start_of_their_delta_points() -> None:
    rng = np.random.default_rng(7)
    count, groups = 500, 6
    series = rng.integers(0, 12, count)
    group, delta = np.arange(12) % groups, np.arange(12) % 3 == 0
    accepted = rng.random(count) < 0.8
    time_ns = rng.integers(10**9, 2 * 10**9, count).astype(np.uint64)
    start_ns = rng.integers(0, 2 * 10**9, count).astype(np.uint64) * (rng.random(count) < 0.7)
    start_ns = np.where(rng.random(count) < 0.1, time_ns, start_ns).astype(np.uint64)
    ts, start = np.empty(count, np.int64), np.empty(count, np.int64)
    bits = np.empty(count, np.uint8)
    low, high = np.full(groups, 1 << 62), np.full(groups, -(1 << 62))

    rows.times_to_ms(time_ns, start_ns, ts, start, bits)
    rows.reach(series, accepted, ts, start, bits, delta, group, low, high)

    spans: list[list[int]] = [[] for _ in range(groups)]
    for place in np.flatnonzero(accepted).tolist():
        one, since = int(series[place]), int(start_ns[place])
        times = [int(time_ns[place]) // 10**6]
        if delta[one] and since:
            times.append(since // 10**6)
        spans[int(group[one])] += [min(times), times[0]]
    assert [(min(span), max(span)) for span in spans] == list(zip(low.tolist(), high.tolist(), strict=True))
    assert bits.tolist() == [
        1 if since == 0 else 2 * (since == at)
        for since, at in zip(start_ns.tolist(), time_ns.tolist(), strict=True)
    ]
