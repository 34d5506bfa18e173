"""Requests of one tenant that arrive close together share a record of the log.

An append costs a sync of a disk or a round trip between regions, whatever its size. While one is
on its way, the requests that arrive wait for it and leave together as the next record; when none
is, a request leaves at once, so that an idle log adds no waiting; while records carry several
requests, that is under load, each waits a moment for more. A record that is full waits for nothing.

Each caller returns when the log has its request, and not before. When an append fails, every
caller of its record is told to send again, and when the log did not confirm, so are those that wait
behind it; a caller that goes away takes only its own request along, and only while that has not left.
Knows no transport and no points.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.collector.columns import Decoded
from services.collector.kept_records import KeptRecords
from services.collector.model import LoggedRequest
from services.collector.record import encode_requests, message_id
from services.common.errors import ThreeninesError, Unavailable
from services.common.log_port import Log
from services.common.streams import OTLP
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

_NONCE_BYTES = 16
_HEAD_BYTES = 32
_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class CoalesceConfig:
    """When a record is full, and how much may wait. `max_requests=1` coalesces nothing."""

    max_bytes: int = 4 << 20
    """Of requests in a record, before compression (which leaves about 1 MB): even bytes that do not
    compress stay within the log's 8 MB. A request above it has a record of its own."""
    max_requests: int = 512
    max_identity_bytes: int = 16 << 20
    """Of the identities of a record's series (`SeriesTable.identity_bytes`), where decoding knows them: the
    writer reads whole records, and may have seen none of these series."""
    linger_s: float = 0.01
    """How long a record waits to be filled when the one before it held more than one request."""
    max_in_flight: int = 4
    """Appends of one tenant under way at once."""
    max_waiting_bytes: int = 256 << 20
    """Of all tenants' requests, from arrival to acknowledgement."""
    append_timeout_s: float = 5.0
    thread_from_bytes: int = 512 << 10
    """Larger records are compressed beside the event loop."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: LoggedRequest
    decoded: Decoded | None
    done: "asyncio.Future[None]"
    size: int

    @property
    def identity_bytes(self) -> int:
        """What the identities of its series take."""
        return 0 if self.decoded is None else self.decoded.series.identity_bytes


@dataclass(slots=True)
class _Lane:
    """One tenant's requests that have not left, and its appends under way."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    size: int = 0
    identity_bytes: int = 0
    in_flight: int = 0
    busy: bool = False
    """Whether the last record held several requests; the lane is kept for as long."""


