"""The use case behind WatchSlaStatus: the status now and after every change of its figures.

What changes figures is told by whoever stores slices in this process, and by the configuration; nothing is
polled. A watch holds one flag and no queue: whoever reads slowly gets the newest status and none in between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from services.common.auth import Principal
from services.common.clock import Clock
from services.common.errors import InvalidArgument, ResourceExhausted, Unavailable
from services.sla.serve import Asked, Status, allowed_tenant

_DEFAULT_INTERVAL_MS = 1_000
_LONGEST_INTERVAL_MS = 3_600_000
_SILENCE_S = 30.0
_MOST_WATCHES = 2_000


class StatusSource(Protocol):
    """Where a status comes from."""

    async def status(self, tenant: str | None, asked: Asked) -> Status:
        """All objectives of a tenant."""
        ...


class Changes:
    """Tells watches that figures of a tenant may have changed. Belongs to one event loop."""

    def __init__(self, *, most: int = _MOST_WATCHES) -> None:
        self._flags: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self._most = most
        self.draining = False

    def stored(self, tenant: str) -> None:
        """Slices of the tenant can be read now."""
        for flag in self._flags.get(tenant, ()):
            flag.set()

    def everything(self) -> None:
        """Contracts, tokens or maintenance changed."""
        for tenant in self._flags:
            self.stored(tenant)

    def drain(self) -> None:
        """The process is about to stop: every watch ends."""
        self.draining = True
        self.everything()

    @contextmanager
    def watching(self, tenant: str) -> Iterator[asyncio.Event]:
        """A flag that is set after each change until the block ends.

        Raises:
            ResourceExhausted: TOO_MANY_WATCHES.
        """
        if self._count >= self._most:
            raise ResourceExhausted(
                f"{self._most} watches are open on this server",
                reason="TOO_MANY_WATCHES",
                next_step="Try again later, or ask GetSlaStatus.",
            )
        flag = asyncio.Event()
        self._count += 1
        self._flags.setdefault(tenant, set()).add(flag)
        try:
            yield flag
        finally:
            self._count -= 1
            self._flags[tenant].discard(flag)
            if not self._flags[tenant]:
                del self._flags[tenant]


class Watches:
    """Answers WatchSlaStatus for the caller of the current RPC.

    Args:
        confirm: checks the caller's credential again; raises Unauthenticated once it is not good any more.
    """

    def __init__(
        self, *, figures: StatusSource, changes: Changes, clock: Clock, confirm: Callable[[], Principal]
    ) -> None:
        self._figures = figures
        self._changes = changes
        self._clock = clock
        self._confirm = confirm

    async def watch(
        self, tenant: str | None, asked: Asked, min_interval_ms: int | None = None
    ) -> AsyncIterator[Status]:
        """The status at once, after changes no sooner than the interval, and each 30 s if nothing changes.

        Raises:
            InvalidArgument: the interval. PermissionDenied or Unauthenticated: also later, when it is lost.
            ResourceExhausted: too many watches. Unavailable: the server stops, or ClickHouse is away.
        """
        interval_s = interval_seconds(min_interval_ms)
        tenant = allowed_tenant(tenant)
        sent: Status | None = None
        sent_ns = 0
        with self._changes.watching(tenant) as flag:
            while True:
                flag.clear()
                self._check(tenant)
                status = await self._figures.status(tenant, asked)
                # Reading took time; what is sent is allowed when it is sent.
                self._check(tenant)
                now_ns = self._clock.monotonic_ns()
                if sent is None or _differs(status, sent) or now_ns - sent_ns >= _SILENCE_S * 1e9:
                    sent, sent_ns = status, now_ns
                    yield status
                await self._rest(flag, tenant, interval_s)
                left_s = _SILENCE_S - (self._clock.monotonic_ns() - sent_ns) / 1e9
                await _set_within(flag, left_s)

    async def _rest(self, flag: asyncio.Event, tenant: str, interval_s: float) -> None:
        """Wait for the interval; a change of permission or a drain ends it."""
        until_ns = self._clock.monotonic_ns() + round(interval_s * 1e9)
        changed = False
        while True:
            # Looked at before it is waited for: it may have been set while the status was on its way.
            if flag.is_set():
                flag.clear()
                changed = True
                self._check(tenant)
            left_s = (until_ns - self._clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                break
            await _set_within(flag, left_s)
        if changed:
            flag.set()

    def _check(self, tenant: str) -> None:
        if self._changes.draining:
            raise Unavailable(
                "this server stops", reason="DRAINING", next_step="Watch again.", retry_after_s=0.5
            )
        self._confirm()
        allowed_tenant(tenant)


def interval_seconds(min_interval_ms: int | None) -> float:
    """Seconds between two messages. Raises InvalidArgument (BAD_INTERVAL)."""
    wanted = _DEFAULT_INTERVAL_MS if min_interval_ms is None else min_interval_ms
    if not 0 <= wanted <= _LONGEST_INTERVAL_MS:
        raise InvalidArgument("is 0 to 1 hour", field="min_interval", reason="BAD_INTERVAL")
    return wanted / 1000


def _differs(one: Status, other: Status) -> bool:
    """In anything but when it was computed."""
    return (one.objectives, one.watermark_ms) != (other.objectives, other.watermark_ms)


async def _set_within(flag: asyncio.Event, seconds: float) -> None:
    """Return when the flag is set or the time is over. Real time: it bounds silence on a real connection."""
    if seconds <= 0:
        return
    try:
        async with asyncio.timeout(seconds):
            await flag.wait()
    except TimeoutError:
        return
