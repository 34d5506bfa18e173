"""Whose id is it? A 64-bit id belongs to one series of a metric; a second with the same hash gets another.

The first series in the order of the log owns the id that its hash gives. One that comes later and finds
its id owned takes the first free id of its own list: hash, then hashes of hash and a salt. Who owns what
is kept in the table `series` (`identity_hash`), so a writer that starts, or has forgotten, asks there when
it sees a series for the first time, and decides as the one before it:

- A series that the store knows under one of its first two ids keeps it. The second is asked for even
  when the first is free, since the rows of the first one's owner may have passed their retention.
- Series rows are stored before the points of their batch, and a batch that is repeated is read from the
  same records in the same order, so half a batch in the store changes no decision.

Pure: the writer does the asking. No engine, no columns.
"""

import hashlib
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import numpy as np

from services.collector.columns import SeriesTable, table_bytes
from services.collector.decided_keys import DecidedKeys, identity_hashes
from services.collector.identity import SeriesKey, series_key
from services.collector.model import I64, U32, U64
from services.collector.ports import IdPlace

_SALTED = struct.Struct("<QQI")
_ASKED_SALTS = 2
_MOST_TABLE_BYTES = 64 << 20
"""Of tables that are remembered as such, with the identities of all of their series."""


class NewSeries(NamedTuple):
    """A series whose id is not decided: `key` has the id that its hash gives."""

    tenant: str
    metric: str
    key: SeriesKey


@dataclass(slots=True)
class Owners:
    """What the store answered: the `identity_hash` that owns an id, None for a free one."""

    known: dict[IdPlace, int | None] = field(default_factory=dict)

    def add(self, asked: Iterable[IdPlace], found: Mapping[IdPlace, int]) -> None:
        """Take in an answer; what was asked for and not found is free."""
        for place in asked:
            self.known[place] = found.get(place)


@dataclass(frozen=True, slots=True)
class Decisions:
    """The ids of new series. Empty `missing` means decided; else ask for those and choose again."""

    keys: dict[NewSeries, SeriesKey]
    missing: tuple[IdPlace, ...]
    moved: tuple[NewSeries, ...]
    """Those that found their id owned by another, now and not before."""


def salted_id(key: SeriesKey, salt: int) -> int:
    """The id to try after `salt` others were taken; 0 is the hash itself."""
    if salt == 0:
        return key.series_id
    data = _SALTED.pack(key.series_id, key.identity_hash, salt)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"salted").digest(), "little")


class TableKeys:
    """The keys of the series of one table, with what they say as columns. Decided, so never changed."""

    __slots__ = ("keys", "metric", "metric_ids", "metrics", "series_ids")

    def __init__(self, keys: Sequence[SeriesKey], metrics: Sequence[str]) -> None:
        self.keys = keys
        self.metric_ids: U32 = np.array([key.metric_id for key in keys], dtype=np.uint32)
        self.series_ids: U64 = np.array([key.series_id for key in keys], dtype=np.uint64)
        places = {name: place for place, name in enumerate(dict.fromkeys(metrics))}
        self.metrics = tuple(places)
        self.metric: I64 = np.array([places[name] for name in metrics], dtype=np.int64)
        """For each series its place in `metrics`."""


