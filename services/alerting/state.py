"""The state machine of one instance: six states, pure.

    NORMAL ----> PENDING ----> FIRING <---> RECOVERING ----> NORMAL
       any state <----> NO_DATA, ERROR

Time is the log time of the evaluation. Rules it keeps:
- an alert ends only by CLEAR that lasted `keep_firing_for` without interruption; missing data, a
  failed evaluation and HOLD never end one;
- NO_DATA and ERROR remember what they interrupted (`pending_ns`, `started_ns`);
- the result depends on nothing but the arguments, so a replay gives the same transitions.
"""

from dataclasses import dataclass, replace

from services.alerting.model import Cause, Instance, State, Verdict


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a condition must hold, and how long it must not, in nanoseconds."""

    for_ns: int
    keep_firing_for_ns: int


def step(
    instance: Instance, verdict: Verdict, *, now_ns: int, timing: Timing
) -> tuple[Instance, Cause | None]:
    """The instance after one evaluation at log time `now_ns`, and why it changed.

    The same object and None when the state stays: an instance changes only in transitions.
    """
    match verdict:
        case Verdict.BREACH:
            return _breach(instance, now_ns, timing)
        case Verdict.CLEAR:
            return _clear(instance, now_ns, timing)
        case Verdict.NO_DATA:
            return _interrupt(instance, State.NO_DATA, now_ns, Cause.DATA_MISSING)
        case Verdict.ERROR:
            return _interrupt(instance, State.ERROR, now_ns, Cause.EVALUATION_FAILED)
        case Verdict.HOLD:
            return instance, None


def remove(instance: Instance, *, now_ns: int) -> tuple[Instance, Cause | None]:
    """The instance once its rule is gone: an alert that nobody evaluates must not stay."""
    if instance.state is State.NORMAL:
        return instance, None
    return Instance(since_ns=now_ns), Cause.RULE_REMOVED


def _breach(instance: Instance, now_ns: int, timing: Timing) -> tuple[Instance, Cause | None]:
    if instance.state is State.FIRING:
        return instance, None
    if instance.active:
        return replace(instance, state=State.FIRING, since_ns=now_ns), Cause.BREACHED_AGAIN
    pending_ns = instance.pending_ns or now_ns
    if now_ns - pending_ns >= timing.for_ns:
        cause = Cause.HELD_FOR if instance.pending_ns else Cause.BREACHED
        return Instance(State.FIRING, now_ns, pending_ns, now_ns), cause
    if instance.state is State.PENDING:
        return instance, None
    return Instance(State.PENDING, now_ns, pending_ns), Cause.BREACHED


def _clear(instance: Instance, now_ns: int, timing: Timing) -> tuple[Instance, Cause | None]:
    if instance.state is State.NORMAL:
        return instance, None
    if not instance.active:
        cause = Cause.CLEARED if instance.state is State.PENDING else Cause.DATA_BACK
        return Instance(since_ns=now_ns), cause
    if instance.state is State.RECOVERING:
        if now_ns - instance.since_ns < timing.keep_firing_for_ns:
            return instance, None
        return Instance(since_ns=now_ns), Cause.CLEAR_KEPT
    if timing.keep_firing_for_ns <= 0:
        return Instance(since_ns=now_ns), Cause.CLEARED
    return replace(instance, state=State.RECOVERING, since_ns=now_ns), Cause.CLEARED


def _interrupt(instance: Instance, state: State, now_ns: int, cause: Cause) -> tuple[Instance, Cause | None]:
    if instance.state is state:
        return instance, None
    return replace(instance, state=state, since_ns=now_ns), cause
