"""From the points of a batch to the order of rows in a table, and what the batch reaches over.

A table is sorted by tenant, metric, series and time; rows that are equal in all of it keep the order of
the log. A batch has far fewer series than points, so the series are sorted (`order_rows`; the caller has
sorted by id alone, which NumPy does with the processor's vector units) and numbered in that order; the
points follow by one stable counting pass over those numbers, and their times are nearly always in order.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Ints, Words
from services.collector.model import U8, Bools

_MS = np.uint64(1_000_000)
_SHORT_RUN = 32
_FIRST_TIME, _UNSORTED = -(1 << 63), (1 << 63) - 1


@kernel
def times_to_ms(time_ns: Words, start_ns: Words, ts: Ints, start: Ints, bits: U8) -> None:
    """Milliseconds, floored, and what they lose: bit 1 for no start, bit 2 for one that equals the time."""
    for index in range(len(time_ns)):
        ts[index] = np.int64(time_ns[index] // _MS)
        start[index] = np.int64(start_ns[index] // _MS)
        if start_ns[index] == 0:
            bits[index] = 1
        else:
            bits[index] = 2 if start_ns[index] == time_ns[index] else 0


@kernel
def reach(
    series: Ints,
    accepted: Bools,
    ts: Ints,
    start: Ints,
    bits: U8,
    delta: Bools,
    group: Ints,
    low: Ints,
    high: Ints,
) -> None:
    """Widen `low` and `high` of each group to the times that its accepted points speak about.

    A point of a series with delta temporality speaks about the time since its start.
    """
    for index in range(len(series)):
        if accepted[index]:
            one = series[index]
            place = group[one]
            since = ts[index]
            if delta[one] and not bits[index] & 1 and start[index] < since:
                since = start[index]
            low[place] = min(low[place], since)
            high[place] = max(high[place], ts[index])


@kernel
def order_rows(by_id: Ints, ranks: Ints, ids: Words, ts: Ints, starts: Ints, order: Ints) -> None:
    """`order` becomes the rows sorted by rank, id, time and row; `by_id` has them sorted by id.

    `starts` has one element for each rank, of any content.
    """
    starts[:] = 0
    for index in range(len(ranks)):
        starts[ranks[index]] += 1
    total = 0
    for rank in range(len(starts)):
        count = starts[rank]
        starts[rank] = total
        total += count
    for index in range(len(by_id)):
        row = by_id[index]
        order[starts[ranks[row]]] = row
        starts[ranks[row]] += 1
    first = 0
    while first < len(order):
        end = first + 1
        rank, one = ranks[order[first]], ids[order[first]]
        while end < len(order) and ids[order[end]] == one and ranks[order[end]] == rank:
            end += 1
        _sort_run(order, ts, first, end)
        first = end


@kernel
def order_points(
    place: Ints, series: Ints, numbers: Ints, ts: Ints, ends: Ints, latest: Ints, order: Ints
) -> None:
    """`order` becomes the rows sorted by their series' number, time and row.

    Row i is the point `place[i]` with the time `ts[i]`; its series is `series[place[i]]`, whose number is
    in `numbers`. `ends` and `latest` have one element for each number, of any content; `ends` becomes where
    the rows of each end.
    """
    ends[:] = 0
    latest[:] = _FIRST_TIME
    for index in range(len(place)):
        ends[numbers[series[place[index]]]] += 1
    total = 0
    for number in range(len(ends)):
        count = ends[number]
        ends[number] = total
        total += count
    for index in range(len(place)):
        number = numbers[series[place[index]]]
        order[ends[number]] = index
        ends[number] += 1
        latest[number] = ts[index] if ts[index] >= latest[number] else _UNSORTED
    first = 0
    for number in range(len(ends)):
        if latest[number] == _UNSORTED:
            _sort_run(order, ts, first, ends[number])
        first = ends[number]


@kernel
def _sort_run(order: Ints, ts: Ints, first: int, end: int) -> None:
    """Sort these elements of `order` by time and row."""
    if end - first > _SHORT_RUN:
        rows = np.sort(order[first:end])
        order[first:end] = rows[np.argsort(ts[rows], kind="mergesort")]
    elif end - first > 1:
        _sort_short(order, ts, first, end)


@kernel
def _sort_short(order: Ints, ts: Ints, first: int, end: int) -> None:
    """Insertion sort by time and row."""
    for index in range(first + 1, end):
        row = order[index]
        time = ts[row]
        place = index
        while place > first and (
            ts[order[place - 1]] > time or (ts[order[place - 1]] == time and order[place - 1] > row)
        ):
            order[place] = order[place - 1]
            place -= 1
        order[place] = row


@kernel
def find_runs(ranks: Ints, ids: Words, new: Bools) -> None:
    """`new[i]` says whether row i of sorted rows begins another series than the row before it."""
    for index in range(len(ids)):
        new[index] = index == 0 or ids[index] != ids[index - 1] or ranks[index] != ranks[index - 1]


@kernel
def pick_times(place: Ints, ts_of: Ints, start_of: Ints, ts: Ints, start: Ints) -> None:
    """The times of the points at `place`."""
    for index in range(len(place)):
        point = place[index]
        ts[index] = ts_of[point]
        start[index] = start_of[point]
