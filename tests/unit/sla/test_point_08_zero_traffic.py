"""Zero traffic has a defined answer, nothing is ever NaN or infinite, one bad sample touches one window."""

import dataclasses
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from services.sla.convert import latency_to_proto, uptime_to_proto
from services.sla.figures import latency_of, uptime_of
from services.sla.memory import MemoryPointReader
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, RequestRatio, Uptime
from services.sla.model import (
    Distribution,
    DistributionKind,
    NoData,
    Objective,
    Reading,
    Slice,
    Verdict,
)
from services.sla.rows_build import Point, signed
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_rows import MOST_COUNT
from services.sla.slice_source import RequestSource
from services.sla.windows import Window
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.signals import at
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from tests.unit.sla.test_slice_engine import OK
from tests.unit.sla.windows_of import S, anything, columns, dark, up

METHODS = [RequestRatio(), Uptime(), AllFail(), ErrorRate(Fraction(1, 20)), MeanErrorRate(60_000)]
MINUTES = 12


def floats(value: object) -> Iterator[float]:
    """Every float in it."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from floats(one)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from floats(getattr(value, field.name))


def doubles(message: Message) -> Iterator[float]:
    """Every double in it."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        for one in values:
            if isinstance(one, Message):
                yield from doubles(one)
            elif isinstance(one, float):
                yield one


@pytest.mark.parametrize("method", METHODS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("target", [Fraction(999, 1000), Fraction(1)], ids=str)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["none", "silent", "dark", "any"]))
def test_every_number_is_finite(method: object, target: Fraction, seed: int, kind: str) -> None:
    rng = random.Random(seed)
    make = {"silent": lambda k: up(k, 0, 0), "dark": dark, "any": lambda k: anything(rng, k)}
    slices = [] if kind == "none" else [make[kind](k) for k in range(6 * MINUTES)]
    where = Window(0, 90 * S, 6 * MINUTES * S)
    policy = rng.choice(list(NoData))
    objective = replace(AVAILABILITY, method=method, good_share=target, no_data=policy)

    uptime = uptime_of(objective, columns(slices), where)

    assert all(math.isfinite(one) for one in floats(uptime))
    assert all(math.isfinite(one) for one in doubles(uptime_to_proto(uptime)))
    assert uptime.share is None or 0 <= uptime.share <= 1


@pytest.mark.parametrize("reading", Reading)
@given(seed=st.integers(0, 10**6), empty=st.booleans())
def test_every_latency_is_finite(reading: Reading, seed: int, empty: bool) -> None:
    rng = random.Random(seed)
    slices = []
    for k in range(12):
        counts = tuple(0 if empty else rng.randrange(3) for _ in range(3))
        part = Distribution(DistributionKind.EXPLICIT, counts, bounds=(1.0, 2.5))
        if rng.random() < 0.5:
            part = Distribution(
                DistributionKind.EXPONENTIAL, counts, offset=rng.choice((-5000, 0, 900, 1021))
            )
        slices.append(up(k, 0, sum(counts), distribution=rng.choice((part, None))))
    objective = replace(LATENCY, reading=reading)

    latency = latency_of(objective, columns(slices), Window(0, 12 * S, 12 * S))

    assert all(math.isfinite(one) for one in floats(latency))
    assert all(math.isfinite(one) for one in doubles(latency_to_proto(latency)))
    assert (latency.verdict is Verdict.NO_DATA) == (latency.total == 0)


FINE = [(10 * k, 7 * k) for k in range(1, 13)]
"""(seconds, count) of a healthy series: a report each ten seconds."""
BROKEN = {
    "2**63 requests": 2**63,
    "2**62 requests": 2**62,
    "as many as 64 bits hold": 2**64 - 1,
    "a little more than there can be": MOST_COUNT + 1,
}


async def sliced(points: Sequence[Point], objective: Objective) -> list[Slice]:
    reader = MemoryPointReader()
    reader.put(TENANT, METRIC, OK, *points)
    loaded = await RequestSource(reader).load([objective], at(0), at(120))
    return loaded.slices(objective, grid=Grid.over(at(0), at(120), S), first_ms=at(0), excluded=NOTHING)


def healthy(seconds: int, count: int) -> Point:
    return Point(1, at(seconds), count, (count,), at(0), scale=3)


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["counts", "buckets"])
@pytest.mark.parametrize("count", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("where", [0, 5, 11])
async def test_a_count_that_cannot_be_counts_nothing_and_the_next_point_tells_all(
    count: int, where: int, objective: Objective, caplog: pytest.LogCaptureFixture
) -> None:
    points = [healthy(seconds, n) for seconds, n in FINE]
    fine = await sliced(points, objective)
    points[where] = replace(points[where], count=signed(count), counts=(signed(count),))

    slices = await sliced(points, objective)

    assert {k for k in range(12) if slices[k] != fine[k]} <= {where, where + 1}
    assert sum(one.total for one in slices) == 7 * (12 if where < 11 else 11)
    assert all(0 <= one.good <= one.total <= 14 for one in slices)
    assert "is left out" in caplog.text


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["counts", "buckets"])
@given(where=st.integers(0, 11), count=st.integers(0, MOST_COUNT))
async def test_one_bad_point_changes_only_the_slices_of_its_interval_and_the_next(
    objective: Objective, where: int, count: int
) -> None:
    points = [healthy(seconds, n) for seconds, n in FINE]
    fine = await sliced(points, objective)
    points[where] = healthy(10 * (where + 1), count)

    touched = await sliced(points, objective)

    changed = {k for k, (a, b) in enumerate(zip(fine, touched, strict=True)) if a != b}
    assert changed <= {where, where + 1}


def test_zero_traffic_on_a_live_sender_is_no_verdict_by_requests_and_up_by_time() -> None:
    silent, where = columns([up(k, 0, 0) for k in range(12)]), Window(0, 12 * S, 12 * S)

    by_requests = uptime_of(AVAILABILITY, silent, where)
    by_time = uptime_of(replace(AVAILABILITY, method=Uptime()), silent, where)

    assert (by_requests.verdict, by_requests.share, by_requests.displayed) == (Verdict.NO_DATA, None, "")
    assert by_requests.times.coverage == 1
    assert (by_time.verdict, by_time.displayed) == (Verdict.PASS, "100")


@given(st.integers(0, 10**6), st.integers(0, 23), st.integers(0, 20), st.integers(1, 12))
def test_one_bad_sample_changes_no_window_without_it(seed: int, at: int, low: int, length: int) -> None:
    rng = random.Random(seed)
    slices = [up(k, rng.randrange(9), 9) for k in range(24)]
    worse = [up(k, 0, 10**12) if k == at else one for k, one in enumerate(slices)]
    where = Window(low * S, (low + length) * S, (low + length) * S)
    windows = (5 * S, length * S)

    fine, touched = (
        uptime_of(AVAILABILITY, columns(some), where, first_ms=0, windows_ms=windows)
        for some in (slices, worse)
    )

    if not min(low, low + length - 5) <= at < low + length:
        assert fine == touched
