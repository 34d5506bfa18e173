"""Cumulative and delta histograms of the same requests give the same slices, restarts included.

The points come from the real OpenTelemetry SDK.
"""

import random
from collections import Counter

import pytest

from services.sla.model import DistributionKind
from tests.unit.sla.clients import Client, load, stored
from tests.unit.sla.kernels import naive
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0, Bench


async def sliced(points, until_ms):
    bench = Bench(stored(points))
    await bench.apply(until_ms + 200_000, (T0, until_ms))
    return bench


def downscaled(distribution, scale):
    if distribution is None:
        return Counter()
    counts = Counter({distribution.offset + j: n for j, n in enumerate(distribution.counts) if n})
    return naive.downscale(counts, distribution.scale - scale)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step_ms", [5_000, 7_300])
async def test_counts_are_identical(seed, step_ms):
    rng = random.Random(seed)
    client = Client(T0)
    for k in range(1, 13):
        load(client, rng, rng.choice((0, 3, 40)))
        client.collect(T0 + k * step_ms)
    client.stop()

    cumulative = await sliced(client.cumulative, T0 + 12 * step_ms)
    delta = await sliced(client.delta, T0 + 12 * step_ms)

    left = {one.start_ms: (one.good, one.total) for one in await cumulative.slices() if one.total}
    right = {one.start_ms: (one.good, one.total) for one in await delta.slices() if one.total}
    assert left == right
    assert sum(total for _, total in left.values()) == sum(point.count for _, point in client.delta)


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_distributions_are_identical_at_the_common_scale(seed, explicit):
    rng = random.Random(seed)
    client = Client(T0, explicit=explicit)
    for k in range(1, 13):
        load(client, rng, rng.choice((2, 40)))
        client.collect(T0 + k * 5_000)
    client.stop()

    cumulative = await (await sliced(client.cumulative, T0 + 60_000)).slices(LATENCY)
    delta = await (await sliced(client.delta, T0 + 60_000)).slices(LATENCY)

    compared = 0
    for left, right in zip(cumulative, delta, strict=False):
        assert (left.start_ms, left.total) == (right.start_ms, right.total)
        if left.distribution is None or right.distribution is None:
            assert left.distribution == right.distribution
            continue
        compared += 1
        if explicit:
            assert left == right
            continue
        assert left.distribution.kind is DistributionKind.EXPONENTIAL
        assert left.distribution.zero_count == right.distribution.zero_count
        scale = min(left.distribution.scale, right.distribution.scale)
        assert downscaled(left.distribution, scale) == downscaled(right.distribution, scale)
    assert compared == 6


@pytest.mark.parametrize("kind", ["cumulative", "delta"])
@pytest.mark.parametrize("seed", range(3))
async def test_a_restart_neither_adds_nor_loses_a_request_that_was_exported(kind, seed):
    rng = random.Random(seed)
    points, born = [], T0
    for _ in range(3):
        client = Client(born)
        for k in range(1, 5):
            load(client, rng, rng.choice((1, 30)))
            client.collect(born + k * 5_000)
        load(client, rng, 7)  # never exported: lost with the process
        client.stop()
        points.extend(getattr(client, kind))
        born += 20_000 + rng.randrange(5_000)
    exported = sum(point.count for _, point in points) if kind == "delta" else None
    bench = await sliced(points, born)

    total = sum(one.total for one in await bench.slices(AVAILABILITY))

    if exported is None:
        last = {}
        for series, point in points:
            last[series.series_id, point.start_ms] = point.count
        exported = sum(last.values())
    assert total == exported
