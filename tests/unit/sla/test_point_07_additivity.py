"""Figures add up: [a,b) and [b,c) give [a,c), and every step of a rolling window is the brute-force sum."""

import random
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.figures import merged, uptime_of
from services.sla.kernels import window
from services.sla.methods.model import Uptime
from services.sla.model import Distribution, DistributionKind
from services.sla.verdict import Times
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY
from tests.unit.sla.windows_of import FULL, S, anything, columns

N = 24
NAMES = ("up_ns", "degraded_ns", "down_ns", "excluded_ns", "no_data_ns", "not_started_ns")


@given(st.integers(0, 10**6), st.lists(st.integers(-4, N + 4), min_size=3, max_size=3, unique=True))
def test_counts_and_times_of_two_windows_are_those_of_both(seed: int, edges: list[int]) -> None:
    rng = random.Random(seed)
    a, b, c = (edge * S for edge in sorted(edges))
    slices = [anything(rng, k) for k in range(N) if rng.random() < 0.9]
    held = columns(slices)
    first = slices[0].start_ms if slices else 0

    left, right, whole = (
        uptime_of(AVAILABILITY, held, Window(low, high, high), first_ms=first, windows_ms=())
        for low, high in ((a, b), (b, c), (a, c))
    )

    assert (left.good + right.good, left.total + right.total) == (whole.good, whole.total)
    for name in NAMES:
        assert getattr(left.times, name) + getattr(right.times, name) == getattr(whole.times, name)
    assert sum(getattr(whole.times, name) for name in NAMES) == (c - a) * 10**6


@given(st.integers(0, 10**6), st.integers(1, N - 1))
def test_distributions_add_up_too(seed: int, cut: int) -> None:
    rng = random.Random(seed)
    slices = []
    for k in range(N):
        counts = tuple(rng.randrange(9) for _ in range(rng.randrange(1, 5)))
        part = Distribution(DistributionKind.EXPONENTIAL, counts, scale=3, offset=rng.randrange(-9, 9))
        slices.append(anything(rng, k).__class__(k * S, S, up_ns=FULL, sealed=True, distribution=part))

    parts = [merged(columns(some)) for some in (slices, slices[:cut], slices[cut:])]

    totals = [0 if part is None else part.total for part in parts]
    assert totals[0] == totals[1] + totals[2]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, N))
def test_a_rolling_window_is_the_brute_force_sum_at_every_step(seed: int, length: int) -> None:
    rng = random.Random(seed)
    slices = [anything(rng, k) for k in range(N)]
    held = columns(slices)
    table = np.vstack((held.good, held.total, held.durations))
    sums = np.zeros((8, N + 1), np.int64)
    for row, out in zip(table, sums, strict=True):
        assert window.running(np.ascontiguousarray(row), out)
    steps = np.arange(1, N + 1, dtype=np.int64) * S
    rolled = np.zeros((8, N), np.int64)
    window.rolling(held.start_ms, sums, steps, length * S, rolled)

    for k, end in enumerate(steps.tolist()):
        inside = [one for one in slices if end - length * S <= one.start_ms < end]
        good, total = sum(one.good for one in inside), sum(one.total for one in inside)
        uptime = uptime_of(AVAILABILITY, held, Window(end - length * S, end, end), first_ms=0, windows_ms=())
        times = Times(*(sum(getattr(one, name) for one in inside) for name in NAMES))

        assert (uptime.good, uptime.total) == (good, total) == tuple(rolled[:2, k].tolist())
        assert rolled[2:, k].tolist() == [getattr(times, name) for name in NAMES]
        assert uptime.share == (Fraction(good, total) if total and times.covered_ns else None)


@given(st.integers(0, 10**6))
def test_an_uptime_is_no_average_of_the_days_uptimes(seed: int) -> None:
    rng = random.Random(seed)
    slices = [anything(rng, k) for k in range(N)]
    objective = AVAILABILITY.__class__(
        **{name: getattr(AVAILABILITY, name) for name in AVAILABILITY.__slots__} | {"method": Uptime()}
    )

    uptime = uptime_of(objective, columns(slices), Window(0, N * S, N * S))

    covered = sum(one.up_ns + one.degraded_ns + one.down_ns for one in slices)
    lost = sum(one.down_ns for one in slices)
    assert uptime.share == (Fraction(covered - lost, covered) if covered else None)
