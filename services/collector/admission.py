"""How much may be under way at once: bytes and requests of both transports together.

A receiver that takes everything dies of it. What does not fit is refused at once, before it is
read where its length is known, with an answer that makes clients send again. Knows no transport;
safe to use from threads, because large bodies are decompressed beside the event loop.
"""

import threading
from dataclasses import dataclass
from types import TracebackType

from services.collector.errors import RequestTooLarge
from services.common.errors import Unavailable
from services.common.telemetry import Counters

_RETRY_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """The bounds. One request may hold up to the whole of `max_bytes`."""

    max_bytes: int = 256 << 20
    max_requests: int = 1024


class Admission:
    """The budget of a process."""

    def __init__(self, config: AdmissionConfig, counters: Counters) -> None:
        self._config = config
        self._counters = counters
        self._lock = threading.Lock()
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
        """Whether nothing more fits."""
        return self._bytes >= self._config.max_bytes or self._requests >= self._config.max_requests

    def enter(self, transport: str, size: int = 0) -> "Held":
        """Begin a request of `size` bytes, of which more may follow; leave the result as a context.

        Raises:
            Unavailable: RECEIVER_BUSY or RECEIVER_MEMORY_FULL; counted.
            RequestTooLarge: it alone is over the budget.
        """
        with self._lock:
            if self._requests >= self._config.max_requests:
                raise self._refused(transport, "RECEIVER_BUSY", "too many requests are under way")
            self._requests += 1
        held = Held(self, transport)
        try:
            held.add(size)
        except BaseException:
            held.leave()
            raise
        return held

    def refuse(self, transport: str) -> Unavailable:
        """The error for a request that is turned away unread, because nothing more fits; counted."""
        busy = self._requests >= self._config.max_requests
        if busy:
            return self._refused(transport, "RECEIVER_BUSY", "too many requests are under way")
        return self._memory_full(transport)

    def take(self, transport: str, size: int, held: int) -> None:
        """Count `size` more bytes of a request that holds `held` already; `Held.add` calls it."""
        with self._lock:
            if held + size > self._config.max_bytes:
                raise RequestTooLarge(
                    f"the request alone needs more memory than all may have, {self._config.max_bytes} bytes",
                    next_step="send fewer points per request",
                )
            if self._bytes + size > self._config.max_bytes:
                raise self._memory_full(transport)
            self._bytes += size

    def give_back(self, size: int) -> None:
        """End a request that held `size` bytes; `Held.leave` calls it."""
        with self._lock:
            self._bytes -= size
            self._requests -= 1

    def _memory_full(self, transport: str) -> Unavailable:
        return self._refused(transport, "RECEIVER_MEMORY_FULL", "the memory for requests under way is in use")

    def _refused(self, transport: str, reason: str, why: str) -> Unavailable:
        self._counters.add("collector.requests.refused", transport=transport, reason=reason)
        return Unavailable(
            f"{why}; nothing was read or stored",
            reason=reason,
            next_step="Send the same bytes again after the delay.",
            retry_after_s=_RETRY_AFTER_S,
        )


class Held:
    """What one request holds of the budget."""

    def __init__(self, admission: Admission, transport: str) -> None:
        self._admission = admission
        self._transport = transport
        self.size = 0

    def add(self, size: int) -> None:
        """Hold `size` more bytes.

        Raises:
            Unavailable, RequestTooLarge: as `Admission.enter`; what was held stays held.
        """
        self._admission.take(self._transport, size, self.size)
        self.size += size

    def leave(self) -> None:
        """Give everything back; once."""
        self._admission.give_back(self.size)

    def __enter__(self) -> "Held":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
