"""What was acknowledged is stored, every point once, every field as sent."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from tests.collector_rows import comparable, stored_rows
from tests.otlp_requests import TABLES, Ledger, RequestMaker, rows_of
from tests.scenario.collector_stack import CollectorStack, collector_stack

pytestmark = pytest.mark.engines

_REQUESTS = 200


async def test_every_point_of_retried_requests_is_stored_exactly_once(tmp_path: Path) -> None:
    rng = random.Random(20260101)
    requests = list(RequestMaker(7, now_ns=time.time_ns()).requests(_REQUESTS))
    ledger = Ledger()
    for raw in requests:
        ledger.add(rows_of("default", raw))
    assert all(ledger.rows[table] for table in TABLES), "the requests hold every type"

    async with collector_stack(tmp_path) as stack:
        sends = [raw for raw in requests for _ in range(rng.choice([1, 1, 2, 3]))]
        rng.shuffle(sends)
        await _send(stack, sends)
        counts = await stack.until_written(ledger.points)
        await stack.collector.wait_serving("threenines.collector.Writer")
        for table in TABLES:
            assert comparable(await stored_rows(stack.database, table)) == comparable(ledger.rows[table])

    resent = sum(rows_of("default", raw).points for raw in sends) - ledger.points
    assert (counts.acknowledged_count, counts.written_count) == (ledger.points + resent, ledger.points)
    assert (counts.rejected_count, counts.logged_count) == (0, ledger.points + resent)


async def _send(stack: CollectorStack, sends: list[bytes]) -> None:
    gate = asyncio.Semaphore(8)

    async def one(raw: bytes) -> None:
        async with gate:
            assert await stack.export(raw) == b"", "a full success says nothing"

    await asyncio.gather(*map(one, sends))
