"""Receiving: refused with a reason or durable, never anything between."""

import random
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.decode import decode
from services.collector.errors import RequestTooLarge, Undecodable
from services.collector.receive import ReceiveConfig, Receiver
from services.collector.record import decode_record, request_id
from services.collector.tallies import Tallies
from services.collector.validate import unpack_bitmap
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from services.common.telemetry import Counters
from tests.otlp_requests import RequestMaker


class Bench:
    """A receiver over the memory log."""

    def __init__(self, config: ReceiveConfig | None = None) -> None:
        self.clock = ManualClock(now_ns=time.time_ns())
        self.log = MemoryLog(self.clock)
        self.tallies = Tallies(Counters(), since_ns=0)
        self.receiver = Receiver(
            log=self.log,
            tallies=self.tallies,
            clock=self.clock,
            random_bytes=random.Random(1).randbytes,
            config=config or ReceiveConfig(),
        )

    def maker(self, seed: int = 1) -> RequestMaker:
        """A maker of requests that are in time."""
        return RequestMaker(seed, now_ns=self.clock.now_ns())


async def test_a_request_is_in_the_log_when_it_is_acknowledged() -> None:
    bench = Bench()
    raw = bench.maker().request().SerializeToString()

    outcome = await bench.receiver.export("acme", raw)

    (entry,) = await bench.log.read(OTLP, 1)
    record = decode_record(entry.data)
    assert (entry.subject, record.tenant) == ("otlp.0.acme", "acme")
    assert [(one.raw, one.request_id, one.rejected) for one in record.requests] == [
        (raw, request_id("acme", raw), b"")
    ]
    assert outcome.points == record.requests[0].point_count == decode(raw).point_count
    assert bench.tallies.of("acme").points.acknowledged == outcome.points


async def test_refused_points_are_marked_and_the_others_are_kept() -> None:
    bench = Bench()
    request = bench.maker().request()
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="late")
    metric.gauge.data_points.add(time_unix_nano=1, as_int=1)
    metric.gauge.data_points.add(time_unix_nano=bench.clock.now_ns(), as_int=1)

    outcome = await bench.receiver.export("acme", request.SerializeToString())

    assert (outcome.rejected, outcome.reasons) == (1, {"POINT_TOO_OLD": 1})
    (entry,) = await bench.log.read(OTLP, 1)
    (logged,) = decode_record(entry.data).requests
    assert unpack_bitmap(logged.rejected, logged.point_count).sum() == 1
    tally = bench.tallies.of("acme")
    assert tally.points.acknowledged == outcome.points - 1
    assert tally.rejections == {"POINT_TOO_OLD": 1}


@pytest.mark.parametrize("raw", [b"", b"\x0a\x00"])
async def test_an_empty_request_is_a_success_and_appends_nothing(raw: bytes) -> None:
    bench = Bench()

    assert (await bench.receiver.export("acme", raw)).rejected == 0
    assert await bench.log.last_seq(OTLP) == 0


async def test_a_request_without_an_acceptable_point_appends_nothing() -> None:
    bench = Bench()
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(as_int=1)

    outcome = await bench.receiver.export("acme", request.SerializeToString())

    assert (outcome.points, outcome.rejected) == (1, 1)
    assert await bench.log.last_seq(OTLP) == 0


@pytest.mark.parametrize("raw", [b"\x0a\x05\x01", b"not protobuf", b"\x0a\x04\x1a\x02\xff\xfe"])
async def test_undecodable_bytes_are_refused_and_append_nothing(raw: bytes) -> None:
    bench = Bench()

    with pytest.raises(Undecodable):
        await bench.receiver.export("acme", raw)
    assert await bench.log.last_seq(OTLP) == 0


async def test_a_request_over_the_size_limit_is_refused() -> None:
    bench = Bench(ReceiveConfig(max_request_bytes=100))

    with pytest.raises(RequestTooLarge) as caught:
        await bench.receiver.export("acme", bench.maker().request().SerializeToString())
    assert caught.value.retry_after_s is None


async def test_a_log_that_is_away_is_not_an_acknowledgement() -> None:
    bench = Bench()
    bench.log.fail_next_appends(1)

    with pytest.raises(Unavailable):
        await bench.receiver.export("acme", bench.maker().request().SerializeToString())
    assert bench.tallies.of("acme").points.acknowledged == 0


async def test_a_large_request_becomes_several_records_with_their_own_verdicts() -> None:
    bench = Bench(ReceiveConfig(max_record_bytes=1500, thread_from_bytes=0))
    request = bench.maker().request(80)
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        assert kind is not None
        getattr(metric, kind).data_points[0].time_unix_nano = 1
    raw = request.SerializeToString()

    outcome = await bench.receiver.export("acme", raw)

    records = [decode_record(entry.data) for entry in await bench.log.read(OTLP, 1)]
    logged = [one for record in records for one in record.requests]
    assert len(records) > 1
    assert 0 < outcome.rejected == sum(one.rejected_count for one in logged)
    for one in logged:
        decoded = decode(one.raw)
        marks = unpack_bitmap(one.rejected, one.point_count)
        assert marks.tolist() == (decoded.time_ns == 1).tolist()
        assert one.request_id == request_id("acme", one.raw)
