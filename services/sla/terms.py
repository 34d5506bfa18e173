"""Terms of objectives beyond a target and a window, as contracts state them. Data only.

Kept beside `model.py`, which passes these names on: import them from there.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction


class Effect(StrEnum):
    """What announced maintenance does to a figure: its time leaves the denominator, or counts as up."""

    DROP = "drop"
    COUNT_UP = "count_up"


class Reading(StrEnum):
    """Which p95 a latency objective means.

    MERGED: the quantile of all requests of the window. REQUESTS: the share of requests below the threshold.
    SLICES: the share of slices whose own quantile is below it.
    """

    MERGED = "merged"
    REQUESTS = "requests"
    SLICES = "slices"


class Overlap(StrEnum):
    """What two live processes of one series come to: both count, or only the one that started later."""

    COUNT = "count"
    DROP = "drop"


class IncidentClock(StrEnum):
    """Which time counts towards the resolution of an incident."""

    WALL = "wall"
    SERVICE_HOURS = "service_hours"


class IncidentUntil(StrEnum):
    """What stops the clock of an incident."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    VERIFIED = "verified"


class CompositeMode(StrEnum):
    """Down while any child is down, or the weighted mean of the children's shares."""

    INTERVAL_UNION = "interval_union"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """When service is owed, in the contract's zone: [from, to) minutes of local time on these days.

    days: 0 is Monday. A day of `holidays` has none.
    """

    days: tuple[int, ...]
    from_minute: int
    to_minute: int
    holidays: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentTerms:
    """Incidents of `severity` (empty: of every one) reach `until` within `limit_ms` on that clock.

    hours: of the SERVICE_HOURS clock only.
    """

    severity: str
    limit_ms: int
    clock: IncidentClock = IncidentClock.WALL
    until: IncidentUntil = IncidentUntil.RESOLVED
    hours: ServiceHours | None = None


@dataclass(frozen=True, slots=True)
class CompositeTerms:
    """What a composite is made of: names of objectives of the same contract, and their weights.

    weights: one for each child, in the same order; 0 leaves the child out.
    """

    children: tuple[str, ...]
    mode: CompositeMode = CompositeMode.INTERVAL_UNION
    weights: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportTerms:
    """Who gets the report of each period, in which formats. webhook: name of a receiver, or empty."""

    schedule: str
    formats: tuple[str, ...]
    email: tuple[str, ...] = ()
    webhook: str = ""
