"""How far a change of some points reaches: which time has other slices now.

A point changes its own interval, that of the next point of its series, and what its sender covers on both
sides. Everything that overlaps or touches the written time is taken, which is never too little.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from services.sla.model import Ints, Touched

_NEAR_MS = 60_000
PIECE_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Range:
    """(low, high] in milliseconds."""

    low_ms: int
    high_ms: int


def dirty_range(written: Range, spans: Iterable[tuple[Ints, Ints]]) -> Range:
    """The time that the points written with low <= time <= high can have changed.

    `spans` are the (start, end) of everything that a point has a part in.
    """
    low, high = written.low_ms, written.high_ms
    for start, ts in spans:
        overlap = (start <= written.high_ms) & (ts >= written.low_ms)
        low = min(low, _least(start[overlap], low))
        high = max(high, _most(ts[overlap], high))
    return Range(low, high)


def _least(values: Ints, default: int) -> int:
    return int(np.min(values)) if len(values) else default


def _most(values: Ints, default: int) -> int:
    return int(np.max(values)) if len(values) else default


def written_ranges(touched: Iterable[Touched]) -> list[tuple[str, str, Range]]:
    """What was written, by tenant and metric: near ranges as one, long ones in pieces of an hour.

    Far ones stay apart, so that one late point does not make the time between dirty.
    """
    by_metric: dict[tuple[str, str], list[Range]] = {}
    for one in touched:
        by_metric.setdefault((one.tenant, one.metric), []).append(Range(one.earliest_ms, one.latest_ms))
    return [
        (tenant, metric, piece)
        for (tenant, metric), ranges in sorted(by_metric.items(), key=lambda item: item[0])
        for joined in _joined(ranges)
        for piece in pieces(joined)
    ]


def _joined(ranges: list[Range]) -> list[Range]:
    out: list[Range] = []
    for one in sorted(ranges, key=lambda r: r.low_ms):
        if out and one.low_ms <= out[-1].high_ms + _NEAR_MS:
            out[-1] = Range(out[-1].low_ms, max(out[-1].high_ms, one.high_ms))
        else:
            out.append(one)
    return out


def pieces(whole: Range) -> list[Range]:
    """The range in parts that one computation holds well."""
    return [
        Range(low, min(low + PIECE_MS, whole.high_ms))
        for low in range(whole.low_ms, max(whole.high_ms, whole.low_ms + 1), PIECE_MS)
    ]
