"""Rows of the table `series`: what the points of a batch mean, once per series and day.

A series is described again after a restart of the writer, or when its memory of it was evicted:
the table folds equal keys, so repeating does no harm and recovery does not count these rows.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.collector.identity import SeriesDescription, SeriesKey, SharedTexts, describe
from services.collector.kernels.series_table import MISSING, find_series, insert_series
from services.collector.model import I64, U32, U64, Bools
from services.collector.ports import TableBlock, TableColumn
from services.collector.retention import KeepDays
from services.collector.write_points import SeenSeries
from services.common.native_columns import Column, Maps

_TIME = "DateTime64(3, 'UTC')"
_MAP = "Map(String, String)"
_TYPES = "Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exp_histogram' = 4, 'summary' = 5)"
_TEMPORALITIES = "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)"

SeriesDay = tuple[str, int, int, int]
"""Tenant, metric id, series id, day."""


_MOST_TENANTS = 1 << 16


@dataclass(frozen=True, slots=True)
class FreshSeries:
    """A series of a batch that is to be described for a day."""

    tenant: str
    day: int
    identity: bytes
    key: SeriesKey
    first_ms: int
    last_ms: int

    @property
    def place(self) -> SeriesDay:
        """What the cache remembers of it."""
        return self.tenant, self.key.metric_id, self.key.series_id, self.day


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
        numbers = np.array([self._number(tenant) for tenant in seen.tenants], dtype=np.uint64)
        place = self._hashes(numbers[seen.tenant], seen.metric_id, seen.series_id, seen.day)
        known = self._current.has(*place)
        if self._previous.used and not known.all():
            old = ~known
            old[old] = self._previous.has(place[0][old], place[1][old])
            self._add(place[0][old], place[1][old])
            known |= old
        return ~known

    def described(self, places: Sequence[SeriesDay]) -> None:
        """Remember them; call it when their rows are stored."""
        if not places:
            return
        rows = [
            (self._number(tenant), metric, series, day)
            for tenant, metric, series, day in dict.fromkeys(places)
        ]
        tenant, metric, series, day = (
            np.array(column, dtype=np.uint64) for column in zip(*rows, strict=True)
        )
        place = self._hashes(tenant, metric, series, day)
        new = ~self._current.has(*place)
        self._add(place[0][new], place[1][new])

    def _hashes(self, tenant: U64, metric: U64 | U32, series: U64, day: U64 | int) -> tuple[U64, U64]:
        return series, tenant << np.uint64(48) | metric.astype(np.uint64) << np.uint64(16) | np.uint64(day)

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


def fresh_series(seen: Iterable[SeenSeries], cache: SeriesCache) -> list[FreshSeries]:
    """Those of a batch that are not described for their day."""
    fresh: dict[SeriesDay, FreshSeries] = {}
    for one in seen:
        for row in np.flatnonzero(cache.unknown(one)).tolist():
            identity, key = one.origin.identity(int(one.where[row]))
            tenant = one.tenants[int(one.tenant[row])]
            found = FreshSeries(tenant, one.day, identity, key, int(one.first_ms[row]), int(one.last_ms[row]))
            fresh[found.place] = found
    return list(fresh.values())


def series_blocks(fresh: Iterable[FreshSeries], *, batch: int, keep_days: KeepDays) -> list[TableBlock]:
    """Blocks of the table `series`, one per day."""
    days: dict[int, list[tuple[SeriesDescription, FreshSeries]]] = {}
    shared = SharedTexts()
    for one in fresh:
        days.setdefault(one.day, []).append((describe(one.identity, shared), one))
    blocks: list[TableBlock] = []
    for day in sorted(days):
        rows = sorted(days[day], key=lambda row: (row[1].tenant, row[0].metric, row[1].key.series_id))
        columns = _columns(rows, batch, keep_days)
        blocks.append(TableBlock("series", day, len(rows), columns, counted=False))
    return blocks


def _columns(
    rows: list[tuple[SeriesDescription, FreshSeries]],
    batch: int,
    keep_days: KeepDays,
) -> tuple[TableColumn, ...]:
    told = [description for description, _ in rows]
    ones = [one for _, one in rows]
    ids = [one.key for one in ones]

    def column(name: str, kind: str, data: Column) -> TableColumn:
        return TableColumn(name, kind, data)

    return (
        column("tenant", "String", [one.tenant for one in ones]),
        column("metric", "String", [one.metric for one in told]),
        column("metric_id", "UInt32", [key.metric_id for key in ids]),
        column("series_id", "UInt64", [key.series_id for key in ids]),
        column("sender_id", "UInt64", [key.sender_id for key in ids]),
        column("identity_hash", "UInt64", [key.identity_hash for key in ids]),
        column("keep_days", "UInt16", [keep_days(one.tenant, "series") for one in ones]),
        column("day", "Date", [one.day for one in ones]),
        column("type", _TYPES, [int(one.type) for one in told]),
        column("temporality", _TEMPORALITIES, [int(one.temporality) for one in told]),
        column("monotonic", "Bool", [one.monotonic for one in told]),
        column("unit", "String", [one.unit for one in told]),
        column("description", "String", [one.description for one in told]),
        column("service", "String", [one.service for one in told]),
        column("resource_attributes", _MAP, Maps.of([one.resource_attributes for one in told])),
        column("resource_schema_url", "String", [one.resource_schema_url for one in told]),
        column("resource_dropped", "UInt32", [one.resource_dropped for one in told]),
        column("scope_name", "String", [one.scope_name for one in told]),
        column("scope_version", "String", [one.scope_version for one in told]),
        column("scope_attributes", _MAP, Maps.of([one.scope_attributes for one in told])),
        column("scope_dropped", "UInt32", [one.scope_dropped for one in told]),
        column("scope_schema_url", "String", [one.scope_schema_url for one in told]),
        column("attributes", _MAP, Maps.of([one.attributes for one in told])),
        column("identity", "String", [one.identity for one in ones]),
        column("first_seen", _TIME, [one.first_ms for one in ones]),
        column("last_seen", _TIME, [one.last_ms for one in ones]),
        column("batch", "UInt32", [batch] * len(rows)),
    )
