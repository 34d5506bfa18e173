"""The writer: from the log into the store, every accepted point exactly once.

    record the range by compare-and-set -> insert one block per table and day -> publish APPLIED
    -> record the range as done

After anything unknown (crash, timeout, lost lease) the recorded range is read again, gives the
same batch, and each block is counted: all rows there = skip, none = insert with the next attempt
number. A part of a block cannot be; if seen, the writer stops and says so. It knows no engine:
the log, the positions and the store are ports.
"""

import asyncio
import datetime
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from services.collector.applied import publish_applied
from services.collector.errors import BatchMismatch
from services.collector.kept_records import KeptRecords
from services.collector.pause import PauseGate
from services.collector.poison import DeadLetters
from services.collector.ports import PointStore, TableBlock
from services.collector.retention import KeepDays, KeepNs, default_keep_days, milliseconds_only
from services.collector.series_ids import Owners, SeriesIds
from services.collector.write_batches import Batch, BatchBuilder, batch_number, cut, lasting_rows
from services.collector.write_position import BatchState, Position, PositionStore
from services.collector.write_read import MAX_NEW_IDENTITY_BYTES
from services.collector.write_series import SeriesCache
from services.collector.write_window import read_past
from services.common.clock import Clock
from services.common.errors import Aborted
from services.common.log_port import Entry, Log
from services.common.streams import OTLP
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

_FULL_READ, _FULL_READ_BYTES = 1000, 4 << 20
"""A read that brings fewer entries and bytes (it may bring twice as many) has reached the end of the log."""


@dataclass(frozen=True, slots=True)
class WriteConfig:
    """Sizes and waits of the writer."""

    region: str = "local"
    max_points: int = 1_000_000
    """Of a batch: a second of a busy region."""
    period_s: float = 1.0
    """A batch starts at most this often, also of a backlog: a table gets one part a second and day."""
    described_series: int = 1 << 18
    """Series and days that are remembered to be in the table `series`, at most twice as many."""
    gone_poll_s: float = 0.25
    settle_s: float = 1.0
    """An insert that was never seen running may still be on its way in; look again after this."""


@dataclass(slots=True)
class _Session:
    """One database of one incarnation of the stream, and what the writer remembers about it."""

    positions: PositionStore
    position: Position
    builder: BatchBuilder
    log_time_ns: int


