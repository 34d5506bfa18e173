"""How far the log is written, and the counts that must reconcile.

Reads the log, the writer's position and the tallies, never the store: the answer is there while
ClickHouse is down. Counts of what is not yet written come from the heads of the unread records.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.collector.model import (
    PointCounts,
    StatusReport,
    StreamReport,
    TenantReport,
    total,
)
from services.collector.poison import readable_heads
from services.collector.tallies import Tallies
from services.collector.write_position import Position
from services.common.auth import Role, current_principal, require_platform, require_tenant
from services.common.clock import Clock
from services.common.errors import InvalidArgument, Unavailable
from services.common.log_port import KeyValue, Log, StreamState
from services.common.streams import OTLP, POSITIONS

ALL_TENANTS = "-"
_PROBE_S = 1.0
_MAX_UNREAD = 20_000
"""Unread records that are counted; beyond them the logged count lags."""


@dataclass(slots=True)
class _Unread:
    points: dict[str, int] = field(default_factory=dict)
    oldest_ns: dict[str, int] = field(default_factory=dict)
    newest_ns: dict[str, int] = field(default_factory=dict)


class StatusReporter:
    """Builds the status of this region."""

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        tallies: Tallies,
        clock: Clock,
        probe_store: Callable[[], Awaitable[None]],
        region: str,
        limit_bytes: int,
        collect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`collect` brings what the workers counted into the tallies, where there are workers."""
        self._collect = collect
        self._log = log
        self._kv = kv
        self._tallies = tallies
        self._clock = clock
        self._probe_store = probe_store
        self._region = region
        self._limit_bytes = limit_bytes

    async def report(self, tenant: str | None) -> StatusReport:
        """The status for a caller: one tenant, `-` for all, None for the caller's own.

        Raises:
            PermissionDenied: another tenant's status, or all without being the platform's admin.
            Unavailable: the log does not answer.
        """
        return await self._read(self._asked(tenant), sums=_sees_all())

    async def observe(self) -> StatusReport:
        """The status of every tenant, for the process's own metrics; it asks nobody's rights.

        Raises:
            Unavailable: the log does not answer.
        """
        return await self._read(None, sums=True)

    async def written_seq(self) -> int:
        """Everything in the log up to it is stored in this region; 0 when nothing is.

        Raises:
            Unavailable: the log does not answer.
        """
        position = await self._position((await self._log.stream_info(OTLP)).created_ns)
        return 0 if position is None else position.written_seq

    async def _read(self, tenants: list[str] | None, *, sums: bool) -> StatusReport:
        if self._collect is not None:
            await self._collect()
        state = await self._log.stream_info(OTLP)
        position = await self._position(state.created_ns)
        written_seq = 0 if position is None else position.written_seq
        unread = await self._unread(written_seq, state)
        counts = {name: self._counts(name, position, unread) for name in self._known(position, unread)}
        everything = total(counts.values()) if sums else None
        return StatusReport(
            region=self._region,
            read_ns=self._clock.now_ns(),
            since_ns=self._tallies.since_ns,
            stream=await self._stream(state, position, everything),
            tenants=tuple(
                self._tenant(name, counts, unread)
                for name in (sorted(counts) if tenants is None else tenants)
            ),
            store_reachable=await self._store_reachable(),
        )

    async def watermark_ns(self) -> int:
        """Log time of the last completed batch, Unix nanoseconds; before the first, the clock's time.

        Raises:
            Unavailable: the log does not answer.
        """
        position = await self._position((await self._log.stream_info(OTLP)).created_ns)
        known = 0 if position is None else position.log_time_ns
        return known or self._clock.now_ns()

    async def _store_reachable(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_S):
                await self._probe_store()
        except (Unavailable, TimeoutError):
            return False
        return True

    def _asked(self, tenant: str | None) -> list[str] | None:
        """The tenants to report; None means all that are known."""
        if tenant == ALL_TENANTS:
            require_platform(Role.ADMIN)
            return None
        principal = current_principal()
        if tenant is None:
            return [] if principal.platform else [principal.tenant]
        if not tenant:
            raise InvalidArgument("a tenant is `tenants/{tenant}`", field="tenant")
        require_tenant(tenant)
        return [tenant]

    async def _position(self, incarnation: int) -> Position | None:
        """The position written last in this region."""
        newest: tuple[int, Position] | None = None
        for key in await self._kv.keys(POSITIONS, f"writer.{self._region}."):
            entry = await self._kv.get(POSITIONS, key)
            if entry is not None and (newest is None or entry.revision > newest[0]):
                newest = entry.revision, Position.from_json(entry.value)
        return newest[1] if newest is not None and newest[1].incarnation == incarnation else None

    async def _unread(self, written_seq: int, state: StreamState) -> _Unread:
        unread = _Unread()
        seq, records = max(written_seq + 1, state.first_seq), 0
        while seq <= state.last_seq and records < _MAX_UNREAD:
            entries = await self._log.read(OTLP, seq)
            if not entries:
                break
            for entry in entries:
                record = readable_heads(entry)
                if record is None or record.tick:
                    continue
                accepted = sum(one.point_count - one.rejected_count for one in record.requests)
                unread.points[record.tenant] = unread.points.get(record.tenant, 0) + accepted
                unread.oldest_ns.setdefault(record.tenant, entry.time_ns)
                unread.newest_ns[record.tenant] = entry.time_ns
            records += len(entries)
            seq = entries[-1].seq + 1
        return unread

    async def _stream(
        self, state: StreamState, position: Position | None, points: PointCounts | None
    ) -> StreamReport:
        log_time_ns = await self._time_of(state.last_seq, state)
        watermark_ns = position.log_time_ns or None if position is not None else None
        since_ns = watermark_ns or await self._time_of(state.first_seq, state)
        return StreamReport(
            stream=OTLP,
            incarnation=state.created_ns,
            log_last_seq=state.last_seq,
            written_seq=0 if position is None else position.written_seq,
            log_time_ns=log_time_ns,
            watermark_ns=watermark_ns,
            lag_ns=0 if log_time_ns is None or since_ns is None else max(0, log_time_ns - since_ns),
            stored_bytes=state.bytes,
            limit_bytes=self._limit_bytes,
            points=points,
            dead_letters=0 if position is None else position.dead_letters,
            series_collisions=0 if position is None else position.series_collisions,
        )

    async def _time_of(self, seq: int, state: StreamState) -> int | None:
        """Append time of the entry at `seq`, or of the next one there is."""
        entries = await self._log.read(OTLP, seq, max_messages=1) if state.messages else []
        return entries[0].time_ns if entries else None

    def _known(self, position: Position | None, unread: _Unread) -> set[str]:
        written = set() if position is None else set(position.counts)
        return {*self._tallies.tenants(), *written, *unread.points}

    def _counts(self, tenant: str, position: Position | None, unread: _Unread) -> PointCounts:
        stored = PointCounts() if position is None else position.counts.get(tenant, PointCounts())
        waiting = PointCounts(logged=unread.points.get(tenant, 0))
        return self._tallies.of(tenant).points.plus(stored).plus(waiting)

    def _tenant(self, tenant: str, counts: dict[str, PointCounts], unread: _Unread) -> TenantReport:
        tally = self._tallies.of(tenant)
        oldest, newest = unread.oldest_ns.get(tenant), unread.newest_ns.get(tenant)
        return TenantReport(
            tenant=tenant,
            points=counts.get(tenant, PointCounts()),
            rejections=tuple(sorted(tally.rejections.items(), key=lambda item: (-item[1], item[0]))),
            lag_ns=0 if oldest is None or newest is None else max(0, newest - oldest),
            last_append_ns=newest if newest is not None else tally.last_append_ns,
        )


def _sees_all() -> bool:
    """Whether the caller may see sums over all tenants."""
    principal = current_principal()
    return principal.platform or principal.token_id == "none"  # noqa: S105 - an id, not a secret
