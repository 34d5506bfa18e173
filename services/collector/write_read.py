"""Log entries to requests that can be written: read back, decoded, resends and poison left out.

A function of the entries, of the log before them and of this release. What follows in
`write_batches.py` cannot meet bytes that do not fit. No I/O.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

import numpy as np

from services.collector.columns import Decoded, SeriesTable
from services.collector.decode import decode
from services.collector.dedupe import DedupeLook, Sighting
from services.collector.errors import CorruptRecord
from services.collector.identity import SeriesKey
from services.collector.model import Bools, LoggedRequest, PointCounts, Poison
from services.collector.poison import TENANT_MISMATCH, poison_of, readable_heads, subject_tenant
from services.collector.record import decode_record
from services.collector.series_ids import NewSeries, SeriesIds, TableKeys
from services.collector.validate import unpack_bitmap
from services.collector.write_probe import blames_bytes
from services.common.errors import ThreeninesError
from services.common.log_port import Entry

MAX_NEW_IDENTITY_BYTES = 16 << 20
"""Of series of a batch that are not decided yet: reading ends after the entry that comes to it. Some hundred
bytes of a resource are in the identity of each of its series, so the bytes of requests bound nothing."""

TakeDecoded = Callable[[bytes], Sequence[Decoded] | None]
"""Gives the requests of a record, decoded, where they are at hand (`kept_records.py`)."""


def nothing_kept(_record: bytes) -> None:
    """Every record has to be decoded."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One request to write. `keys` are those of its series; the ones at `new` are not decided.

    Requests of a tenant with one table of series share both lists, which are never changed.
    """

    entry: Entry
    place: int
    """Its place in the record."""
    logged: LoggedRequest
    decoded: Decoded
    keep: Bools
    keys: list[SeriesKey]
    new: list[int]
    settled: TableKeys | None
    """Instead of `keys`, where all series of the request's table were decided before."""

    @property
    def raw(self) -> bytes:
        """The request's bytes, as the log has them."""
        return self.logged.raw or decode_record(self.entry.data).requests[self.place].raw


@dataclass(slots=True)
class Reading:
    """What a range of the log holds."""

    log_time_ns: int
    entries: int = 0
    """How many of the entries were read."""
    requests: list[ReadRequest] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    counts: dict[str, PointCounts] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)

    def tally(self, tenant: str) -> PointCounts:
        """The counts of one tenant."""
        return self.counts.setdefault(tenant, PointCounts())

    def new_series(self) -> Iterator[NewSeries]:
        """Series whose ids are not decided, in the order of the log."""
        seen: set[int] = set()
        for one in self.requests:
            if id(one.new) in seen:
                continue
            seen.add(id(one.new))
            tenant = subject_tenant(one.entry)
            for place in one.new:
                yield NewSeries(tenant, one.decoded.series.metric[place], one.keys[place])


class _Found(NamedTuple):
    """`identity` is kept so that its `id` stays its own."""

    identity: tuple[bytes, ...]
    keys: list[SeriesKey]
    new: list[int]


