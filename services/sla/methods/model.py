"""Ways to measure availability, as contracts name them. Data only: nothing of slices, engines or documents.

Every method ends in a share between 0 and 1 as an exact fraction; `measure` computes it.
"""

from dataclasses import dataclass
from fractions import Fraction

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class RequestRatio:
    """Good requests of all requests."""


@dataclass(frozen=True, slots=True)
class AllFail:
    """Time in intervals that were not down. Down: at least `min_requests`, and every one of them failed."""

    interval_ms: int = MINUTE_MS
    min_requests: int = 1


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Time outside of downtime periods.

    A downtime period is `consecutive` or more intervals in a row, each with at least `min_requests` and a
    share of failed ones greater than `above`. Without `partial_intervals` an interval counts only if all
    of its slices with requests are above as well; with it the interval's own share decides.
    """

    above: Fraction
    interval_ms: int = MINUTE_MS
    consecutive: int = 1
    min_requests: int = 1
    partial_intervals: bool = False


@dataclass(frozen=True, slots=True)
class MeanErrorRate:
    """1 - the mean of the intervals' error rates; an interval without requests has an error rate of 0."""

    interval_ms: int = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Uptime:
    """Time that was not down, from the states of slices: probes, heartbeats, or requests by `down_above`."""


Method = RequestRatio | AllFail | ErrorRate | MeanErrorRate | Uptime


@dataclass(frozen=True, slots=True)
class Probe:
    """A gauge for each probe: up when at least this share of the probes says 1."""

    metric: str
    up_at_least: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Down when no report came for more than `every_ms` while another sender of the tenant is covered."""

    metric: str
    every_ms: int


Signal = Probe | Heartbeat | None
