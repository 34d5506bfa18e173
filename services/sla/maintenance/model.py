"""Maintenance windows and what they exclude, as plain values.

Nothing here knows recurrence rules, zones or the configuration. Times are Unix milliseconds; every
range is half open.
"""

from dataclasses import dataclass
from enum import IntEnum

from services.sla.terms import Effect as Effect


class WindowState(IntEnum):
    """Where a window is in its life; ENDED has no occurrence after now."""

    PLANNED = 1
    ACTIVE = 2
    ENDED = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Announced maintenance of one tenant.

    objectives: keys `<contract>/<objective>`, or `<contract>` or `<objective>` for all of that name;
        empty means every objective of the tenant.
    start_ms, end_ms: the first occurrence.
    rule: RFC 5545 RRULE, "" for once. zone: IANA zone in which it repeats.
    announced_ms: when it was announced, by the configuration log.
    cancelled_ms: when it was cancelled; what had happened by then stays excluded.
    reason: why it is needed; cancel_reason: why it was cancelled.
    retroactive: an operator says that it may exclude time before its announcement; counts only where
        the contract asks for no notice.
    """

    tenant: str
    name: str
    title: str
    objectives: tuple[str, ...]
    start_ms: int
    end_ms: int
    rule: str = ""
    zone: str = "UTC"
    announced_ms: int = 0
    creator: str = ""
    cancelled_ms: int | None = None
    reason: str = ""
    cancel_reason: str = ""
    retroactive: bool = False
    seq: int = 0
    """Place of the document in the configuration log; orders lists and names the version."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One occurrence of a window over one objective.

    counted: whether the contract lets it exclude time; why_not says the reason when it does not, for
    people and reports, and is "" when it does.
    """

    start_ms: int
    end_ms: int
    window: str
    title: str
    counted: bool
    why_not: str = ""
