"""Series whose attributes are long: what they take in memory is bounded, in a request and over many."""

import resource
import sys

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.decode import Decoder, fresh_secrets
from services.collector.errors import RequestTooLarge
from services.collector.identity import SeriesKey
from services.collector.series_directory import SeriesDirectory, SeriesFacts
from services.collector.series_ids import SeriesIds
from services.collector.validate import AcceptLimits
from tests.rpc.otlp_doors import open_doors

MOST = AcceptLimits().most_points


def fat(series: int, attribute_bytes: int, name: str = "k") -> ExportMetricsServiceRequest:
    """One resource with a long attribute and so many series, which all have it in their identities."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add()
    metrics.resource.attributes.add(key=name).value.string_value = "x" * attribute_bytes
    metric = metrics.scope_metrics.add().metrics.add(name="m")
    for number in range(series):
        point = metric.gauge.data_points.add(time_unix_nano=1, as_int=number)
        point.attributes.add(key="i").value.int_value = number
    return request


def test_a_megabyte_in_thousands_of_series_is_refused_before_it_takes_memory() -> None:
    raw, decoder = fat(3000, 1_000_000).SerializeToString(), Decoder(fresh_secrets())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(RequestTooLarge) as caught:
        decoder.decode(raw, most_points=MOST)

    assert (caught.value.reason, caught.value.retry_after_s) == ("REQUEST_SERIES_TOO_LARGE", None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10


@pytest.mark.parametrize(("series", "attribute_bytes"), [(100, 128 << 10), (5000, 4000)])
def test_a_long_command_line_and_thousands_of_series_of_a_pod_are_taken(
    series: int, attribute_bytes: int
) -> None:
    decoded = Decoder(fresh_secrets()).decode(
        fat(series, attribute_bytes).SerializeToString(), most_points=MOST
    )

    assert len(decoded.series.identity) == series


def test_what_is_in_the_log_is_read_whatever_it_takes() -> None:
    decoded = Decoder(fresh_secrets()).decode(fat(40, 1 << 20).SerializeToString())

    assert len(decoded.series.identity) == 40


@pytest.mark.parametrize("door", ["grpc", "protobuf", "json"])
async def test_every_door_says_what_is_too_large_and_goes_on(door: str) -> None:
    async with open_doors(accept=AcceptLimits(past_ns=1 << 62)) as doors:
        answer = await doors.send(door, fat(4000, 30_000))

        assert (answer.code, answer.reason) == ("RESOURCE_EXHAUSTED", "REQUEST_SERIES_TOO_LARGE")
        assert answer.retry_s is None
        assert door == "grpc" or (answer.http, answer.headers.get("retry-after")) == (413, None)
        assert await doors.logged() == []
        assert (await doors.send(door, fat(40, 30_000))).code == "OK"


def test_many_series_that_are_each_allowed_are_too_much_together() -> None:
    decoder = Decoder(fresh_secrets())

    with pytest.raises(RequestTooLarge) as caught:
        decoder.decode(fat(40_000, 4000).SerializeToString(), most_points=MOST)

    assert caught.value.reason == "REQUEST_SERIES_TOO_LARGE"


def test_a_process_remembers_so_many_bytes_of_identities_and_no_more() -> None:
    directory = SeriesDirectory(most_bytes=1000)
    words = np.arange(1, 101, dtype=np.uint64)
    for word in words:
        hashes = np.array([word], np.uint64)
        facts = SeriesFacts(int(word).to_bytes(100, "big"), "m", 0)
        generation, _ = directory.resolve(hashes, hashes, lambda _places, facts=facts: [facts])  # type: ignore[misc]
        assert generation.bytes <= 1100
    assert directory.read == 100


def test_ids_of_long_identities_take_no_more_than_those_of_short_ones() -> None:
    ids, identities = SeriesIds(), [bytes([number]) * (8 << 20) for number in range(9)]
    for number, identity in enumerate(identities):
        before = sys.getrefcount(identity)
        ids.remember([("acme", identity, SeriesKey(number, 0, 0, 0))])
        assert sys.getrefcount(identity) == before, "it is not kept"

    assert [key.series_id for key in ids.find("acme", identities)[0]] == list(range(9))
    assert ids.find("acme", identities)[1] == []
