"""A batch: a contiguous range of the log, and everything that follows from it.

`cut` decides where a batch ends, `BatchBuilder` what it writes. Both are functions of log entries,
of the log before them and of what the store says of ids (`series_ids.py`), never of a clock, so a
range that was recorded before a crash gives the same batch after it. No I/O.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from services.collector.decode import decode
from services.collector.dedupe import DedupeWindow, Sighting
from services.collector.identity import SeriesKey
from services.collector.model import (
    MS_IN_DAY,
    NANOSECONDS_IN_MS,
    Applied,
    PointCounts,
    Poison,
    Touched,
)
from services.collector.poison import poison_of, readable_heads, subject_tenant
from services.collector.ports import IdPlace, TableBlock
from services.collector.retention import (
    KeepDays,
    KeepNs,
    default_keep_days,
    expires,
    milliseconds_only,
)
from services.collector.series_ids import Decisions, NewSeries, Owners, SeriesIds, TableKeys, choose
from services.collector.write_columns import Rows
from services.collector.write_probe import blames_bytes
from services.collector.write_read import LogReader, Reading, ReadRequest, TakeDecoded, nothing_kept
from services.collector.write_series import SeriesCache, SeriesRows, undescribed_series
from services.common.log_port import Entry

MAX_BATCH_BYTES = 64 << 20
"""Compressed bytes of records in a batch; bounds memory when points are large."""
MAX_UNPACKED_BYTES = 256 << 20
"""Of its requests as received: 64 MiB that compress well are a record of some kilobytes."""

_LOW_32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Batch:
    """What one range of the log writes and tells."""

    first_seq: int
    last_seq: int
    log_time_ns: int
    """Log time after the batch: the running maximum of append times."""
    blocks: tuple[TableBlock, ...]
    """Of points."""
    series: SeriesRows
    touched: tuple[Touched, ...]
    counts: dict[str, PointCounts]
    """Logged, written, duplicate and dead-lettered points by tenant."""
    sightings: tuple[Sighting, ...]
    learnt: tuple[tuple[str, bytes, SeriesKey], ...]
    """Ids that were decided: tenant, identity, key."""
    poison: tuple[Poison, ...]
    moved: tuple[NewSeries, ...]
    """Series that found their id owned by another."""

    def all_blocks(self) -> Iterator[TableBlock]:
        """Series first, each block made when it is asked for: whoever sees a point can look it up."""
        yield from self.series.blocks()
        yield from self.blocks

    def applied(self, database: str) -> Applied:
        """The message for everyone downstream."""
        return Applied(database, self.first_seq, self.last_seq, self.log_time_ns, self.touched)


def batch_number(first_seq: int) -> int:
    """The column `batch` of every row: low 32 bits of the batch's first sequence."""
    return first_seq & _LOW_32


def lasting_rows(block: TableBlock, *, now_ns: int) -> int:
    """Rows that no retention has removed at `now_ns`, whatever the store's clock and merges say."""
    column = next((one.data for one in block.columns if one.name == "keep_days"), None)
    if not isinstance(column, np.ndarray):
        return block.rows
    # A day of grace: the store's clock is another one.
    tomorrow = now_ns // (MS_IN_DAY * NANOSECONDS_IN_MS) + 1
    return int(np.count_nonzero(expires(block.day, column.astype(np.int64)) > tomorrow))


def cut(entries: Sequence[Entry], *, max_points: int) -> list[Entry]:
    """The longest head of `entries` within `max_points` and the byte limits; at least one entry."""
    points = size = unpacked = 0
    for place, entry in enumerate(entries):
        size += len(entry.data)
        if (heads := readable_heads(entry)) is not None:
            points += sum(request.point_count for request in heads.requests)
            unpacked += heads.unpacked_bytes
        if place and (points > max_points or size > MAX_BATCH_BYTES or unpacked > MAX_UNPACKED_BYTES):
            return list(entries[:place])
    return list(entries)


