"""Load that never stops asking, and a ledger of what it was promised.

Several clients send unique points of all five types; after a failure a client sends the same bytes
again until they are acknowledged, or now and then gives up. The ledger keeps the bytes and compares
whole rows with what the store holds. It shares no code with the collector.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import grpc
from google.rpc import error_details_pb2, status_pb2

from services.common.clickhouse import Database
from tests.collector_process import EXPORT_METHOD, QUICK_RECONNECT
from tests.collector_rows import stored_rows
from tests.otlp_requests import TABLES, Ledger, RequestMaker, rows_of

Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
POINT_TYPES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")

_RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """One Export that failed, as its client saw it."""

    at: float
    """Monotonic seconds."""
    took_s: float
    code: str
    delay_s: float
    """What the server asked for; 0 when it did not."""


@dataclass(repr=False)
class LoadLedger:
    """What the clients know: requests with a promise, requests whose fate is open, and failures."""

    acknowledged: list[bytes] = field(default_factory=list)
    uncertain: list[bytes] = field(default_factory=list)
    acknowledged_at: list[float] = field(default_factory=list)
    """Monotonic seconds of every acknowledgement."""
    slowest_s: float = 0.0
    failures: list["Failure"] = field(default_factory=list)

    @property
    def failed_at(self) -> list[float]:
        """Monotonic seconds of every failed Export."""
        return [one.at for one in self.failures]

    async def check(self, database: Database) -> "Reckoning":
        """Every acknowledged row is stored once, an uncertain one at most once, and nothing else."""
        promised, uncertain = _rows(self.acknowledged), _rows(self.uncertain)
        wrong: list[str] = []
        reckoning = Reckoning()
        for table in TABLES:
            known, open_ = promised[table], uncertain[table]
            stored = Counter(map(repr, await stored_rows(database, table)))
            reckoning.add(known, open_, stored)
            found = {
                "missing": known - stored,
                "doubled": Counter({row: count for row, count in stored.items() if count > 1}),
                "unknown": Counter(stored.keys() - known.keys() - open_.keys()),
            }
            wrong += [
                f"{table}: {len(rows)} rows of {stored.total()} {what}, such as {[*rows][:_SHOWN]}"
                for what, rows in found.items()
                if rows
            ]
        assert not wrong, f"{reckoning}\n" + "\n".join(wrong)
        types = Counter(row.split("'")[3].split(".")[0] for table in TABLES[:4] for row in promised[table])
        assert set(types) == set(POINT_TYPES), f"acknowledged points by type: {types}"
        return reckoning


@dataclass
class Reckoning:
    """Rows of all tables, exemplars among them: what was promised against what is there."""

    acknowledged: int = 0
    stored: int = 0
    """Of those acknowledged, each counted once."""
    missing: int = 0
    doubled: int = 0
    unpromised: int = 0
    """Stored of requests whose client gave up: they may be there, once."""

    def add(self, known: Counter[str], uncertain: Counter[str], stored: Counter[str]) -> None:
        """Count one table."""
        self.acknowledged += known.total()
        self.stored += sum(row in stored for row in known)
        self.missing += sum(row not in stored for row in known)
        self.doubled += stored.total() - len(stored)
        self.unpromised += sum(row in stored for row in uncertain)

    def tell(self, what: str) -> None:
        """Say it where people look for it: a run with `-s`, or the report of a failure."""
        sys.stdout.write(f"\n{what}: {self}\n")


def _rows(requests: list[bytes]) -> dict[str, Counter[str]]:
    """Rows by table, as comparable texts."""
    ledger = Ledger()
    for raw in requests:
        ledger.add(rows_of("default", raw))
    rows = {table: Counter(map(repr, ledger.rows[table])) for table in TABLES}
    assert all(count == 1 for table in TABLES for count in rows[table].values()), "no row is sent twice"
    return rows


def _failure(err: grpc.aio.AioRpcError, began: float) -> Failure:
    status, retry = status_pb2.Status(), error_details_pb2.RetryInfo()
    for key, value in err.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    for detail in status.details:
        if detail.Unpack(retry):
            break
    now = time.monotonic()
    return Failure(now, now - began, err.code().name, retry.retry_delay.ToNanoseconds() / 1e9)


class Load:
    """Clients that send from entering to leaving; leaving waits until each has its last answer."""

    def __init__(
        self,
        address: str,
        rng: random.Random,
        *,
        clients: int = 4,
        pause_s: float = 0.05,
        gives_up: float = 0.1,
        own_connections: bool = False,
        patient: bool = False,
    ) -> None:
        """Clients share a connection where they can, unless each has its own. After a failure they send the
        same bytes again: soon, as tests have no time, or (`patient`) after the delay that they were told."""
        self._options = [*QUICK_RECONNECT, ("grpc.use_local_subchannel_pool", int(own_connections))]
        self.ledger = LoadLedger()
        self._address = address
        self._rng = rng
        self._clients = clients
        self._pause_s = pause_s
        self._gives_up = gives_up
        self._patient = patient
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._client(number, random.Random(self._rng.getrandbits(64))))
            for number in range(self._clients)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        if kind is not None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            return
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def more(self, requests: int = 20, *, timeout_s: float = 120.0) -> None:
        """Return when that many further requests are acknowledged."""
        enough = len(self.ledger.acknowledged) + requests
        async with asyncio.timeout(timeout_s):
            while len(self.ledger.acknowledged) < enough:
                self._raise_failures()
                await asyncio.sleep(0.02)

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _client(self, number: int, rng: random.Random) -> None:
        maker = RequestMaker(rng.getrandbits(32), now_ns=time.time_ns(), service=f"shop{number}")
        async with grpc.aio.insecure_channel(self._address, options=self._options) as channel:
            export: Export = channel.unary_unary(EXPORT_METHOD)
            while not self._stopping:
                raw = maker.request().SerializeToString()
                if await self._until_acknowledged(export, raw, rng):
                    self.ledger.acknowledged.append(raw)
                    self.ledger.acknowledged_at.append(time.monotonic())
                else:
                    self.ledger.uncertain.append(raw)
                await asyncio.sleep(rng.uniform(0, 2 * self._pause_s))

    async def _until_acknowledged(self, export: Export, raw: bytes, rng: random.Random) -> bool:
        """Send until it is acknowledged; False when the client gave up after a failure."""
        while True:
            began = time.monotonic()
            try:
                answer = await export(raw, timeout=10)
            except grpc.aio.AioRpcError as err:
                if err.code() not in _RETRYABLE:
                    raise
                failure = _failure(err, began)
                self.ledger.failures.append(failure)
                if rng.random() < self._gives_up:
                    return False
                await asyncio.sleep(failure.delay_s if self._patient else rng.uniform(0, 0.2))
                continue
            self.ledger.slowest_s = max(self.ledger.slowest_s, time.monotonic() - began)
            assert answer == b"", "a full success says nothing"
            return True


@contextmanager
def seeded() -> Iterator[random.Random]:
    """Randomness whose seed is said; THREENINES_SEED (or pytest's own seed) brings the same one back."""
    seed = int(os.environ.get("THREENINES_SEED") or random.getrandbits(32))
    sys.stdout.write(f"\nrandom moments: THREENINES_SEED={seed}\n")
    try:
        yield random.Random(seed)
    except BaseException as err:
        err.add_note(f"random moments came from THREENINES_SEED={seed}")
        raise
