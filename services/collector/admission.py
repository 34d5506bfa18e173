"""How much may be under way at once: bytes, requests and waiting time of all transports together.

A receiver that takes everything dies of it, or answers when nobody listens any more. What does not fit,
or would wait too long (`pace.py`), is refused at once, before it is read where that can be, with an answer
that makes clients send again. Knows no transport; safe to use from threads, because large bodies are
decompressed beside the event loop.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from services.collector.errors import RequestTooLarge
from services.collector.pace import Pace
from services.collector.turns import Turns
from services.common.clock import Clock, SystemClock
from services.common.errors import Unavailable
from services.common.telemetry import Counters

_RETRY_AFTER_S = (1.0, 3.0)
"""Senders that were refused together must not come back together."""

_POINT_BYTES = 256
"""Of a decoded point that waits for the log: an empty one has 2 bytes on the wire."""

_WHY = {
    "RECEIVER_BUSY": "too many requests are under way",
    "RECEIVER_SLOW": "more comes than can be taken, and the request would wait too long",
    "RECEIVER_MEMORY_FULL": "the memory for requests under way is in use",
}


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """The bounds. One request may hold up to the whole of `max_bytes`."""

    max_bytes: int = 256 << 20
    max_requests: int = 1024


class Admission:
    """The budget of a process."""

    def __init__(
        self,
        config: AdmissionConfig,
        counters: Counters,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        memory_is_short: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config = config
        self._counters = counters
        self._rng = rng or random.Random()
        self._memory_is_short = memory_is_short
        self._lock = threading.Lock()
        self._pace = Pace(clock or SystemClock())
        self._turns = Turns()
        self._bytes = 0
        self._requests = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of all requests under way."""
        return self._bytes

    @property
    def requests(self) -> int:
        """Requests under way."""
        return self._requests

    @property
    def full(self) -> bool:
        """Whether a request that begins now would be refused, so that it need not be read."""
        return self._why_full() is not None

    @property
    def standing(self) -> bool:
        """Whether requests are refused to keep a standing queue short."""
        with self._lock:
            return self._pace.standing

    def enter(self, transport: str, size: int = 0, *, arriving: bool = False) -> "Held":
        """Begin a request of `size` bytes, of which more may follow; leave the result as a context.

        One that is `arriving` has been announced and not read: it begins to wait with `Held.arrived`.

        Raises:
            Unavailable: RECEIVER_BUSY, RECEIVER_SLOW or RECEIVER_MEMORY_FULL; counted.
            RequestTooLarge: it alone is over the budget.
        """
        with self._lock:
            if self._requests >= self._config.max_requests:
                raise self._refused(transport, "RECEIVER_BUSY")
            self._requests += 1
        held = Held(self, transport)
        try:
            held.add(size)
            with self._lock:
                if self._pace.too_slow():
                    raise self._refused(transport, "RECEIVER_SLOW")
        except BaseException:
            held.leave()
            raise
        if not arriving:
            held.arrived()
        return held

    def refuse(self, transport: str) -> Unavailable:
        """The error for a request that is turned away unread; counted."""
        return self._refused(transport, self._why_full() or "RECEIVER_SLOW")

    def _why_full(self) -> str | None:
        if self._requests >= self._config.max_requests:
            return "RECEIVER_BUSY"
        if self._bytes >= self._config.max_bytes or self._memory_is_short():
            return "RECEIVER_MEMORY_FULL"
        with self._lock:
            return "RECEIVER_SLOW" if self._pace.too_slow() else None

    async def turn(self, size: int) -> None:
        """Wait until a request may be worked on (`turns.py`); `Held.turn` calls it."""
        await self._turns.take(size)

    def begin_wait(self, size: int) -> None:
        """A request is read and waits for its answer; `Held.arrived` calls it."""
        with self._lock:
            self._pace.began(size)

    def log_took(self, seconds: float) -> None:
        """The log confirmed an append after so long."""
        with self._lock:
            self._pace.log_took(seconds)

    def take(self, transport: str, size: int, held: int) -> None:
        """Count `size` more bytes of a request that holds `held` already; `Held.add` calls it."""
        with self._lock:
            if held + size > self._config.max_bytes:
                raise RequestTooLarge(
                    f"the request alone needs more memory than all may have, {self._config.max_bytes} bytes",
                    next_step="send fewer points per request",
                )
            if self._bytes + size > self._config.max_bytes or (not held and self._memory_is_short()):
                raise self._refused(transport, "RECEIVER_MEMORY_FULL")
            self._bytes += size

    def give_back(self, size: int, waited: int | None) -> None:
        """End a request that held `size` bytes and waited with `waited`; `Held.leave` calls it."""
        with self._lock:
            self._bytes -= size
            self._requests -= 1
            if waited is not None:
                self._pace.ended(waited)

    def _refused(self, transport: str, reason: str) -> Unavailable:
        self._counters.add("collector.requests.refused", transport=transport, reason=reason)
        return Unavailable(
            f"{_WHY[reason]}; nothing was read or stored",
            reason=reason,
            next_step="Send the same bytes again after the delay.",
            # In tenths, so that the answers are few and kept ready (`status_bytes`).
            retry_after_s=round(self._rng.uniform(*_RETRY_AFTER_S), 1),
        )


class Held:
    """What one request holds of the budget."""

    def __init__(self, admission: Admission, transport: str) -> None:
        self._admission = admission
        self._transport = transport
        self.size = 0
        self._waiting: int | None = None

    def arrived(self) -> None:
        """It has been read: from now on it waits for its answer. Once."""
        self._waiting = self.size
        self._admission.begin_wait(self.size)

    async def turn(self) -> None:
        """Wait for the turn to be worked on."""
        await self._admission.turn(self.size)

    def add(self, size: int) -> None:
        """Hold `size` more bytes.

        Raises:
            Unavailable, RequestTooLarge: as `Admission.enter`; what was held stays held.
        """
        self._admission.take(self._transport, size, self.size)
        self.size += size

    def counted(self, points: int) -> None:
        """Hold what so many points take until they are in the log, where that is more than their bytes.

        Raises:
            Unavailable, RequestTooLarge: as `Admission.enter`.
        """
        if (more := points * _POINT_BYTES - self.size) > 0:
            self.add(more)

    def leave(self) -> None:
        """Give everything back; once."""
        self._admission.give_back(self.size, self._waiting)

    def __enter__(self) -> "Held":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
