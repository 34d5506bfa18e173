"""Damaged requests: what protobuf's own parser refuses is refused and stores nothing, what it
accepts is stored as it reads it, and nothing crashes."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.errors import Undecodable
from services.collector.receive import ReceiveConfig, Receiver
from services.collector.tallies import Tallies
from services.common.clock import ManualClock
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from services.common.telemetry import Counters
from tests.block_rows import block_rows
from tests.collector_rows import comparable, stored_rows
from tests.collector_store import build_batch, new_builder
from tests.otlp_oracle import acceptance
from tests.otlp_requests import TABLES, Ledger, RequestMaker, rows_of
from tests.scenario.collector_stack import collector_stack

_MUTATIONS = 10_000
_OVER_THE_WIRE = 300


class Mutator:
    """Makes damaged requests out of good ones; deterministic from a seed."""

    def __init__(self, seed: int, *, now_ns: int) -> None:
        self._rng = random.Random(seed)
        self._good = list(RequestMaker(seed, now_ns=now_ns).requests(40, points=4))

    def mutated(self) -> bytes:
        """A request with one to four changes."""
        raw = bytearray(self._rng.choice(self._good))
        for _ in range(self._rng.choice([1, 1, 1, 2, 4])):
            self._change(raw)
        return bytes(raw)

    def _change(self, raw: bytearray) -> None:
        place = self._rng.randrange(len(raw) + 1)
        length = self._rng.choice([1, 1, 2, 8, 30])
        match self._rng.randrange(7):
            case 0 | 1 | 2 if place < len(raw):
                raw[place] ^= 1 << self._rng.randrange(8)
            case 3 if place < len(raw):
                raw[place] = self._rng.choice([0, 1, 0x7F, 0x80, 0xFF, self._rng.randrange(256)])
            case 4:
                raw[place:place] = self._rng.randbytes(length)
            case 5:
                del raw[place : place + length]
            case _:
                other = self._rng.choice(self._good)
                start = self._rng.randrange(len(other))
                raw[place:place] = other[start : start + length]


def parses(raw: bytes) -> bool:
    """Whether protobuf's own parser takes it."""
    try:
        ExportMetricsServiceRequest.FromString(raw)
    except DecodeError:
        return False
    return True


async def test_ten_thousand_damaged_requests_are_read_as_protobuf_reads_them() -> None:
    clock = ManualClock(now_ns=time.time_ns())
    mutator = Mutator(11, now_ns=clock.now_ns())
    log, seen = MemoryLog(clock), Counter[str]()
    receiver = Receiver(
        log=log,
        tallies=Tallies(Counters(), since_ns=0),
        clock=clock,
        random_bytes=random.Random(1).randbytes,
        config=ReceiveConfig(),
    )
    ledgers: dict[bytes, Ledger] = {}
    while seen["all"] < _MUTATIONS:
        raw = mutator.mutated()
        if raw in ledgers:
            continue
        seen["all"] += 1
        before = await log.last_seq(OTLP)
        if not parses(raw):
            seen["refused"] += 1
            with pytest.raises(Undecodable):
                await receiver.export("acme", raw)
            assert await log.last_seq(OTLP) == before
            continue
        outcome = await receiver.export("acme", raw)
        ledgers[raw] = rows_of("acme", raw, acceptance(clock.now_ns()))
        assert outcome.points - outcome.rejected == ledgers[raw].points
        seen["rejected points"] += outcome.rejected
    expected = Ledger()
    for ledger in ledgers.values():
        expected.add(ledger)

    last = await log.last_seq(OTLP)
    entries = await log.read(OTLP, 1, max_messages=last, max_bytes=1 << 30)
    batch = build_batch(new_builder(), entries)

    assert batch.poison == ()
    rows = block_rows(batch.all_blocks())
    for table in TABLES:
        assert comparable(rows[table]) == comparable(expected.rows[table])
    assert seen["refused"] > _MUTATIONS // 10
    assert len(ledgers) > _MUTATIONS // 10
    assert seen["rejected points"] > 100


@pytest.mark.engines
async def test_damaged_requests_over_the_wire_are_refused_or_stored(tmp_path: Path) -> None:
    mutator = Mutator(12, now_ns=time.time_ns())
    requests = list({mutator.mutated() for _ in range(_OVER_THE_WIRE)})
    accept, expected = acceptance(time.time_ns()), Ledger()
    for raw in requests:
        if parses(raw):
            expected.add(rows_of("default", raw, accept))

    async with collector_stack(tmp_path) as stack:
        gate = asyncio.Semaphore(8)

        async def code(raw: bytes) -> grpc.StatusCode:
            async with gate:
                try:
                    await stack.export(raw)
                except grpc.aio.AioRpcError as err:
                    return err.code()
                return grpc.StatusCode.OK

        codes = await asyncio.gather(*map(code, requests))
        await stack.until_written(expected.points)
        found = {table: comparable(await stored_rows(stack.database, table)) for table in TABLES}

    accepted = {True: grpc.StatusCode.OK, False: grpc.StatusCode.INVALID_ARGUMENT}
    assert codes == [accepted[parses(raw)] for raw in requests]
    assert set(codes) == set(accepted.values())
    assert found == {table: comparable(expected.rows[table]) for table in TABLES}
