"""How an availability objective is measured, as its author writes it: methods, and signals besides requests.

Policies of published agreements differ in exactly these numbers, so they are data. What they come to is
computed by the service that has the slices.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.common.documents_values import (
    Duration,
    ErrorShare,
    PositiveDuration,
    Ratio,
    Share,
    Spec,
)

MetricName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_MINUTE = Duration.parse("1m")


class RequestRatioMethod(Spec):
    """Good requests of all requests."""

    type: Literal["request_ratio"]


class AllFailMethod(Spec):
    """An interval is down when it has at least `min_requests` and all of them fail."""

    type: Literal["all_fail"]
    interval: PositiveDuration = _MINUTE
    min_requests: int = Field(default=1, ge=1)


class ErrorRateMethod(Spec):
    """Down for `consecutive` or more intervals in a row that have a share of failed requests over `above`."""

    type: Literal["error_rate"]
    above: ErrorShare
    interval: PositiveDuration = _MINUTE
    consecutive: int = Field(default=1, ge=1, le=1440)
    min_requests: int = Field(default=1, ge=1)
    partial_intervals: bool = False


class MeanErrorRateMethod(Spec):
    """1 - the mean of the error rates of intervals; without requests an interval has no errors."""

    type: Literal["mean_error_rate"]
    interval: PositiveDuration = Duration.parse("5m")


class UptimeMethod(Spec):
    """Time that was not down."""

    type: Literal["uptime"]


MethodSpec = RequestRatioMethod | AllFailMethod | ErrorRateMethod | MeanErrorRateMethod | UptimeMethod
Method = Annotated[MethodSpec, Field(discriminator="type")]


class ProbeSignal(Spec):
    """A gauge for each probe, 1 is up: the service is up while at least `up_at_least` of them say so."""

    type: Literal["probe"]
    metric: MetricName
    up_at_least: Share = Ratio.parse("100%")


class HeartbeatSignal(Spec):
    """Down when no report comes for more than `every`."""

    type: Literal["heartbeat"]
    metric: MetricName
    every: PositiveDuration


SignalSpec = ProbeSignal | HeartbeatSignal
Signal = Annotated[SignalSpec, Field(discriminator="type")]
