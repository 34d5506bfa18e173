"""Applies the steps of the plans, one at a time, to the ports.

Every step may be applied again after it was cut off. Nothing here decides what comes next: that is
`plan.py`. What a step learns and a later one needs is kept in `Work`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.common.clock import Clock
from services.common.errors import FailedPrecondition
from services.dr import manifest as manifests
from services.dr.errors import UnreadableContent, WriterNotPaused
from services.dr.manifest import Manifest
from services.dr.model import TableContent, TableDifference, TableShape
from services.dr.plan import Findings, Journal, Op, Plan, Step
from services.dr.ports import BackupStore, FileStore, PausedWriter, WriterGate

_NOTHING: Findings = ()


@dataclass(slots=True)
class Work:
    """What one operation works on and has learnt.

    `operation_id` is the backup's or the restore's own id, `backup_id` the backup that is made,
    verified or read. `manifest_sha256` is the catalogue's word on it; empty while it is made.
    """

    operation_id: str
    backup_id: str
    region: str
    target: str = ""
    manifest_sha256: str = ""
    created_ns: int = 0
    database_uuid: str = ""
    paused: PausedWriter | None = None
    pause_began_ns: int = 0
    writer_pause_ns: int = 0
    schema_version: int = 0
    shapes: tuple[TableShape, ...] = ()
    contents: list[TableContent] = field(default_factory=list)
    manifest: Manifest | None = None


async def drive(
    plan: Plan,
    *,
    journal: Journal,
    apply: Callable[[Step], Awaitable[Findings]],
    note: Callable[[Journal], Awaitable[None]],
) -> None:
    """Run a plan to its end; `journal.end` says which.

    `note` is called before each step is applied and must make durable what the journal says may
    be left behind. An error of a step goes to the caller, with the journal telling what to clean.
    """
    step = next(plan)
    while True:
        journal.begin(step)
        await note(journal)
        findings = await apply(step)
        journal.complete(step, findings)
        try:
            step = plan.send(findings)
        except StopIteration as stop:
            journal.finish(stop.value)
            return


class Executor:
    """One step of one operation."""

    def __init__(self, store: BackupStore, files: FileStore, gate: WriterGate, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._gate = gate
        self._clock = clock
        self._steps: dict[Op, Callable[[Work], Awaitable[Findings | None]]] = {
            Op.PAUSE_WRITER: self._pause_writer,
            Op.CLONE_TABLES: self._clone_tables,
            Op.RESUME_WRITER: self._resume_writer,
            Op.HASH_CLONES: self._hash_clones,
            Op.STORE_CLONES: self._store_clones,
            Op.SEAL: self._seal,
            Op.DROP_CLONES: self._drop_clones,
            Op.CHECK_FILES: self._check_files,
            Op.CREATE_SCRATCH: lambda work: self._create(work, self.scratch(work)),
            Op.RESTORE_SCRATCH: lambda work: self._read_back(work, self.scratch(work)),
            Op.COMPARE_SCRATCH: lambda work: self._compare(work, self.scratch(work)),
            Op.DROP_SCRATCH: self._drop_scratch,
            Op.CREATE_TARGET: lambda work: self._create(work, work.target),
            Op.RESTORE_TARGET: lambda work: self._read_back(work, work.target),
            Op.COMPARE_TARGET: lambda work: self._compare(work, work.target),
            Op.HAND_OVER: self._hand_over,
            Op.RELEASE_TARGET: lambda work: self._store.release(work.target),
            Op.DROP_TARGET: self._drop_target,
            Op.DELETE_CONTENT: lambda work: self._files.delete(work.backup_id),
        }

    async def apply(self, step: Step, work: Work) -> Findings:
        """Apply one step; what it found wrong with the content."""
        return await self._steps[step.op](work) or _NOTHING

    def clones(self, work: Work) -> str:
        """The database of the clones."""
        return f"{self._store.database}_backup_{work.backup_id}"

    def scratch(self, work: Work) -> str:
        """The database that a verification restores into."""
        return f"{self._store.database}_verify_{work.backup_id}"

    async def _pause_writer(self, work: Work) -> None:
        work.database_uuid = await self._store.database_uuid(self._store.database) or ""
        if not work.database_uuid or not await self._store.shapes(self._store.database):
            raise FailedPrecondition(
                f"database {self._store.database} has no tables",
                reason="NOTHING_TO_BACK_UP",
                next_step="Start the collector once: it creates the tables.",
            )
        work.paused = await self._gate.pause(work.operation_id, database_uuid=work.database_uuid)
        # Until now it was writing: it only waits from its answer on.
        work.pause_began_ns = self._clock.monotonic_ns()

    async def _clone_tables(self, work: Work) -> None:
        clones = self.clones(work)
        await self._store.drop(clones, tag=_tag(work))
        await self._store.create(clones, tag=_tag(work))
        await self._store.clone(clones)
        work.schema_version = await self._store.schema_version()
        if work.paused is None or not await self._gate.still_paused(
            work.paused, database_uuid=work.database_uuid
        ):
            raise WriterNotPaused(
                "the writer began a batch while the tables were cloned",
                next_step="Back up again; when it happens every time, the pause is too short.",
            )

    async def _resume_writer(self, work: Work) -> None:
        await self._gate.resume(work.operation_id)
        work.writer_pause_ns = self._clock.monotonic_ns() - work.pause_began_ns

    async def _hash_clones(self, work: Work) -> None:
        work.shapes = await self._store.shapes(self.clones(work))
        work.contents = [await self._store.content(self.clones(work), shape) for shape in work.shapes]

    async def _store_clones(self, work: Work) -> None:
        await self._store.store(self.clones(work), self._files.location(work.backup_id))

    async def _seal(self, work: Work) -> None:
        assert work.paused is not None
        await self._files.make_durable(work.backup_id)
        work.manifest = Manifest(
            backup_id=work.backup_id,
            region=work.region,
            database=self._store.database,
            database_uuid=work.database_uuid,
            stored_database=self.clones(work),
            created_ns=work.created_ns,
            schema_version=work.schema_version,
            positions=work.paused.positions,
            stored_positions=work.paused.stored_positions,
            shapes=work.shapes,
            tables=tuple(work.contents),
            files=await self._files.inventory(work.backup_id),
        )
        encoded = manifests.encode(work.manifest)
        await self._files.write_manifest(work.backup_id, encoded)
        work.manifest_sha256 = manifests.digest(encoded)

    async def _drop_clones(self, work: Work) -> None:
        await self._store.drop(self.clones(work), tag=_tag(work))

    async def _check_files(self, work: Work) -> Findings:
        try:
            encoded = await self._files.read_manifest(work.backup_id)
            work.manifest = manifests.decode(encoded, expected_sha256=work.manifest_sha256)
        except UnreadableContent as err:
            return (TableDifference("", f"{err.reason}: {err.message}"),)
        return manifests.compare_files(work.manifest.files, await self._files.inventory(work.backup_id))

    async def _create(self, work: Work, database: str) -> None:
        # A scratch database of an earlier try is ours by its tag, and must be empty.
        if database != work.target:
            await self._store.drop(database, tag=_tag(work))
        await self._store.create(database, tag=_tag(work))

    async def _read_back(self, work: Work, database: str) -> Findings:
        sealed = _manifest(work)
        try:
            await self._store.restore(
                self._files.location(work.backup_id),
                source=sealed.stored_database,
                target=database,
                tables=[each.table for each in sealed.tables],
            )
        except UnreadableContent as err:
            return (TableDifference("", err.message),)
        return _NOTHING

    async def _compare(self, work: Work, database: str) -> Findings:
        """Names, columns, counts, the hash over every column, and the engine's own check."""
        sealed = _manifest(work)
        shapes = {shape.table: shape for shape in await self._store.shapes(database)}
        found: list[TableDifference] = []
        work.contents = []
        for shape, expected in zip(sealed.shapes, sealed.tables, strict=True):
            actual_shape = shapes.pop(shape.table, None)
            if actual_shape is None:
                found.append(TableDifference(shape.table, "the table is missing", expected))
            elif actual_shape.columns != shape.columns:
                found.append(TableDifference(shape.table, "the columns are others", expected))
            else:
                found += await self._compare_rows(work, database, shape, expected)
        found += [TableDifference(table, "the table was not backed up") for table in sorted(shapes)]
        return tuple(found)

    async def _compare_rows(
        self, work: Work, database: str, shape: TableShape, expected: TableContent
    ) -> Findings:
        try:
            actual = await self._store.content(database, shape)
        except UnreadableContent as err:
            return (TableDifference(shape.table, err.message, expected),)
        work.contents.append(actual)
        if not actual.same_as(expected):
            return (TableDifference(shape.table, "the content is another", expected, actual),)
        if not await self._store.intact(database, shape.table):
            return (TableDifference(shape.table, "CHECK TABLE finds damage", expected, actual),)
        return _NOTHING

    async def _drop_scratch(self, work: Work) -> None:
        await self._store.drop(self.scratch(work), tag=_tag(work))

    async def _hand_over(self, work: Work) -> None:
        uuid = await self._store.database_uuid(work.target)
        assert uuid is not None
        await self._gate.hand_over(_manifest(work).stored_positions, database_uuid=uuid)

    async def _drop_target(self, work: Work) -> None:
        # Only what carries our tag may lose its positions and its tables.
        uuid = await self._store.database_uuid(work.target)
        await self._store.drop(work.target, tag=_tag(work))
        if uuid is not None and await self._store.database_uuid(work.target) is None:
            await self._gate.forget(uuid)


def _tag(work: Work) -> str:
    return f"threenines dr {work.operation_id}"


def _manifest(work: Work) -> Manifest:
    assert work.manifest is not None, "CHECK_FILES reads it"
    return work.manifest
