"""The further processes of a collector that receive: started, watched, asked what they counted.

The collector's side. Workers join its ports, make records durable by themselves and come to it for two
things only: the count of series, and to have their points counted. They die with it, and are started
again when they die alone. Knows nothing of what a worker does with a request.
"""

import asyncio
import json
import logging
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from services.collector.quota_ports import SeriesCensus
from services.collector.series_remote import CensusOwner
from services.collector.tallies import Tallies
from services.collector.worker_reports import Report, WorkerCounts
from services.common.child import Child, ChildSpec
from services.common.clock import Clock
from services.common.environment import ConfigurationError
from services.common.errors import Unavailable
from services.common.request_reply import RequestReply
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

_ASK_S = 0.5
_BELIEVED_NS = 3_000_000_000
_FOLLOW_NS = 2_000_000_000
_FOLLOW_POLL_S = 0.01
_DRAIN_MORE_S = 5.0
"""Beyond what its requests may take, for what a worker does before and after."""


@dataclass(frozen=True, slots=True)
class PoolSubjects:
    """Where a collector and its workers ask each other; `pool` is unique to one life of a collector."""

    pool: str

    @property
    def census(self) -> str:
        """The owner answers about series."""
        return f"threenines.collector.{self.pool}.census"

    def report(self, number: int) -> str:
        """A worker answers what it counted."""
        return f"threenines.collector.{self.pool}.report.{number}"

    def farewell(self, number: int) -> str:
        """The owner takes the last report of a worker that ends."""
        return f"threenines.collector.{self.pool}.farewell.{number}"


class _Worker:
    """One of them, over all its lives."""

    def __init__(self, child: Child, counts: WorkerCounts, number: int) -> None:
        self.child = child
        self.counts = counts
        self.number = number
        self._serving: tuple[int, int] | None = None
        """Process id that said so last, and when (monotonic nanoseconds)."""
        self.config_seq = 0
        """How far it followed the configuration then."""

    def heard(self, report: Report, now_ns: int) -> None:
        """Take a report in."""
        self.counts.add(report)
        self._serving = (report.pid, now_ns) if report.serving else None
        self.config_seq = report.config_seq

    def ready(self, now_ns: int) -> bool:
        """Whether the process that runs now said lately that it serves."""
        if self._serving is None or self.child.pid is None:
            return False
        pid, said_ns = self._serving
        return pid == self.child.pid and now_ns - said_ns < _BELIEVED_NS


class WorkerPool:
    """The workers of one collector process; belongs to one event loop."""

    def __init__(
        self,
        further: int,
        *,
        questions: RequestReply,
        census: SeriesCensus,
        tallies: Tallies,
        counters: Counters,
        clock: Clock,
        drain_s: float,
    ) -> None:
        self._questions = questions
        self._clock = clock
        self._drain_s = drain_s
        self._owner = CensusOwner(census)
        self._subjects = PoolSubjects(secrets.token_hex(8))
        self._asking = asyncio.Lock()
        self._counts = [WorkerCounts(tallies, counters) for _ in range(further)]
        self._workers: list[_Worker] = []

    async def run(self, environ: Mapping[str, str]) -> None:
        """Have the workers until this is cancelled; then they drain. `environ` is theirs, with the ports.

        Raises:
            ConfigurationError: one of them cannot run with this configuration.
        """
        self._workers = [
            _Worker(Child(self._spec(number, environ), self._clock, _log.warning), counts, number)
            for number, counts in enumerate(self._counts, start=1)
        ]
        await self._questions.answer(self._subjects.census, self._owner.answer)
        for worker in self._workers:
            farewell = partial(self._farewell, worker)
            await self._questions.answer(self._subjects.farewell(worker.number), farewell)
        running = [asyncio.create_task(worker.child.run()) for worker in self._workers]
        try:
            # Each runs until it is stopped, however often it dies.
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            raise ConfigurationError("a worker of the collector cannot run with this configuration")
        finally:
            await asyncio.gather(*(worker.child.stop() for worker in self._workers))
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def collect(self) -> None:
        """Bring what the workers counted until now into the counts of this process.

        A worker that does not answer keeps its counts until it does.
        """
        async with self._asking:
            await asyncio.gather(*(self._ask(worker) for worker in self._workers))

    async def followed(self, seq: int) -> None:
        """Return when every worker that serves has this sequence of the configuration, or after a while.

        So a token that was just made is known wherever its first request arrives.
        """
        deadline_ns = self._clock.monotonic_ns() + _FOLLOW_NS
        while self._behind(seq) and self._clock.monotonic_ns() < deadline_ns:
            await self.collect()
            if self._behind(seq):
                await self._clock.sleep(_FOLLOW_POLL_S)

    def _behind(self, seq: int) -> bool:
        now_ns = self._clock.monotonic_ns()
        return any(one.ready(now_ns) and one.config_seq < seq for one in self._workers)

    async def probe(self) -> bool:
        """Whether every worker serves."""
        await self.collect()
        now_ns = self._clock.monotonic_ns()
        return len(self._workers) == len(self._counts) and all(one.ready(now_ns) for one in self._workers)

    async def _ask(self, worker: _Worker) -> None:
        if worker.child.pid is None:
            return
        life, arrived = worker.counts.arrived
        question = json.dumps({"life": life, "arrived": arrived}).encode()
        try:
            answer = await self._questions.ask(
                self._subjects.report(worker.number), question, timeout_s=_ASK_S
            )
        except Unavailable:
            return
        try:
            worker.heard(Report.from_json(answer), self._clock.monotonic_ns())
        except (ValueError, KeyError, TypeError):
            # Not worth the collector's life: the worker counts as not serving.
            _log.exception("worker %d says what nobody understands", worker.number)

    async def _farewell(self, worker: _Worker, data: bytes) -> bytes:
        worker.heard(Report.from_json(data), self._clock.monotonic_ns())
        return b""

    def _spec(self, number: int, environ: Mapping[str, str]) -> ChildSpec:
        pool = self._subjects.pool
        return ChildSpec(
            name=f"worker-{number}",
            title=f"worker {number}",
            address=environ["THREENINES_OTLP_LISTEN"],
            argv=(sys.executable, "-m", "services.collector.worker", "--pool", pool, "--number", str(number)),
            env=environ,
            log_file=None,
            probe=self.probe,
            drain_s=self._drain_s + _DRAIN_MORE_S,
        )
