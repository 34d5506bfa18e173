"""The rolling 30 days at every step: the figures of slices are those of a recompute from the raw rows.

A month and more of a client that restarts, falls silent and comes back; the recompute knows rows only, no
slices: integers, one interval after the other, nothing averaged.
"""

import random
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest

from services.sla.figures import latency_of, uptime_of
from services.sla.memory import MemoryPointReader
from services.sla.model import PointKind, SliceColumns
from services.sla.rows_build import Point
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_source import RequestSource
from services.sla.windows import Window
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.kernels import naive
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0
from tests.unit.sla.test_slice_engine import FAILED, OK
from tests.unit.sla.windows_of import columns

H, STEP = 3_600_000, 131_000
DAYS_30 = 30 * 24 * H
STEPS = 24
LENGTH = DAYS_30 + STEPS * H
BOUNDS = (1.0, 2.0, 5.0)
SERIES = tuple(replace(one, kind=PointKind.EXPLICIT) for one in (OK, FAILED))


@dataclass
class Raw:
    """Rows, and what follows from them: by series (start, end, buckets), and the time that reports cover.

    A report covers from the one before, if that is at most ten minutes back, or from its process's start.
    """

    reader: MemoryPointReader
    intervals: dict[int, list[tuple[int, int, tuple[int, ...]]]]
    covered: list[tuple[int, int]]


def client(rng: random.Random) -> Raw:
    """A report every 131 seconds, over hours' ends; some are missed, some hours are, processes begin anew."""
    made = Raw(MemoryPointReader(), {one.series_id: [] for one in SERIES}, [])
    begun, last = T0, T0
    held = {one.series_id: [0] * 4 for one in SERIES}
    skipped = 0
    for k in range(1, LENGTH // STEP + 30):
        at = T0 + k * STEP
        skipped = max(skipped - 1, 0, 1 if k % 193 == 50 else 0, 30 if k % 421 == 220 else 0)
        if skipped:
            continue
        if rng.random() < 0.004:
            begun, held = at - 70_000, {one.series_id: [0] * 4 for one in SERIES}
        since = max(begun, last)
        for one in SERIES:
            added = [rng.choice((0, 1, 7, 400)) // (1 + 20 * (one is SERIES[1])) for _ in range(4)]
            counts = held[one.series_id] = [a + b for a, b in zip(held[one.series_id], added, strict=True)]
            point = Point(one.series_id, at, sum(counts), tuple(counts), begun, bounds=BOUNDS)
            made.reader.put(TENANT, METRIC, one, point)
            made.intervals[one.series_id].append((since, at, tuple(added)))
        heard = last if at - last <= 600_000 else begun if begun > last else at
        made.covered.append((heard, at))
        last = at
    return made


def within(raw: Raw, low: int, high: int) -> dict[int, tuple[int, tuple[int, ...]]]:
    """By series the requests of (low, high], as a count and by bucket."""
    out = {}
    for series, intervals in raw.intervals.items():
        count, buckets = 0, [0] * 4
        for s, e, added in intervals:
            if low <= s and e <= high:
                count += sum(added)
                buckets = [a + b for a, b in zip(buckets, added, strict=True)]
            elif s < high and e > low:
                count += naive.share(sum(added), s, e, low, high)
                buckets = [a + naive.share(b, s, e, low, high) for a, b in zip(buckets, added, strict=True)]
        out[series] = count, tuple(buckets)
    return out


def covered_ms(raw: Raw, low: int, high: int) -> int:
    """Time of [low, high) that reports cover."""
    return sum(max(0, min(b, high) - max(a, low)) for a, b in raw.covered)


async def sliced(raw: Raw, objective: object) -> SliceColumns:
    objective = replace(objective, slice_ms=H)
    loaded = await RequestSource(raw.reader).load([objective], T0, T0 + LENGTH)
    grid = Grid.over(T0, T0 + LENGTH, H)
    return columns(loaded.slices(objective, grid=grid, first_ms=T0, excluded=NOTHING))


@pytest.mark.parametrize("seed", [1])
async def test_availability_at_every_step_is_that_of_the_rows(seed: int) -> None:
    raw = client(random.Random(seed))
    held = await sliced(raw, AVAILABILITY)
    objective = replace(AVAILABILITY, slice_ms=H)

    shares = set()
    for step in range(STEPS + 1):
        end = T0 + DAYS_30 + step * H
        low = end - DAYS_30
        found = uptime_of(objective, held, Window(low, end, end), first_ms=T0, windows_ms=(24 * H,))

        (good, _), (bad, _) = within(raw, low, end).values()
        assert (found.good, found.total) == (good, good + bad)
        assert found.share == Fraction(good, good + bad)
        assert found.times.covered_ns == covered_ms(raw, low, end) * 10**6
        assert found.times.no_data_ns == DAYS_30 * 10**6 - found.times.covered_ns
        (day_good, _), (day_bad, _) = within(raw, end - 24 * H, end).values()
        assert (found.burn_rates[0].bad, found.burn_rates[0].total) == (day_bad, day_good + day_bad)
        shares.add(found.share)
    assert len(shares) > STEPS // 2
    daily = [
        uptime_of(objective, held, Window(T0 + k * H, T0 + (k + 24) * H, T0 + (k + 24) * H), windows_ms=())
        for k in range(0, 720, 24)
    ]
    first = uptime_of(objective, held, Window(T0, T0 + DAYS_30, T0 + DAYS_30), windows_ms=())
    assert first.share != sum(one.share for one in daily) / len(daily), "no average of ratios"


@pytest.mark.parametrize("seed", [2])
async def test_latency_at_every_step_is_that_of_the_rows(seed: int) -> None:
    raw = client(random.Random(seed))
    held = await sliced(raw, LATENCY)
    objective = replace(LATENCY, slice_ms=H)

    for step in range(0, STEPS + 1, 3):
        end = T0 + DAYS_30 + step * H
        low = end - DAYS_30
        found = latency_of(objective, held, Window(low, end, end), first_ms=T0, windows_ms=())

        parts = [buckets for _, buckets in within(raw, low, end).values()]
        buckets = [sum(each) for each in zip(*parts, strict=True)]
        total = sum(buckets)
        rank = -(-95 * total // 100)
        (k,) = [k for k in range(4) if sum(buckets[:k]) < rank <= sum(buckets[: k + 1])]
        assert found.total == total
        assert (found.sure, found.possible) == (sum(buckets[:2]), sum(buckets[:2]))
        assert found.bounds.saturated == (k == 3)
        assert found.bounds.lower == (0.0, *BOUNDS)[k]
