"""What this process decoded when it received it, kept until its own writer reads the record in the log.

A cache and nothing else: it is asked with the bytes of a whole record, as the log gave them, so an answer
is what decoding those bytes would give; a miss decodes again. It is bounded, holds nothing while no writer
of this process reads, and forgets what nobody came for.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from services.collector.columns import Decoded, held_bytes, table_bytes
from services.common.clock import Clock

_WANTED_NS = 5_000_000_000
_FORGET_NS = 60_000_000_000


class _Kept(NamedTuple):
    requests: tuple[Decoded, ...]
    size: int
    since_ns: int


class KeptRecords:
    """Decoded requests by the bytes of their record; safe for threads.

    What comes when `max_bytes` are used is not kept: a writer that is behind reads the oldest first.
    """

    def __init__(self, clock: Clock, max_bytes: int = 128 << 20) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._records: OrderedDict[bytes, _Kept] = OrderedDict()
        self._tables: Counter[int] = Counter()
        """By the identity of a table of series: in how many requests it is. Shared ones take memory once."""
        self._bytes = 0
        self._wanted_until_ns = -1

    @property
    def held_bytes(self) -> int:
        """About what is held."""
        return self._bytes

    def want(self) -> None:
        """Keep for the next seconds: a writer reads now."""
        self._wanted_until_ns = self._clock.monotonic_ns() + _WANTED_NS

    def keep(self, record: bytes, requests: Sequence[Decoded | None]) -> None:
        """Keep what the requests of a record are as columns, when all of them are known and it fits."""
        whole = tuple([one for one in requests if one is not None])
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            self._forget(now_ns)
            if len(whole) != len(requests) or now_ns > self._wanted_until_ns:
                return
            size = len(record) + sum(map(held_bytes, whole))
            tables = {id(one.series): table_bytes(one.series) for one in whole}
            more = size + sum(taken for table, taken in tables.items() if not self._tables[table])
            if self._bytes + more <= self._max_bytes and record not in self._records:
                self._records[record] = _Kept(whole, size, now_ns)
                self._tables.update(id(one.series) for one in whole)
                self._bytes += more

    def take(self, record: bytes) -> tuple[Decoded, ...] | None:
        """The requests of the record with exactly these bytes, once; None when it has to be decoded."""
        with self._lock:
            kept = self._records.pop(record, None)
            if kept is None:
                return None
            self._leave(kept)
            return kept.requests

    def forget(self) -> None:
        """See `Memory.forget`."""
        with self._lock:
            self._records.clear()
            self._tables.clear()
            self._bytes = 0

    def _forget(self, now_ns: int) -> None:
        """Drop what nobody came for: its writer may be another process by now."""
        while self._records:
            oldest = next(iter(self._records.values()))
            if now_ns - oldest.since_ns <= _FORGET_NS and now_ns <= self._wanted_until_ns:
                return
            self._records.popitem(last=False)
            self._leave(oldest)

    def _leave(self, kept: _Kept) -> None:
        self._bytes -= kept.size
        for one in kept.requests:
            self._tables[id(one.series)] -= 1
            if not self._tables[id(one.series)]:
                del self._tables[id(one.series)]
                self._bytes -= table_bytes(one.series)
