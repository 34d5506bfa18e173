"""The cap on resident memory: refusing begins before it and ends below it; free memory goes first."""

from services.collector.admission import Admission, AdmissionConfig
from services.collector.memory_cap import MemoryCap, give_back_free_memory, resident_bytes
from services.common.clock import ManualClock
from services.common.telemetry import Counters


class Heap:
    """Resident memory of a process, part of which is free and only kept."""

    def __init__(self) -> None:
        self.used = self.kept = self.remembered = self.looks = self.trims = self.forgets = 0

    def resident(self) -> int:
        """All of it."""
        self.looks += 1
        return self.used + self.kept + self.remembered

    def forget(self) -> None:
        """What was remembered is free now, and only kept."""
        self.forgets += 1
        self.kept, self.remembered = self.kept + self.remembered, 0

    def trim(self) -> None:
        """Give back what is free."""
        self.trims += 1
        self.kept = 0


def cap() -> tuple[MemoryCap, Heap, ManualClock]:
    """A cap of a thousand bytes."""
    heap, clock = Heap(), ManualClock()
    memory = MemoryCap(1000, clock, resident=heap.resident, give_back=heap.trim, forget=heap.forget)
    return memory, heap, clock


def test_it_is_short_near_the_cap_and_until_there_is_room_again() -> None:
    memory, heap, clock = cap()
    told = []
    for used in (819, 820, 800, 789):
        heap.used = used
        clock.advance(0.02)
        told.append(memory.short())
    assert told == [False, True, True, False]


def test_free_memory_that_is_only_kept_is_given_back_before_anybody_is_refused() -> None:
    memory, heap, clock = cap()
    heap.used, heap.kept = 600, 350
    clock.advance(1)
    assert not memory.short()
    assert (heap.trims, heap.kept) == (1, 0)


def test_looking_and_giving_back_are_rare() -> None:
    memory, heap, clock = cap()
    heap.used = 950
    for _ in range(1000):
        clock.advance(0.001)
        memory.short()
    assert heap.looks <= 52
    assert heap.trims == 1


def test_memories_that_fill_the_cap_are_forgotten_else_nothing_would_be_taken_again() -> None:
    memory, heap, clock = cap()
    heap.used, heap.remembered = 300, 600
    for _ in range(20):
        clock.advance(0.1)
        assert memory.short(), "for seconds it may be what is under way"
    assert heap.forgets == 0
    for _ in range(30):
        clock.advance(0.1)
        memory.short()
    assert not memory.short()
    assert (heap.forgets, heap.remembered, heap.kept) == (1, 0, 0)


def test_what_is_under_way_is_no_reason_to_forget() -> None:
    memory, heap, clock = cap()
    for second in range(20):
        heap.used = 900 if second % 2 else 300
        clock.advance(1)
        memory.short()
    assert heap.forgets == 0


def test_requests_are_refused_while_it_is_short() -> None:
    memory, heap, clock = cap()
    budget = Admission(AdmissionConfig(), Counters(), clock=clock, memory_is_short=memory.short)
    assert not budget.full
    heap.used = 1000
    clock.advance(1)
    assert budget.full
    assert budget.refuse("grpc").reason == "RECEIVER_MEMORY_FULL"


def test_this_process_has_a_size() -> None:
    give_back_free_memory()
    assert 1 << 20 < resident_bytes() < 1 << 40
