"""What the catalogue said over time, as rows of the table `backups`, for dashboards and auditors.

Best effort: the catalogue is the truth, and a backup must not fail because its history cannot be
written, least of all when ClickHouse is what is damaged.
"""

import logging

from services.common.clickhouse import Database
from services.common.clickhouse_errors import UnknownDatabase, UnknownTable
from services.common.clock import Clock
from services.common.errors import ThreeninesError
from services.common.migrations import load_migrations, migrate
from services.dr.model import Backup, Restore
from services.dr.records import encode

_logger = logging.getLogger(__name__)

_INSERT = """
INSERT INTO backups (region, kind, id, version, recorded_at, state, row_count, size_bytes, body)
SELECT {region:String}, {kind:String}, {id:String}, {version:UInt64},
       fromUnixTimestamp64Milli(toInt64({recorded_ms:Int64}), 'UTC'), {state:String},
       {row_count:UInt64}, {size_bytes:UInt64}, {body:String}
"""


class ClickHouseHistory:
    """`History` in ClickHouse."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def record(self, entry: Backup | Restore) -> None:
        """See `History.record`."""
        now_ns = self._clock.now_ns()
        made = isinstance(entry, Backup)
        parameters: dict[str, str | int] = {
            "region": entry.region,
            "kind": "backup" if made else "restore",
            "id": entry.backup_id if isinstance(entry, Backup) else entry.restore_id,
            "version": now_ns,
            "recorded_ms": now_ns // 1_000_000,
            "state": entry.state.value,
            "row_count": sum(table.row_count for table in entry.tables),
            "size_bytes": entry.size_bytes if isinstance(entry, Backup) else 0,
            "body": encode(entry).decode(),
        }
        try:
            await self._insert(parameters)
        except ThreeninesError as err:
            _logger.warning("history of %s not written: %s", parameters["id"], err)

    async def _insert(self, parameters: dict[str, str | int]) -> None:
        try:
            await self._db.command(_INSERT, parameters)
        except (UnknownTable, UnknownDatabase):
            await migrate(self._db, load_migrations(), self._clock)
            await self._db.command(_INSERT, parameters)
