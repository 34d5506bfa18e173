"""The words of alerting: rules, instances, their states and transitions.

Plain values. Times are log time in Unix nanoseconds (`_ns`) or milliseconds (`_ms`), counts are
integers and shares are `Fraction`s: no float takes part in a decision. Knows no transport, no
engine and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

Labels = Mapping[str, str]


class State(StrEnum):
    """The state of one instance of a rule."""

    NORMAL = "normal"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NO_DATA = "no_data"
    ERROR = "error"


class Verdict(StrEnum):
    """What one evaluation says, before any memory."""

    BREACH = "breach"
    CLEAR = "clear"
    HOLD = "hold"
    """Neither: below the coverage floor, so nothing fires and nothing resolves."""
    NO_DATA = "no_data"
    ERROR = "error"


class Cause(StrEnum):
    """Why an instance changed its state."""

    BREACHED = "BREACHED"
    HELD_FOR = "HELD_FOR"
    CLEARED = "CLEARED"
    CLEAR_KEPT = "CLEAR_KEPT"
    BREACHED_AGAIN = "BREACHED_AGAIN"
    DATA_MISSING = "DATA_MISSING"
    DATA_BACK = "DATA_BACK"
    EVALUATION_FAILED = "EVALUATION_FAILED"
    RULE_REMOVED = "RULE_REMOVED"


@dataclass(frozen=True, slots=True)
class Outage:
    """An objective is down now: its newest slice with traffic is mostly failures.

    Attributes:
        down_above: the share of failed requests above which a slice is down; from the contract.
        min_requests: slices with fewer requests say nothing.
        lookback_ns: how long such a slice speaks for the present while no other has traffic.
        no_data_after_ns: silence of every sender for longer than this is NO_DATA.
    """

    down_above: Fraction
    min_requests: int
    lookback_ns: int
    no_data_after_ns: int


@dataclass(frozen=True, slots=True)
class BurnRate:
    """The error budget burns faster than `factor`, over the long and over the short window.

    Attributes:
        target: the objective's target, such as 999/1000.
        factor: times the rate that would use the budget up exactly at the end of the period.
        min_bad: fewer bad requests in the long window do not fire.
        coverage_floor: below this coverage of either window the rule holds.
    """

    target: Fraction
    factor: Fraction
    long_ns: int
    short_ns: int
    min_bad: int
    coverage_floor: Fraction
    no_data_after_ns: int

    @property
    def threshold(self) -> Fraction:
        """The error rate that both windows must exceed; 0 for a target of 100 %."""
        return self.factor * (1 - self.target)


Condition = Outage | BurnRate


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, bound to one objective of one tenant, with everything an evaluation needs."""

    tenant: str
    name: str
    objective: str
    severity: str
    condition: Condition
    for_ns: int
    keep_firing_for_ns: int
    built_in: bool = False
    version: int = 0

    @property
    def labels(self) -> Labels:
        """The labels of the alert that it raises."""
        return {
            "alertname": self.name,
            "objective": self.objective,
            "severity": self.severity,
            "tenant": self.tenant,
        }

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two rules the same one over a change of configuration."""
        return (self.tenant, self.name, self.objective, self.severity)

    @property
    def window_ns(self) -> int:
        """How much of the past an evaluation looks at."""
        match self.condition:
            case Outage(lookback_ns=lookback_ns, no_data_after_ns=silence_ns):
                return lookback_ns + silence_ns
            case BurnRate(long_ns=long_ns, no_data_after_ns=silence_ns):
                return long_ns + silence_ns


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of one objective as published; the highest revision counts."""

    objective: str
    start_ms: int
    length_ms: int
    good: int
    total: int
    excluded_ns: int
    no_data_ns: int
    not_started_ns: int
    revision: int
    seq: int = 0
    """Where in the stream it was published."""

    @property
    def bad(self) -> int:
        """Requests that failed."""
        return self.total - self.good

    @property
    def end_ms(self) -> int:
        """The first millisecond after it."""
        return self.start_ms + self.length_ms

    @property
    def length_ns(self) -> int:
        """Its length in nanoseconds."""
        return self.length_ms * 1_000_000

    @property
    def observed_ns(self) -> int:
        """Time for which some sender reported, excluded time left out."""
        return max(0, self.length_ns - self.no_data_ns - self.not_started_ns - self.excluded_ns)

    @property
    def owed_ns(self) -> int:
        """Time for which data was owed."""
        return max(0, self.length_ns - self.not_started_ns - self.excluded_ns)


@dataclass(frozen=True, slots=True)
class SlicesMessage:
    """One message of SLICES: what changed, and how far log time has come for the tenants of its shard."""

    tenant: str | None
    watermark_ns: int
    slices: tuple[Slice, ...]
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with the exact numbers behind it (integers, and fractions as text)."""

    verdict: Verdict
    reason: str
    value: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """What an evaluation remembers of one instance; it changes only in transitions.

    Attributes:
        since_ns: when it entered its state.
        pending_ns: when the condition began to hold; 0 while it does not. Survives NO_DATA and
            ERROR, so that a gap neither resets `for` nor hides a failure that went silent.
        started_ns: when the alert fired; 0 while no alert is active. It survives every state but
            NORMAL: that, and not the state, says whether people have been told.
    """

    state: State = State.NORMAL
    since_ns: int = 0
    pending_ns: int = 0
    started_ns: int = 0
    as_of_seq: int = 0
    """Position in SLICES of the message that made this state."""

    @property
    def active(self) -> bool:
        """Whether an alert is out."""
        return self.started_ns > 0


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state of one instance: the record of ALERTS.

    Attributes:
        id: hash of what it is; the same evaluation gives the same id in every process.
        labels: of the alert; `fingerprint` is their hash as Alertmanager computes it.
        at_ns: log time of the evaluation.
        slices_seq: position in SLICES of the message that was evaluated.
        finding: the verdict and the numbers behind it.
    """

    id: str
    tenant: str
    rule: str
    objective: str
    severity: str
    labels: Labels
    fingerprint: str
    old: Instance
    new: Instance
    at_ns: int
    slices_seq: int
    cause: Cause
    finding: Finding
    annotations: Labels

    @property
    def fires(self) -> bool:
        """An alert begins."""
        return self.new.active and not self.old.active

    @property
    def resolves(self) -> bool:
        """An alert ends."""
        return self.old.active and not self.new.active

    @property
    def started_ns(self) -> int:
        """When the alert that it is about fired; 0 when it is about none."""
        return self.new.started_ns or self.old.started_ns
