"""Cleans up after operations that were cut off, by this process or by an earlier one.

The catalogue knows what each may have left. Unfinished backups and restores become FAILED with
the reason INTERRUPTED, an unfinished verification goes back to CREATED with the same failure, and
what was left is removed, however often that has to be tried.
"""

import asyncio
import logging
from dataclasses import replace

from services.common.clock import Clock
from services.common.errors import ThreeninesError
from services.dr.execute import Executor, Work
from services.dr.model import BackupState, Failure, RestoreState, Trace
from services.dr.plan import clean_up
from services.dr.ports import Catalogue, History

_logger = logging.getLogger(__name__)

INTERRUPTED = Failure("INTERRUPTED", "the service ended while this was under way", "Start it again.")


class Recovery:
    """`writing` is held around read-modify-write of ended entries of the catalogue."""

    def __init__(self, executor: Executor, catalogue: Catalogue, history: History, clock: Clock) -> None:
        self._executor = executor
        self._catalogue = catalogue
        self._history = history
        self._clock = clock
        self.writing = asyncio.Lock()
        self._left_something = False

    @property
    def left_something(self) -> bool:
        """Whether something could not be removed and `sweep` should be called again."""
        return self._left_something

    async def clean(self, work: Work, traces: set[Trace]) -> set[Trace]:
        """Remove what was left; the traces that could not be removed now."""
        left = set(traces)
        for step in clean_up(traces):
            try:
                await self._executor.apply(step, work)
            except ThreeninesError as err:
                _logger.warning("%s of %s must wait: %s", step.op, work.operation_id, err)
                continue
            if step.clears is not None:
                left.discard(step.clears)
        self._left_something |= bool(left)
        return left

    async def end_unfinished(self) -> None:
        """End what nobody works on. Call it before any operation is started."""
        for backup in await self._catalogue.backups():
            if not backup.under_way:
                continue
            creating = backup.state is BackupState.CREATING
            state = BackupState.FAILED if creating else BackupState.CREATED
            ended = replace(backup, state=state, failure=INTERRUPTED)
            _logger.warning("backup %s was interrupted while %s", backup.backup_id, backup.state)
            await self._catalogue.save_backup(ended)
            await self._history.record(ended)
        for restore in await self._catalogue.restores():
            if not restore.under_way:
                continue
            _logger.warning("restore %s was interrupted while %s", restore.restore_id, restore.state)
            failed = replace(
                restore, state=RestoreState.FAILED, failure=INTERRUPTED, ended_ns=self._clock.now_ns()
            )
            await self._catalogue.save_restore(failed)
            await self._history.record(failed)

    async def sweep(self) -> None:
        """Remove what ended operations left. Not while an operation is carried out."""
        self._left_something = False
        for backup in await self._catalogue.backups():
            if backup.traces and not backup.under_way:
                work = Work(backup.backup_id, backup.backup_id, backup.region)
                await self._note_backup(backup.backup_id, await self.clean(work, set(backup.traces)))
        for restore in await self._catalogue.restores():
            if restore.traces and not restore.under_way:
                work = Work(
                    restore.restore_id, restore.backup_id, restore.region, target=restore.target_database
                )
                left = await self.clean(work, set(restore.traces))
                await self._catalogue.save_restore(replace(restore, traces=tuple(sorted(left))))

    async def _note_backup(self, backup_id: str, left: set[Trace]) -> None:
        async with self.writing:
            # Its verification may have been asked for in the meantime.
            current = await self._catalogue.backup(backup_id)
            if current is not None:
                await self._catalogue.save_backup(replace(current, traces=tuple(sorted(left))))
