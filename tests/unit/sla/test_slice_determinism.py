"""The same log gives the same slices: what was published is compared by its hash."""

import hashlib
import random
from dataclasses import replace

import pytest

from services.sla.memory import MemoryPointReader
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.payload import message_to_json
from services.sla.rows_build import Point
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0, Bench

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
BAD = replace(OK, series_id=2, attributes={"http.response.status_code": "503"})
OTHER = replace(OK, series_id=3, sender_id=8)
DELTA = replace(OK, series_id=4, sender_id=9, delta=True)
STEP_MS = 20_000


def recorded(seed):
    """Batches as a writer applied them: (applied, rows), late and repeated rows among them."""
    rng = random.Random(seed)
    totals, batches, late = {}, [], []
    for k in range(1, 200):
        ts, rows = T0 + k * STEP_MS, []
        for series in (OK, BAD, OTHER):
            totals[series.series_id] = totals.get(series.series_id, 0) + rng.randrange(40)
            n = totals[series.series_id]
            row = (series, Point(series.series_id, ts, n, (n,), T0, scale=3, offset=rng.randrange(4)))
            (late if rng.random() < 0.1 else rows).append(row)
        n = rng.randrange(9)
        rows.append((DELTA, Point(4, ts, n, (n,), ts - STEP_MS, scale=2)))
        if late and rng.random() < 0.2:
            rows.append(late.pop(0))
        if rng.random() < 0.1:
            rows.append(rows[0])
        times = [p.start_ms if s.delta else p.ts_ms for s, p in rows]
        touched = Touched(TENANT, METRIC, min(times), max(p.ts_ms for _, p in rows))
        batches.append((Applied("db", k, (ts + 300) * 10**6, (touched,)), rows))
    rows = late or [(OK, Point(1, T0, 0, (0,), T0))]
    times = [p.ts_ms for _, p in rows]
    touched = Touched(TENANT, METRIC, min(times), max(times))
    batches.append((Applied("db", 999, (T0 + 201 * STEP_MS) * 10**6, (touched,)), rows))
    return batches


async def replayed(batches, *, group=1, ahead=False, restarts=()):
    """A new store that the log goes through; `group` batches at a time, restarted behind some of them."""
    bench = Bench(MemoryPointReader())
    if ahead:
        put(bench, batches)
    for at in range(0, len(batches), group):
        part = batches[at : at + group]
        if not ahead:
            put(bench, part)
        if at in restarts:
            bench.restart()
        bench.seq += 1
        await bench.publish(await bench.engine.plan([applied for applied, _ in part]))
        while (piece := await bench.engine.piece()) is not None:
            await bench.publish(piece)
    return bench


def put(bench, batches):
    for _, rows in batches:
        for series, point in rows:
            bench.reader.put(TENANT, METRIC, series, point)


def published(bench):
    """Every record of SLICES with every revision, byte for byte."""
    digest = hashlib.sha256()
    for message in bench.published:
        digest.update(message_to_json(message))
    return digest.hexdigest()


async def contents(bench):
    """What is sealed in the end: slices and hours, without the numbers of their revisions."""
    digest = hashlib.sha256()
    for objective in (AVAILABILITY, LATENCY):
        slices = [one for one in await bench.slices(objective) if one.sealed]
        assert len(slices) > 380
        digest.update(repr(slices).encode())
        hours = await bench.store.hours(TENANT, objective.key, low_ms=0, high_ms=2 * T0)
        assert len(hours.start_ms) == 1
        digest.update(repr([hours.good.tolist(), hours.total.tolist(), hours.counts.tolist()]).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("seed", range(2))
async def test_replaying_the_log_publishes_the_same_bytes(seed):
    batches = recorded(seed)

    first, second = await replayed(batches), await replayed(batches)

    assert published(first) == published(second)


async def test_restarts_change_no_byte_of_it():
    batches = recorded(7)

    assert published(await replayed(batches)) == published(await replayed(batches, restarts={3, 90, 91, 190}))


@pytest.mark.parametrize("group", [7, 50])
@pytest.mark.parametrize("seed", [3])
async def test_batches_grouped_differently_end_in_the_same_contents(seed, group):
    batches = recorded(seed)

    assert await contents(await replayed(batches)) == await contents(await replayed(batches, group=group))


async def test_catching_up_with_everything_stored_ends_in_the_same_contents():
    batches = recorded(5)

    assert await contents(await replayed(batches)) == await contents(await replayed(batches, ahead=True))
