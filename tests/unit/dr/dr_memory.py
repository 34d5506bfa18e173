"""Disaster recovery in memory, for unit tests: ports, worker and use cases over one world."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.common.auth import Principal, Role, enter_principal
from services.common.clock import ManualClock
from services.common.kv_memory import MemoryKeyValue
from services.common.log_memory import MemoryLog
from services.common.streams import CONTROL, OTLP, POSITIONS
from services.common.telemetry import Telemetry
from services.dr.backups import Backups, NewBackup
from services.dr.catalogue import KvCatalogue
from services.dr.execute import Executor, Work
from services.dr.gate import KvWriterGate
from services.dr.memory import MemoryBackupStore, MemoryFileStore, MemoryHistory
from services.dr.model import Backup
from services.dr.plan import Findings, Step
from services.dr.restores import Restores
from services.dr.worker import Worker

REGION = "local"
LIVE = "threenines"
ADMIN = Principal("*", Role.ADMIN, "tester")


class Killed(BaseException):
    """The process ends here, without a chance to do anything more."""


class CutExecutor(Executor):
    """An executor whose process is killed at its n-th step, before or after the step's effect."""

    cut_at: int | None = None
    after_effect = False
    applied = 0

    async def apply(self, step: Step, work: Work) -> Findings:
        """See `Executor.apply`."""
        cut = self.applied == self.cut_at
        self.applied += 1
        if cut and not self.after_effect:
            raise Killed
        findings = await super().apply(step, work)
        if cut:
            raise Killed
        return findings


@dataclass
class World:
    """What outlives a process."""

    clock: ManualClock = field(default_factory=ManualClock)
    files: MemoryFileStore = field(default_factory=MemoryFileStore)
    history: MemoryHistory = field(default_factory=MemoryHistory)

    def __post_init__(self) -> None:
        self.kv = MemoryKeyValue(self.clock)
        self.log = MemoryLog(self.clock)
        self.store = MemoryBackupStore(self.files, LIVE)
        self.store.databases[LIVE].tables = {"points": [b"a", b"b", b"b"], "series": [b"s"], "empty": []}
        self.catalogue = KvCatalogue(self.kv, REGION)
        self.ids = 0

    def process(self, *, cut_at: int | None = None, after_effect: bool = False) -> "Process":
        """A new process of the service."""
        gate = KvWriterGate(self.kv, self.log, self.clock, region=REGION, answer_s=0)
        executor = CutExecutor(self.store, self.files, gate, self.clock)
        executor.cut_at, executor.after_effect = cut_at, after_effect
        worker = Worker(executor, self.catalogue, self.history, self.clock, Telemetry("dr"))
        return Process(
            self,
            worker,
            Backups(self.catalogue, worker, self.clock, self.random, region=REGION, database=LIVE),
            Restores(self.catalogue, self.store, worker, self.clock, self.random, region=REGION),
        )

    def random(self, size: int) -> bytes:
        """Bytes that never repeat."""
        self.ids += 1
        return self.ids.to_bytes(size, "big")

    async def position(self, state: str = "done", last: int = 41) -> None:
        """Where the writer says it is."""
        value = {"first": 1, "last": last, "attempt": 1, "state": state, "incarnation": 7}
        key = f"writer.{REGION}.{self.store.databases[LIVE].uuid}.{OTLP}"
        await self.kv.put(POSITIONS, key, json.dumps(value).encode())

    async def paused(self) -> bool:
        """Whether a pause is asked for."""
        return await self.kv.get(CONTROL, f"pause.{REGION}") is not None


@dataclass
class Process:
    """One life of the service."""

    world: World
    worker: Worker
    backups: Backups
    restores: Restores

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run the worker meanwhile; being killed is one way for it to end."""
        enter_principal(ADMIN)
        task = asyncio.create_task(self.worker.run())
        try:
            await asyncio.wait_for(self.worker.ready(), 5)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def back_up(self, *, verify: bool = False) -> Backup:
        """Make a backup and wait for its end."""
        started = await self.backups.create(NewBackup(verify=verify))
        await self.worker.settle()
        return await self.backups.get(REGION, started.backup_id)

    async def verify(self, backup_id: str) -> Backup:
        """Verify a backup and wait for its end."""
        await self.backups.verify(REGION, backup_id)
        await self.worker.settle()
        return await self.backups.get(REGION, backup_id)
