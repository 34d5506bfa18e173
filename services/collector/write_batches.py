"""A batch: a contiguous range of the log, and everything that follows from it.

`cut` decides where a batch ends, `BatchBuilder.build` what it writes. Both are functions of log
entries and of the log before them, never of a clock, so a range that was recorded before a crash
gives the same batch after it. No I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.collector.decode import decode
from services.collector.dedupe import DedupeWindow, Sighting
from services.collector.identity import SeriesKeys
from services.collector.model import Applied, PointCounts, Record, Touched
from services.collector.ports import TableBlock
from services.collector.record import decode_heads, decode_record
from services.collector.validate import unpack_bitmap
from services.collector.write_columns import PointFacts, Rows
from services.collector.write_series import SeriesCache, SeriesDay, seen_series, series_blocks
from services.common.log_port import Entry

MAX_BATCH_BYTES = 32 << 20
"""Compressed bytes of records in a batch; bounds memory when points are large."""

_LOW_32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Batch:
    """What one range of the log writes and tells."""

    first_seq: int
    last_seq: int
    log_time_ns: int
    """Log time after the batch: the running maximum of append times."""
    blocks: tuple[TableBlock, ...]
    touched: tuple[Touched, ...]
    counts: dict[str, PointCounts]
    """Logged, written and duplicate points by tenant."""
    sightings: tuple[Sighting, ...]
    series: tuple[SeriesDay, ...]

    def applied(self, database: str) -> Applied:
        """The message for everyone downstream."""
        return Applied(database, self.first_seq, self.last_seq, self.log_time_ns, self.touched)


def batch_number(first_seq: int) -> int:
    """The column `batch` of every row: low 32 bits of the batch's first sequence."""
    return first_seq & _LOW_32


def cut(entries: Sequence[Entry], *, max_points: int) -> list[Entry]:
    """The longest head of `entries` within `max_points` and the byte limit; at least one entry."""
    points = size = 0
    for place, entry in enumerate(entries):
        points += sum(request.point_count for request in decode_heads(entry.data).requests)
        size += len(entry.data)
        if place and (points > max_points or size > MAX_BATCH_BYTES):
            return list(entries[:place])
    return list(entries)


class BatchBuilder:
    """Builds batches; what it remembers moves only with `commit`."""

    def __init__(self, window: DedupeWindow, keys: SeriesKeys, cache: SeriesCache) -> None:
        self._window = window
        self._keys = keys
        self._cache = cache

    def build(self, entries: Sequence[Entry], *, first_seq: int, last_seq: int, log_time_ns: int) -> Batch:
        """The batch of the log's range `first_seq` to `last_seq`.

        Args:
            entries: every entry that the log still has of the range, in order.
            first_seq, last_seq: the range as recorded.
            log_time_ns: log time before the range, Unix nanoseconds.

        Raises:
            CorruptRecord, Undecodable: the log holds what `receive` never wrote.
        """
        look = self._window.look()
        rows = Rows(self._keys, batch=batch_number(first_seq))
        facts: list[PointFacts] = []
        counts: dict[str, PointCounts] = {}
        for entry in entries:
            log_time_ns = max(log_time_ns, entry.time_ns)
            record = decode_record(entry.data)
            tally = counts.setdefault(record.tenant, PointCounts()) if record.requests else PointCounts()
            for request in record.requests:
                accepted = request.point_count - request.rejected_count
                tally.logged += accepted
                if look.resent(request.request_id, log_time_ns):
                    tally.duplicate += accepted
                    continue
                tally.written += accepted
                keep = ~unpack_bitmap(request.rejected, request.point_count)
                facts.append(rows.add(record.tenant, decode(request.raw), keep))
        seen = seen_series(facts)
        fresh = self._cache.unknown(seen)
        series = series_blocks(seen, fresh, self._keys, batch=batch_number(first_seq))
        return Batch(
            first_seq=first_seq,
            last_seq=last_seq,
            log_time_ns=log_time_ns,
            # Series first: whoever sees a point can look up what it means.
            blocks=(*series, *rows.blocks()),
            touched=_touched(facts),
            counts=counts,
            sightings=tuple(look.sightings),
            series=tuple(fresh),
        )

    def commit(self, batch: Batch) -> None:
        """Remember a batch whose rows are stored."""
        self._window.commit(batch.sightings)
        self._cache.described(batch.series)


def sightings_of(record: Record, log_time_ns: int) -> list[Sighting]:
    """The request ids of a record, for rebuilding the window."""
    return [(request.request_id, log_time_ns) for request in record.requests]


def _touched(facts: Sequence[PointFacts]) -> tuple[Touched, ...]:
    reach: dict[tuple[str, str], tuple[int, int]] = {}
    for one in facts:
        for place, metric in enumerate(one.metrics):
            chosen = one.metric_index == place
            if not np.any(chosen):
                continue
            low, high = int(one.reach_ms[chosen].min()), int(one.ts_ms[chosen].max())
            before = reach.get((one.tenant, metric), (low, high))
            reach[one.tenant, metric] = (min(low, before[0]), max(high, before[1]))
    return tuple(Touched(tenant, metric, *reach[tenant, metric]) for tenant, metric in sorted(reach))