class Writer:
    """Writes batch after batch; `held` says whether this process may still insert, `wrote` is told
    after each batch."""

    def __init__(
        self,
        *,
        log: Log,
        store: PointStore,
        gate: PauseGate,
        clock: Clock,
        counters: Counters,
        config: WriteConfig,
        open_positions: Callable[[str], PositionStore],
        held: Callable[[], bool],
        wrote: Callable[[], None] = lambda: None,
        keep_days: KeepDays = default_keep_days,
        to_the_ns: KeepNs = milliseconds_only,
        new_ids: Callable[[], SeriesIds] = SeriesIds,
        kept: KeptRecords | None = None,
    ) -> None:
        self._log = log
        self._store = store
        self._gate = gate
        self._clock = clock
        self._counters = counters
        self._config = config
        self._open_positions = open_positions
        self._held = held
        self._wrote = wrote
        self._keep_days, self._to_the_ns = keep_days, to_the_ns
        self._new_ids = new_ids
        self._kept = kept or KeptRecords(clock, 0)
        self._dead_letters = DeadLetters(log, counters, region=config.region)
        self._remembered: tuple[tuple[str, int, int], _Session] | None = None
        self._started_ns = 0

    async def write_for_ever(self) -> None:
        """Write until something fails; call again after a pause, it continues where it must.

        Raises:
            Unavailable: log, positions or store are away.
            Aborted: another writer has the position: stop leading.
            BatchMismatch: the store holds part of a batch: alarm.
        """
        session = await self._open()
        if session.position.state is BatchState.INFLIGHT:
            await self._recover(session)
        database = session.positions.database
        while await self._store.database_id() == database:
            await self.step(session)
        _log.warning("the database is another one now: starting from its own position")

    async def step(self, session: _Session) -> None:
        """Write the next batch, if there is anything to write."""
        written = session.position.written_seq
        if await self._gate.pass_through(database=session.positions.database, written_seq=written):
            # The database may have been exchanged for a restored one: the caller looks again.
            return
        entries = await self._gather(written + 1)
        if not entries:
            return
        batch = await self._build(session, entries, written + 1)
        await self._save(session, session.position.begun(batch.first_seq, batch.last_seq))
        await self._insert_all(session, batch.all_blocks())
        await self._finish(session, batch)

    async def _open(self) -> _Session:
        """Load the position; what is remembered is used again when it is of the same place."""
        database = await self._store.database_id()
        incarnation = (await self._log.stream_info(OTLP)).created_ns
        positions = self._open_positions(database)
        position = await positions.load(incarnation=incarnation)
        place = (database, incarnation, position.written_seq)
        if self._remembered is not None and self._remembered[0] == place:
            session = self._remembered[1]
            session.positions, session.position = positions, position
            return session
        past = await read_past(self._log, written_seq=position.written_seq, log_time_ns=position.log_time_ns)
        builder = BatchBuilder(
            past.window,
            self._new_ids(),
            SeriesCache(self._config.described_series),
            self._keep_days,
            self._kept.take,
            self._to_the_ns,
        )
        session = _Session(positions, position, builder, past.log_time_ns)
        self._remembered = (place, session)
        _log.info("writing into %s after %d (%s)", database, position.written_seq, position.state)
        return session

    async def _gather(self, first: int) -> list[Entry]:
        """The entries of the next batch: what there is when the period is over, as far as it fits."""
        self._kept.want()
        deadline_ns = self._started_ns + round(self._config.period_s * 1e9)
        entries: list[Entry] = []
        while True:
            seq = entries[-1].seq + 1 if entries else first
            more = await self._log.read(OTLP, seq, wait_s=0.0 if entries else self._config.period_s)
            entries += more
            if not entries:
                return []
            head = cut(entries, max_points=self._config.max_points)
            left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
            full = len(head) < len(entries)
            if left_s > 0:
                await self._clock.sleep(left_s if full else min(left_s, self._config.period_s / 4))
            if full or (left_s <= 0 and _reached_the_end(more)):
                self._started_ns = self._clock.monotonic_ns()
                return head

    async def _build(
        self, session: _Session, entries: list[Entry], first: int, last: int | None = None
    ) -> Batch:
        """The batch of these entries: up to `last`, as recorded, or else of as many as new series allow."""
        builder, owners = session.builder, Owners()
        most = MAX_NEW_IDENTITY_BYTES if last is None else inf
        reading = await asyncio.to_thread(
            builder.read, entries, log_time_ns=session.log_time_ns, most_new_bytes=most
        )
        if last is None:
            last = entries[reading.entries - 1].seq
            if reading.entries < len(entries):
                # New series cost so much more than points that the period has nothing to protect.
                self._started_ns -= round(self._config.period_s * 1e9)
        # Beside the event loop: a hundred thousand new series take a second.
        while asked := await asyncio.to_thread(builder.undecided, reading, owners):
            owners.add(asked, await self._store.series_owners(asked))
        return await asyncio.to_thread(builder.build, reading, owners=owners, first_seq=first, last_seq=last)

    async def _recover(self, session: _Session) -> None:
        """Bring the recorded range to its end, whatever of it is stored already."""
        position = session.position
        _log.warning("recovering batch %d-%d, attempt %d", position.first, position.last, position.attempt)
        entries = await self._reread(position.first, position.last)
        batch = await self._build(session, entries, position.first, position.last)
        await self._until_gone([self._query_id(session, block) for block in batch.blocks])
        await self._save(session, position.again())
        await self._insert_all(session, batch.series.blocks())
        for block in batch.blocks:
            if not await self._stored(block, batch):
                await self._insert(session, block)
        # An insert of the attempt before could only now have come through: see it, do not assume.
        for block in batch.blocks:
            await self._stored(block, batch)
        self._counters.add("collector.batches", outcome="repeated")
        await self._finish(session, batch)

    async def _reread(self, first: int, last: int) -> list[Entry]:
        entries: list[Entry] = []
        seq = first
        while seq <= last:
            more = [entry for entry in await self._log.read(OTLP, seq) if entry.seq <= last]
            if not more:
                break
            entries += more
            seq = more[-1].seq + 1
        return entries

    async def _until_gone(self, query_ids: list[str]) -> None:
        """Wait until none of the inserts of the last attempt can still happen."""
        while await self._store.running(query_ids):
            await self._clock.sleep(self._config.gone_poll_s)
        await self._clock.sleep(self._config.settle_s)
        while await self._store.running(query_ids):
            await self._clock.sleep(self._config.gone_poll_s)

    async def _stored(self, block: TableBlock, batch: Batch) -> bool:
        """Whether all rows of the block are stored; False when none is. Rows past their retention
        may be gone already.

        Raises:
            BatchMismatch: neither.
        """
        found = await self._store.count(block.table, day=block.day, batch=batch_number(batch.first_seq))
        lasting = lasting_rows(block, now_ns=self._clock.now_ns())
        if found and not lasting <= found <= block.rows:
            raise BatchMismatch(
                f"{block.table} of day {day_text(block.day)} holds {found} rows of batch"
                f" {batch.first_seq}-{batch.last_seq}, which has {block.rows}",
                next_step="compare the table with the log before the writer goes on",
            )
        return found != 0

    async def _insert_all(self, session: _Session, blocks: Iterator[TableBlock]) -> None:
        # Beside the event loop: a block of series takes a second to make.
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            await self._insert(session, block)

    async def _insert(self, session: _Session, block: TableBlock) -> None:
        if not self._held():
            raise Aborted("the writer's lease is lost", reason="FENCED")
        position = session.position
        token = (
            f"{position.incarnation}:{OTLP}:{position.first}-{position.last}"
            f":{_place_text(block, ':')}:{position.attempt}"
        )
        await self._store.insert(block, query_id=self._query_id(session, block), token=token)
        self._counters.add("collector.rows.inserted", block.rows, table=block.table)

    async def _finish(self, session: _Session, batch: Batch) -> None:
        """Publish, then record; whoever crashes in between publishes again."""
        incarnation = session.position.incarnation
        await self._dead_letters.publish(batch.poison, incarnation=incarnation)
        await publish_applied(
            self._log, batch.applied(session.positions.database), region=self._config.region
        )
        done = session.position.done(batch.log_time_ns, batch.counts)
        found = {"dead_letters": len(batch.poison), "series_collisions": len(batch.moved)}
        await self._save(session, done.found(**found))
        # Beside the event loop: tens of thousands of new series take a tenth of a second.
        await asyncio.to_thread(session.builder.commit, batch)
        session.log_time_ns = batch.log_time_ns
        position = session.position
        self._remembered = ((session.positions.database, position.incarnation, position.last), session)
        self._wrote()
        self._counters.add("collector.batches", outcome="done")
        for tenant, counts in batch.counts.items():
            self._counters.add("collector.points.logged", counts.logged, tenant=tenant)
            self._counters.add("collector.points.stored", counts.written, tenant=tenant)
            self._counters.add("collector.points.deduplicated", counts.duplicate, tenant=tenant)
            self._counters.add("collector.points.deadlettered", counts.dead_lettered, tenant=tenant)
        for moved in batch.moved:
            _log.warning("series %016x of %s %s is another's id", moved.key.series_id, *moved[:2])
            self._counters.add("collector.series.collisions", tenant=moved.tenant)

    async def _save(self, session: _Session, position: Position) -> None:
        await session.positions.save(position)
        session.position = position

    def _query_id(self, session: _Session, block: TableBlock) -> str:
        position = session.position
        return (
            f"w-{session.positions.database[:8]}-{position.first}-{position.last}"
            f"-{_place_text(block, '-')}-{position.attempt}"
        )


def _reached_the_end(read: Sequence[Entry]) -> bool:
    return len(read) < _FULL_READ and sum(len(entry.data) for entry in read) < _FULL_READ_BYTES


def _place_text(block: TableBlock, between: str) -> str:
    number = f"{between}{block.number}" if block.number else ""
    return f"{block.table}{between}{day_text(block.day)}{number}"


def day_text(day: int) -> str:
    """A day (days since 1970-01-01) as YYYYMMDD."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).strftime("%Y%m%d")
