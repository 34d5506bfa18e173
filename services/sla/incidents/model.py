"""Incidents as they are recorded, and what their clocks came to. Times are Unix milliseconds."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from fractions import Fraction

from services.sla.model import IncidentClock, IncidentUntil, Verdict


class IncidentEventKind(StrEnum):
    """What can happen to an incident."""

    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    VERIFIED = "verified"
    REOPENED = "reopened"
    PAUSED = "paused"
    RESUMED = "resumed"
    SEVERITY_CHANGED = "severity_changed"
    POLICY_CHANGED = "policy_changed"


class ClockState(IntEnum):
    """Where an incident's clock is at the end of what is known."""

    RUNNING = 1
    PAUSED = 2
    STOPPED = 3


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One thing that happened. id: the same event stored again has the same one.

    severity: of OPENED and SEVERITY_CHANGED. seq orders events of one millisecond.
    """

    tenant: str
    incident: str
    at_ms: int
    id: str
    kind: IncidentEventKind
    severity: str = ""
    title: str = ""
    actor: str = ""
    note: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class IncidentFigure:
    """One incident against its limit.

    elapsed_ms: on the contract's clock, until it stopped or until now. worst_ms: what it comes to if nothing
        happens before the end of the window; elapsed_ms when it has stopped.
    in_time: None while it is open and its limit has not passed.
    stopped_ms: when `until` was reached; None while it is open.
    """

    incident: str
    title: str
    severity: str
    opened_ms: int
    stopped_ms: int | None
    state: ClockState
    elapsed_ms: int
    worst_ms: int
    limit_ms: int
    in_time: bool | None


@dataclass(frozen=True, slots=True)
class ResolutionFigures:
    """Incidents of one objective in one window.

    in_time, late: those whose clock stopped in the window. running: those that are open at its end;
        `overdue` of them have passed their limit already.
    share: in_time of all that stopped or are overdue; None when there are none.
    worst_share: the same if every running one comes late.
    longest_ms: the longest elapsed time of them all.
    clock, until: which clock this is, named for reports.
    """

    in_time: int
    late: int
    running: int
    overdue: int
    share: Fraction | None
    worst_share: Fraction | None
    longest_ms: int
    verdict: Verdict
    clock: IncidentClock
    until: IncidentUntil
    incidents: tuple[IncidentFigure, ...]
