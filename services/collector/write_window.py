"""What the writer must know of the log before its position: recent request ids, and log time.

Read back from the log itself, so that a writer which starts decides as the one before it.
"""

from dataclasses import dataclass

from services.collector.dedupe import DEDUPE_WINDOW_NS, DedupeWindow
from services.collector.model import NANOSECONDS_IN_S
from services.collector.poison import readable_heads
from services.common.log_port import Entry, Log
from services.common.streams import OTLP

_CLOCK_SLACK_NS = 300 * NANOSECONDS_IN_S
"""Append times may step back when the log's leader changes; log time never does."""

_LOOK_BACK = 64


@dataclass(frozen=True, slots=True)
class Past:
    """The log up to a sequence, as far as it matters for what follows."""

    window: DedupeWindow
    log_time_ns: int


async def read_past(log: Log, *, written_seq: int, log_time_ns: int) -> Past:
    """The window and log time after `written_seq`.

    `log_time_ns` is the log time there if it was kept, else 0.

    Raises:
        Unavailable: the log does not answer.
    """
    window = DedupeWindow()
    first_seq = await log.first_seq(OTLP)
    if written_seq < first_seq:
        return Past(window, log_time_ns)
    if log_time_ns == 0:
        log_time_ns = await _time_at(log, first_seq, written_seq)
    seq = await _first_since(log, first_seq, written_seq, log_time_ns - DEDUPE_WINDOW_NS - _CLOCK_SLACK_NS)
    running_ns = 0
    while seq <= written_seq:
        entries = [entry for entry in await log.read(OTLP, seq) if entry.seq <= written_seq]
        if not entries:
            break
        for entry in entries:
            running_ns = max(running_ns, entry.time_ns)
            heads = readable_heads(entry)
            requests = heads.requests if heads is not None else ()
            window.commit((one.request_id, running_ns) for one in requests)
        seq = entries[-1].seq + 1
    return Past(window, max(log_time_ns, running_ns))


async def _time_at(log: Log, first_seq: int, seq: int) -> int:
    """The largest append time of the last entries up to `seq`."""
    entries = await log.read(OTLP, max(first_seq, seq - _LOOK_BACK), max_messages=_LOOK_BACK + 1)
    return max((entry.time_ns for entry in entries if entry.seq <= seq), default=0)


async def _first_since(log: Log, low: int, high: int, time_ns: int) -> int:
    """About the first sequence from which every entry is at or after `time_ns`, by bisection."""
    while low < high:
        middle = (low + high) // 2
        entry = await _entry_from(log, middle)
        if entry is not None and entry.time_ns < time_ns:
            low = max(entry.seq, middle) + 1
        else:
            high = middle
    return low


async def _entry_from(log: Log, seq: int) -> Entry | None:
    entries = await log.read(OTLP, seq, max_messages=1)
    return entries[0] if entries else None
