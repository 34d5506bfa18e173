"""From stored points to increments: who counts, over which interval, how many, into which buckets.

Rows come in any order and may repeat; here they are sorted, each (series, start, time) is kept once, and
the kernels decide resets. Everything is a function of the rows alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels import explicit, exponential, increase
from services.sla.model import NS_PER_MS, Floats, Ints, Objective, ObjectiveKind, PointKind, Rows, Series
from services.sla.slice_coverage import Reports

MOST_COUNT = 2**53
"""Points that count more than this are broken: sums of a few of them would not fit into 63 bits."""

_STATUS_ABSENT_IS_BAD = "error.type"
_SECONDS = {
    "": Fraction(1),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
    "min": Fraction(60),
    "h": Fraction(3600),
}
"""UCUM units that are exact parts or multiples of a second; without one, seconds are meant."""


@dataclass(frozen=True, slots=True)
class BucketGroup:
    """Explicit increments of rows that share their bounds; `rows` are indexes into the increments."""

    bounds: tuple[float, ...]
    rows: Ints
    counts: Ints


@dataclass(frozen=True, slots=True)
class Increments:
    """What each point adds: n requests over (start, ts], and how they fall into buckets.

    begun: the start that the point names, in nanoseconds, which tells processes apart.

    Exponential: shape (2, rows) is scale and offset, buckets of row i are counts[at[i]:at[i+1]] and
    `zero` of them as near to zero as `zero_threshold`. Explicit: one group for each set of bounds.
    """

    kind: PointKind
    series: Ints
    begun: Ints
    start: Ints
    ts: Ints
    n: Ints
    shape: Ints
    at: Ints
    counts: Ints
    zero: Ints
    zero_threshold: Floats
    groups: tuple[BucketGroup, ...]


def take(at: Ints, values: NDArray[np.generic], chosen: Ints) -> tuple[Ints, NDArray[np.generic]]:
    """The flat values of the chosen rows, in their order, with where each starts."""
    lengths = (at[1:] - at[:-1])[chosen]
    out_at = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    index = np.arange(out_at[-1]) - np.repeat(out_at[:-1], lengths) + np.repeat(at[:-1][chosen], lengths)
    return out_at, values[index.astype(np.int64)]


def in_order(rows: Rows) -> Rows:
    """Sorted by (series, start, time), each of them once, told apart by the nanosecond where that is kept.

    Of points that differ in their values the one with the highest count is kept: which of them came first
    must not matter. Points of an impossible count are as if they had never come.
    """
    columns = (rows.series, rows.start, rows.start_ns, rows.ts, rows.ts_ns)
    order = np.lexsort((-rows.count, *reversed(columns)))
    key = np.stack([one[order] for one in columns])
    possible = ~impossible(rows)[order]
    order, key = order[possible], key[:, possible]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    chosen = order[fresh]
    at, counts = take(rows.at, rows.counts, chosen)
    bounds_at, bounds = take(rows.bounds_at, rows.bounds, chosen)
    smooth = rows.kind is PointKind.EXPONENTIAL
    return Rows(
        kind=rows.kind,
        series=rows.series[chosen],
        start=rows.start[chosen],
        start_ns=rows.start_ns[chosen],
        ts=rows.ts[chosen],
        ts_ns=rows.ts_ns[chosen],
        bits=rows.bits[chosen],
        count=rows.count[chosen],
        at=at,
        counts=counts.astype(np.int64),
        scale=rows.scale[chosen] if smooth else rows.scale,
        offset=rows.offset[chosen] if smooth else rows.offset,
        zero_count=rows.zero_count[chosen] if smooth else rows.zero_count,
        zero_threshold=rows.zero_threshold[chosen] if smooth else rows.zero_threshold,
        bounds=bounds.astype(np.float64),
        bounds_at=bounds_at,
    )


def impossible(rows: Rows) -> NDArray[np.bool_]:
    """Rows whose count no process can have reached."""
    return (rows.count < 0) | (rows.count > MOST_COUNT)


def increments_of(rows: Rows, series: Mapping[int, Series], reports: Reports) -> Increments:
    """What each point of `rows` (see `in_order`) adds. Series that are not known add nothing."""
    delta = np.array([_is_delta(series, s) for s in rows.series.tolist()], np.bool_)
    group = _groups(rows)
    fell = np.zeros(len(rows), np.bool_)
    increase.count_fell(group, rows.count, fell)
    if rows.kind is PointKind.EXPONENTIAL:
        zero_fell = np.zeros(len(rows), np.bool_)
        increase.count_fell(group, rows.zero_count, zero_fell)
        fell |= zero_fell
        exponential.buckets_fell(group, rows.scale, rows.offset, rows.at, rows.counts, fell)
        families: list[tuple[tuple[float, ...], Ints, Ints]] = []
    else:
        families = _families(rows)
        for _, members, table in families:
            part = fell[members]
            explicit.buckets_fell(group[members], table, part)
            fell[members] = part
    start = np.zeros(len(rows), np.int64)
    prev = np.zeros(len(rows), np.int64)
    increase.increase(group, rows.start, rows.ts, rows.bits, delta, fell, start, prev)
    _begin_at_last_report(rows, series, reports, start, (prev == increase.FROM_ZERO) & (delta | ~fell))
    n = np.zeros(len(rows), np.int64)
    increase.increments(rows.count, prev, n)
    if rows.kind is PointKind.EXPONENTIAL:
        return _exponential(rows, start, prev, n)
    return _explicit(rows, start, prev, n, families)


def _begin_at_last_report(
    rows: Rows, series: Mapping[int, Series], reports: Reports, start: Ints, own: NDArray[np.bool_]
) -> None:
    """Move interval starts that lie before the last report of the same process, which would have told.

    The first point of a cumulative series that begins late still names the start of its process; a delta
    series that was idle names its own last report. `own`: rows that count from the start they name.
    """
    for i in np.flatnonzero(own).tolist():
        known = series.get(int(rows.series[i]))
        if known is None or rows.bits[i]:
            continue
        last = reports.before(known, start_ms=int(rows.start[i]), ts_ms=int(rows.ts[i]))
        start[i] = max(start[i], last)


def _is_delta(series: Mapping[int, Series], series_id: int) -> bool:
    known = series.get(series_id)
    return known is not None and known.delta


def _groups(rows: Rows) -> Ints:
    """A number for each (series, start), rising with the rows."""
    new = np.ones(len(rows), np.int64)
    begun = _begun(rows)
    new[1:] = (rows.series[1:] != rows.series[:-1]) | (begun[1:] != begun[:-1])
    return np.cumsum(new).astype(np.int64)


def _begun(rows: Rows) -> Ints:
    return rows.start * NS_PER_MS + rows.start_ns


def _exponential(rows: Rows, start: Ints, prev: Ints, n: Ints) -> Increments:
    size = len(rows)
    shape = np.zeros((2, size), np.int64)
    at = np.zeros(size + 1, np.int64)
    exponential.increment_shapes(rows.scale, rows.offset, rows.at, prev, shape[0], shape[1], at)
    counts = np.zeros(int(at[-1]), np.int64)
    exponential.increments(rows.scale, rows.offset, rows.at, rows.counts, prev, shape, at, counts)
    zero = np.zeros(size, np.int64)
    increase.increments(rows.zero_count, prev, zero)
    return Increments(
        rows.kind,
        rows.series,
        _begun(rows),
        start,
        rows.ts,
        n,
        shape,
        at,
        counts,
        zero,
        rows.zero_threshold,
        (),
    )


def _explicit(
    rows: Rows, start: Ints, prev: Ints, n: Ints, families: list[tuple[tuple[float, ...], Ints, Ints]]
) -> Increments:
    groups = tuple(_bucket_group(bounds, members, table, prev) for bounds, members, table in families)
    none = np.zeros(0, np.int64)
    shape = np.zeros((2, 0), np.int64)
    at = np.zeros(1, np.int64)
    return Increments(
        rows.kind,
        rows.series,
        _begun(rows),
        start,
        rows.ts,
        n,
        shape,
        at,
        none,
        none,
        none.astype(np.float64),
        groups,
    )


def _families(rows: Rows) -> list[tuple[tuple[float, ...], Ints, Ints]]:
    """Rows by their bounds: (bounds, row indexes, counts as a table).

    A histogram without buckets is one bucket of everything.
    """
    found: dict[tuple[float, ...], list[int]] = {}
    for i in range(len(rows)):
        bounds = tuple(rows.bounds[rows.bounds_at[i] : rows.bounds_at[i + 1]].tolist())
        found.setdefault(bounds, []).append(i)
    families = []
    for bounds, members in sorted(found.items()):
        chosen = np.array(members, np.int64)
        if bounds:
            _, flat = take(rows.at, rows.counts, chosen)
            table = flat.astype(np.int64).reshape(len(members), len(bounds) + 1)
        else:
            table = rows.count[chosen].reshape(len(members), 1)
        families.append((bounds, chosen, np.ascontiguousarray(table)))
    return families


def _bucket_group(bounds: tuple[float, ...], members: Ints, table: Ints, prev: Ints) -> BucketGroup:
    """Increments of one family; a point whose predecessor had other bounds has no bucket increments."""
    place = {int(row): i for i, row in enumerate(members)}
    local = np.array(
        [p if p < 0 else place.get(p, increase.NOTHING) for p in prev[members].tolist()], np.int64
    )
    counts = np.zeros_like(table)
    explicit.increments(table, local, counts)
    return BucketGroup(bounds, members, counts)


def matches(series: Series, objective: Objective) -> bool:
    """Whether the objective counts this series: all of `match` hold on its resource or its attributes.

    A latency objective leaves out series whose values it cannot put into seconds exactly: `unit_problem`.
    """
    if objective.kind is ObjectiveKind.LATENCY and unit_problem(series):
        return False
    return all(
        series.attributes.get(key, series.resource.get(key)) == value
        for key, value in objective.match.items()
    )


def unit_problem(series: Series) -> str:
    """Why the values of a histogram cannot be told in seconds; empty when they can."""
    unit = _SECONDS.get(series.unit)
    if unit is None:
        return f"unit {series.unit!r} is no unit of time"
    if series.kind is PointKind.EXPONENTIAL and unit != 1:
        return f"exponential buckets in {series.unit!r} have no bounds in seconds: record them in seconds"
    return ""


def seconds_per_unit(series: Series) -> Fraction:
    """What one unit of the series is in seconds."""
    return _SECONDS[series.unit]


def bad(series: Series, objective: Objective) -> bool:
    """Whether the requests of this series failed.

    The attribute decides where it is a number; without it, the presence of `error.type` does.
    """
    text = series.attributes.get(objective.bad_attribute)
    if text is None:
        return _STATUS_ABSENT_IS_BAD in series.attributes
    try:
        return int(text) >= objective.bad_at_least
    except ValueError:
        return False
