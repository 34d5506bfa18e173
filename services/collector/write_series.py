"""Rows of the table `series`: what the points of a batch mean, once per series and day.

A series is described again after a restart of the writer, or when its memory of it was evicted:
the table folds equal keys, so repeating does no harm and recovery does not count these rows.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from services.collector.identity import SeriesDescription, SeriesKey, describe
from services.collector.model import MS_IN_DAY
from services.collector.ports import TableBlock, TableColumn
from services.collector.retention import KeepDays
from services.collector.write_columns import PointFacts
from services.common.native_columns import Column, Maps

_TIME = "DateTime64(3, 'UTC')"
_MAP = "Map(String, String)"
_TYPES = "Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exp_histogram' = 4, 'summary' = 5)"
_TEMPORALITIES = "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)"

SeriesDay = tuple[str, int, int, int]
"""Tenant, metric id, series id, day."""


@dataclass(slots=True)
class _Seen:
    identity: bytes
    key: SeriesKey
    first_ms: int
    last_ms: int


class SeriesCache:
    """Series and days that were described, the `capacity` used last."""

    def __init__(self, capacity: int = 500_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[SeriesDay, None] = OrderedDict()

    def unknown(self, places: Iterable[SeriesDay]) -> list[SeriesDay]:
        """Those not described yet."""
        return [place for place in places if place not in self._known]

    def described(self, places: Iterable[SeriesDay]) -> None:
        """Remember them; call it when their rows are stored."""
        for place in places:
            self._known[place] = None
            self._known.move_to_end(place)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)


def seen_series(facts: Iterable[PointFacts]) -> dict[SeriesDay, _Seen]:
    """Each series and day of a batch, with its first and last time in it."""
    seen: dict[SeriesDay, _Seen] = {}
    for one in facts:
        days = one.ts_ms // MS_IN_DAY
        pairs = np.stack((one.series_index, days), axis=1)
        unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
        first = np.full(len(unique), np.iinfo(np.int64).max)
        last = np.full(len(unique), np.iinfo(np.int64).min)
        np.minimum.at(first, inverse.ravel(), one.ts_ms)
        np.maximum.at(last, inverse.ravel(), one.ts_ms)
        for (series, day), low, high in zip(unique.tolist(), first.tolist(), last.tolist(), strict=True):
            key = one.keys[series]
            known = seen.setdefault(
                (one.tenant, key.metric_id, key.series_id, day), _Seen(one.identities[series], key, low, high)
            )
            known.first_ms, known.last_ms = min(known.first_ms, low), max(known.last_ms, high)
    return seen


def series_blocks(
    seen: dict[SeriesDay, _Seen], wanted: Iterable[SeriesDay], *, batch: int, keep_days: KeepDays
) -> list[TableBlock]:
    """Blocks of the table `series` for the wanted series and days, one per day."""
    days: dict[int, list[tuple[SeriesDescription, SeriesDay]]] = {}
    for place in wanted:
        days.setdefault(place[3], []).append((describe(seen[place].identity), place))
    blocks: list[TableBlock] = []
    for day in sorted(days):
        rows = sorted(days[day], key=lambda row: (row[1][0], row[0].metric, row[1][2]))
        columns = _columns(rows, seen, batch, keep_days)
        blocks.append(TableBlock("series", day, len(rows), columns, counted=False))
    return blocks


def _columns(
    rows: list[tuple[SeriesDescription, SeriesDay]],
    seen: dict[SeriesDay, _Seen],
    batch: int,
    keep_days: KeepDays,
) -> tuple[TableColumn, ...]:
    told = [description for description, _ in rows]
    places = [place for _, place in rows]
    ids = [seen[place].key for place in places]

    def column(name: str, kind: str, data: Column) -> TableColumn:
        return TableColumn(name, kind, data)

    return (
        column("tenant", "String", [place[0] for place in places]),
        column("metric", "String", [one.metric for one in told]),
        column("metric_id", "UInt32", [key.metric_id for key in ids]),
        column("series_id", "UInt64", [key.series_id for key in ids]),
        column("sender_id", "UInt64", [key.sender_id for key in ids]),
        column("identity_hash", "UInt64", [key.identity_hash for key in ids]),
        column("keep_days", "UInt16", [keep_days(place[0], "series") for place in places]),
        column("day", "Date", [place[3] for place in places]),
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
        column("identity", "String", [seen[place].identity for place in places]),
        column("first_seen", _TIME, [seen[place].first_ms for place in places]),
        column("last_seen", _TIME, [seen[place].last_ms for place in places]),
        column("batch", "UInt32", [batch] * len(rows)),
    )
