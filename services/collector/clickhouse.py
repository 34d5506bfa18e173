"""Points in ClickHouse: `PointStore` over its HTTP interface.

The only module of this service that knows ClickHouse. Counting the rows of a batch looks over all
tenants on purpose: a batch belongs to the log, not to a tenant, and nothing of a row is returned.
"""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from services.collector.clickhouse_views import create_views
from services.collector.ports import IdPlace, TableBlock, TableColumn
from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.errors import NotFound
from services.common.migrations import Migration, load_migrations, migrate
from services.common.native import Block
from services.common.native_columns import Bytes

# One Native block must become one part: all of it or nothing.
_ATOMIC = {
    "min_insert_block_size_rows": 100_000_000,
    "min_insert_block_size_bytes": 10_000_000_000,
    "max_partitions_per_insert_block": 1,
}
_OWNERS = """
SELECT tenant, metric, series_id, any(identity_hash)
FROM series
WHERE tenant IN {tenants:Array(String)} AND metric IN {metrics:Array(String)}
  AND series_id IN {ids:Array(UInt64)}
GROUP BY tenant, metric, series_id
"""
_OWNERS_AT_ONCE = 2000
_OFTEN_ZERO = frozenset({"flags", "bits", "value_int", "value_double"})
"""Left out of an INSERT where they are: a fifth of its bytes. Negative zero is not."""
_THREAD_FROM_ROWS = 10_000
_DAY_COLUMN = {"series": "day", "exemplars": "toDate(point_ts)"}


def _omitted(column: TableColumn) -> bool:
    """Whether the server's default, zero bits in every row, is all that the column holds."""
    data = column.data
    if column.name not in _OFTEN_ZERO or not isinstance(data, np.ndarray):
        return False
    if data.strides == (0,):
        data = data[:1]
    if not data.flags.c_contiguous:
        return False
    return not data.view(f"u{data.dtype.itemsize}").any()


def _native(block: TableBlock) -> tuple[Sequence[str], Sequence[Bytes]]:
    """The columns that are sent, and the pieces of the block."""
    native = Block()
    for column in block.columns:
        if not _omitted(column):
            native.add(column.name, column.type, column.data)
    return native.names, native.pieces()


class ClickHousePointStore:
    """`PointStore` on one database."""

    def __init__(
        self, database: Database, clock: Clock, migrations: Sequence[Migration] | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._migrations = load_migrations() if migrations is None else migrations
        self._current: str | None = None

    async def database_id(self) -> str:
        """See `PointStore.database_id`."""
        try:
            found = await self._database.database_uuid()
        except NotFound:
            found = ""
        if not found or found != self._current:
            await migrate(self._database, self._migrations, self._clock)
            await create_views(self._database)
            found = await self._database.database_uuid()
            self._current = found
        return found

    async def insert(self, block: TableBlock, *, query_id: str, token: str) -> None:
        """See `PointStore.insert`."""
        names, data = await self._encoded(block)
        await self._database.insert_native(
            block.table,
            data,
            names,
            query_id=query_id,
            settings={**_ATOMIC, "insert_deduplication_token": token},
        )

    async def _encoded(self, block: TableBlock) -> tuple[Sequence[str], Sequence[Bytes]]:
        """In a thread where it takes a while: the event loop has requests to answer."""
        if block.rows < _THREAD_FROM_ROWS:
            return _native(block)
        return await asyncio.to_thread(_native, block)

    async def running(self, query_ids: Sequence[str]) -> bool:
        """See `PointStore.running`."""
        for query_id in query_ids:
            if await self._database.running(query_id):
                return True
        return False

    async def count(self, table: str, *, day: int, batch: int) -> int:
        """See `PointStore.count`."""
        column = _DAY_COLUMN.get(table, "toDate(ts)")
        where = f"{column} = toDate({{day:UInt16}}) AND batch = {{batch:UInt32}}"
        rows = await self._database.rows(
            f"SELECT count() FROM {table} WHERE {where}", {"day": day, "batch": batch}
        )
        return int(rows[0][0])

    async def series_owners(self, places: Sequence[IdPlace]) -> Mapping[IdPlace, int]:
        """See `PointStore.series_owners`."""
        found: dict[IdPlace, int] = {}
        for first in range(0, len(places), _OWNERS_AT_ONCE):
            asked = places[first : first + _OWNERS_AT_ONCE]
            rows = await self._database.rows(
                _OWNERS,
                {
                    "tenants": sorted({place.tenant for place in asked}),
                    "metrics": sorted({place.metric for place in asked}),
                    "ids": [place.series_id for place in asked],
                },
            )
            found.update(
                {IdPlace(tenant, metric, series_id): owner for tenant, metric, series_id, owner in rows}
            )
        return {place: found[place] for place in places if place in found}

    async def probe(self) -> None:
        """See `PointStore.probe`."""
        await self._database.ping()
