"""Retries are jittered, bounded, and only where the caller says so."""

import asyncio
import random

import pytest

from services.common.clock import ManualClock
from services.common.errors import Aborted, Unavailable
from services.common.retry import RetryPolicy, retry


class Flaky:
    """Fails with the given errors, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def finish(clock, work, *, step_s=0.05, limit_s=120):
    """Advance the clock until the work ends; returns the seconds that it took."""
    task = asyncio.ensure_future(work)
    for taken in range(round(limit_s / step_s)):
        for _ in range(5):
            await asyncio.sleep(0)
        if task.done():
            return task, taken * step_s
        clock.advance(step_s)
    raise AssertionError("still retrying")


def start(op, clock, policy, **more):
    return retry(op, policy=policy, clock=clock, rng=random.Random(11), **more)


async def test_tries_again_until_it_works():
    clock, op = ManualClock(), Flaky(Unavailable("down"), Unavailable("down"))
    task, taken_s = await finish(clock, start(op, clock, RetryPolicy()))

    assert task.result() == "done"
    assert op.calls == 3
    assert taken_s >= 2.0, "each Unavailable asks for a second"


async def test_what_is_not_retryable_is_raised_at_once():
    clock, op = ManualClock(), Flaky(Aborted("fenced", reason="FENCED"))
    task, _ = await finish(clock, start(op, clock, RetryPolicy()))

    assert isinstance(task.exception(), Aborted)
    assert op.calls == 1


async def test_the_deadline_ends_it_with_the_last_error():
    clock, op = ManualClock(), Flaky(*[Unavailable(f"down {n}") for n in range(500)])
    task, taken_s = await finish(clock, start(op, clock, RetryPolicy(deadline_s=10.0)))

    assert isinstance(task.exception(), Unavailable)
    assert op.calls > 2
    assert str(task.exception()) == f"down {op.calls - 1}"
    assert taken_s <= 10.1


async def test_the_number_of_attempts_ends_it():
    clock, op = ManualClock(), Flaky(*[OSError("reset") for _ in range(9)])
    policy = RetryPolicy(max_attempts=4)
    task, _ = await finish(clock, start(op, clock, policy, retryable=lambda err: isinstance(err, OSError)))

    assert isinstance(task.exception(), OSError)
    assert op.calls == 4


async def test_cancellation_is_never_retried():
    clock, op = ManualClock(), Flaky(asyncio.CancelledError())
    task, _ = await finish(clock, start(op, clock, RetryPolicy(), retryable=lambda _: True))

    assert task.cancelled()
    assert op.calls == 1


def test_delays_grow_to_their_ceiling_and_never_overflow():
    policy = RetryPolicy(initial_delay_s=0.1, max_delay_s=5.0)

    assert [policy.ceiling_s(k) for k in (0, 1, 2)] == pytest.approx([0.1, 0.2, 0.4])
    assert policy.ceiling_s(10**9) == 5.0


@pytest.mark.parametrize("wrong", [{"initial_delay_s": 0}, {"max_delay_s": 0.01}, {"multiplier": 0.5}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="retry policy"):
        RetryPolicy(**wrong)
