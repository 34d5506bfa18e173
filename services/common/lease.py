"""Being the only one: a lease that is held by renewing it, and a fence for when it was lost.

A lease is a key with a time to live, taken with create and renewed with compare-and-set. It says
who should work, not who may write: a holder that was frozen learns of its loss too late. What
keeps it from writing is the fence: the new holder writes an EPOCH record to its shard's subject,
and every later record names the last sequence its writer saw there, so the old holder's next
append is refused by the log itself.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.common.clock import Clock
from services.common.errors import Aborted, AlreadyExists, Unavailable
from services.common.log_port import Ack, KeyValue, Log
from services.common.streams import LEASES

_logger = logging.getLogger(__name__)

TTL_S = 10
RENEW_S = 3.0
_RETRY_S = 0.5
_RELEASE_S = 1.0
# The holder stops this long before the server may give the lease away: it covers the renewal's
# way to the server and whatever the holder still has to put down.
_MARGIN_S = 2.0


class Lease:
    """One holder's view of one lease.

    `held` is judged on the holder's own monotonic clock, counted from before the request that
    renewed it, so it turns false before the server lets anybody else in.
    """

    def __init__(
        self,
        kv: KeyValue,
        clock: Clock,
        *,
        name: str,
        holder: str,
        ttl_s: int = TTL_S,
        renew_s: float = RENEW_S,
        margin_s: float = _MARGIN_S,
    ) -> None:
        if not 0 < renew_s < ttl_s - margin_s:
            raise ValueError(f"a lease of {ttl_s} s cannot be renewed each {renew_s} s in time")
        self._kv = kv
        self._clock = clock
        self._name = name
        self._holder = holder.encode()
        self._ttl_s = ttl_s
        self._renew_s = renew_s
        self._good_for_ns = round((ttl_s - margin_s) * 1e9)
        self._held_until_ns: int | None = None
        self._revision = 0
        self._token = 0

    @property
    def name(self) -> str:
        """The key in the bucket `leases`."""
        return self._name

    @property
    def clock(self) -> Clock:
        """What `held` is judged on."""
        return self._clock

    @property
    def token(self) -> int:
        """The revision at which it was taken: larger than every earlier holder's."""
        return self._token

    @property
    def held(self) -> bool:
        """Whether this holder may go on."""
        return self._held_until_ns is not None and self._clock.monotonic_ns() < self._held_until_ns

    @property
    def renew_s(self) -> float:
        """Seconds between renewals."""
        return self._renew_s

    def remaining_s(self) -> float:
        """Seconds until `held` turns false without a renewal."""
        if self._held_until_ns is None:
            return 0.0
        return max(0.0, (self._held_until_ns - self._clock.monotonic_ns()) / 1e9)

    async def acquire(self) -> bool:
        """Try once; False when somebody else has it. Unavailable when the store is away."""
        began_ns = self._clock.monotonic_ns()
        try:
            revision = await self._kv.create(LEASES, self._name, self._holder, ttl_s=self._ttl_s)
        except AlreadyExists:
            return False
        self._revision = self._token = revision
        self._held_until_ns = began_ns + self._good_for_ns
        return self.held

    async def renew(self) -> bool:
        """Extend; False when it is lost for good. Unavailable: try again while `held`."""
        began_ns = self._clock.monotonic_ns()
        try:
            self._revision = await self._kv.update(
                LEASES, self._name, self._holder, revision=self._revision, ttl_s=self._ttl_s
            )
        except Aborted:
            self._held_until_ns = None
            return False
        self._held_until_ns = began_ns + self._good_for_ns
        return True

    async def release(self) -> None:
        """Give it up at once, if it is still ours; otherwise nothing happens."""
        held, self._held_until_ns = self._held_until_ns is not None, None
        if not held:
            return
        try:
            # A courtesy to the next holder, so not worth holding up a shutdown for.
            async with asyncio.timeout(_RELEASE_S):
                await self._kv.delete(LEASES, self._name, revision=self._revision)
        except (Aborted, Unavailable, TimeoutError) as err:
            _logger.info("lease %s not released, it expires by itself: %s", self._name, err)


async def wait_acquire(lease: Lease) -> None:
    """Return when the lease is held; tries every half second, also while the store is away."""
    while True:
        try:
            if await lease.acquire():
                return
        except Unavailable as err:
            _logger.info("lease %s cannot be asked for: %s", lease.name, err)
        await lease.clock.sleep(_RETRY_S)


async def keep(lease: Lease) -> None:
    """Renew until the lease is lost, then return. Losing it needs an answer that says so, or
    no answer until `held` ends on our own clock."""
    pause_s = lease.renew_s
    while True:
        await lease.clock.sleep(min(pause_s, lease.remaining_s()))
        if not lease.held:
            return
        try:
            # A store that hangs must not keep us beyond the end of `held`.
            if not await _within_hold(lease):
                return
            pause_s = lease.renew_s
        except Unavailable as err:
            _logger.warning("lease %s not renewed: %s", lease.name, err)
            pause_s = _RETRY_S


