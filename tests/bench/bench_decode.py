"""Decoding OTLP requests to columns.

Points per CPU-second of one thread, all in one run, on requests whose series are known: the kernels,
against protobuf's parser with a Python walk over its messages (one that only takes rows of plain values,
and our own that names every series), and against that parser alone. Each figure goes round several
requests with the same series and other times and values.
"""

import itertools
import time
from collections.abc import Callable, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.decode import Decoder, fresh_secrets
from tests.bench import payload
from tests.bench.report import Row
from tests.unit.collector.kernels.differential import differences
from tests.unit.collector.kernels.walk import expected

MILLION = 1_000_000
DUTY_POINTS = 8.0
DUTY_RATIO = 20.0
_ROUNDS, _ROUND_S = 5, 0.25


def rate(work: Callable[[bytes], object], requests: Sequence[bytes], points: int) -> float:
    """Million points per CPU-second: the median of several rounds."""
    rates = []
    for raw in requests:
        work(raw)
    for _ in range(_ROUNDS):
        done, begun, spent = 0, time.process_time(), 0.0
        for raw in itertools.cycle(requests):
            work(raw)
            done += 1
            spent = time.process_time() - begun
            if spent > _ROUND_S:
                break
        rates.append(done * points / spent / MILLION)
    return sorted(rates)[_ROUNDS // 2]


def plain_walk(raw: bytes) -> list[tuple[object, ...]]:
    """Rows of plain values, as a simple receiver in Python would take them from the messages."""
    rows: list[tuple[object, ...]] = []
    for resource in ExportMetricsServiceRequest.FromString(raw).resource_metrics:
        sender = [(pair.key, pair.value.string_value) for pair in resource.resource.attributes]
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                field = metric.WhichOneof("data")
                for point in getattr(metric, field).data_points:
                    labels = [(pair.key, pair.value.string_value) for pair in point.attributes]
                    values = (
                        point.as_double
                        if field == "gauge"
                        else (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds))
                    )
                    times = (point.start_time_unix_nano, point.time_unix_nano)
                    rows.append((sender, scope.scope.name, metric.name, labels, times, values))
    return rows


def run() -> list[Row]:
    """The figures for numbers (2000 and 100 points a request) and histograms."""
    rows: list[Row] = []
    for name, make, points, duty in (
        ("numbers, 2000 a request", payload.numbers, 2000, True),
        ("numbers, 100 a request", payload.numbers, 100, False),
        ("histograms, 2000 a request", payload.histograms, 2000, False),
    ):
        requests = [make(points, export=export) for export in range(8)]
        rows += _compared(name, requests, points, duty=duty)
    return rows + _unfamiliar()


def _compared(name: str, requests: Sequence[bytes], points: int, *, duty: bool) -> list[Row]:
    decoder = Decoder(fresh_secrets())
    assert not differences(expected(requests[0]), decoder.decode(requests[0]))
    kernels = rate(decoder.decode, requests, points)
    simple = rate(plain_walk, requests, points)
    walk = rate(expected, requests, points)
    parse = rate(ExportMetricsServiceRequest.FromString, requests, points)
    size, unit = len(requests[0]) / points, "M points/CPU-s"
    return [
        Row(f"{name} ({size:.0f} B/point)", kernels, unit, DUTY_POINTS if duty else None),
        Row("  protobuf and a Python walk to rows", simple, unit),
        Row("  protobuf and our Python walk, with series", walk, unit),
        Row("  protobuf's parser alone", parse, unit),
        Row("  kernels : protobuf and a walk to rows", kernels / simple, "x", DUTY_RATIO if duty else None),
        Row("  kernels : protobuf and our walk", kernels / walk, "x"),
        Row("  kernels : protobuf's parser alone", kernels / parse, "x"),
    ]


def _unfamiliar() -> list[Row]:
    """What the memory of series gives: sets of known series too many to be kept, and unknown series."""
    points, decoder = 2000, Decoder(fresh_secrets())
    mixed = [payload.numbers(points, export=0, first_series=37 * place) for place in range(8)]
    known = rate(decoder.decode, mixed, points)
    strangers = [payload.numbers(points, export=0, first_series=1000 * place) for place in range(1, 40)]
    begun = time.process_time()
    for raw in strangers:
        decoder.decode(raw)
    new = len(strangers) * points / (time.process_time() - begun) / MILLION
    return [
        Row("numbers, 2000 a request, known series in ever new sets", known, "M points/CPU-s"),
        Row("numbers, 2000 a request, no series seen before", new, "M points/CPU-s"),
    ]
