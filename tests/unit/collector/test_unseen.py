"""A queue that nobody sees is told from a server that keeps up, whatever a pass of the event loop takes."""

import pytest

from services.collector.unseen import UnseenQueue
from services.common.clock import ManualClock


class Loop:
    """An event loop whose passes take as long as a test says."""

    def __init__(self):
        self.clock, self.waiting = ManualClock(), []
        self.queue = UnseenQueue(self.clock, self.waiting.append)

    def passes(self, count, each_s):
        for _ in range(count):
            due, self.waiting[:] = list(self.waiting), []
            for one in due:
                one()
            self.clock.advance(each_s)


@pytest.mark.parametrize("each_s", [0.0005, 0.01])
def test_a_call_every_few_passes_for_long_is_a_queue(each_s):
    loop = Loop()
    for _ in range(round(0.2 / each_s / 3)):
        loop.queue.came()
        loop.passes(3, each_s)
    assert loop.queue.stands


@pytest.mark.parametrize("each_s", [0.0005, 0.01])
def test_calls_with_idle_passes_between_them_are_none(each_s):
    loop = Loop()
    for _ in range(100):
        loop.queue.came()
        loop.passes(3, each_s)
        loop.queue.came()
        loop.passes(9, each_s)
        assert not loop.queue.stands


def test_a_burst_is_none():
    loop = Loop()
    for _ in range(4):
        loop.queue.came()
        loop.passes(1, 0.005)
    assert not loop.queue.stands


def test_a_queue_that_ended_does_not_stand_and_nothing_is_counted_any_more():
    loop = Loop()
    for _ in range(30):
        loop.queue.came()
        loop.passes(1, 0.01)
    assert loop.queue.stands
    loop.passes(8, 0.01)
    assert not loop.queue.stands
    assert not loop.waiting
