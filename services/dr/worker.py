"""Carries operations through in the background, one after the other, and cleans up after them.

The catalogue is told before every step what may be left behind, so that whoever starts next (this
process again, or another) can end what was cut off: `recover.py`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from services.common.clock import Clock
from services.common.errors import ThreeninesError
from services.common.telemetry import Telemetry
from services.dr.execute import Executor, Work, drive
from services.dr.model import Backup, BackupState, Failure, Restore, RestoreState, TableDifference, Trace
from services.dr.plan import (
    BACKUP_LENGTH,
    RESTORE_LENGTH,
    VERIFY_LENGTH,
    End,
    Findings,
    Journal,
    Op,
    Plan,
    backup_plan,
    restore_plan,
    verify_plan,
)
from services.dr.ports import Catalogue, History
from services.dr.recover import INTERRUPTED, Recovery

_logger = logging.getLogger(__name__)

_SWEEP_S = 5.0
_MOST_DIFFERENCES = 200


@dataclass(frozen=True, slots=True)
class _Job:
    kind: str
    id: str


class Worker:
    """The one that works; `submit_*` may be called while `run` runs."""

    def __init__(
        self, executor: Executor, catalogue: Catalogue, history: History, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._executor = executor
        self._catalogue = catalogue
        self._history = history
        self._clock = clock
        self._counters = telemetry.counters
        self._telemetry = telemetry
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._working = asyncio.Event()
        self.recovery = Recovery(executor, catalogue, history, clock)

    @property
    def working(self) -> bool:
        """Whether submitted operations will be carried through by this process."""
        return self._working.is_set()

    def submit_backup(self, backup_id: str) -> None:
        """Make the backup that the catalogue has as CREATING."""
        self._jobs.put_nowait(_Job("backup", backup_id))

    def submit_verification(self, backup_id: str) -> None:
        """Verify the backup that the catalogue has as VERIFYING."""
        self._jobs.put_nowait(_Job("verify", backup_id))

    def submit_restore(self, restore_id: str) -> None:
        """Carry out the restore that the catalogue has as PENDING."""
        self._jobs.put_nowait(_Job("restore", restore_id))

    async def run(self, _token: int = 0) -> None:
        """Recover, then work until cancelled. Only one at a time may run in a region.

        Raises:
            Unavailable: the catalogue is away; run again.
        """
        await self.recovery.end_unfinished()
        await self.recovery.sweep()
        self._working.set()
        try:
            while True:
                await self._work_once()
        finally:
            self._working.clear()
            # What waits here is in the catalogue, and the next run ends it as interrupted.
            while not self._jobs.empty():
                self._jobs.get_nowait()
                self._jobs.task_done()

    async def ready(self) -> None:
        """Return when `working`."""
        await self._working.wait()

    async def settle(self) -> None:
        """Return when every submitted operation has ended; for tests and orderly ends."""
        await self._jobs.join()

    async def _work_once(self) -> None:
        """One operation, or a look for what earlier ones left when none is asked for."""
        try:
            async with asyncio.timeout(_SWEEP_S):
                job = await self._jobs.get()
        except TimeoutError:
            if self.recovery.left_something:
                await self.recovery.sweep()
            return
        works = {"backup": self._back_up, "verify": self._verify, "restore": self._restore}
        try:
            await works[job.kind](job.id)
        finally:
            self._jobs.task_done()

    async def _back_up(self, backup_id: str) -> None:
        backup = await self._known_backup(backup_id)
        work = Work(backup_id, backup_id, backup.region, created_ns=backup.created_ns)
        began_ns = self._clock.monotonic_ns()
        journal, failure = await self._carry_out(backup_plan(), work, self._noting(backup, BACKUP_LENGTH))
        if journal.end is End.CREATED:
            assert work.paused is not None
            assert work.manifest is not None
            backup = replace(
                backup,
                state=BackupState.VERIFYING if backup.verify else BackupState.CREATED,
                completed_ns=self._clock.now_ns(),
                positions=work.paused.positions,
                tables=tuple(work.contents),
                size_bytes=sum(each.size for each in work.manifest.files),
                schema_version=work.schema_version,
                writer_pause_ns=work.writer_pause_ns,
                manifest_sha256=work.manifest_sha256,
                progress_percent=0 if backup.verify else 100,
                traces=(),
            )
        else:
            backup = replace(
                backup, state=BackupState.FAILED, failure=failure, traces=tuple(sorted(journal.traces))
            )
        outcome = "failed" if backup.state is BackupState.FAILED else "created"
        self._counters.add("dr.backups", outcome=outcome)
        self._telemetry.record("dr.backup.duration", (self._clock.monotonic_ns() - began_ns) / 1e9)
        await self._save_backup(backup)
        if backup.state is BackupState.VERIFYING:
            await self._verify(backup_id)

    async def _verify(self, backup_id: str) -> None:
        backup = await self._known_backup(backup_id)
        work = Work(backup_id, backup_id, backup.region, manifest_sha256=backup.manifest_sha256)
        if backup.traces:
            # Of an earlier verification; a plan begins with nothing left behind.
            backup = replace(
                backup, traces=tuple(sorted(await self.recovery.clean(work, set(backup.traces))))
            )
        journal, failure = await self._carry_out(verify_plan(), work, self._noting(backup, VERIFY_LENGTH))
        backup = replace(backup, traces=tuple(sorted(journal.traces)), differences=(), failure=None)
        if journal.end is End.VERIFIED:
            backup = replace(backup, state=BackupState.VERIFIED, progress_percent=100)
        elif journal.end is End.BROKEN:
            first = journal.findings[0]
            failure = Failure(
                "CONTENT_DIFFERS",
                f"{len(journal.findings)} differences, the first: {first.table or 'backup'}: {first.message}",
                "Do not restore from it. Make a new backup now and find out what damaged the store.",
            )
            backup = replace(
                backup,
                state=BackupState.BROKEN,
                differences=_bounded(journal.findings),
                failure=failure,
                progress_percent=100,
            )
        else:
            # Nothing is known about the content: it is neither proven nor damaged.
            backup = replace(backup, state=BackupState.CREATED, failure=failure)
            _logger.error("verification of %s was given up: %s", backup_id, failure)
        if journal.end is not None:
            backup = replace(backup, verified_ns=self._clock.now_ns())
        self._counters.add("dr.verifications", outcome=backup.state.value)
        await self._save_backup(backup)

    async def _restore(self, restore_id: str) -> None:
        restore = await self._catalogue.restore(restore_id)
        assert restore is not None
        backup = await self._known_backup(restore.backup_id)
        work = Work(
            restore_id,
            backup.backup_id,
            restore.region,
            target=restore.target_database,
            manifest_sha256=backup.manifest_sha256,
        )
        journal, failure = await self._carry_out(
            restore_plan(), work, self._noting_restore(restore, RESTORE_LENGTH)
        )
        if journal.end is End.DIFFERENT:
            failure = Failure(
                "CONTENT_DIFFERS",
                "what was read back is not what was backed up; the new database was dropped",
                "Verify the backup, then restore from an older one.",
            )
        succeeded = journal.end is End.RESTORED
        restore = replace(
            restore,
            state=RestoreState.SUCCEEDED if succeeded else RestoreState.FAILED,
            ended_ns=self._clock.now_ns(),
            tables=tuple(work.contents),
            reached=work.manifest.positions if succeeded and work.manifest else (),
            differences=_bounded(journal.findings),
            failure=None if succeeded else failure,
            progress_percent=100 if succeeded else restore.progress_percent,
            traces=tuple(sorted(journal.traces)),
        )
        self._counters.add("dr.restores", outcome=restore.state.value)
        await self._save_restore(restore)

    async def _carry_out(
        self, plan: Plan, work: Work, note: Callable[[Journal], Awaitable[None]]
    ) -> tuple[Journal, Failure]:
        """Drive a plan; when it is cut off, clean up as far as possible now."""
        journal = Journal()
        failure = INTERRUPTED
        try:
            await drive(plan, journal=journal, apply=lambda step: self._executor.apply(step, work), note=note)
        except ThreeninesError as err:
            failure = Failure(err.reason, err.message, err.next_step or "")
            _logger.warning("%s stopped at %s: %s", work.operation_id, journal.begun[-1], err)
        except asyncio.CancelledError:
            if Trace.WRITER_PAUSE in journal.traces:
                await self.recovery.clean(work, {Trace.WRITER_PAUSE})
            raise
        except Exception:  # a defect must not leave a paused writer or a clone behind
            failure = Failure("INTERNAL", "an unexpected error; the service's log has its stack", "")
            _logger.exception("%s stopped at %s", work.operation_id, journal.begun[-1:])
        if journal.end is None:
            journal.traces = await self.recovery.clean(work, journal.traces)
        return journal, failure

    def _noting(self, backup: Backup, length: int) -> Callable[[Journal], Awaitable[None]]:
        async def note(journal: Journal) -> None:
            await self._catalogue.save_backup(
                replace(
                    backup,
                    traces=tuple(sorted(journal.traces)),
                    progress_percent=_percent(journal, length),
                )
            )

        return note

    def _noting_restore(self, restore: Restore, length: int) -> Callable[[Journal], Awaitable[None]]:
        async def note(journal: Journal) -> None:
            comparing = Op.RESTORE_TARGET in journal.ended
            await self._catalogue.save_restore(
                replace(
                    restore,
                    state=RestoreState.VERIFYING if comparing else RestoreState.RESTORING,
                    traces=tuple(sorted(journal.traces)),
                    progress_percent=_percent(journal, length),
                )
            )

        return note

    async def _known_backup(self, backup_id: str) -> Backup:
        backup = await self._catalogue.backup(backup_id)
        assert backup is not None, f"the catalogue lost {backup_id}"
        return backup

    async def _save_backup(self, backup: Backup) -> None:
        await self._catalogue.save_backup(backup)
        await self._history.record(backup)

    async def _save_restore(self, restore: Restore) -> None:
        await self._catalogue.save_restore(restore)
        await self._history.record(restore)


def _bounded(findings: Findings) -> Findings:
    """The first findings; a backup whose files are all gone must still fit into the catalogue."""
    if len(findings) <= _MOST_DIFFERENCES:
        return findings
    more = len(findings) - _MOST_DIFFERENCES
    return (*findings[:_MOST_DIFFERENCES], TableDifference("", f"and {more} more"))


def _percent(journal: Journal, length: int) -> int:
    return min(99, 100 * len(journal.ended) // length)
