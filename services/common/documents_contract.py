"""`kind: Contract`: what was promised to one tenant, as its author wrote it.

Only meaning, no computation: slices and verdicts are the business of the service that makes them.
"""

from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from services.common.documents_values import (
    Duration,
    Floor,
    Name,
    OpenShare,
    PositiveDuration,
    Ratio,
    Share,
    Spec,
    TimeZone,
)

MetricName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_REQUEST_DURATION = "http.server.request.duration"
# Shorter slices would be more than people can read and a slicer can keep up with; longer ones tell too late.
_SLICE_NS = (10**9, 3600 * 10**9)
LONGEST_WINDOW_NS = 400 * 86_400 * 10**9
"""No figure is computed over more: 400 days hold any year."""


class NoDataPolicy(StrEnum):
    """How time without data counts in a verdict. It never counts as up by default."""

    EXCLUDE = "exclude"
    COUNT_DOWN = "count_down"
    COUNT_UP = "count_up"


class BadOutcome(Spec):
    """A request is bad when this attribute is a number of at least this much."""

    attribute: str = Field(default="http.response.status_code", min_length=1)
    at_least: int = 500


class AvailabilityObjective(Spec):
    """Share of good requests; `target` is exact, 100% is allowed."""

    type: Literal["availability"]
    name: Name
    target: Share
    window: PositiveDuration
    metric: MetricName = _REQUEST_DURATION
    match: dict[str, str] = Field(default_factory=dict)
    bad: BadOutcome = BadOutcome()

    @property
    def good_share(self) -> Fraction:
        """The share that must be good: what error budgets and burn rates derive from."""
        return self.target.value


class LatencyObjective(Spec):
    """The `quantile` of the request durations stays below `target`."""

    type: Literal["latency"]
    name: Name
    target: PositiveDuration
    quantile: OpenShare = Ratio.parse("0.95")
    window: PositiveDuration
    metric: MetricName = _REQUEST_DURATION
    match: dict[str, str] = Field(default_factory=dict)

    @property
    def good_share(self) -> Fraction:
        """The share that must be good: what error budgets and burn rates derive from."""
        return self.quantile.value


Objective = Annotated[AvailabilityObjective | LatencyObjective, Field(discriminator="type")]


class ContractSpec(Spec):
    """The promise to one tenant, from a date on, in the tenant's own calendar."""

    time_zone: TimeZone
    effective_from: date
    slice: PositiveDuration = Duration.parse("10s")
    down_above: Share = Ratio.parse("0.5")
    no_data: NoDataPolicy = NoDataPolicy.EXCLUDE
    coverage_floor: Floor = Ratio.parse("0.9")
    objectives: tuple[Objective, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> "ContractSpec":
        names = [objective.name for objective in self.objectives]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"objectives: {', '.join(repeated)} is there more than once")
        if self.slice.ns % 1_000_000:
            raise ValueError("slice: must be whole milliseconds")
        if not _SLICE_NS[0] <= self.slice.ns <= _SLICE_NS[1]:
            raise ValueError("slice: must be 1s to 1h")
        for objective in self.objectives:
            if objective.window.ns > LONGEST_WINDOW_NS:
                raise ValueError(
                    f"objectives: window {objective.window.text} of {objective.name} is over 400d"
                )
            if objective.window.ns % self.slice.ns:
                raise ValueError(
                    f"objectives: window {objective.window.text} of {objective.name}"
                    f" is not a multiple of the slice {self.slice.text}"
                )
        return self

    def objective(self, name: str) -> AvailabilityObjective | LatencyObjective | None:
        """The objective of that name, if there is one."""
        return next((objective for objective in self.objectives if objective.name == name), None)
