"""Zero traffic has a defined answer, nothing is ever NaN or infinite, one bad sample touches one window."""

import dataclasses
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from services.sla.convert import latency_to_proto, uptime_to_proto
from services.sla.figures import latency_of, uptime_of
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, RequestRatio, Uptime
from services.sla.model import Distribution, DistributionKind, NoData, Reading, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
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
            part = Distribution(DistributionKind.EXPONENTIAL, counts, offset=rng.choice((-5000, 0, 900)))
        slices.append(up(k, 0, sum(counts), distribution=rng.choice((part, None))))
    objective = replace(LATENCY, reading=reading)

    latency = latency_of(objective, columns(slices), Window(0, 12 * S, 12 * S))

    assert all(math.isfinite(one) for one in floats(latency))
    assert all(math.isfinite(one) for one in doubles(latency_to_proto(latency)))
    assert (latency.verdict is Verdict.NO_DATA) == (latency.total == 0)


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
