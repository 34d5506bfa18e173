"""What the two doors of a process share."""

from dataclasses import replace

from services.collector.config import CollectorConfig
from services.collector.doors import _admission
from services.common.clock import ManualClock
from services.common.settings import Settings
from services.common.telemetry import Counters


def test_requests_are_refused_by_the_resident_memory_of_the_process() -> None:
    config = CollectorConfig.from_settings(Settings())

    roomy = _admission(config, Counters(), ManualClock())
    crowded = _admission(replace(config, memory_bytes=1 << 20), Counters(), ManualClock())

    assert not roomy.full
    assert crowded.full
    assert crowded.refuse("grpc").reason == "RECEIVER_MEMORY_FULL"
