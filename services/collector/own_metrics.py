"""The collector's gauges about itself: how far behind it is, for the whole log and for each tenant.

Counters count where things happen. Gauges need the log and the positions, so they are read here
every few seconds and handed to the exporter as they were then; while the log is away there are none.
"""

from collections.abc import Callable, Mapping

from services.collector.model import StatusReport, TenantReport
from services.collector.series_census import LocalSeriesCensus
from services.collector.status import StatusReporter
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.telemetry import Labels, Telemetry

_LONGEST_PERIOD_S = 5.0


class OwnGauges:
    """Reads the gauges; `run` it beside the servers. Belongs to one event loop."""

    def __init__(
        self,
        telemetry: Telemetry,
        status: StatusReporter,
        census: LocalSeriesCensus,
        clock: Clock,
        *,
        export_interval_ms: int,
    ) -> None:
        self._period_s = min(_LONGEST_PERIOD_S, export_interval_ms / 1000)
        self._status = status
        self._census = census
        self._clock = clock
        self._report: StatusReport | None = None
        self._active: Mapping[str, int] = {}
        # Called from the exporter's thread: only what was read before is looked at.
        telemetry.gauge("collector.log.lag", lambda: self._of_stream(_records_behind))
        telemetry.gauge("collector.watermark", lambda: self._of_stream(_watermark_s))
        telemetry.gauge("collector.watermark.age", lambda: self._of_stream(_age_s))
        telemetry.gauges("collector.tenant.lag", lambda: self._of_tenants(_lag_s))
        telemetry.gauges("collector.points.unread", lambda: self._of_tenants(unread_points))
        telemetry.gauges("collector.series.active", self._series)

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self.read()
            await self._clock.sleep(self._period_s)

    async def read(self) -> None:
        """Read once."""
        try:
            self._report = await self._status.observe()
        except Unavailable:
            self._report = None
        self._active = self._census.counts()

    def _of_stream(self, value: Callable[[StatusReport], float | None]) -> float | None:
        report = self._report
        return None if report is None else value(report)

    def _of_tenants(self, value: Callable[[TenantReport], float]) -> Mapping[Labels, float]:
        report = self._report
        return {} if report is None else {_label(one.tenant): value(one) for one in report.tenants}

    def _series(self) -> Mapping[Labels, float]:
        return {_label(tenant): float(count) for tenant, count in self._active.items()}


def unread_points(report: TenantReport) -> float:
    """Accepted points in the log that the writer has yet to read."""
    points = report.points
    return float(points.logged - points.written - points.duplicate - points.dead_lettered)


def _label(tenant: str) -> Labels:
    return (("tenant", tenant),)


def _records_behind(report: StatusReport) -> float:
    return float(max(0, report.stream.log_last_seq - report.stream.written_seq))


def _watermark_s(report: StatusReport) -> float | None:
    watermark_ns = report.stream.watermark_ns
    return None if watermark_ns is None else watermark_ns / 1e9


def _age_s(report: StatusReport) -> float:
    return report.stream.lag_ns / 1e9


def _lag_s(report: TenantReport) -> float:
    return report.lag_ns / 1e9
