"""Use cases of restores: start and get.

This release restores the newest verified backup, or a given one, into a new database. Recovery to
a time, a position or a named point, some tenants only, and the exchange with the live database
answer TARGET_NOT_BUILT.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from services.common.auth import Role, require_platform
from services.common.clock import Clock
from services.dr.backups import check_region, check_request_id, check_working, new_id
from services.dr.errors import (
    BackupNotUsable,
    BadRequest,
    TargetExists,
    TargetNotBuilt,
    UnknownBackup,
    UnknownRestore,
)
from services.dr.model import Backup, BackupState, Restore, RestoreState
from services.dr.ports import BackupStore, Catalogue
from services.dr.worker import Worker

_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_REQUEST_ID_NS = 24 * 3600 * 1_000_000_000


class Aim(StrEnum):
    """What a restore aims at."""

    LATEST = "latest"
    TIME = "time"
    POSITION = "position"
    RECOVERY_POINT = "recovery_point"


@dataclass(frozen=True, slots=True)
class NewRestore:
    """What is asked for. Empty: region = the answering one, backup = the newest verified one,
    database = one that we name."""

    region: str = ""
    aim: Aim = Aim.LATEST
    backup_region: str = ""
    backup_id: str = ""
    target_database: str = ""
    some_tenants: bool = False
    exchange: bool = False
    validate_only: bool = False
    request_id: str = ""


class Restores:
    """The use cases. `rng` gives that many random bytes."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: BackupStore,
        worker: Worker,
        clock: Clock,
        rng: Callable[[int], bytes],
        *,
        region: str,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._worker = worker
        self._clock = clock
        self._rng = rng
        self._region = region

    async def start(self, asked: NewRestore) -> Restore:
        """Start a restore; with `validate_only` only say from which backup (the id stays empty).

        Raises:
            TargetNotBuilt, BadRequest, UnknownBackup, BackupNotUsable, TargetExists,
            Unavailable (NOT_LEADING).
        """
        principal = require_platform(Role.ADMIN)
        self._check(asked)
        if (known := await self._same_request(asked.request_id)) is not None:
            return known
        backup = await self._source(asked)
        now_ns = self._clock.now_ns()
        restore_id = new_id(now_ns, self._rng)
        target = asked.target_database or f"{self._store.database}_r{restore_id}"
        if await self._store.database_uuid(target) is not None:
            raise TargetExists(
                f"database {target} exists already",
                field="target_database",
                next_step="Name a database that does not exist, or leave it empty.",
            )
        restore = Restore(
            restore_id=restore_id,
            region=self._region,
            backup_id=backup.backup_id,
            target_database=target,
            state=RestoreState.PENDING,
            created_ns=now_ns,
            creator=principal.token_id,
            request_id=asked.request_id,
        )
        if asked.validate_only:
            return replace(restore, restore_id="")
        check_working(self._worker)
        await self._catalogue.save_restore(restore)
        self._worker.submit_restore(restore_id)
        return restore

    async def get(self, region: str, restore_id: str) -> Restore:
        """One restore.

        Raises:
            UnknownRestore.
        """
        require_platform(Role.ADMIN)
        restore = await self._catalogue.restore(restore_id) if region == self._region else None
        if restore is None:
            raise UnknownRestore(f"there is no restore {restore_id} in region {region}")
        return restore

    def _check(self, asked: NewRestore) -> None:
        check_region(asked.region, self._region)
        check_request_id(asked.request_id)
        if asked.target_database and not _DATABASE.fullmatch(asked.target_database):
            raise BadRequest("must match [A-Za-z_][A-Za-z0-9_]{0,62}", field="target_database")
        not_built = {
            "target": asked.aim is not Aim.LATEST,
            "tenants": asked.some_tenants,
            "exchange": asked.exchange,
        }
        for field, wanted in not_built.items():
            if wanted:
                raise TargetNotBuilt(
                    "this release restores the latest backup whole, into a new database",
                    field=field,
                    next_step="Leave it out, then point the services at the restored database.",
                )

    async def _same_request(self, request_id: str) -> Restore | None:
        if not request_id:
            return None
        oldest_ns = self._clock.now_ns() - _REQUEST_ID_NS
        for restore in await self._catalogue.restores():
            if restore.request_id == request_id and restore.created_ns > oldest_ns:
                return restore
        return None

    async def _source(self, asked: NewRestore) -> Backup:
        """The backup to restore from: VERIFIED, and the newest such one unless it is named."""
        if not asked.backup_id:
            for backup in await self._catalogue.backups():
                if backup.state is BackupState.VERIFIED:
                    return backup
            raise BackupNotUsable(
                f"region {self._region} has no verified backup",
                reason="NO_VERIFIED_BACKUP",
                next_step="Verify one: threenines dr list shows them.",
            )
        here = asked.backup_region in ("", self._region)
        named = await self._catalogue.backup(asked.backup_id) if here else None
        if named is None:
            raise UnknownBackup(f"there is no backup {asked.backup_id}", field="source_backup")
        if named.state is not BackupState.VERIFIED:
            raise BackupNotUsable(
                f"backup {named.backup_id} is {named.state}; only a VERIFIED one may be restored",
                field="source_backup",
                next_step="Verify it, or choose another.",
                metadata={"state": named.state.value},
            )
        return named
