"""Use cases of backups: create, get, list, verify.

Checks who asks and what is asked, writes the catalogue, and leaves the work to the worker.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.common.auth import Role, require_platform
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.dr.errors import BackupNotUsable, BackupUnderWay, BadRequest, UnknownBackup
from services.dr.model import Backup, BackupState
from services.dr.ports import Catalogue
from services.dr.worker import Worker

COMMENT_LIMIT = 500
_PAGE_DEFAULT = 100
_PAGE_LIMIT = 1000
_REQUEST_ID_NS = 24 * 3600 * 1_000_000_000
_VERIFIABLE = (BackupState.CREATED, BackupState.VERIFIED, BackupState.BROKEN)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class NewBackup:
    """What is asked for; an empty region stands for the answering one."""

    region: str = ""
    comment: str = ""
    verify: bool = False
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class BackupPage:
    """One page, newest first; an empty token means the last page."""

    backups: tuple[Backup, ...]
    next_token: str


class Backups:
    """The use cases. `rng` gives that many random bytes."""

    def __init__(
        self,
        catalogue: Catalogue,
        worker: Worker,
        clock: Clock,
        rng: Callable[[int], bytes],
        *,
        region: str,
        database: str,
    ) -> None:
        self._catalogue = catalogue
        self._worker = worker
        self._clock = clock
        self._rng = rng
        self._region = region
        self._database = database

    async def create(self, asked: NewBackup) -> Backup:
        """Start a backup.

        Raises:
            BackupUnderWay: one at a time.
            BadRequest, UnknownBackup (another region), Unavailable (NOT_LEADING).
        """
        principal = require_platform(Role.ADMIN)
        check_region(asked.region, self._region)
        if len(asked.comment) > COMMENT_LIMIT:
            raise BadRequest(f"at most {COMMENT_LIMIT} characters", field="comment")
        check_request_id(asked.request_id)
        check_working(self._worker)
        async with self._worker.recovery.writing:
            known = await self._catalogue.backups()
            now_ns = self._clock.now_ns()
            for backup in known:
                same = asked.request_id and asked.request_id == backup.request_id
                if same and now_ns - backup.created_ns < _REQUEST_ID_NS:
                    return backup
            for backup in known:
                if backup.state is BackupState.CREATING:
                    raise BackupUnderWay(
                        f"backup {backup.backup_id} is being made",
                        next_step="Wait until it has ended (GetBackup).",
                        metadata={"backup": backup.backup_id},
                    )
            backup = Backup(
                backup_id=new_id(now_ns, self._rng),
                region=self._region,
                database=self._database,
                state=BackupState.CREATING,
                created_ns=now_ns,
                comment=asked.comment,
                creator=principal.token_id,
                request_id=asked.request_id,
                verify=asked.verify,
            )
            await self._catalogue.save_backup(backup)
        self._worker.submit_backup(backup.backup_id)
        return backup

    async def get(self, region: str, backup_id: str) -> Backup:
        """One backup.

        Raises:
            UnknownBackup.
        """
        require_platform(Role.ADMIN)
        return await self._known(region, backup_id)

    async def page(
        self, *, region: str, size: int, token: str, states: tuple[BackupState, ...]
    ) -> BackupPage:
        """Some of the backups, newest first; `size` 0 means 100, above 1000 means 1000.

        Raises:
            BadRequest: a negative size, or a token of other fields.
        """
        require_platform(Role.ADMIN)
        check_region(region, self._region)
        if size < 0:
            raise BadRequest("must not be negative", field="page_size")
        limit = min(size or _PAGE_DEFAULT, _PAGE_LIMIT)
        asked = sorted(state.value for state in states)
        before = _decode_token(token, asked)
        found = [
            backup
            for backup in await self._catalogue.backups()
            if (not states or backup.state in states) and (not before or backup.backup_id < before)
        ]
        more = len(found) > limit
        return BackupPage(
            backups=tuple(found[:limit]),
            next_token=_encode_token(found[limit - 1].backup_id, asked) if more else "",
        )

    async def verify(self, region: str, backup_id: str) -> Backup:
        """Start to prove a backup.

        Raises:
            UnknownBackup, BackupNotUsable, Unavailable (NOT_LEADING).
        """
        require_platform(Role.ADMIN)
        check_working(self._worker)
        async with self._worker.recovery.writing:
            backup = await self._known(region, backup_id)
            if backup.state not in _VERIFIABLE:
                raise BackupNotUsable(
                    f"backup {backup_id} is {backup.state}",
                    next_step="Only a backup that is CREATED, VERIFIED or BROKEN can be verified.",
                    metadata={"state": backup.state.value},
                )
            backup = replace(
                backup, state=BackupState.VERIFYING, progress_percent=0, failure=None, differences=()
            )
            await self._catalogue.save_backup(backup)
        self._worker.submit_verification(backup_id)
        return backup

    async def _known(self, region: str, backup_id: str) -> Backup:
        backup = await self._catalogue.backup(backup_id) if region == self._region else None
        if backup is None:
            raise UnknownBackup(
                f"there is no backup {backup_id} in region {region}",
                next_step="List the backups: threenines dr list.",
            )
        return backup


def check_region(asked: str, own: str) -> None:
    """Raise BadRequest (OTHER_REGION) for a region that this service does not serve."""
    if asked and asked != own:
        raise BadRequest(
            f"this service answers for region {own}, not for {asked}",
            reason="OTHER_REGION",
            field="parent",
            next_step="Ask the service of that region, or leave the parent empty.",
        )


def check_request_id(request_id: str) -> None:
    """Raise BadRequest for what is neither empty nor a UUID."""
    if request_id and not _UUID.fullmatch(request_id):
        raise BadRequest("must be a UUID", field="request_id")


def check_working(worker: Worker) -> None:
    """Raise Unavailable (NOT_LEADING) when this process would not carry the operation out."""
    if not worker.working:
        raise Unavailable(
            "this service does not lead its region yet",
            reason="NOT_LEADING",
            next_step="Try again; after a crash it takes up to 10 s.",
        )


def new_id(now_ns: int, rng: Callable[[int], bytes]) -> str:
    """An id that sorts by time and may be part of a database's name: `20261123t074707123_1f2e`."""
    seconds, rest_ns = divmod(now_ns, 1_000_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dt%H%M%S")
    return f"{stamp}{rest_ns // 1_000_000:03d}_{rng(2).hex()}"


def _encode_token(before: str, states: list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([before, states]).encode()).decode()


def _decode_token(token: str, states: list[str]) -> str:
    if not token:
        return ""
    try:
        before, asked = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error) as err:
        raise BadRequest("is not a token of ours", field="page_token", reason="BAD_PAGE_TOKEN") from err
    if asked != states or not isinstance(before, str):
        raise BadRequest("belongs to other fields", field="page_token", reason="BAD_PAGE_TOKEN")
    return before
