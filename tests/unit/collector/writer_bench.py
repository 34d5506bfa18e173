"""A writer over memory adapters, with a receiver before it, for unit tests."""

import random
import time
from collections.abc import Callable

from services.collector.kept_records import KeptRecords
from services.collector.memory import MemoryPointStore
from services.collector.pause import PauseGate
from services.collector.receive import ReceiveConfig, Receiver
from services.collector.retention import KeepDays, KeepNs, default_keep_days, milliseconds_only
from services.collector.series_ids import SeriesIds
from services.collector.tallies import Tallies
from services.collector.ticker import tick
from services.collector.write import WriteConfig, Writer
from services.collector.write_position import Position, PositionStore, position_key
from services.common.log_memory import MemoryEngine
from services.common.streams import POSITIONS
from services.common.telemetry import Counters
from tests.engines_nats import ScaledClock
from tests.otlp_requests import RequestMaker

DATABASE = "00000000-0000-4000-8000-000000000001"


class WriterBench:
    """Receive, write, look. `writer()` gives a new process's writer over the same log and store."""

    def __init__(self, *, max_points: int = 100_000) -> None:
        self.clock = ScaledClock(50.0)
        self.engine = MemoryEngine(self.clock)
        self.store = MemoryPointStore(DATABASE)
        self.maker = RequestMaker(1, now_ns=time.time_ns())
        self.random = random.Random(1)
        self.leading = True
        self._max_points = max_points
        self.kept = KeptRecords(self.clock)
        self.receiver = Receiver(
            log=self.engine.log,
            tallies=Tallies(Counters(), since_ns=0),
            clock=self.clock,
            random_bytes=self.random.randbytes,
            config=ReceiveConfig(),
            kept=self.kept,
        )

    async def send(self, requests: int = 1, *, tenant: str = "acme") -> list[bytes]:
        """Receive that many new requests."""
        sent = [self.maker.request().SerializeToString() for _ in range(requests)]
        for raw in sent:
            await self.receiver.export(tenant, raw)
        return sent

    async def tick(self) -> None:
        """Append a TICK."""
        await tick(self.engine.log, self.random.randbytes)

    def writer(
        self,
        *,
        new_ids: Callable[[], SeriesIds] = SeriesIds,
        keep_days: KeepDays = default_keep_days,
        to_the_ns: KeepNs = milliseconds_only,
    ) -> Writer:
        """A writer that remembers nothing."""
        return Writer(
            log=self.engine.log,
            store=self.store,
            gate=PauseGate(self.engine.kv, self.clock, region="local"),
            clock=self.clock,
            counters=Counters(),
            config=WriteConfig(max_points=self._max_points, period_s=0.2, settle_s=0.1),
            open_positions=lambda name: PositionStore(self.engine.kv, region="local", database=name),
            held=lambda: self.leading,
            keep_days=keep_days,
            to_the_ns=to_the_ns,
            new_ids=new_ids,
            kept=self.kept,
        )

    async def position(self) -> Position:
        """The stored position."""
        entry = await self.engine.kv.get(POSITIONS, position_key("local", DATABASE))
        assert entry is not None
        return Position.from_json(entry.value)