class BatchBuilder:
    """Builds batches; what it remembers moves only with `commit`."""

    def __init__(
        self,
        window: DedupeWindow,
        ids: SeriesIds,
        cache: SeriesCache,
        keep_days: KeepDays = default_keep_days,
        take: TakeDecoded = nothing_kept,
        to_the_ns: KeepNs = milliseconds_only,
    ) -> None:
        self._window = window
        self._ids = ids
        self._cache = cache
        self._keep_days = keep_days
        self._take = take
        self._to_the_ns = to_the_ns

    def read(self, entries: Sequence[Entry], *, log_time_ns: int, most_new_bytes: float = inf) -> Reading:
        """What the log's entries hold, as `LogReader.read`."""
        reader = LogReader(self._window.look(), self._ids, take=self._take)
        return reader.read(entries, log_time_ns=log_time_ns, most_new_bytes=most_new_bytes)

    def undecided(self, reading: Reading, owners: Owners) -> tuple[IdPlace, ...]:
        """The ids to ask the store for before `build`; ask again with the answers until empty."""
        return choose(reading.new_series(), owners).missing

    def build(self, reading: Reading, *, owners: Owners, first_seq: int, last_seq: int) -> Batch:
        """The batch of the log's range `first_seq` to `last_seq`, as recorded, from what was read."""
        decided = choose(reading.new_series(), owners)
        assert not decided.missing, "every id was asked for"
        rows = Rows(batch=batch_number(first_seq), keep_days=self._keep_days, to_the_ns=self._to_the_ns)
        learnt = self._add_all(reading, decided, rows)
        finished = rows.finish()
        undescribed = undescribed_series(finished.seen, self._cache)
        return Batch(
            first_seq=first_seq,
            last_seq=last_seq,
            log_time_ns=reading.log_time_ns,
            blocks=finished.blocks,
            series=SeriesRows(undescribed, batch_number(first_seq), self._keep_days),
            touched=finished.touched,
            counts=reading.counts,
            sightings=tuple(reading.sightings),
            learnt=tuple(learnt),
            poison=tuple(reading.poison),
            moved=decided.moved,
        )

    def commit(self, batch: Batch) -> None:
        """Remember a batch whose rows are stored."""
        self._window.commit(batch.sightings)
        self._ids.remember(batch.learnt)
        self._cache.described(batch.series.undescribed)

    def _add_all(
        self, reading: Reading, decided: Decisions, rows: Rows
    ) -> list[tuple[str, bytes, SeriesKey]]:
        """Rows of every request; those that give none are poison, and noted as such."""
        learnt: list[tuple[str, bytes, SeriesKey]] = []
        tables: dict[int, TableKeys] = {}
        told: set[int] = set()
        for one in reading.requests:
            tenant, series = subject_tenant(one.entry), one.decoded.series
            tally, accepted = reading.tally(tenant), int(np.count_nonzero(one.keep))
            table = one.settled or tables.get(id(one.keys))
            if table is None:
                table = tables[id(one.keys)] = _decided_table(tenant, one, decided)
            try:
                rows.add(tenant, one.decoded, one.keep, table)
            # As in `write_read.py`: a defect of ours that some bytes meet must not stop the others.
            except Exception as err:
                if not blames_bytes(err, decode):
                    raise
                tally.dead_lettered += accepted
                data = one.raw
                reading.poison.append(
                    poison_of(one.entry, err, request=one.place, points=accepted, data=data)
                )
                continue
            tally.written += accepted
            if id(one.new) not in told:
                told.add(id(one.new))
                learnt += [(tenant, series.identity[place], table.keys[place]) for place in one.new]
        return learnt


def _decided_table(tenant: str, one: ReadRequest, decided: Decisions) -> TableKeys:
    metrics, keys = one.decoded.series.metric, list(one.keys)
    for place in one.new:
        keys[place] = decided.keys[NewSeries(tenant, metrics[place], keys[place])]
    return TableKeys(keys, metrics)
