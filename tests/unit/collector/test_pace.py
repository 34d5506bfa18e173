"""Waiting time by Little's law: bursts pass, a queue that stands is refused down to a short wait."""

import pytest

from services.collector.admission import Admission, AdmissionConfig
from services.collector.pace import Pace
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.telemetry import Counters

_REQUEST = 276_000
"""Bytes, which with what a request costs by itself make 300 000."""


def served(pace: Pace, clock: ManualClock, *, seconds: float, rate: float = 100.0) -> None:
    """Answer requests one by one, `rate` a second, each replaced by the next."""
    for _ in range(round(seconds * rate)):
        clock.advance(1 / rate)
        pace.ended(_REQUEST)
        pace.began(_REQUEST)


def queue_of(length: int) -> tuple[Pace, ManualClock]:
    """A process that answers 100 requests a second, with that many under way."""
    clock = ManualClock()
    pace = Pace(clock)
    pace.began(_REQUEST)
    served(pace, clock, seconds=5)
    for _ in range(length - 1):
        pace.began(_REQUEST)
    return pace, clock


def test_the_wait_is_what_is_under_way_over_the_rate() -> None:
    pace, _ = queue_of(20)
    assert pace.wait_s == pytest.approx(0.2, rel=0.05)


def test_an_idle_process_waits_for_nobody_and_keeps_its_rate() -> None:
    pace, clock = queue_of(1)
    pace.ended(_REQUEST)
    assert pace.wait_s == 0.0
    clock.advance(3600)
    pace.began(_REQUEST)
    assert pace.wait_s == pytest.approx(0.01, rel=0.1)


def test_a_burst_is_taken() -> None:
    pace, _ = queue_of(45)
    assert not pace.too_slow()


def test_no_burst_may_wait_longer_than_half_a_second() -> None:
    pace, _ = queue_of(55)
    assert pace.too_slow()


def test_a_queue_that_stands_is_refused_down_to_a_short_wait() -> None:
    pace, clock = queue_of(20)
    served(pace, clock, seconds=0.5)

    assert pace.too_slow()
    assert pace.standing
    for _ in range(16):
        pace.ended(_REQUEST)
    assert not pace.too_slow(), "what waits briefly is taken also while others are refused"
    assert pace.standing


def test_after_a_second_without_a_refusal_a_burst_is_a_burst_again() -> None:
    pace, clock = queue_of(20)
    served(pace, clock, seconds=0.5)
    assert pace.too_slow()
    for _ in range(18):
        pace.ended(_REQUEST)
    served(pace, clock, seconds=1.1)

    assert not pace.too_slow()
    for _ in range(40):
        pace.began(_REQUEST)
    assert not pace.too_slow()


def test_when_nothing_is_answered_any_more_the_next_are_refused_within_seconds() -> None:
    pace, clock = queue_of(3)
    assert not pace.too_slow()
    clock.advance(4)
    assert pace.too_slow()
    for _ in range(3):
        pace.ended(_REQUEST)
    assert not pace.too_slow(), "and the way back is open"


def test_what_the_log_takes_is_no_queue() -> None:
    pace, clock = queue_of(20)
    for _ in range(8):
        pace.log_took(0.18)
    served(pace, clock, seconds=0.5)
    assert not pace.too_slow(), "0.2 s, of which the log takes 0.18"

    pace.log_took(0.05)
    served(pace, clock, seconds=0.5)
    assert pace.too_slow(), "the others waited for each other"


def test_a_slow_process_still_takes_a_few() -> None:
    pace, clock = queue_of(20)
    served(pace, clock, seconds=1, rate=20)
    assert pace.too_slow()
    for _ in range(14):
        pace.ended(_REQUEST)
    assert pace.wait_s > 0.05
    assert not pace.too_slow(), "else the rate would fall with what is let in"


def test_what_has_not_been_read_does_not_wait() -> None:
    clock = ManualClock()
    budget = Admission(AdmissionConfig(), Counters(), clock=clock)
    slow_bodies = [budget.enter("http", 1 << 20, arriving=True) for _ in range(100)]
    clock.advance(30)

    budget.enter("grpc", 1).leave()
    for held in slow_bodies:
        held.arrived()
    clock.advance(1)
    with pytest.raises(Unavailable, match="would wait too long") as caught:
        budget.enter("grpc", 1)
    assert caught.value.reason == "RECEIVER_SLOW"
    assert budget.full
    assert budget.refuse("grpc").reason == "RECEIVER_SLOW"
    for held in slow_bodies:
        held.leave()
    budget.enter("grpc", 1).leave()
