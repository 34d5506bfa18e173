"""The catalogue of backups and restores in the key-value store: `backup.<region>.<id>`.

Not in ClickHouse, which is what it must outlive. Ids sort by creation, so the order of keys is
the order of time.
"""

from services.common.log_port import KeyValue
from services.common.streams import CONTROL
from services.dr.model import Backup, Restore
from services.dr.records import decode_backup, decode_restore, encode


class KvCatalogue:
    """`Catalogue` over a `KeyValue`."""

    def __init__(self, kv: KeyValue, region: str) -> None:
        self._kv = kv
        self._backups = f"backup.{region}."
        self._restores = f"restore.{region}."

    async def backup(self, backup_id: str) -> Backup | None:
        """See `Catalogue.backup`."""
        entry = await self._kv.get(CONTROL, self._backups + backup_id)
        return None if entry is None else decode_backup(entry.value)

    async def backups(self) -> tuple[Backup, ...]:
        """See `Catalogue.backups`."""
        return tuple([decode_backup(value) for value in await self._newest_first(self._backups)])

    async def save_backup(self, backup: Backup) -> None:
        """See `Catalogue.save_backup`."""
        await self._kv.put(CONTROL, self._backups + backup.backup_id, encode(backup))

    async def restore(self, restore_id: str) -> Restore | None:
        """See `Catalogue.restore`."""
        entry = await self._kv.get(CONTROL, self._restores + restore_id)
        return None if entry is None else decode_restore(entry.value)

    async def restores(self) -> tuple[Restore, ...]:
        """See `Catalogue.restores`."""
        return tuple([decode_restore(value) for value in await self._newest_first(self._restores)])

    async def save_restore(self, restore: Restore) -> None:
        """See `Catalogue.save_restore`."""
        await self._kv.put(CONTROL, self._restores + restore.restore_id, encode(restore))

    async def _newest_first(self, prefix: str) -> list[bytes]:
        keys = await self._kv.keys(CONTROL, prefix)
        entries = [await self._kv.get(CONTROL, key) for key in reversed(keys)]
        return [entry.value for entry in entries if entry is not None]
