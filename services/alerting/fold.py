"""State = fold(snapshot, stream): every rule of every tenant over the messages of SLICES.

Pure and deterministic: no clock, no engine, no randomness; log time is the running maximum of
the messages' watermarks. A slot is one second of log time. A rule is evaluated once in each slot,
at the first message that reaches it, on the highest revisions published up to that message.

Slices may come from several shards of the slicer, each as far as it is. Every tenant has the log time of its
shard: a shard that lags must not look like senders that went silent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from services.alerting.describe import annotations
from services.alerting.judge import judge
from services.alerting.labels import fingerprint
from services.alerting.log_times import LogTimes
from services.alerting.model import (
    Cause,
    Finding,
    Instance,
    Rule,
    SlicesMessage,
    Transition,
    Verdict,
)
from services.alerting.state import Timing, remove, step
from services.alerting.window import MS_NS, Marks, Window

SLOT_NS = 1_000_000_000

InstanceKey = tuple[str, str]
"""Tenant and fingerprint."""
WindowKey = tuple[str, str]
"""Tenant and objective."""


@dataclass(slots=True)
class _Tracked:
    """A rule with its instance and the last finding, which holds while its window stays as it was."""

    rule: Rule
    fingerprint: str
    instance: Instance
    finding: Finding | None = None
    finding_version: int = -1


class Fold:
    """Everything that evaluation remembers.

    `position` is the last message of SLICES that is part of the state.
    """

    def __init__(self) -> None:
        self.position = 0
        self.times = LogTimes()
        self._windows: dict[WindowKey, Window] = {}
        self._from_seq: dict[WindowKey, int] = {}
        self._tracked: dict[InstanceKey, _Tracked] = {}
        self._ordered: list[_Tracked] = []
        self._history_ns: dict[WindowKey, int] = {}

    # -- the stream -------------------------------------------------------------------------

    def apply(self, seq: int, message: SlicesMessage) -> list[Transition]:
        """Take the next message; the transitions that it causes, in a fixed order."""
        self._take_slices(seq, message)
        before, now_ns = self.times.moved(message)
        self.position = seq
        if now_ns // SLOT_NS == before // SLOT_NS:
            return []
        for key, window in self._windows.items():
            if self.times.concerns(message, key[0]):
                window.forget_before((now_ns - self._history_ns[key]) // MS_NS)
        return [
            change
            for tracked in self._ordered
            if self.times.concerns(message, tracked.rule.tenant)
            and (change := self._evaluate(tracked)) is not None
        ]

    @property
    def watermark_ns(self) -> int:
        """The latest log time of any tenant."""
        return self.times.latest_ns

    def skip(self, seq: int) -> None:
        """Pass a message that holds nothing for us (an EPOCH record, or one that is malformed)."""
        self.position = seq

    def replay(self, seq: int, message: SlicesMessage) -> None:
        """Take slices of a message that is already part of the state: rebuilds windows only."""
        self._take_slices(seq, message)

    def _take_slices(self, seq: int, message: SlicesMessage) -> None:
        if message.tenant is None:
            return
        for piece in message.slices:
            key = (message.tenant, piece.objective)
            if key not in self._history_ns or seq < self._from_seq.get(key, 0):
                continue
            window = self._windows.get(key)
            if window is None:
                window = self._windows[key] = Window()
            window.add(replace(piece, seq=seq))

    # -- the rules --------------------------------------------------------------------------

    def adopt(self, tenant: str, rules: Iterable[Rule]) -> list[Transition]:
        """From the current position on, the tenant has these rules.

        An instance whose rule is gone ends; one whose rule only changed goes on.
        """
        wanted = {(tenant, fingerprint(rule.labels)): rule for rule in rules}
        changes: list[Transition] = []
        for key in sorted(key for key in self._tracked if key[0] == tenant and key not in wanted):
            tracked = self._tracked.pop(key)
            if tracked.instance.as_of_seq > self.position:
                # Remembered from further on: what led there is folded again once the rule is back.
                continue
            new, cause = remove(tracked.instance, now_ns=self.times.of(tenant))
            if cause is not None:
                finding = Finding(Verdict.CLEAR, "RULE_REMOVED")
                changes.append(self._transition(tracked, new, cause, finding))
        for key, rule in wanted.items():
            known = self._tracked.get(key)
            instance = Instance() if known is None else known.instance
            self._tracked[key] = _Tracked(rule, key[1], instance)
        self._index()
        return changes

    def restore(self, instances: Mapping[InstanceKey, Instance]) -> None:
        """Give known instances their remembered state."""
        for key, instance in instances.items():
            if key in self._tracked:
                self._tracked[key].instance = instance

    def restore_windows(self, marks: Mapping[WindowKey, Marks]) -> None:
        """Prepare windows for `replay`."""
        for key, mark in marks.items():
            if key in self._history_ns:
                self._windows[key] = Window(first_ms=mark.first_ms, kept_ms=mark.kept_ms)
                self._from_seq[key] = mark.from_seq or self.position + 1

    # -- what others may see ----------------------------------------------------------------

    @property
    def instances(self) -> dict[InstanceKey, Instance]:
        """All instances by tenant and fingerprint."""
        return {key: tracked.instance for key, tracked in self._tracked.items()}

    def rules(self, tenant: str) -> tuple[Rule, ...]:
        """The rules that the tenant has at this position."""
        return tuple(tracked.rule for tracked in self._ordered if tracked.rule.tenant == tenant)

    @property
    def tenants(self) -> set[str]:
        """Tenants that have rules."""
        return {key[0] for key in self._tracked}

    def marks(self) -> dict[WindowKey, Marks]:
        """What a snapshot needs to rebuild the windows from the stream."""
        return {key: window.marks() for key, window in self._windows.items()}

    # -- one evaluation ---------------------------------------------------------------------

    def _evaluate(self, tracked: _Tracked) -> Transition | None:
        rule = tracked.rule
        window = self._windows.get((rule.tenant, rule.objective))
        if window is None or tracked.instance.as_of_seq >= self.position:
            return None
        finding = self._finding(tracked, window)
        timing = Timing(rule.for_ns, rule.keep_firing_for_ns)
        now_ns = self.times.of(rule.tenant)
        new, cause = step(tracked.instance, finding.verdict, now_ns=now_ns, timing=timing)
        return None if cause is None else self._transition(tracked, new, cause, finding)

    def _finding(self, tracked: _Tracked, window: Window) -> Finding:
        """The last finding while nothing that it depends on has changed: data is recent and the same."""
        end_ms = window.newest_observed_end_ms()
        silence_ns = tracked.rule.condition.no_data_after_ns
        now_ns = self.times.of(tracked.rule.tenant)
        recent = end_ms is not None and now_ns - end_ms * MS_NS <= silence_ns
        if tracked.finding is not None and recent and tracked.finding_version == window.version:
            return tracked.finding
        finding = judge(tracked.rule, window, now_ns=now_ns)
        tracked.finding = finding
        tracked.finding_version = window.version if recent else -1
        return finding

    def _transition(self, tracked: _Tracked, new: Instance, cause: Cause, finding: Finding) -> Transition:
        rule, old = tracked.rule, tracked.instance
        at_ns = self.times.of(rule.tenant)
        new = replace(new, as_of_seq=self.position)
        tracked.instance = new
        identity = (rule.tenant, tracked.fingerprint, str(self.position), old.state, new.state, cause)
        return Transition(
            id=blake2b("|".join(identity).encode(), digest_size=16).hexdigest(),
            tenant=rule.tenant,
            rule=rule.name,
            objective=rule.objective,
            severity=rule.severity,
            labels=rule.labels,
            fingerprint=tracked.fingerprint,
            old=old,
            new=new,
            at_ns=at_ns,
            slices_seq=self.position,
            cause=cause,
            finding=finding,
            annotations=annotations(rule, finding, cause=cause, active=new.active, at_ns=at_ns),
        )

    def _index(self) -> None:
        """Evaluation order, and how much of the past each objective needs."""
        self._ordered = [self._tracked[key] for key in sorted(self._tracked)]
        self._history_ns = {}
        for tracked in self._ordered:
            rule = tracked.rule
            key = (rule.tenant, rule.objective)
            self._history_ns[key] = max(self._history_ns.get(key, 0), rule.window_ns)
        for key in [key for key in self._windows if key not in self._history_ns]:
            del self._windows[key]