class LogReader:
    """Reads entries against a view of the window of resends."""

    def __init__(
        self,
        look: DedupeLook,
        ids: SeriesIds,
        decode: Callable[[bytes], Decoded] = decode,
        take: TakeDecoded = nothing_kept,
    ) -> None:
        self._look = look
        self._ids = ids
        self._decode = decode
        self._take = take
        self._new_bytes = 0
        self._found: dict[tuple[str, int], _Found] = {}

    def read(self, entries: Sequence[Entry], *, log_time_ns: int, most_new_bytes: float = inf) -> Reading:
        """What the entries hold, or the first of them with new series of so many bytes; `log_time_ns` is log
        time before them."""
        reading = Reading(log_time_ns)
        for entry in entries:
            if self._new_bytes >= most_new_bytes:
                break
            reading.entries += 1
            reading.log_time_ns = max(reading.log_time_ns, entry.time_ns)
            self._entry(reading, entry)
        reading.sightings = self._look.sightings
        return reading

    def _entry(self, reading: Reading, entry: Entry) -> None:
        heads = readable_heads(entry)
        failure: CorruptRecord | None = None
        requests: Sequence[LoggedRequest] = heads.requests if heads is not None else ()
        kept = self._take(entry.data) if requests else None
        try:
            record = decode_record(entry.data) if kept is None else None
            if record is not None:
                requests = record.requests if heads is not None else ()
            if heads is None:
                failure = CorruptRecord("the record names another tenant", reason=TENANT_MISMATCH)
        except CorruptRecord as err:
            failure = err
        lost = 0
        for place, logged in enumerate(requests):
            accepted = max(0, logged.point_count - logged.rejected_count)
            tally = reading.tally(subject_tenant(entry))
            tally.logged += accepted
            if self._look.resent(logged.request_id, reading.log_time_ns):
                tally.duplicate += accepted
            elif failure is not None:
                tally.dead_lettered += accepted
                lost += accepted
            else:
                self._request(reading, entry, place, logged, kept[place] if kept else None)
        if failure is not None:
            reading.poison.append(poison_of(entry, failure, request=None, points=lost, data=entry.data))

    def _request(
        self, reading: Reading, entry: Entry, place: int, logged: LoggedRequest, kept: Decoded | None
    ) -> None:
        accepted = max(0, logged.point_count - logged.rejected_count)
        try:
            decoded = kept or self._decode(logged.raw)
            # The bytes are in the record still; unpacked, those of a batch would be most of its memory.
            read = self._read(entry, place, replace(logged, raw=b""), decoded)
        # Bytes must not stop the stream, whichever defect of ours they meet; nothing is lost, and it is told.
        except Exception as err:
            if not blames_bytes(err, self._decode):
                raise
            reading.tally(subject_tenant(entry)).dead_lettered += accepted
            # Of a record that was kept only the heads were read.
            data = logged.raw or decode_record(entry.data).requests[place].raw
            reading.poison.append(poison_of(entry, err, request=place, points=accepted, data=data))
            return
        reading.requests.append(read)

    def _read(self, entry: Entry, place: int, logged: LoggedRequest, decoded: Decoded) -> ReadRequest:
        points = decoded.point_count
        if points != logged.point_count:
            raise _mismatch("POINT_COUNT_MISMATCH", f"{points} points where {logged.point_count} were judged")
        if logged.rejected and len(logged.rejected) != (points + 7) // 8:
            raise _mismatch("BITMAP_LENGTH_MISMATCH", f"{len(logged.rejected)} bytes for {points} points")
        keep = ~unpack_bitmap(logged.rejected, points)
        tenant, series = subject_tenant(entry), decoded.series
        if (settled := self._ids.find_table(tenant, series.identity)) is not None:
            return ReadRequest(entry, place, logged, decoded, keep, [], [], settled)
        _, keys, new = self._find(tenant, series)
        if new and logged.rejected:
            used = set(np.unique(decoded.series_index[keep]).tolist())
            keys, new = list(keys), [series for series in new if series in used]
        return ReadRequest(entry, place, logged, decoded, keep, keys, new, None)

    def _find(self, tenant: str, series: SeriesTable) -> "_Found":
        """What is known of a table, found out once however many requests have it."""
        place = (tenant, id(series.identity))
        if (found := self._found.get(place)) is None:
            keys, new = self._ids.find(tenant, series.identity)
            if not new:
                self._ids.keep_table(tenant, series, TableKeys(keys, series.metric))
            self._new_bytes += sum(len(series.identity[one]) for one in new)
            found = self._found[place] = _Found(series.identity, keys, new)
        return found


def _mismatch(reason: str, text: str) -> ThreeninesError:
    return CorruptRecord(f"a request decodes to {text}", reason=reason)