class SeriesIds:
    """Decided ids of the series of one database: the `capacity` used last, at most twice as many.

    `hash64` makes ids. A series is known by 128 bits of BLAKE2b over tenant and identity, so what is
    remembered takes the same few bytes of a long identity as of a short one.
    """

    def __init__(self, capacity: int = 500_000, hash64: Callable[[bytes], int] | None = None) -> None:
        self._capacity = capacity
        self._hash64 = hash64
        self._lock = threading.Lock()
        self._current, self._previous = DecidedKeys(capacity), DecidedKeys(1)
        self._tables: dict[tuple[str, int], tuple[tuple[bytes, ...], TableKeys]] = {}
        self._table_bytes = 0

    def find_table(self, tenant: str, identities: tuple[bytes, ...]) -> TableKeys | None:
        """The keys of a table whose series are all decided; None when `find` has to be asked.

        Decoding hands out one tuple for requests with the same series, so they are remembered by it.
        """
        known = self._tables.get((tenant, id(identities)))
        return known[1] if known is not None and known[0] is identities else None

    def keep_table(self, tenant: str, table: SeriesTable, keys: TableKeys) -> None:
        """Remember a table whose series `find` had all decided."""
        size = table_bytes(table)
        self._table_bytes += size
        if self._table_bytes > _MOST_TABLE_BYTES:
            self._tables, self._table_bytes = {}, size
        self._tables[tenant, id(table.identity)] = (table.identity, keys)

    def find(self, tenant: str, identities: Sequence[bytes]) -> tuple[list[SeriesKey], list[int]]:
        """The keys of a request's series, and the places of those that are not decided: these have
        the id that their hash gives."""
        hashes = identity_hashes(tenant, identities)
        current, previous = self._current, self._previous
        found = current.find(hashes)
        forgotten = [place for place, key in enumerate(found) if key is None]
        if forgotten and previous.used:
            older = previous.find(hashes[forgotten])
            back = [(place, key) for place, key in zip(forgotten, older, strict=True) if key is not None]
            for place, key in back:
                found[place] = key
            self._add(hashes[[place for place, _ in back]], [key for _, key in back])
        keys: list[SeriesKey] = []
        new: list[int] = []
        for place, known in enumerate(found):
            if known is None:
                new.append(place)
            keys.append(known or series_key(tenant, identities[place], self._hash64))
        return keys, new

    def remember(self, decided: Iterable[tuple[str, bytes, SeriesKey]]) -> None:
        """Keep decisions; call it when the rows of these series are stored."""
        by_tenant: dict[str, dict[bytes, SeriesKey]] = {}
        for tenant, identity, key in decided:
            by_tenant.setdefault(tenant, {})[identity] = key
        for tenant, keys in by_tenant.items():
            self._add(identity_hashes(tenant, list(keys)), list(keys.values()))

    def forget(self) -> None:
        """See `Memory.forget`; the store is asked again."""
        with self._lock:
            self._current, self._previous = DecidedKeys(self._capacity), DecidedKeys(1)
            self._tables, self._table_bytes = {}, 0

    def _add(self, hashes: U64, keys: Sequence[SeriesKey]) -> None:
        with self._lock:
            for first in range(0, len(keys), self._capacity):
                more = slice(first, first + self._capacity)
                if self._current.used + len(keys[more]) > self._capacity:
                    self._previous, self._current = self._current, DecidedKeys(self._capacity)
                self._current.add(hashes[more], keys[more])


def choose(series: Iterable[NewSeries], owners: Owners) -> Decisions:
    """Ids for new series, in the order given."""
    keys: dict[NewSeries, SeriesKey] = {}
    moved: list[NewSeries] = []
    taken: dict[IdPlace, int] = {}
    missing: dict[IdPlace, None] = {}
    for one in series:
        if one in keys:
            continue
        place = _place(one, taken, owners, missing)
        if place is None:
            continue
        keys[one] = one.key._replace(series_id=place.series_id)
        if place.series_id != one.key.series_id and owners.known[place] is None:
            moved.append(one)
        taken[place] = one.key.identity_hash
    return Decisions(keys, tuple(missing), tuple(moved))


def _place(
    one: NewSeries, taken: dict[IdPlace, int], owners: Owners, missing: dict[IdPlace, None]
) -> IdPlace | None:
    """Where a series belongs; None when that is not known yet: `missing` says what to ask."""
    free: IdPlace | None = None
    unknown = False
    for salt in count():
        if salt >= _ASKED_SALTS and (unknown or free is not None):
            break
        place = IdPlace(one.tenant, one.metric, salted_id(one.key, salt))
        if place not in owners.known:
            missing[place] = None
            unknown = True
            continue
        owner = taken.get(place, owners.known[place])
        if owner == one.key.identity_hash:
            return None if unknown else place
        if owner is None and free is None:
            free = place
    return None if unknown else free
