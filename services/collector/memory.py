"""Points in memory: `PointStore` for tests and `--fake`, held to the same contract as ClickHouse.

Shipped, not a test double. Faults can be ordered, because what the writer does after them is half
of its behaviour. Nothing survives the process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from services.collector.ports import IdPlace, TableBlock, TableColumn
from services.common.errors import Unavailable


class InsertFault(StrEnum):
    """What happens to an insert whose outcome the caller does not learn."""

    STORED = "stored"
    LOST = "lost"
    TOKEN_ONLY = "token_only"  # noqa: S105 - the token is a deduplication token
    """The token was logged and the part was not: a crash between the two."""


class MemoryPointStore:
    """`PointStore` over lists."""

    def __init__(self, database: str = "00000000-0000-4000-8000-000000000001") -> None:
        self._database = database
        self._blocks: list[TableBlock] = []
        self._tokens: set[str] = set()
        self._faults: list[InsertFault | None] = []
        self._down = False
        self.attempts: list[str] = []
        """Query ids in the order in which they came."""

    @property
    def blocks(self) -> tuple[TableBlock, ...]:
        """What is stored."""
        return tuple(self._blocks)

    def fail_inserts(self, *faults: InsertFault | None) -> None:
        """Let the next inserts raise Unavailable with these true outcomes; None lets one succeed."""
        self._faults += faults

    def set_down(self, down: bool) -> None:
        """While down, every call raises Unavailable."""
        self._down = down

    def replace_database(self, database: str) -> None:
        """Be another, empty database, as after a restore."""
        self._database = database
        self._blocks.clear()
        self._tokens.clear()

    def lose_rows(self, table: str, rows: int) -> None:
        """Lose the last rows of every block of a table, as no engine ever should."""
        self._blocks = [
            replace(block, rows=block.rows - rows) if block.table == table else block
            for block in self._blocks
        ]

    async def database_id(self) -> str:
        """See `PointStore.database_id`."""
        self._check()
        return self._database

    async def insert(self, block: TableBlock, *, query_id: str, token: str) -> None:
        """See `PointStore.insert`."""
        self._check()
        self.attempts.append(query_id)
        fault = self._faults.pop(0) if self._faults else None
        if token not in self._tokens and fault is not InsertFault.LOST:
            self._tokens.add(token)
            if fault is not InsertFault.TOKEN_ONLY:
                self._blocks.append(block)
        if fault is not None:
            raise Unavailable("the answer to an insert was lost", reason="CLICKHOUSE_UNAVAILABLE")

    async def running(self, query_ids: Sequence[str]) -> bool:  # noqa: ARG002 - see below
        """See `PointStore.running`: inserts end before they return."""
        self._check()
        return False

    async def count(self, table: str, *, day: int, batch: int) -> int:
        """See `PointStore.count`."""
        self._check()
        return sum(
            block.rows
            for block in self._blocks
            if block.table == table and block.day == day and _batch(block) == batch
        )

    async def series_owners(self, places: Sequence[IdPlace]) -> Mapping[IdPlace, int]:
        """See `PointStore.series_owners`."""
        self._check()
        asked, found = set(places), {}
        for block in self._blocks:
            if block.table == "series":
                columns = {one.name: one.data for one in block.columns}
                owners = zip(
                    *(columns[name] for name in ("tenant", "metric", "series_id", "identity_hash")),
                    strict=True,
                )
                found.update({IdPlace(*place): owner for *place, owner in owners})
        return {place: found[place] for place in asked if place in found}

    async def probe(self) -> None:
        """See `PointStore.probe`."""
        self._check()

    def _check(self) -> None:
        if self._down:
            raise Unavailable("the store is down", reason="CLICKHOUSE_UNAVAILABLE")


def _batch(block: TableBlock) -> int:
    column: TableColumn = next(one for one in block.columns if one.name == "batch")
    assert isinstance(column.data, np.ndarray | list)
    return int(column.data[0])
