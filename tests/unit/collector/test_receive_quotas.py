"""Receiving under quotas: what is over them is refused exactly, what is not goes on, all of it is counted."""

import asyncio
import random
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.errors import PointTooLarge, RateExceeded
from services.collector.model import U64, Bools
from services.collector.quota import Quota
from services.collector.quota_memory import MemoryTokenBuckets
from services.collector.rate import RateGate
from services.collector.receive import ReceiveConfig, Receiver
from services.collector.record import decode_record
from services.collector.series_census import LocalSeriesCensus
from services.collector.series_gate import SeriesGate
from services.collector.tallies import Tallies
from services.collector.validate import unpack_bitmap
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from services.common.telemetry import Counters


class LostCensus:
    """A `SeriesCensus` whose owner does not answer."""

    async def admit(self, tenant: str, series: U64, *, limit: int) -> Bools:
        raise Unavailable(f"nobody counts {len(series)} series of {tenant} against {limit}")

    async def active(self, tenant: str) -> int | None:
        raise Unavailable(f"nobody counts the series of {tenant}")


class Bench:
    """A receiver with both gates over memory."""

    def __init__(self, quota: Quota, config: ReceiveConfig | None = None) -> None:
        self.clock = ManualClock(now_ns=time.time_ns())
        self.log = MemoryLog(self.clock)
        self.counters = Counters()
        self.tallies = Tallies(self.counters, since_ns=0)
        self.census = LocalSeriesCensus(self.clock)
        self.census.load({})
        self.quota = quota
        rate = RateGate(MemoryTokenBuckets(self.clock), self._quota, self.clock, self.counters)
        self.receiver = Receiver(
            log=self.log,
            tallies=self.tallies,
            clock=self.clock,
            random_bytes=random.Random(1).randbytes,
            config=config or ReceiveConfig(),
            counters=self.counters,
            rate=rate,
            series=SeriesGate(self.census, self._quota, self.clock, self.counters),
        )

    def _quota(self, _tenant: str) -> Quota:
        return self.quota

    def raw(self, *series: str, too_old: tuple[str, ...] = ()) -> bytes:
        """A request with one point for each name; the same name is the same series."""
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
        for name in series:
            when = 1 if name in too_old else self.clock.now_ns()
            point = metric.gauge.data_points.add(time_unix_nano=when, as_int=1)
            point.attributes.add(key="path").value.string_value = name
        return request.SerializeToString()

    def balance(self) -> int:
        """Received points that are neither rejected, acknowledged nor failed."""
        points = self.tallies.of("acme").points
        failed = self.counters.value("collector.points.failed", tenant="acme")
        return points.received - points.rejected - points.acknowledged - failed


async def test_points_of_series_beyond_the_limit_are_refused_and_marked_in_the_record() -> None:
    bench = Bench(Quota(active_series=3))
    await bench.receiver.export("acme", bench.raw("a", "b"))

    outcome = await bench.receiver.export("acme", bench.raw("d1", "a", "d2", "d3", "d1", "d2", "b"))

    assert (outcome.points, outcome.rejected, outcome.reasons) == (7, 3, {"SERIES_LIMIT": 3})
    logged = decode_record((await bench.log.read(OTLP, 2))[0].data).requests[0]
    assert unpack_bitmap(logged.rejected, 7).tolist() == [False, False, True, True, False, True, False]
    assert await bench.census.active("acme") == 3
    assert bench.balance() == 0


async def test_known_series_go_on_when_the_limit_is_reached_in_whatever_order_they_come() -> None:
    bench = Bench(Quota(active_series=2))
    await bench.receiver.export("acme", bench.raw("a", "b"))

    for names in (("a", "b"), ("b", "a"), ("b",), ("a", "b")):
        assert (await bench.receiver.export("acme", bench.raw(*names))).rejected == 0
    assert (await bench.receiver.export("acme", bench.raw("c"))).reasons == {"SERIES_LIMIT": 1}
    assert (await bench.receiver.export("beta", bench.raw("c"))).rejected == 0


async def test_a_series_none_of_whose_points_is_accepted_does_not_count() -> None:
    bench = Bench(Quota(active_series=1))

    outcome = await bench.receiver.export("acme", bench.raw("old", "a", too_old=("old",)))

    assert outcome.reasons == {"POINT_TOO_OLD": 1}
    assert (await bench.receiver.export("acme", bench.raw("a"))).rejected == 0
    assert (await bench.receiver.export("acme", bench.raw("old"))).reasons == {"SERIES_LIMIT": 1}


