"""A writer that starts knows what the one before it knew."""

import pytest

from services.collector.dedupe import DEDUPE_WINDOW_NS
from services.collector.model import LoggedRequest
from services.collector.record import encode_requests, encode_tick
from services.collector.write_window import read_past
from services.common.clock import ManualClock
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP

_MINUTE_S = 60.0


async def log_of(minutes: int) -> tuple[MemoryLog, ManualClock]:
    """One request and one TICK each minute; request ids are the minute."""
    clock = ManualClock()
    log = MemoryLog(clock)
    for minute in range(minutes):
        request = LoggedRequest(minute.to_bytes(16, "big"), b"", 1)
        await log.append(OTLP, "otlp.0.acme", encode_requests("acme", [request]), msg_id=f"r{minute}")
        await log.append(OTLP, "otlp.0.tick", encode_tick(), msg_id=f"t{minute}")
        clock.advance(_MINUTE_S)
    return log, clock


@pytest.mark.parametrize("written_seq", [1, 2, 59, 60, 120])
async def test_ids_of_the_last_twenty_minutes_are_known_and_no_later_ones(written_seq: int) -> None:
    log, _ = await log_of(60)

    past = await read_past(log, written_seq=written_seq, log_time_ns=0)

    entries = {entry.seq: entry for entry in await log.read(OTLP, 1)}
    assert past.log_time_ns == entries[written_seq].time_ns
    look = past.window.look()
    for minute in range(60):
        seq, time_ns = 2 * minute + 1, entries[2 * minute + 1].time_ns
        recent = seq <= written_seq and past.log_time_ns - time_ns <= DEDUPE_WINDOW_NS
        assert look.resent(minute.to_bytes(16, "big"), past.log_time_ns) == recent


async def test_log_time_never_steps_back() -> None:
    log, _ = await log_of(3)

    assert (await read_past(log, written_seq=6, log_time_ns=2**62)).log_time_ns == 2**62


async def test_before_the_first_record_there_is_nothing() -> None:
    log, _ = await log_of(0)

    past = await read_past(log, written_seq=0, log_time_ns=0)

    assert (past.log_time_ns, len(past.window)) == (0, 0)
