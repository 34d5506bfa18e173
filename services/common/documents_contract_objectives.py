"""The promises a contract may hold, one class for each type.

All have a `name`, the `window` they are judged over, and `good_share`: the share that must be good, from
which error budgets and burn rates derive.
"""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from services.common.documents_contract_methods import MethodSpec, MetricName, SignalSpec
from services.common.documents_values import (
    Name,
    OpenShare,
    PositiveDuration,
    Ratio,
    Share,
    Spec,
    Weight,
    Window,
)

_REQUEST_DURATION = "http.server.request.duration"


class LatencyReading(StrEnum):
    """Which quantile is meant: that of all requests merged, the share of requests, or that of slices."""

    MERGED = "merged"
    REQUESTS = "requests"
    SLICES = "slices"


class ResolutionClock(StrEnum):
    """Whether the clock of an incident runs always, or only while service is owed."""

    WALL = "wall"
    SERVICE_HOURS = "service_hours"


class ResolutionUntil(StrEnum):
    """What stops the clock of an incident."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    VERIFIED = "verified"


class CompositeKind(StrEnum):
    """Down while any child is, or the weighted mean of the children."""

    INTERVAL_UNION = "interval_union"
    WEIGHTED = "weighted"


class OverlapRule(StrEnum):
    """What two live processes of one series come to: both count, or only the one that started later."""

    COUNT = "count"
    DROP = "drop"


class BadOutcome(Spec):
    """A request is bad when this attribute is a number of at least this much."""

    attribute: str = Field(default="http.response.status_code", min_length=1)
    at_least: int = 500


class AvailabilityObjective(Spec):
    """Share of good requests, or of time up; `target` is exact, 100% is allowed.

    Without `method`: that of the preset of the contract's credits for this objective, else request_ratio,
    or uptime where a `signal` is given.
    """

    type: Literal["availability"]
    name: Name
    target: Share
    window: Window
    metric: MetricName = _REQUEST_DURATION
    match: dict[str, str] = Field(default_factory=dict)
    bad: BadOutcome = BadOutcome()
    overlap: OverlapRule = OverlapRule.COUNT
    method: Annotated[MethodSpec, Field(discriminator="type")] | None = None
    signal: Annotated[SignalSpec, Field(discriminator="type")] | None = None

    @property
    def good_share(self) -> Fraction:
        """The share that must be good."""
        return self.target.value


class LatencyObjective(Spec):
    """The `quantile` of the request durations stays below `target`."""

    type: Literal["latency"]
    name: Name
    target: PositiveDuration
    quantile: OpenShare = Ratio.parse("0.95")
    window: Window
    metric: MetricName = _REQUEST_DURATION
    match: dict[str, str] = Field(default_factory=dict)
    reading: LatencyReading = LatencyReading.MERGED
    overlap: OverlapRule = OverlapRule.COUNT

    @property
    def good_share(self) -> Fraction:
        """The share that must be good."""
        return self.quantile.value


class IncidentObjective(Spec):
    """At least `share` of the incidents of that severity (empty: of all) are over within `target`."""

    type: Literal["incident_resolution"]
    name: Name
    target: PositiveDuration
    window: Window
    severity: str = Field(default="", max_length=63)
    share: Share = Ratio.parse("100%")
    clock: ResolutionClock = ResolutionClock.WALL
    until: ResolutionUntil = ResolutionUntil.RESOLVED

    @property
    def good_share(self) -> Fraction:
        """The share of incidents that must be in time."""
        return self.share.value


class DataAvailabilityObjective(Spec):
    """Share of acknowledged points that are stored."""

    type: Literal["data_availability"]
    name: Name
    target: Share = Ratio.parse("100%")
    window: Window

    @property
    def good_share(self) -> Fraction:
        """The share that must be good."""
        return self.target.value


class CompositeObjective(Spec):
    """Made of other objectives of the same contract. A child that `weights` does not name weighs 1."""

    type: Literal["composite"]
    name: Name
    children: tuple[Name, ...] = Field(min_length=1)
    target: Share
    window: Window
    mode: CompositeKind = CompositeKind.INTERVAL_UNION
    weights: dict[Name, Weight] = Field(default_factory=dict)

    @property
    def good_share(self) -> Fraction:
        """The share that must be good."""
        return self.target.value


ObjectiveSpec = (
    AvailabilityObjective
    | LatencyObjective
    | IncidentObjective
    | DataAvailabilityObjective
    | CompositeObjective
)
Objective = Annotated[ObjectiveSpec, Field(discriminator="type")]
