"""The oracle: OTLP bytes to columns with protobuf's own parser and a walk over its messages.

Shares with the collector how a series is named (`identity.py`), and nothing of how bytes are read.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from services.collector import columns
from services.collector.identity import MetricHeader, ResourceFrame, ScopeFrame
from services.collector.model import MetricType
from tests.unit.collector.kernels.walk_points import Exemplars, ExpHistograms, Histograms, Numbers, Summaries


def parse(raw: bytes) -> ExportMetricsServiceRequest | None:
    """The request as a message, without fields that this release does not know; None: not valid."""
    try:
        request = ExportMetricsServiceRequest.FromString(raw)
    except DecodeError:
        return None
    request.DiscardUnknownFields()
    return request


def expected(raw: bytes) -> columns.Decoded | None:
    """The points of a request as columns, in the order as received; None when it is refused."""
    request = parse(raw)
    if request is None:
        return None
    walk = _Walk()
    for resource_metrics in request.resource_metrics:
        resource = ResourceFrame(resource_metrics)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = ScopeFrame(scope_metrics)
            for metric in scope_metrics.metrics:
                field = metric.WhichOneof("data")
                if field is not None:
                    walk.metric(metric, field, MetricHeader(resource, scope, metric, field))
    return walk.finish()


class _Walk:
    """Collects points one after the other; `finish` turns them into arrays."""

    def __init__(self) -> None:
        self.series: dict[bytes, int] = {}
        self.series_metric: list[str] = []
        self.series_temporality: list[int] = []
        self.points: list[tuple[int, int, int, int, int]] = []
        self.numbers = Numbers()
        self.histograms = Histograms()
        self.exp_histograms = ExpHistograms()
        self.summaries = Summaries()
        self.exemplars = Exemplars()

    def metric(self, metric: Metric, field: str, header: MetricHeader) -> None:
        """Take every point of one metric."""
        data = getattr(metric, field)
        temporality = getattr(data, "aggregation_temporality", 0)
        add = self._adder(header.type)
        known: dict[bytes, int] = {}
        for point in data.data_points:
            place = len(self.points)
            attributes = header.attributes(point.attributes)
            series = known.get(attributes)
            if series is None:
                series = self._series(header.identity(attributes), metric.name, temporality)
                known[attributes] = series
            self.points.append(
                (int(header.type), series, point.time_unix_nano, point.start_time_unix_nano, point.flags)
            )
            add(place, point)
            if header.type is not MetricType.SUMMARY and point.exemplars:
                self.exemplars.add(place, point.exemplars)

    def _adder(self, kind: MetricType) -> Callable[[int, Any], None]:
        match kind:
            case MetricType.GAUGE | MetricType.SUM:
                return self.numbers.add
            case MetricType.HISTOGRAM:
                return self.histograms.add
            case MetricType.EXP_HISTOGRAM:
                return self.exp_histograms.add
            case MetricType.SUMMARY:
                return self.summaries.add

    def _series(self, identity: bytes, metric: str, temporality: int) -> int:
        known = self.series.get(identity)
        if known is not None:
            return known
        self.series_metric.append(metric)
        self.series_temporality.append(temporality)
        self.series[identity] = len(self.series)
        return len(self.series) - 1

    def finish(self) -> columns.Decoded:
        """The arrays."""
        kinds, series, times, starts, flags = zip(*self.points, strict=True) if self.points else ((),) * 5
        return columns.Decoded(
            series=columns.SeriesTable(
                identity=tuple(self.series),
                metric=tuple(self.series_metric),
                temporality=np.array(self.series_temporality, dtype=np.int32),
            ),
            type=np.array(kinds, dtype=np.uint8),
            series_index=np.array(series, dtype=np.int64),
            time_ns=np.array(times, dtype=np.uint64),
            start_ns=np.array(starts, dtype=np.uint64),
            flags=np.array(flags, dtype=np.uint32),
            numbers=self.numbers.finish(),
            histograms=self.histograms.finish(),
            exp_histograms=self.exp_histograms.finish(),
            summaries=self.summaries.finish(),
            exemplars=self.exemplars.finish(),
        )
