"""What the collector needs from a store of points. The log's ports are those of `common`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.common.native_columns import Column


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of an insert: its name, its ClickHouse type, its data."""

    name: str
    type: str
    data: Column


@dataclass(frozen=True, slots=True)
class TableBlock:
    """Rows of one table, one day and one batch, sorted by the table's key.

    `day` counts days since 1970-01-01 (UTC).
    """

    table: str
    day: int
    rows: int
    columns: tuple[TableColumn, ...]
    number: int = 0
    """Which of the blocks of this table and day in this batch, where there is more than one."""


class IdPlace(NamedTuple):
    """An id of a series; the same id in another metric is another place."""

    tenant: str
    metric: str
    series_id: int


class PointStore(Protocol):
    """Where points are stored for good.

    Every method raises Unavailable when the store does not answer.
    """

    async def database_id(self) -> str:
        """Identity of the database; a restored copy has another one. Makes the schema current.

        Raises:
            FailedPrecondition: the schema is newer than this release.
        """
        ...

    async def insert(self, block: TableBlock, *, query_id: str, token: str) -> None:
        """Store a block, all of it or nothing; returning means that it is stored.

        MUST NOT send the block twice. An insert with a `token` that was used before MAY be dropped.

        Raises:
            Unavailable: the outcome is unknown, the insert may still be running.
            ThreeninesError: refused; nothing of it was stored.
        """
        ...

    async def running(self, query_ids: Sequence[str]) -> bool:
        """Whether an insert with one of these ids may still be executing."""
        ...

    async def count(self, table: str, *, day: int, batch: int) -> int:
        """Stored rows of one batch in one table and day, over all tenants."""
        ...

    async def series_owners(self, places: Sequence[IdPlace]) -> Mapping[IdPlace, int]:
        """The `identity_hash` of the series that has each id, for those that are stored."""
        ...

    async def probe(self) -> None:
        """Return when the store answers now."""
        ...
