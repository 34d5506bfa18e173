"""The figures as a caller wants them: exact fractions, times with a zone, verdicts as an enum.

Converted from the contracts' messages; nothing is computed here that the service did not compute.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from fractions import Fraction

from google.protobuf.timestamp_pb2 import Timestamp

from threenines.sla.v1 import sla_pb2


class Verdict(Enum):
    """What a promise came to. NO_DATA is neither kept nor broken."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    INDETERMINATE = "INDETERMINATE"
    NO_DATA = "NO_DATA"

    @property
    def kept(self) -> bool:
        """True only when it is proven that the promise was kept."""
        return self is Verdict.PASS


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget, requests. `remaining` is negative when it is overdrawn."""

    total: int
    consumed: int
    remaining: int
    frozen: bool


@dataclass(frozen=True, slots=True)
class UptimeFigure:
    """Availability of one objective over [start, end).

    uptime: None without data. percent: floored, `100` only when nothing failed and nothing was missing.
    provisional: data of the window may still come. data_revision: grows whenever a slice in it changes.
    """

    objective: str
    start: datetime
    end: datetime
    good: int
    total: int
    uptime: Fraction | None
    percent: str
    target: Fraction
    coverage: Fraction | None
    down_ns: int
    no_data_ns: int
    verdict: Verdict
    budget: Budget
    provisional: bool
    data_revision: int


@dataclass(frozen=True, slots=True)
class LatencyFigure:
    """A latency quantile of one objective over [start, end).

    estimate_s, lower_s, upper_s: seconds; the true quantile lies between the last two. upper_s is None when
    it lies above the last bucket; all three are None without requests.
    """

    objective: str
    start: datetime
    end: datetime
    quantile: Fraction
    total: int
    estimate_s: float | None
    lower_s: float | None
    upper_s: float | None
    threshold_s: float
    verdict: Verdict
    budget: Budget
    provisional: bool
    data_revision: int


@dataclass(frozen=True, slots=True)
class ObjectiveFigure:
    """One objective of a status. figure: None when there is none, or it is of another kind; why then."""

    name: str
    verdict: Verdict
    figure: UptimeFigure | LatencyFigure | None
    absent_reason: str


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """All objectives of one client. watermark: up to where data is complete; None without data."""

    tenant: str
    verdict: Verdict
    objectives: tuple[ObjectiveFigure, ...]
    watermark: datetime | None


def verdict_of(value: sla_pb2.Verdict.ValueType) -> Verdict:
    """The enum's member; an unknown or missing one proves nothing."""
    name = sla_pb2.Verdict.Name(value).removeprefix("VERDICT_")
    return Verdict(name) if name in Verdict.__members__ else Verdict.NO_DATA


def uptime_of(message: sla_pb2.Uptime) -> UptimeFigure:
    """The figure of a message."""
    return UptimeFigure(
        objective=message.objective,
        start=_time(message.window.start_time),
        end=_time(message.window.end_time),
        good=message.good_count,
        total=message.total_count,
        uptime=_ratio(message.uptime),
        percent=message.displayed_percent,
        target=_ratio(message.target) or Fraction(0),
        coverage=_ratio(message.coverage),
        down_ns=message.down_nanos,
        no_data_ns=message.no_data_nanos,
        verdict=verdict_of(message.verdict),
        budget=_budget(message.budget),
        provisional=message.window.provisional,
        data_revision=message.window.data_revision,
    )


def latency_of(message: sla_pb2.Latency) -> LatencyFigure:
    """The figure of a message."""
    known = message.total_count > 0
    return LatencyFigure(
        objective=message.objective,
        start=_time(message.window.start_time),
        end=_time(message.window.end_time),
        quantile=_ratio(message.quantile) or Fraction(0),
        total=message.total_count,
        estimate_s=message.estimate_seconds if known and not message.saturated else None,
        lower_s=message.lower_seconds if known else None,
        upper_s=message.upper_seconds if known and not message.saturated else None,
        threshold_s=message.threshold_seconds,
        verdict=verdict_of(message.verdict),
        budget=_budget(message.budget),
        provisional=message.window.provisional,
        data_revision=message.window.data_revision,
    )


def status_of(message: sla_pb2.SlaStatus) -> TenantStatus:
    """The status of a message."""
    return TenantStatus(
        tenant=message.name.split("/")[1],
        verdict=verdict_of(message.verdict),
        objectives=tuple(_objective(one) for one in message.objectives),
        watermark=_time(message.watermark_time) if message.HasField("watermark_time") else None,
    )


def _objective(message: sla_pb2.ObjectiveStatus) -> ObjectiveFigure:
    figure: UptimeFigure | LatencyFigure | None = None
    match message.WhichOneof("figures"):
        case "uptime":
            figure = uptime_of(message.uptime)
        case "latency":
            figure = latency_of(message.latency)
    return ObjectiveFigure(
        name=message.objective.name.split("/objectives/")[-1],
        verdict=verdict_of(message.verdict),
        figure=figure,
        absent_reason=message.absent_reason,
    )


def _budget(message: sla_pb2.Budget) -> Budget:
    return Budget(message.total_count, message.consumed_count, message.remaining_count, message.frozen)


def _ratio(message: sla_pb2.Ratio) -> Fraction | None:
    return Fraction(message.numerator, message.denominator) if message.denominator else None


def _time(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
