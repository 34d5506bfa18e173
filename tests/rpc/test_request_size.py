"""A request of more points than one may have is refused for good at every door, before it takes memory."""

import resource

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.decode import Decoder, fresh_secrets
from services.collector.errors import RequestTooLarge
from services.collector.otlp_json import request_from_json
from services.collector.validate import AcceptLimits
from tests.rpc.otlp_doors import MEMORY_BYTES, open_doors

MOST = 1000


def wrapped(tag: int, body: bytes) -> bytes:
    """A field with a message in it."""
    length, left = bytearray(), len(body)
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    return bytes((tag, *length, left)) + body


def request(metric: bytes) -> bytes:
    """A request with this field of a metric."""
    return wrapped(0x0A, wrapped(0x12, wrapped(0x12, metric)))


MANY = {
    "numbers": lambda n: request(wrapped(0x2A, b"\x0a\x00" * n)),
    "histograms": lambda n: request(wrapped(0x4A, b"\x0a\x00" * n)),
    "exponential histograms": lambda n: request(wrapped(0x52, b"\x0a\x00" * n)),
    "summaries": lambda n: request(wrapped(0x5A, b"\x0a\x00" * n)),
    "metrics": lambda n: wrapped(0x0A, wrapped(0x12, b"\x12\x00" * n)),
    "exemplars": lambda n: request(wrapped(0x2A, wrapped(0x0A, b"\x2a\x00" * n))),
    "buckets": lambda n: request(
        wrapped(0x52, wrapped(0x0A, wrapped(0x42, wrapped(0x12, b"\x00" * (16 * n)))))
    ),
    "quantiles": lambda n: request(wrapped(0x5A, wrapped(0x0A, b"\x32\x00" * (8 * n)))),
}


@pytest.mark.parametrize("what", MANY)
def test_as_many_as_allowed_are_read_and_one_more_is_not(what: str) -> None:
    decoder = Decoder(fresh_secrets())

    decoder.decode(MANY[what](MOST), most_points=MOST)
    with pytest.raises(RequestTooLarge) as caught:
        decoder.decode(MANY[what](MOST + 1), most_points=MOST)

    assert caught.value.reason == "REQUEST_TOO_MANY_POINTS"
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("what", MANY)
def test_a_body_of_many_megabytes_of_them_takes_no_memory(what: str) -> None:
    raw, decoder = MANY[what](2_000_000), Decoder(fresh_secrets())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(RequestTooLarge):
        decoder.decode(raw, most_points=100_000)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 << 10


@pytest.mark.parametrize("door", ["grpc", "protobuf", "json"])
async def test_every_door_says_that_the_request_must_be_split(door: str) -> None:
    sent = ExportMetricsServiceRequest()
    metric = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="one")
    for _ in range(MOST + 1):
        metric.gauge.data_points.add(time_unix_nano=1)
    async with open_doors(accept=AcceptLimits(most_points=MOST, past_ns=1 << 62)) as doors:
        answer = await doors.send(door, sent)

        assert (answer.code, answer.reason) == ("RESOURCE_EXHAUSTED", "REQUEST_TOO_MANY_POINTS")
        assert answer.retry_s is None
        assert "fewer points" in str(answer.status)
        assert door == "grpc" or (answer.http, answer.headers.get("retry-after")) == (413, None)
        assert await doors.logged() == []
        del metric.gauge.data_points[MOST:]
        assert (await doors.send(door, sent)).code == "OK"


@pytest.mark.parametrize("door", ["grpc", "protobuf", "json"])
async def test_small_points_hold_their_memory_until_they_are_logged(door: str) -> None:
    sent = ExportMetricsServiceRequest()
    metric = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="one")
    for _ in range(MOST):
        metric.gauge.data_points.add()
    async with open_doors() as doors:
        with doors.admission.enter("test", MEMORY_BYTES - 100 * MOST, arriving=True):
            answer = await doors.send(door, sent)
        assert (answer.code, answer.reason) == ("UNAVAILABLE", "RECEIVER_MEMORY_FULL")
        assert answer.retry_s is not None
        assert (await doors.send(door, sent)).code == "OK", "256 bytes a point fit again"
        assert doors.admission.held_bytes == 0


@pytest.mark.parametrize("node", [b"{}", b"[]"])
def test_a_json_document_of_empty_nodes_takes_no_memory(node: bytes) -> None:
    body = b'{"resourceMetrics":[' + b",".join([node] * 4_000_000) + b"]}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(RequestTooLarge) as caught:
        request_from_json(body)

    assert caught.value.reason == "REQUEST_TOO_MANY_POINTS"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 << 10
