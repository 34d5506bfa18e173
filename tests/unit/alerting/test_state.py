"""The state machine: every pair of states, and what must never happen."""

from itertools import product

import pytest

from services.alerting.model import Cause, Instance, State, Verdict
from services.alerting.state import Timing, remove, step

NOW = 1_000_000
AT_ONCE = Timing(for_ns=0, keep_firing_for_ns=0)
PATIENT = Timing(for_ns=100, keep_firing_for_ns=100)

NORMAL = Instance()
PENDING = Instance(State.PENDING, since_ns=NOW - 50, pending_ns=NOW - 50)
RIPE = Instance(State.PENDING, since_ns=NOW - 100, pending_ns=NOW - 100)
FIRING = Instance(State.FIRING, since_ns=NOW - 50, pending_ns=NOW - 60, started_ns=NOW - 50)
RECOVERING = Instance(State.RECOVERING, since_ns=NOW - 50, pending_ns=NOW - 90, started_ns=NOW - 80)
RECOVERED = Instance(State.RECOVERING, since_ns=NOW - 100, pending_ns=NOW - 190, started_ns=NOW - 180)
NO_DATA = Instance(State.NO_DATA, since_ns=NOW - 50)
NO_DATA_PENDING = Instance(State.NO_DATA, since_ns=NOW - 50, pending_ns=NOW - 60)
NO_DATA_RIPE = Instance(State.NO_DATA, since_ns=NOW - 50, pending_ns=NOW - 100)
NO_DATA_FIRING = Instance(State.NO_DATA, since_ns=NOW - 50, pending_ns=NOW - 60, started_ns=NOW - 60)
ERROR = Instance(State.ERROR, since_ns=NOW - 50)
ERROR_RIPE = Instance(State.ERROR, since_ns=NOW - 50, pending_ns=NOW - 100)
ERROR_FIRING = Instance(State.ERROR, since_ns=NOW - 50, pending_ns=NOW - 60, started_ns=NOW - 60)
EVERY = (
    *(NORMAL, PENDING, RIPE, FIRING, RECOVERING, RECOVERED),
    *(NO_DATA, NO_DATA_PENDING, NO_DATA_RIPE, NO_DATA_FIRING, ERROR, ERROR_RIPE, ERROR_FIRING),
)

B, C, N, E, H = Verdict.BREACH, Verdict.CLEAR, Verdict.NO_DATA, Verdict.ERROR, Verdict.HOLD
S = State
NEVER = None

# All 36 pairs: how one gets from the row's state to the column's, or NEVER.
PAIRS = {
    (S.NORMAL, S.NORMAL): (NORMAL, C, PATIENT),
    (S.NORMAL, S.PENDING): (NORMAL, B, PATIENT),
    (S.NORMAL, S.FIRING): (NORMAL, B, AT_ONCE),
    (S.NORMAL, S.RECOVERING): NEVER,
    (S.NORMAL, S.NO_DATA): (NORMAL, N, PATIENT),
    (S.NORMAL, S.ERROR): (NORMAL, E, PATIENT),
    (S.PENDING, S.NORMAL): (PENDING, C, PATIENT),
    (S.PENDING, S.PENDING): (PENDING, B, PATIENT),
    (S.PENDING, S.FIRING): (RIPE, B, PATIENT),
    (S.PENDING, S.RECOVERING): NEVER,
    (S.PENDING, S.NO_DATA): (PENDING, N, PATIENT),
    (S.PENDING, S.ERROR): (PENDING, E, PATIENT),
    (S.FIRING, S.NORMAL): (FIRING, C, AT_ONCE),
    (S.FIRING, S.PENDING): NEVER,
    (S.FIRING, S.FIRING): (FIRING, B, PATIENT),
    (S.FIRING, S.RECOVERING): (FIRING, C, PATIENT),
    (S.FIRING, S.NO_DATA): (FIRING, N, PATIENT),
    (S.FIRING, S.ERROR): (FIRING, E, PATIENT),
    (S.RECOVERING, S.NORMAL): (RECOVERED, C, PATIENT),
    (S.RECOVERING, S.PENDING): NEVER,
    (S.RECOVERING, S.FIRING): (RECOVERING, B, PATIENT),
    (S.RECOVERING, S.RECOVERING): (RECOVERING, C, PATIENT),
    (S.RECOVERING, S.NO_DATA): (RECOVERING, N, PATIENT),
    (S.RECOVERING, S.ERROR): (RECOVERING, E, PATIENT),
    (S.NO_DATA, S.NORMAL): (NO_DATA, C, PATIENT),
    (S.NO_DATA, S.PENDING): (NO_DATA_PENDING, B, PATIENT),
    (S.NO_DATA, S.FIRING): (NO_DATA_RIPE, B, PATIENT),
    (S.NO_DATA, S.RECOVERING): (NO_DATA_FIRING, C, PATIENT),
    (S.NO_DATA, S.NO_DATA): (NO_DATA, N, PATIENT),
    (S.NO_DATA, S.ERROR): (NO_DATA, E, PATIENT),
    (S.ERROR, S.NORMAL): (ERROR, C, PATIENT),
    (S.ERROR, S.PENDING): (ERROR, B, PATIENT),
    (S.ERROR, S.FIRING): (ERROR_RIPE, B, PATIENT),
    (S.ERROR, S.RECOVERING): (ERROR_FIRING, C, PATIENT),
    (S.ERROR, S.NO_DATA): (ERROR, N, PATIENT),
    (S.ERROR, S.ERROR): (ERROR, E, PATIENT),
}


