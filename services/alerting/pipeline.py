"""From a transition to a notification, or to the reason why there is none.

An ordered tuple of stages, pure: each takes the candidate, passes it on (perhaps with more known)
or holds it back, and always says why in a word that is stored. Later stages (inhibit, mute,
silence, rate) get their own place in `STAGES`; nothing stands in for them until they are built.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b

from services.alerting.labels import group_text
from services.alerting.model import Labels, Transition
from services.alerting.ports import Receiver

GROUP_BY = ("alertname", "tenant")
_ROUTE = "{}"
"""Alertmanager's name of the root route: there is only that one."""


class Reason(StrEnum):
    """Why a stage passed a candidate on, or why it did not."""

    NEW_ALERT = "NEW_ALERT"
    RESOLVED = "RESOLVED"
    GROUPED = "GROUPED"
    STILL_ACTIVE = "STILL_ACTIVE"
    NO_ALERT = "NO_ALERT"
    ALREADY_QUEUED = "ALREADY_QUEUED"
    NO_FIRING_SENT = "NO_FIRING_SENT"
    RESOLVED_NOT_WANTED = "RESOLVED_NOT_WANTED"


class Status(StrEnum):
    """What a notification says, in Alertmanager's words."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Queued:
    """What was queued last for one receiver and one alert: the memory of `dedup`."""

    started_ns: int
    alerts_seq: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One transition for one receiver on its way through the stages."""

    change: Transition
    alerts_seq: int
    receiver: Receiver
    queued: Queued | None
    group_labels: Labels = field(default_factory=dict)
    reason: Reason = Reason.NO_ALERT
    """Why it is to be sent: what the last stage with an opinion said."""

    @property
    def status(self) -> Status:
        """Firing as long as an alert is out."""
        return Status.FIRING if self.change.new.active else Status.RESOLVED


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver. `id` is its idempotency key: the same for every attempt, and
    for every process that comes to the same decision."""

    id: str
    tenant: str
    receiver: str
    group_key: str
    group_labels: Labels
    status: Status
    reason: Reason
    change: Transition
    alerts_seq: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage answered; `candidate` is None when it is held back."""

    candidate: Candidate | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What the pipeline decided: `notification` is None when it was held back, by `reason`."""

    notification: Notification | None
    reason: Reason


Stage = Callable[[Candidate], Step]


def group(candidate: Candidate) -> Step:
    """Alerts of one rule and tenant belong together."""
    labels = {name: candidate.change.labels[name] for name in GROUP_BY}
    return Step(replace(candidate, group_labels=labels), Reason.GROUPED)


def dedup(candidate: Candidate) -> Step:
    """People are told when an alert begins and when it ends, once each."""
    change, queued = candidate.change, candidate.queued
    if not (change.fires or change.resolves):
        return Step(None, Reason.STILL_ACTIVE if change.new.active else Reason.NO_ALERT)
    if queued is not None and queued.alerts_seq >= candidate.alerts_seq:
        return Step(None, Reason.ALREADY_QUEUED)
    if change.fires:
        return Step(replace(candidate, reason=Reason.NEW_ALERT), Reason.NEW_ALERT)
    if queued is None or queued.started_ns != change.started_ns:
        return Step(None, Reason.NO_FIRING_SENT)
    if not candidate.receiver.send_resolved:
        return Step(None, Reason.RESOLVED_NOT_WANTED)
    return Step(replace(candidate, reason=Reason.RESOLVED), Reason.RESOLVED)


STAGES: tuple[Stage, ...] = (group, dedup)


def decide(candidate: Candidate, stages: tuple[Stage, ...] = STAGES) -> Decision:
    """Run the stages in order; the last step, `send`, makes the notification."""
    for stage in stages:
        step = stage(candidate)
        if step.candidate is None:
            return Decision(None, step.reason)
        candidate = step.candidate
    return Decision(send(candidate), candidate.reason)


def send(candidate: Candidate) -> Notification:
    """The notification of a candidate that passed every stage."""
    change = candidate.change
    identity = (change.tenant, candidate.receiver.id, change.fingerprint, str(change.started_ns))
    return Notification(
        id=digest(*identity, candidate.status),
        tenant=change.tenant,
        receiver=candidate.receiver.id,
        group_key=f"{_ROUTE}:{group_text(candidate.group_labels)}",
        group_labels=candidate.group_labels,
        status=candidate.status,
        reason=candidate.reason,
        change=change,
        alerts_seq=candidate.alerts_seq,
    )


def digest(*parts: str) -> str:
    """128-bit hash of parts that hold no `|`."""
    return blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
