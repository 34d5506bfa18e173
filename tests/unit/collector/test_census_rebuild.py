"""After a start the count holds what was written and what only the log has; nobody is refused before."""

import asyncio
import time

from services.collector.census_rebuild import CensusRebuild
from services.collector.judge import examine
from services.collector.model import LoggedRequest
from services.collector.quota_ports import KnownSeries
from services.collector.record import encode_requests, encode_tick
from services.collector.series_census import LocalSeriesCensus, hour_of
from services.collector.validate import AcceptLimits
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from tests.otlp_requests import RequestMaker


class History:
    """A `SeriesHistory` that fails a few times."""

    def __init__(self, known: dict[str, KnownSeries], *, failures: int = 0) -> None:
        self._known = known
        self._failures = failures
        self.asked: list[tuple[int, int]] = []

    async def known_series(self, *, first_day: int, since_s: int) -> dict[str, KnownSeries]:
        self.asked.append((first_day, since_s))
        if len(self.asked) <= self._failures:
            raise Unavailable("the store is away")
        return self._known


class Bench:
    """A census, a log, and how to fill both."""

    def __init__(self, history: History, *, written_seq: int = 0) -> None:
        self.clock = ManualClock(now_ns=time.time_ns())
        self.log = MemoryLog(self.clock)
        self.census = LocalSeriesCensus(self.clock)
        self._written_seq = written_seq
        self.rebuild = CensusRebuild(
            self.census, log=self.log, history=history, written_seq=self._seq, clock=self.clock
        )

    async def _seq(self) -> int:
        return self._written_seq

    async def append(self, tenant: str, seed: int, *, rejected: bytes = b"") -> int:
        """Put a request into the log; how many series it has."""
        raw = RequestMaker(seed, now_ns=self.clock.now_ns()).request(20).SerializeToString()
        looked = examine(tenant, raw, now_ns=self.clock.now_ns(), limits=AcceptLimits())
        logged = LoggedRequest(looked.identifier, raw, looked.points, rejected)
        record = encode_requests(tenant, [logged])
        await self.log.append(OTLP, f"otlp.0.{tenant}", record, msg_id=f"{tenant}-{seed}", timeout_s=1.0)
        return len(looked.decoded.series.identity)


async def test_the_log_after_the_position_counts_and_what_is_before_does_not() -> None:
    bench = Bench(History({}), written_seq=1)
    await bench.append("acme", 1)
    expected = await bench.append("acme", 2)
    await bench.append("beta", 3, rejected=b"\xff" * 100)
    await bench.log.append(OTLP, "otlp.0.tick", encode_tick(), msg_id="tick", timeout_s=1.0)
    await bench.log.append(OTLP, "otlp.0.acme", b"poison", msg_id="poison", timeout_s=1.0)

    await bench.rebuild.load()

    assert await bench.census.active("acme") == expected
    assert await bench.census.active("beta") == 0


async def test_it_asks_for_a_day_and_tries_again_while_the_store_is_away() -> None:
    hour = hour_of(time.time_ns())
    history = History({"acme": KnownSeries.of({1: hour, 2: hour - 1})}, failures=2)
    bench = Bench(history)
    running = asyncio.create_task(bench.rebuild.run())
    while not running.done():
        assert bench.census.loaded is False
        await asyncio.sleep(0)
        bench.clock.advance(1.0)

    assert await bench.census.active("acme") == 2
    assert len(history.asked) == 3
    first_day, since_s = history.asked[0]
    assert 86_400 <= bench.clock.now_ns() // 10**9 - since_s <= 86_400 + 60
    assert first_day == since_s // 86_400


async def test_poison_in_the_log_is_left_out_and_does_not_end_the_process() -> None:
    bench = Bench(History({}))
    raw = RequestMaker(1, now_ns=bench.clock.now_ns()).request(20).SerializeToString()
    points = examine("acme", raw, now_ns=bench.clock.now_ns(), limits=AcceptLimits()).points
    poison = [
        LoggedRequest(bytes(16), raw, points + 1),
        LoggedRequest(bytes(16), b"\xff", 1),
    ]
    await bench.log.append(OTLP, "otlp.0.acme", encode_requests("acme", poison), msg_id="p", timeout_s=1.0)
    await bench.log.append(OTLP, "otlp.0.acme", b"junk", msg_id="j", timeout_s=1.0)
    series = await bench.append("acme", 2)

    await bench.rebuild.load()

    assert await bench.census.active("acme") == series