async def _within_hold(lease: Lease) -> bool:
    renewal = asyncio.ensure_future(lease.renew())
    end = asyncio.ensure_future(lease.clock.sleep(lease.remaining_s()))
    try:
        await asyncio.wait({renewal, end}, return_when=asyncio.FIRST_COMPLETED)
        return await renewal if renewal.done() else False
    finally:
        end.cancel()
        if not renewal.done():
            renewal.cancel()
        await asyncio.gather(renewal, end, return_exceptions=True)


@asynccontextmanager
async def lease_holder(lease: Lease) -> AsyncIterator[Lease]:
    """Wait for the lease, hold it while the block runs, release it after.

    The block MUST look at `lease.held` before anything that cannot be fenced;
    `run_while_leading` does more: it stops the body when the lease is lost.
    """
    await wait_acquire(lease)
    renewing = asyncio.create_task(keep(lease), name=f"lease {lease.name}")
    try:
        yield lease
    finally:
        await _cancel(renewing)
        await lease.release()


async def run_while_leading(
    lease: Lease, body: Callable[[int], Awaitable[None]], *, forever: bool = True
) -> None:
    """Lead whenever possible: wait for the lease, run `body(token)`, cancel it when lost.

    An Aborted or Unavailable body (lost fence, dependency away) gives the lease up and stands
    in line again after a pause; so does a body that returns, unless `forever` is False. Any
    other error is the caller's. Ends by cancellation, with the lease released.
    """
    while True:
        await wait_acquire(lease)
        _logger.info("leading %s, token %d", lease.name, lease.token)
        try:
            if await _lead(lease, body) and not forever:
                return
        except (Aborted, Unavailable) as err:
            _logger.warning("stopped leading %s: %s", lease.name, err)
        await lease.clock.sleep(_RETRY_S)


async def _lead(lease: Lease, body: Callable[[int], Awaitable[None]]) -> bool:
    """Run the body under the lease; True when it ended by itself, False when the lease did."""
    renewing = asyncio.create_task(keep(lease), name=f"lease {lease.name}")
    working = asyncio.ensure_future(body(lease.token))
    try:
        await asyncio.wait({renewing, working}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
            return True
        _logger.warning("lost lease %s", lease.name)
        await renewing
        return False
    finally:
        # The body first: nobody else may start while it still cleans up.
        await _cancel(working)
        await _cancel(renewing)
        await lease.release()


async def _cancel(task: "asyncio.Future[None]") -> None:
    """Cancel and wait until it has ended; its error, if any, was the reason or is logged."""
    if task.done():
        return
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        _logger.warning("while stopping: %s", outcome)


class FencedWriter:
    """The one writer of one subject: every record names the last one this writer saw there.

    `open` first, then `append`; one append at a time goes out, in the order of the calls.
    """

    def __init__(self, log: Log, stream: str, subject: str) -> None:
        self._log = log
        self._stream = stream
        self._subject = subject
        self._last_seq: int | None = None
        self._epoch_seq = 0
        self._turn = asyncio.Lock()

    @property
    def last_seq(self) -> int:
        """Sequence of the last record this writer knows of on its subject."""
        if self._last_seq is None:
            raise RuntimeError("open the writer first")
        return self._last_seq

    @property
    def epoch_seq(self) -> int:
        """Sequence of our EPOCH record: everything of earlier holders is before it."""
        return self._epoch_seq

    async def open(self, epoch_payload: bytes) -> int:
        """Write the EPOCH record behind whatever is there and return its sequence; from now on
        every earlier writer of the subject is fenced off.

        Raises:
            Unavailable: the log is away.
            Aborted: FENCED, another epoch came at the same time: give the lease up.
        """
        async with self._turn:
            last = await self._log.last_entry(self._stream, self._subject)
            self._last_seq = 0 if last is None else last.seq
            # Any id will do that no other holder can have; nothing depends on its value.
            ack = await self._append(epoch_payload, f"epoch-{uuid.uuid4().hex}", 5.0)
            self._epoch_seq = ack.seq
            return ack.seq

    async def append(self, data: bytes, *, msg_id: str, timeout_s: float = 5.0) -> Ack:
        """Append one record; errors as `Log.append`.

        After Unavailable the record may still be stored: append it again with the same id
        before any other.
        """
        async with self._turn:
            return await self._append(data, msg_id, timeout_s)

    async def _append(self, data: bytes, msg_id: str, timeout_s: float) -> Ack:
        ack = await self._log.append(
            self._stream,
            self._subject,
            data,
            msg_id=msg_id,
            expect_last_subject_seq=self.last_seq,
            timeout_s=timeout_s,
        )
        # A duplicate from long ago (an id of an earlier epoch) must not move the fence back.
        self._last_seq = max(self.last_seq, ack.seq)
        return ack
