"""The budget of what is under way: never over, never leaking, refusals counted by reason."""

import random
import threading

import pytest

from services.collector.admission import Admission, AdmissionConfig
from services.collector.errors import RequestTooLarge
from services.common.errors import Unavailable
from services.common.telemetry import Counters


def admission(max_bytes: int = 100, max_requests: int = 3) -> tuple[Admission, Counters]:
    """A small budget and its counters."""
    counters = Counters()
    return Admission(AdmissionConfig(max_bytes, max_requests), counters), counters


def refusals(counters: Counters, transport: str, reason: str) -> int:
    """How often it was refused."""
    return counters.value("collector.requests.refused", transport=transport, reason=reason)


def test_a_request_holds_what_it_said_and_what_it_adds_until_it_ends() -> None:
    budget, _ = admission()
    with budget.enter("http", 30) as held:
        held.add(20)
        assert (budget.held_bytes, budget.requests, held.size) == (50, 1, 50)
    assert (budget.held_bytes, budget.requests) == (0, 0)


def test_an_error_gives_everything_back() -> None:
    budget, _ = admission()
    with pytest.raises(ZeroDivisionError), budget.enter("http", 30):
        raise ZeroDivisionError
    assert (budget.held_bytes, budget.requests) == (0, 0)


def test_what_does_not_fit_is_refused_with_a_delay_and_counted() -> None:
    budget, counters = admission()
    with budget.enter("grpc", 60):
        with pytest.raises(Unavailable) as caught:
            budget.enter("http", 41)
        assert (budget.held_bytes, budget.requests) == (60, 1)
        with budget.enter("http", 40):
            assert budget.full

    assert caught.value.reason == "RECEIVER_MEMORY_FULL"
    assert 1.0 <= (caught.value.retry_after_s or 0) <= 3.0
    assert refusals(counters, "http", "RECEIVER_MEMORY_FULL") == 1
    assert refusals(counters, "grpc", "RECEIVER_MEMORY_FULL") == 0


def test_growing_beyond_the_budget_is_refused_and_keeps_what_was_held() -> None:
    budget, _ = admission()
    with budget.enter("grpc", 50), budget.enter("http", 30) as held:
        with pytest.raises(Unavailable):
            held.add(21)
        assert budget.held_bytes == 80
    assert budget.held_bytes == 0


def test_a_request_that_no_waiting_could_help_is_refused_for_good() -> None:
    budget, counters = admission()
    with pytest.raises(RequestTooLarge) as caught:
        budget.enter("http", 101)

    assert caught.value.retry_after_s is None
    assert (budget.held_bytes, budget.requests) == (0, 0)
    assert counters.value("collector.requests.refused") == 0


def test_requests_at_once_are_bounded() -> None:
    budget, counters = admission(max_requests=1)
    with budget.enter("http"):
        assert budget.full
        with pytest.raises(Unavailable) as caught:
            budget.enter("grpc")
        assert budget.refuse("grpc").reason == caught.value.reason == "RECEIVER_BUSY"
    assert not budget.full
    assert refusals(counters, "grpc", "RECEIVER_BUSY") == 2


def test_who_is_turned_away_unread_hears_of_the_memory_when_that_is_the_reason() -> None:
    budget, _ = admission()
    with budget.enter("http", 100):
        assert budget.full
        assert budget.refuse("grpc").reason == "RECEIVER_MEMORY_FULL"


def test_threads_lose_no_byte() -> None:
    budget, _ = admission(max_bytes=1000, max_requests=100)
    peaks: list[int] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(500):
            try:
                with budget.enter("http", rng.randint(0, 300)) as held:
                    held.add(rng.randint(0, 300))
                    peaks.append(budget.held_bytes)
            except Unavailable:
                continue

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (budget.held_bytes, budget.requests) == (0, 0)
    assert 0 < max(peaks) <= 1000


def test_points_hold_what_they_take_in_memory_until_they_are_in_the_log() -> None:
    budget, counters = admission(max_bytes=1024)
    with budget.enter("grpc", 6) as empty_points:
        empty_points.counted(3)
        assert budget.held_bytes == 768
        with budget.enter("grpc", 200) as held, pytest.raises(Unavailable):
            held.counted(2)
        with budget.enter("http", 200) as held, pytest.raises(RequestTooLarge):
            held.counted(5)
    with budget.enter("grpc", 900) as held:
        held.counted(3)
        assert budget.held_bytes == 900
    assert budget.held_bytes == 0
    assert refusals(counters, "grpc", "RECEIVER_MEMORY_FULL") == 1
