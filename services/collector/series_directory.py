"""What a process remembers of series: from the hashes of their bytes to their identities.

The decode kernel hashes the bytes that make up each point's series. Hashes seen before give the identity
here, without looking at an attribute; only new ones cost a parse. What is remembered is bounded: when a
generation is full, a new one begins, and takes over from the last one what is still in use.

Two encodings of one series (reordered, with unknown fields) are two entries with one identity. Two
series with one first hash are two entries as well, told apart by the second hash, and counted.
This module knows no protobuf: whoever asks brings a function that reads identities.
"""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.collector.columns import SeriesTable
from services.collector.kernels.series_table import MISSING, find_series, insert_series
from services.collector.model import I32, I64, U64

FIRST_LIMIT = 1 << 13
MOST_BYTES = 64 << 20
"""Of a generation, identities and what Python takes for each: some 120 000 series of 400 bytes."""
_SERIES_BYTES = 160
"""Beside its identity: references, a dictionary's entry, the header of an object."""


class SeriesFacts(NamedTuple):
    """What the series table of a request says about one series."""

    identity: bytes
    metric: str
    temporality: int


ReadSeries = Callable[[Sequence[int]], list[SeriesFacts]]
"""Reads the series of the points at the given (rising) places of a request."""


class Generation:
    """Up to `limit` hashes and the series that they mean; entries are added, never changed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        slots = 1 << (2 * limit - 1).bit_length()
        self.keys: U64 = np.zeros((slots, 2), np.uint64)
        self.references: I64 = np.full(slots, MISSING, np.int64)
        self.identities: NDArray[np.object_] = np.empty(limit, np.object_)
        self.metrics: NDArray[np.object_] = np.empty(limit, np.object_)
        self.temporalities: I32 = np.zeros(limit, np.int32)
        self.used = self.bytes = 0
        self._tables: dict[bytes, SeriesTable] = {}
        self._table_rows = 0
        self._by_identity: dict[bytes, int] = {}

    def find(self, hash_a: U64, hash_b: U64) -> tuple[I64, int]:
        """A reference for each pair of hashes, and how many are MISSING."""
        found = np.empty(len(hash_a), np.int64)
        missing = find_series(hash_a, hash_b, self.keys, self.references, found)
        return found, missing

    def facts(self, reference: int) -> SeriesFacts:
        """What is known of one series."""
        return SeriesFacts(
            self.identities[reference], self.metrics[reference], int(self.temporalities[reference])
        )

    def table(self, references: I64) -> SeriesTable:
        """The series table of a request with these series.

        A sender exports the same series in the same order each time, so tables are kept, as many as have
        `limit` rows in all, and are shared by requests.
        """
        wanted = references.tobytes()
        known = self._tables.get(wanted)
        if known is not None:
            return known
        table = SeriesTable(
            identity=tuple(self.identities[references].tolist()),
            metric=tuple(self.metrics[references].tolist()),
            temporality=self.temporalities[references],
        )
        table.temporality.flags.writeable = False
        self._table_rows += len(references)
        if self._table_rows > self.limit:
            self._tables, self._table_rows = {}, len(references)
        self._tables[wanted] = table
        return table

    def add(self, hash_a: U64, hash_b: U64, series: Sequence[SeriesFacts]) -> int:
        """Remember new hashes; returns how many collide with another series' first hash."""
        given = np.array([self._reference(facts) for facts in series], dtype=np.int64)
        self.used += len(series)
        return insert_series(hash_a, hash_b, given, self.keys, self.references)

    def _reference(self, facts: SeriesFacts) -> int:
        known = self._by_identity.get(facts.identity)
        if known is not None:
            return known
        reference = len(self._by_identity)
        self.identities[reference] = facts.identity
        self.metrics[reference] = facts.metric
        self.temporalities[reference] = facts.temporality
        self._by_identity[facts.identity] = reference
        self.bytes += len(facts.identity) + _SERIES_BYTES
        return reference


class SeriesDirectory:
    """The generations of a process; safe for many threads.

    Remembers at most twice `capacity` hashes, and identities of at most twice `most_bytes` and what the
    requests bring that pass it.
    """

    def __init__(self, capacity: int = 1 << 18, most_bytes: int = MOST_BYTES) -> None:
        self._capacity, self._most_bytes = capacity, most_bytes
        self._lock = threading.Lock()
        self._current = Generation(min(FIRST_LIMIT, capacity))
        self._previous = Generation(1)
        self.collisions = 0
        """Series whose first hash was another series' too; they are kept apart."""
        self.read = 0
        """Series that had to be read."""

    def resolve(self, hash_a: U64, hash_b: U64, read: ReadSeries) -> tuple[Generation, I64]:
        """References into the generation returned with them, one for each point."""
        current = self._current
        found, missing = current.find(hash_a, hash_b)
        if missing == 0:
            return current, found
        with self._lock:
            return self._learn(hash_a, hash_b, read)

    def bound(self, most_bytes: int) -> None:
        """Let a generation have so many bytes from now on."""
        self._most_bytes = most_bytes

    def forget(self) -> None:
        """See `Memory.forget`; requests that were decoded keep what they use."""
        with self._lock:
            self._previous, self._current = Generation(1), Generation(min(FIRST_LIMIT, self._capacity))

    def _learn(self, hash_a: U64, hash_b: U64, read: ReadSeries) -> tuple[Generation, I64]:
        found, _ = self._current.find(hash_a, hash_b)
        places = _first_places(hash_a, hash_b, np.flatnonzero(found == MISSING))
        full = self._current.used + len(places) > self._current.limit
        if full or self._current.bytes > self._most_bytes:
            places = _first_places(hash_a, hash_b, np.arange(len(hash_a)))
            limit = max(len(places), min(self._capacity, 2 * self._current.limit))
            self._previous, self._current = self._current, Generation(limit)
        a, b = hash_a[places], hash_b[places]
        series = self._collect(places, a, b, read)
        self.collisions += self._current.add(a, b, series)
        found, missing = self._current.find(hash_a, hash_b)
        assert missing == 0, "every hash was just added"
        return self._current, found

    def _collect(self, places: I64, hash_a: U64, hash_b: U64, read: ReadSeries) -> list[SeriesFacts]:
        older = self._previous
        known, _ = older.find(hash_a, hash_b)
        unread = places[known == MISSING]
        self.read += len(unread)
        fresh = iter(read(unread.tolist()) if len(unread) else ())
        return [
            next(fresh) if reference == MISSING else older.facts(reference) for reference in known.tolist()
        ]


def _first_places(hash_a: U64, hash_b: U64, places: I64) -> I64:
    """The first of the places of each pair of hashes, rising."""
    first: dict[tuple[int, int], int] = {}
    for place, a, b in zip(places.tolist(), hash_a[places].tolist(), hash_b[places].tolist(), strict=True):
        first.setdefault((a, b), place)
    return np.array(sorted(first.values()), dtype=np.int64)
