"""What the two doors of a process share."""

from services.collector.config import CollectorConfig
from services.collector.doors import _admission
from services.collector.identity import SeriesKey
from services.collector.memories import Memories
from services.collector.memory_cap import MemoryCap
from services.collector.series_ids import SeriesIds
from services.common.clock import ManualClock
from services.common.settings import Settings
from services.common.telemetry import Counters


def test_requests_are_refused_by_the_resident_memory_of_the_process() -> None:
    config = CollectorConfig.from_settings(Settings())

    roomy = _admission(config, Counters(), ManualClock(), MemoryCap(1 << 40, ManualClock()))
    crowded = _admission(config, Counters(), ManualClock(), MemoryCap(1 << 20, ManualClock()))

    assert not roomy.full
    assert crowded.full
    assert crowded.refuse("grpc").reason == "RECEIVER_MEMORY_FULL"


def test_a_process_that_stays_crowded_forgets_what_it_remembers() -> None:
    ids, memories, clock = SeriesIds(), Memories(), ManualClock()
    memories.add(ids)
    ids.remember([("acme", b"identity", SeriesKey(1, 2, 3, 4))])
    crowded = MemoryCap(1 << 20, clock, forget=memories.forget)

    for _ in range(10):
        assert crowded.short()
        clock.advance(1)

    assert not ids._current.used
