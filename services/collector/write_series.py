"""Rows of the table `series`: what the points of a batch mean, once per series and day.

A series is described again after a restart of the writer, or when its memory of it was evicted:
the table folds equal keys, so repeating does no harm and recovery does not count these rows.

A description takes kilobytes, and the first batch of a day may have a million series to describe, so they
are made one block after the other, each when it is asked for.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.collector.identity import SeriesDescription, SeriesKey, SharedTexts, describe
from services.collector.kernels.series_table import MISSING, find_series, insert_series
from services.collector.model import I64, U64, Bools
from services.collector.ports import TableBlock, TableColumn
from services.collector.retention import KeepDays
from services.collector.write_points import SeenSeries
from services.common.native_columns import Column, Maps

_TIME = "DateTime64(3, 'UTC')"
_MAP = "Map(String, String)"
_TYPES = "Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exp_histogram' = 4, 'summary' = 5)"
_TEMPORALITIES = "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)"

_MOST_TENANTS = 1 << 16
_BLOCK_SERIES, _BLOCK_BYTES = 1 << 15, 16 << 20
"""Of a block, whichever comes first: descriptions of some 80 MB, or identities of so many bytes."""


@dataclass(frozen=True, slots=True)
class Undescribed:
    """Series of one table and day of a batch that are to be described."""

    seen: SeenSeries
    rows: I64
    """Their places in `seen`."""


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """What a batch has to say of series."""

    undescribed: tuple[Undescribed, ...]
    batch: int
    keep_days: KeepDays

    def blocks(self) -> Iterator[TableBlock]:
        """Blocks of the table `series`, by day; each is made when it is asked for."""
        for day in sorted({one.seen.day for one in self.undescribed}):
            of_day = [one for one in self.undescribed if one.seen.day == day]
            for number, told in enumerate(_portions(of_day)):
                columns = _columns(told, day, self.batch, self.keep_days)
                yield TableBlock("series", day, len(told), columns, number)


class _Told(NamedTuple):
    tenant: str
    identity: bytes
    key: SeriesKey
    description: SeriesDescription
    first_ms: int
    last_ms: int


class _Known:
    """Up to `limit` series and days; entries are added, never changed."""

    def __init__(self, limit: int) -> None:
        slots = 1 << (2 * limit - 1).bit_length()
        self.keys: U64 = np.zeros((slots, 2), np.uint64)
        self.references: I64 = np.full(slots, MISSING, np.int64)
        self.used = 0

    def has(self, hash_a: U64, hash_b: U64) -> Bools:
        found = np.empty(len(hash_a), np.int64)
        find_series(hash_a, hash_b, self.keys, self.references, found)
        result: Bools = found != MISSING
        return result

    def add(self, hash_a: U64, hash_b: U64) -> None:
        insert_series(hash_a, hash_b, np.zeros(len(hash_a), np.int64), self.keys, self.references)
        self.used += len(hash_a)


class SeriesCache:
    """Series and days that were described: at least the `capacity` added last, at most twice as many.

    An entry is exact: tenant (numbered), metric id, series id and day fit 128 bits.
    """

    def __init__(self, capacity: int = 500_000) -> None:
        self._capacity = capacity
        self._tenants: dict[str, int] = {}
        self._lock = threading.Lock()
        self._current, self._previous = _Known(capacity), _Known(1)

    def unknown(self, seen: SeenSeries) -> Bools:
        """Which of them are not described yet."""
        place = self._places(seen)
        known = self._current.has(*place)
        if self._previous.used and not known.all():
            old = ~known
            old[old] = self._previous.has(place[0][old], place[1][old])
            self._add(place[0][old], place[1][old])
            known |= old
        return ~known

    def described(self, undescribed: Iterable[Undescribed]) -> None:
        """Remember them; call it when their rows are stored."""
        for one in undescribed:
            hash_a, hash_b = self._places(one.seen)
            hash_a, hash_b = hash_a[one.rows], hash_b[one.rows]
            new = ~self._current.has(hash_a, hash_b)
            self._add(hash_a[new], hash_b[new])

    def _places(self, seen: SeenSeries) -> tuple[U64, U64]:
        tenant = np.array([self._number(tenant) for tenant in seen.tenants], dtype=np.uint64)[seen.tenant]
        metric, day = seen.metric_id.astype(np.uint64), np.uint64(seen.day)
        return seen.series_id, tenant << np.uint64(48) | metric << np.uint64(16) | day

    def _add(self, hash_a: U64, hash_b: U64) -> None:
        # A writer that was cancelled may still build in its thread while the next one begins.
        with self._lock:
            for first in range(0, len(hash_a), self._capacity):
                a, b = hash_a[first : first + self._capacity], hash_b[first : first + self._capacity]
                if self._current.used + len(a) > self._capacity:
                    self._previous, self._current = self._current, _Known(self._capacity)
                self._current.add(a, b)

    def _number(self, tenant: str) -> int:
        number = self._tenants.setdefault(tenant, len(self._tenants))
        if number < _MOST_TENANTS:
            return number
        # More tenants than numbers: begin anew, and describe again.
        self._tenants = {tenant: 0}
        self._current, self._previous = _Known(self._capacity), _Known(1)
        return 0


def undescribed_series(seen: Iterable[SeenSeries], cache: SeriesCache) -> tuple[Undescribed, ...]:
    """Those of a batch that are not described for their day."""
    found = [Undescribed(one, np.flatnonzero(cache.unknown(one))) for one in seen]
    return tuple([one for one in found if len(one.rows)])


def _portions(undescribed: Iterable[Undescribed]) -> Iterator[list[_Told]]:
    """Descriptions, as many at a time as a block has."""
    told: list[_Told] = []
    size, shared = 0, SharedTexts()
    for seen, row in ((one.seen, row) for one in undescribed for row in one.rows):
        identity, key = seen.origin.identity(int(seen.where[row]))
        description = describe(identity, shared)
        tenant = seen.tenants[int(seen.tenant[row])]
        told.append(
            _Told(tenant, identity, key, description, int(seen.first_ms[row]), int(seen.last_ms[row]))
        )
        size += len(identity)
        if len(told) >= _BLOCK_SERIES or size >= _BLOCK_BYTES:
            yield told
            told, size, shared = [], 0, SharedTexts()
    if told:
        yield told


def _columns(told: list[_Told], day: int, batch: int, keep_days: KeepDays) -> tuple[TableColumn, ...]:
    """The columns of a block, sorted by the key of the table."""
    ones = sorted(told, key=lambda one: (one.tenant, one.description.metric, one.key.series_id))
    texts = [one.description for one in ones]
    ids = [one.key for one in ones]

    def column(name: str, kind: str, data: Column) -> TableColumn:
        return TableColumn(name, kind, data)

    return (
        column("tenant", "String", [one.tenant for one in ones]),
        column("metric", "String", [one.metric for one in texts]),
        column("metric_id", "UInt32", [key.metric_id for key in ids]),
        column("series_id", "UInt64", [key.series_id for key in ids]),
        column("sender_id", "UInt64", [key.sender_id for key in ids]),
        column("identity_hash", "UInt64", [key.identity_hash for key in ids]),
        column("keep_days", "UInt16", [keep_days(one.tenant, "series") for one in ones]),
        column("day", "Date", [day] * len(ones)),
        column("type", _TYPES, [int(one.type) for one in texts]),
        column("temporality", _TEMPORALITIES, [int(one.temporality) for one in texts]),
        column("monotonic", "Bool", [one.monotonic for one in texts]),
        column("unit", "String", [one.unit for one in texts]),
        column("description", "String", [one.description for one in texts]),
        column("service", "String", [one.service for one in texts]),
        column("resource_attributes", _MAP, Maps.of([one.resource_attributes for one in texts])),
        column("resource_schema_url", "String", [one.resource_schema_url for one in texts]),
        column("resource_dropped", "UInt32", [one.resource_dropped for one in texts]),
        column("scope_name", "String", [one.scope_name for one in texts]),
        column("scope_version", "String", [one.scope_version for one in texts]),
        column("scope_attributes", _MAP, Maps.of([one.scope_attributes for one in texts])),
        column("scope_dropped", "UInt32", [one.scope_dropped for one in texts]),
        column("scope_schema_url", "String", [one.scope_schema_url for one in texts]),
        column("attributes", _MAP, Maps.of([one.attributes for one in texts])),
        column("identity", "String", [one.identity for one in ones]),
        column("first_seen", _TIME, [one.first_ms for one in ones]),
        column("last_seen", _TIME, [one.last_ms for one in ones]),
        column("batch", "UInt32", [batch] * len(ones)),
    )
