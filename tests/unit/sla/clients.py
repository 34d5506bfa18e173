"""Clients for tests: the real OpenTelemetry SDK with its clock told what time it is, as stored points."""

import random
import time
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource

from services.sla.memory import MemoryPointReader
from services.sla.model import PointKind, Series
from services.sla.rows_build import Point

METRIC = "http.server.request.duration"
TENANT = "acme"
SENDER = 7


class Client:
    """One process that serves requests and is collected twice: cumulative and delta.

    `collect(at_ms)` ends an interval. The SDK stamps its points with the wall clock; each stamp is replaced
    by the told time of the last collection up to it, or of the birth: as if requests came right then.
    """

    def __init__(self, born_ms: int, *, explicit: bool = False, max_size: int = 20) -> None:
        aggregation: Aggregation = (
            ExplicitBucketHistogramAggregation((0.1, 0.5, 1, 2.5))
            if explicit
            else ExponentialBucketHistogramAggregation(max_size=max_size)
        )
        preference = {Histogram: AggregationTemporality.DELTA}
        self._readers = (InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=preference))
        self._provider = MeterProvider(
            metric_readers=self._readers,
            views=[View(instrument_name=METRIC, aggregation=aggregation)],
            resource=Resource({"service.name": "shop"}),
            shutdown_on_exit=False,
        )
        self._histogram = self._provider.get_meter("test").create_histogram(METRIC, unit="s")
        self._told: tuple[dict[int, int], dict[int, int]] = ({0: born_ms}, {0: born_ms})
        self.cumulative: list[tuple[Series, Point]] = []
        self.delta: list[tuple[Series, Point]] = []

    def serve(self, seconds: float, status: int) -> None:
        """One request."""
        self._histogram.record(seconds, {"http.response.status_code": status})

    def collect(self, at_ms: int) -> None:
        """Both readers export."""
        outs = (self.cumulative, self.delta)
        for reader, told, out in zip(self._readers, self._told, outs, strict=True):
            data = reader.get_metrics_data()
            # Without points there is no stamp to learn; the wall clock has moved on all the same.
            stamp = time.time_ns()
            if data is not None:
                request = encode_metrics(data)
                stamp = max(one.time_unix_nano for _, _, one in _data_points(request))
                out.extend(_points(request, at_ms, told))
            told[stamp] = at_ms

    def stop(self) -> None:
        """The process ends; what was not collected is lost with it."""
        self._provider.shutdown()


def _data_points(request):
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        data = getattr(metric, metric.WhichOneof("data"))
        for one in data.data_points:
            yield metric, data, one


def _points(request, at_ms: int, told: Mapping[int, int]):
    for metric, data, one in _data_points(request):
        assert one.start_time_unix_nano < one.time_unix_nano
        attributes = {pair.key: str(pair.value.int_value) for pair in one.attributes}
        number = int(attributes["http.response.status_code"])
        smooth = metric.WhichOneof("data") == "exponential_histogram"
        series = Series(
            number,
            SENDER,
            PointKind.EXPONENTIAL if smooth else PointKind.EXPLICIT,
            data.aggregation_temporality == 1,
            metric.unit,
            attributes,
            {"service.name": "shop"},
        )
        point = Point(
            number,
            at_ms,
            one.count,
            tuple(one.positive.bucket_counts if smooth else one.bucket_counts),
            told[max(stamp for stamp in told if stamp <= one.start_time_unix_nano)],
            bounds=() if smooth else tuple(one.explicit_bounds),
            scale=one.scale if smooth else 0,
            offset=one.positive.offset if smooth else 0,
            zero_count=one.zero_count if smooth else 0,
        )
        yield series, point


def stored(points: Sequence[tuple[Series, Point]]) -> MemoryPointReader:
    """A reader that holds these points."""
    reader = MemoryPointReader()
    for series, point in points:
        reader.put(TENANT, METRIC, series, point)
    return reader


def load(client: Client, rng: random.Random, requests: int) -> None:
    """Requests of many latencies, the first good, some of the others failing."""
    client.serve(0.1, 200)
    for _ in range(requests - 1):
        client.serve(rng.lognormvariate(-2, 1.5), rng.choices((200, 404, 503), (90, 5, 5))[0])
