"""What the suite reports about itself: counts that a status RPC can read, and OTLP metrics.

Counters live in the process first, so that GetStatus answers exactly and without a backend; the
OpenTelemetry SDK observes the same numbers when an OTLP endpoint is configured. Used at edges
only (adapters, interceptors, runners), never in models, use-case arithmetic or kernels.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Histogram, Observation
from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from services.common.metric_names import (
    COUNTER_NAMES,
    GAUGE_NAMES,
    HISTOGRAM_NAMES,
    CounterName,
    GaugeName,
    HistogramName,
)

Labels = tuple[tuple[str, str], ...]

# Beyond this many label sets a counter counts under one overflow label, as the OpenTelemetry
# metrics SDK specification ("cardinality limits") has it: sums stay exact, memory stays bounded.
_LABEL_SETS = 20_000
_OVERFLOW: Labels = (("otel.metric.overflow", "true"),)


class Counters:
    """Exact counts by name and labels; safe from any thread.

    Counts start at 0 with the process; what must survive a restart is a table's business.
    """

    def __init__(self, *, label_sets: int = _LABEL_SETS) -> None:
        self._label_sets = label_sets
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, int]] = {name: {} for name in COUNTER_NAMES}

    def add(self, name: CounterName, amount: int = 1, **labels: str) -> None:
        """Count `amount` (>= 0) more under these labels."""
        if amount < 0:
            raise ValueError(f"counter {name} cannot go down by {-amount}")
        key = tuple(sorted(labels.items()))
        with self._lock:
            series = self._values[name]
            if key not in series and len(series) >= self._label_sets:
                key = _OVERFLOW
            series[key] = series.get(key, 0) + amount

    def value(self, name: CounterName, **labels: str) -> int:
        """The sum over all label sets that have these labels; 0 when there is none."""
        wanted = labels.items()
        with self._lock:
            return sum(v for key, v in self._values[name].items() if wanted <= dict(key).items())

    def series(self, name: CounterName) -> dict[Labels, int]:
        """Every label set of a counter with its count."""
        with self._lock:
            return dict(self._values[name])


class Telemetry:
    """The process's own metrics.

    Args:
        service_name: `service.name` of the reported resource, for example `threenines-sla`.
        endpoint: OTLP/gRPC endpoint (OTEL_EXPORTER_OTLP_ENDPOINT); None exports nothing.
        export_interval_ms: milliseconds between exports (OTEL_METRIC_EXPORT_INTERVAL).
        region: reported as `deployment.region`.
        reader: a reader that takes the exporter's place, for tests.
    """

    def __init__(
        self,
        service_name: str,
        *,
        endpoint: str | None = None,
        export_interval_ms: int = 60_000,
        region: str = "local",
        reader: MetricReader | None = None,
    ) -> None:
        self.counters = Counters()
        self._gauges: dict[GaugeName, Callable[[], Mapping[Labels, float]]] = {}
        self._histograms: dict[HistogramName, Histogram] = {}
        self.gauge("common.up", lambda: 1.0)
        reader = reader or _exporting_reader(endpoint, export_interval_ms)
        self._provider: MeterProvider | None = None
        if reader is not None:
            resource = Resource.create({"service.name": service_name, "deployment.region": region})
            # The SDK's own bounds are for milliseconds: in seconds everything would be in the first bucket.
            smooth = View(
                instrument_type=HistogramInstrument, aggregation=ExponentialBucketHistogramAggregation()
            )
            self._provider = MeterProvider(metric_readers=[reader], resource=resource, views=[smooth])
            self._instrument(self._provider)

    @property
    def exporting(self) -> bool:
        """Whether metrics leave this process."""
        return self._provider is not None

    def gauge(self, name: GaugeName, read: Callable[[], float | None]) -> None:
        """Report `read()` as that gauge at every export; None reports nothing this time."""

        def alone() -> Mapping[Labels, float]:
            value = read()
            return {} if value is None else {(): value}

        self._gauges[name] = alone

    def gauges(self, name: GaugeName, read: Callable[[], Mapping[Labels, float]]) -> None:
        """Report `read()` as that gauge at every export, one value for each label set."""
        self._gauges[name] = read

    def record(self, name: HistogramName, value: float, **labels: str) -> None:
        """Record one value of a distribution; costs nothing when nothing is exported."""
        if self._provider is not None:
            self._histograms[name].record(value, labels)

    def clickhouse(self, kind: str, outcome: str, seconds: float) -> None:
        """Record how long a statement took: `database.measured_by(telemetry.clickhouse)`."""
        self.record("common.clickhouse.duration", seconds, kind=kind, outcome=outcome)

    def shutdown(self) -> None:
        """Export what is left (waits at most 2 s) and stop; blocking, call it in a thread."""
        if self._provider is not None:
            self._provider.shutdown(timeout_millis=2_000)

    def _instrument(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("threenines")
        for counter in COUNTER_NAMES:
            meter.create_observable_counter(f"threenines.{counter}", [self._counter_reader(counter)])
        for gauge in GAUGE_NAMES:
            meter.create_observable_gauge(f"threenines.{gauge}", [self._gauge_reader(gauge)])
        for name in HISTOGRAM_NAMES:
            self._histograms[name] = meter.create_histogram(f"threenines.{name}", unit="s")

    def _counter_reader(self, name: CounterName) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, dict(key)) for key, value in self.counters.series(name).items()]

        return read

    def _gauge_reader(self, name: GaugeName) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            values = self._gauges[name]() if name in self._gauges else {}
            return [Observation(value, dict(key)) for key, value in values.items()]

        return read


def _exporting_reader(endpoint: str | None, interval_ms: int) -> MetricReader | None:
    if not endpoint:
        return None
    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=not endpoint.startswith("https"))
    return PeriodicExportingMetricReader(exporter, export_interval_millis=interval_ms)
