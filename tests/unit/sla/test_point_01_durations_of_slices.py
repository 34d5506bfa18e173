"""Every instant of a slice has exactly one state, and the durations sum to its length to the nanosecond.

Random event sets through the real computation of slices: requests, probes, heartbeats; with maintenance.
Months over changes of the clock, with maintenance by rule: `test_point_04_calendar.py`.
"""

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.figures_times import totals_of
from services.sla.kernels import intervals
from services.sla.memory import MemoryPointReader
from services.sla.model import Objective, Slice
from services.sla.slice_compute import Grid
from services.sla.slice_sources import Sources
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.signals import at, gauge, said
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from tests.unit.sla.test_slice_engine import FAILED, OK, OTHER_SENDER, point
from tests.unit.sla.test_slice_signals import BEAT, PROBE
from tests.unit.sla.windows_of import S, anything, columns

SLICES = 12
SPAN_MS = SLICES * 10_000


def events(rng: random.Random) -> MemoryPointReader:
    """Requests of three series with gaps and resets, three probes, heartbeats and others' reports."""
    reader = MemoryPointReader()
    for series in (OK, FAILED, OTHER_SENDER):
        seconds, count, start = rng.uniform(-30, 30), 0, -40.0
        while seconds < 130:
            count += rng.choice((0, 3, 1000))
            if rng.random() < 0.1:
                count, start = rng.randrange(5), seconds - 0.5
            reader.put(TENANT, METRIC, series, point(series, seconds, count, start=start))
            seconds += rng.choice((0.007, 1.3, 5, 10, 70))
    for probe in range(rng.randrange(4)):
        times = sorted(rng.uniform(-20, 130) for _ in range(rng.randrange(30)))
        reader.put_numbers(
            TENANT,
            "probe.success",
            gauge(100 + probe),
            *said(100 + probe, *((t, rng.randrange(2)) for t in times)),
        )
    beats = sorted(rng.uniform(-100, 130) for _ in range(rng.randrange(8)))
    reader.put_numbers(TENANT, "import.finished", gauge(200), *said(200, *((t, 1) for t in beats)))
    reader.beat(TENANT, 9, *(at(t) for t in range(-20, 140, 5) if rng.random() < 0.8))
    return reader


def maintenance(rng: random.Random) -> np.ndarray:
    """Sorted and disjoint, to the millisecond."""
    starts = np.array([at(rng.uniform(-20, 130)) for _ in range(rng.randrange(4))], np.int64)
    lengths = np.array([rng.choice((1, 999, 10_000, 25_000)) for _ in starts], np.int64)
    return intervals.normalise(starts, starts + lengths)


async def computed(reader, objective: Objective, excluded, first_ms: int) -> list[Slice]:
    loaded = await Sources(reader).load([objective], at(0), at(SLICES * 10))
    grid = Grid.over(at(0), at(SLICES * 10), 10_000)
    return loaded.slices(objective, grid=grid, first_ms=first_ms, excluded=excluded)


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY, PROBE, BEAT], ids=lambda one: one.name)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9))
async def test_the_durations_of_every_slice_sum_to_its_length(objective, seed):
    rng = random.Random(seed)
    reader, excluded, first = events(rng), maintenance(rng), at(rng.uniform(-50, 60))

    slices = await computed(reader, objective, excluded, first)

    assert len(slices) == SLICES
    for one in slices:
        parts = (one.up_ns, one.degraded_ns, one.down_ns, one.excluded_ns, one.no_data_ns, one.not_started_ns)
        assert min(parts) >= 0
        assert sum(parts) == one.length_ms * 10**6
    started = intervals.clip(excluded, max(first, at(0)), at(SLICES * 10))
    assert sum(one.excluded_ns for one in slices) == int(intervals.length(started)) * 10**6
    before = min(max(0, first - at(0)), SPAN_MS)
    assert sum(one.not_started_ns for one in slices) == before * 10**6


@given(st.integers(0, 10**9), st.integers(0, 24), st.integers(1, 24))
def test_coverage_is_what_is_known_of_what_counts(seed: int, low: int, length: int) -> None:
    rng = random.Random(seed)
    slices = [anything(rng, k) for k in range(24) if rng.random() < 0.8]
    inside = [one for one in slices if low <= one.start_ms // S < low + length]

    _, _, times = totals_of(columns(inside), low * S, (low + length) * S, 0)

    # Slices that are not there are without data: the objective had started.
    no_data = sum(one.no_data_ns for one in inside) + (length - len(inside)) * S * 10**6
    counted = length * S * 10**6 - sum(one.excluded_ns for one in inside)
    assert (times.no_data_ns, times.not_started_ns) == (no_data, 0)
    assert times.coverage == (1 - Fraction(no_data, counted) if counted else None)


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY, PROBE, BEAT], ids=lambda one: one.name)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**9))
async def test_maintenance_only_takes_away(objective, seed):
    rng = random.Random(seed)
    reader, excluded = events(rng), maintenance(rng)

    whole = await computed(reader, objective, np.zeros((0, 2), np.int64), at(0))
    cut = await computed(reader, objective, excluded, at(0))

    for before, after in zip(whole, cut, strict=True):
        assert after.total <= before.total
        assert after.good <= before.good or objective is LATENCY
        assert after.no_data_ns <= before.no_data_ns
        if not len(intervals.clip(excluded, before.start_ms, before.end_ms)):
            assert after == before