class Coalescer:
    """Appends requests; belongs to one event loop."""

    def __init__(
        self,
        log: Log,
        counters: Counters,
        random_bytes: Callable[[int], bytes],
        config: CoalesceConfig,
        kept: KeptRecords | None = None,
        took: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """`took` is told the seconds of each append that the log confirmed."""
        self._log = log
        self._took = took
        self._kept = kept
        self._counters = counters
        self._random_bytes = random_bytes
        self._config = config
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of requests between arrival and acknowledgement."""
        return self._held_bytes

    async def append(self, tenant: str, request: LoggedRequest, decoded: Decoded | None = None) -> None:
        """Return when the log has the request; `decoded` is what it holds, for the writer of this process.

        Raises:
            Unavailable: the log did not confirm, is full, or too much waits for it; the request may
                still be stored, and sending it again is right.
        """
        size = _HEAD_BYTES + len(request.raw) + len(request.rejected)
        if self._held_bytes and self._held_bytes + size > self._config.max_waiting_bytes:
            raise Unavailable(
                "too much waits for the log; nothing was stored",
                reason="RECEIVER_MEMORY_FULL",
                retry_after_s=_RETRY_AFTER_S,
            )
        mine = _Waiting(request, decoded, asyncio.get_running_loop().create_future(), size)
        lane = self._lanes.setdefault(tenant, _Lane())
        lane.waiting.append(mine)
        lane.size += size
        lane.identity_bytes += mine.identity_bytes
        self._held_bytes += size
        self._start(tenant, lane)
        try:
            await mine.done
        except asyncio.CancelledError:
            self._forget(lane, mine)
            raise

    def _start(self, tenant: str, lane: _Lane) -> None:
        """Start the appends that may start: one when none is under way, and one for each full record."""
        if lane.waiting and not lane.in_flight:
            # It takes what waits when it first runs: requests of one pass of the loop are one record.
            self._spawn(tenant, lane, [])
        while lane.in_flight < self._config.max_in_flight and self._full(lane):
            self._spawn(tenant, lane, self._take(lane))

    def _spawn(self, tenant: str, lane: _Lane, taken: list[_Waiting]) -> None:
        lane.in_flight += 1
        task = asyncio.create_task(self._send(tenant, lane, taken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _full(self, lane: _Lane) -> bool:
        config = self._config
        return (
            lane.size >= config.max_bytes
            or len(lane.waiting) >= config.max_requests
            or lane.identity_bytes >= config.max_identity_bytes
        )

    async def _send(self, tenant: str, lane: _Lane, taken: list[_Waiting]) -> None:
        try:
            if not taken:
                if lane.busy:
                    await asyncio.sleep(self._config.linger_s)
                taken = self._take(lane)
            if taken:
                lane.busy = len(taken) > 1
                failure = await self._append(tenant, taken)
                if isinstance(failure, Unavailable):
                    # Who waits behind it would wait as long again, and its client has a deadline.
                    behind = self._give_up(lane)
                    _tell(behind, failure)
                    taken = [*taken, *behind]
        except asyncio.CancelledError:
            # The process ends: nobody is told "accepted", and nothing new is begun.
            taken = [*taken, *self._give_up(lane)]
            for one in taken:
                one.done.cancel()
            raise
        finally:
            lane.in_flight -= 1
            self._held_bytes -= sum(one.size for one in taken)
            self._start(tenant, lane)
            if not lane.waiting and not lane.in_flight and not lane.busy:
                self._lanes.pop(tenant, None)

    def _take(self, lane: _Lane) -> list[_Waiting]:
        taken: list[_Waiting] = []
        config, size, identity_bytes = self._config, 0, 0
        while lane.waiting and len(taken) < config.max_requests:
            size += lane.waiting[0].size
            identity_bytes += lane.waiting[0].identity_bytes
            if taken and (size > config.max_bytes or identity_bytes > config.max_identity_bytes):
                break
            taken.append(lane.waiting.popleft())
        lane.size -= sum(one.size for one in taken)
        lane.identity_bytes -= sum(one.identity_bytes for one in taken)
        return taken

    def _give_up(self, lane: _Lane) -> list[_Waiting]:
        left = list(lane.waiting)
        lane.waiting.clear()
        lane.size = lane.identity_bytes = 0
        return left

    async def _append(self, tenant: str, taken: list[_Waiting]) -> Exception | None:
        """Append a record of these and tell them; what went wrong, if anything."""
        try:
            record = await self._encoded(tenant, taken)
            if self._kept is not None:
                self._kept.keep(record, [one.decoded for one in taken])
            begun_s = asyncio.get_running_loop().time()
            await self._log.append(
                OTLP,
                f"otlp.0.{tenant}",
                record,
                msg_id=message_id(record, self._random_bytes(_NONCE_BYTES)),
                timeout_s=self._config.append_timeout_s,
            )
        # Whatever it was, each caller must hear that it is not acknowledged and may send again.
        except Exception as err:
            _tell(taken, err)
            return err
        self._took(asyncio.get_running_loop().time() - begun_s)
        self._counters.add("collector.records.appended")
        for one in taken:
            if not one.done.done():
                one.done.set_result(None)
        return None

    async def _encoded(self, tenant: str, taken: list[_Waiting]) -> bytes:
        requests = [one.request for one in taken]
        if sum(one.size for one in taken) < self._config.thread_from_bytes:
            return encode_requests(tenant, requests)
        return await asyncio.to_thread(encode_requests, tenant, requests)

    def _forget(self, lane: _Lane, mine: _Waiting) -> None:
        """A caller went away: what has not left yet stays behind."""
        if mine.done.done() and not mine.done.cancelled():
            mine.done.exception()  # else asyncio would complain that nobody saw it
        if mine not in lane.waiting:
            return
        lane.waiting.remove(mine)
        lane.size -= mine.size
        lane.identity_bytes -= mine.identity_bytes
        self._held_bytes -= mine.size


def _tell(taken: list[_Waiting], err: Exception) -> None:
    known = isinstance(err, ThreeninesError)
    if not known:
        _log.error("an append to the log failed unexpectedly", exc_info=err)
    for one in taken:
        if not one.done.done():
            one.done.set_exception(_failure(err))


def _failure(err: Exception) -> Exception:
    """An error of one's own for each caller: a raised one holds the traceback of who raised it."""
    if isinstance(err, ThreeninesError) and not isinstance(err, Unavailable):
        return type(err)(err.message, reason=err.reason, field=err.field, next_step=err.next_step)
    delay_s = err.retry_after_s if isinstance(err, ThreeninesError) else None
    return Unavailable(
        err.message if isinstance(err, ThreeninesError) else "the log did not take the request",
        reason=err.reason if isinstance(err, ThreeninesError) else "LOG_UNAVAILABLE",
        retry_after_s=delay_s or _RETRY_AFTER_S,
    )