async def test_many_new_series_at_once_are_counted_exactly_while_others_come() -> None:
    bench = Bench(Quota(active_series=500))
    requests = [bench.raw(*(f"s{place}-{one}" for one in range(200))) for place in range(5)]

    outcomes = await asyncio.gather(*(bench.receiver.export("acme", raw) for raw in requests))

    assert sum(outcome.rejected for outcome in outcomes) == 500
    assert await bench.census.active("acme") == 500
    assert bench.balance() == 0


async def test_a_series_that_stays_is_seen_every_hour_and_does_not_lose_its_place() -> None:
    bench = Bench(Quota(active_series=1))
    for _ in range(30):
        assert (await bench.receiver.export("acme", bench.raw("a"))).rejected == 0
        bench.clock.advance(3600)

    assert (await bench.receiver.export("acme", bench.raw("b"))).rejected == 1


async def test_without_an_owner_of_the_count_every_series_is_let_in_and_that_is_counted() -> None:
    bench = Bench(Quota(active_series=1))
    gate = SeriesGate(LostCensus(), bench._quota, bench.clock, bench.counters)
    receiver = Receiver(
        log=bench.log,
        tallies=bench.tallies,
        clock=bench.clock,
        random_bytes=random.Random(1).randbytes,
        config=ReceiveConfig(),
        series=gate,
    )

    assert (await receiver.export("acme", bench.raw("a", "b", "c"))).rejected == 0
    assert bench.counters.value("collector.series.uncounted", tenant="acme") == 3


async def test_over_the_rate_the_whole_request_fails_with_a_delay_and_nothing_of_it_is_stored() -> None:
    bench = Bench(Quota(points_per_second=10, burst_points=10, active_series=100))
    await bench.receiver.export("acme", bench.raw(*"abcdefghijkl"))

    with pytest.raises(RateExceeded) as caught:
        await bench.receiver.export("acme", bench.raw("new", "old", too_old=("old",)))

    assert caught.value.retry_after_s is not None
    assert await bench.log.last_seq(OTLP) == 1
    assert await bench.census.active("acme") == 12
    assert bench.counters.value("collector.points.failed", tenant="acme", reason="RATE_LIMIT") == 2
    assert bench.balance() == 0
    bench.clock.advance(caught.value.retry_after_s)
    again = await bench.receiver.export("acme", bench.raw("new", "old", too_old=("old",)))
    assert again.reasons == {"POINT_TOO_OLD": 1}


async def test_every_way_in_which_a_request_ends_is_in_the_balance() -> None:
    bench = Bench(Quota(active_series=3), ReceiveConfig(max_record_bytes=200))
    bench.log.fail_next_appends(1)
    with pytest.raises(Unavailable):
        await bench.receiver.export("acme", bench.raw("a", "b"))
    noise = "".join(random.Random(2).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=1000))
    with pytest.raises(PointTooLarge):
        await bench.receiver.export("acme", bench.raw(noise))
    leaving = asyncio.ensure_future(bench.receiver.export("acme", bench.raw("a")))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    points = bench.tallies.of("acme").points
    assert (points.received, points.rejected, points.acknowledged) == (4, 1, 0)
    assert bench.tallies.of("acme").rejections == {"POINT_TOO_LARGE": 1}
    failed = bench.counters.series("collector.points.failed")
    assert sorted((dict(labels)["reason"], count) for labels, count in failed.items()) == [
        ("CANCELLED", 1),
        ("LOG_UNAVAILABLE", 2),
    ]
    assert bench.balance() == 0


async def test_identities_that_are_forgotten_are_the_same_series_when_they_come_again() -> None:
    bench = Bench(Quota(active_series=5))
    gate = SeriesGate(bench.census, bench._quota, bench.clock, bench.counters, remember=4)
    bench.receiver = Receiver(
        log=bench.log,
        tallies=bench.tallies,
        clock=bench.clock,
        random_bytes=random.Random(1).randbytes,
        config=ReceiveConfig(),
        series=gate,
    )
    for _ in range(3):
        for names in ("ab", "cde", "ea", "abcde"):
            assert (await bench.receiver.export("acme", bench.raw(*names))).rejected == 0

    assert await bench.census.active("acme") == 5