def test_the_table_has_all_pairs() -> None:
    assert set(PAIRS) == set(product(State, State))


@pytest.mark.parametrize(("old", "new"), sorted(pair for pair, how in PAIRS.items() if how is not NEVER))
def test_gets_from_one_state_to_the_other(old: State, new: State) -> None:
    how = PAIRS[(old, new)]
    assert how is not None
    instance, verdict, timing = how

    after, cause = step(instance, verdict, now_ns=NOW, timing=timing)

    assert (instance.state, after.state) == (old, new)
    assert (cause is None) == (old is new)
    assert after.since_ns == (instance.since_ns if old is new else NOW)


@pytest.mark.parametrize(("old", "new"), sorted(pair for pair, how in PAIRS.items() if how is NEVER))
def test_no_verdict_leads_there(old: State, new: State) -> None:
    for instance, verdict, timing in product(EVERY, Verdict, (AT_ONCE, PATIENT)):
        if instance.state is old:
            assert step(instance, verdict, now_ns=NOW, timing=timing)[0].state is not new


@pytest.mark.parametrize("instance", [each for each in EVERY if each.active])
@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.CLEAR])
def test_only_clear_ends_an_alert(instance: Instance, verdict: Verdict) -> None:
    for timing in (AT_ONCE, PATIENT):
        after, _ = step(instance, verdict, now_ns=NOW + 10_000, timing=timing)
        assert after.started_ns == instance.started_ns


@pytest.mark.parametrize("instance", EVERY)
def test_hold_changes_nothing(instance: Instance) -> None:
    assert step(instance, H, now_ns=NOW + 10_000, timing=PATIENT) == (instance, None)


def test_a_gap_neither_resets_for_nor_hides_a_failure_that_went_silent() -> None:
    pending, _ = step(NORMAL, B, now_ns=NOW, timing=PATIENT)
    silent, _ = step(pending, N, now_ns=NOW + 40, timing=PATIENT)
    after, cause = step(silent, B, now_ns=NOW + 100, timing=PATIENT)

    assert (after.state, cause) == (State.FIRING, Cause.HELD_FOR)
    assert (after.pending_ns, after.started_ns) == (NOW, NOW + 100)


def test_a_silence_within_recovery_starts_keep_firing_for_anew() -> None:
    silent, _ = step(RECOVERING, N, now_ns=NOW, timing=PATIENT)
    back, _ = step(silent, C, now_ns=NOW + 10, timing=PATIENT)
    early, _ = step(back, C, now_ns=NOW + 109, timing=PATIENT)
    done, _ = step(early, C, now_ns=NOW + 110, timing=PATIENT)

    assert [back.state, early.state, done.state] == [State.RECOVERING, State.RECOVERING, State.NORMAL]


@pytest.mark.parametrize("instance", EVERY)
def test_a_removed_rule_leaves_nothing_behind(instance: Instance) -> None:
    after, cause = remove(instance, now_ns=NOW)

    assert after.state is State.NORMAL
    assert not after.active
    assert cause is (None if instance.state is State.NORMAL else Cause.RULE_REMOVED)
