"""How long a request that comes now would wait, and whether that is too long.

Little's law: what is under way, over the rate at which it gets done, is the wait of the next. A queue
may grow for a moment, since senders export on the same second; one that stands is refused down to a
short wait, so that whoever is let in is answered soon, and whoever is not is told at once (the idea of
CoDel, RFC 8289: a burst is no overload, a standing queue is).

What the log takes for an append is no queue: it passes whatever is refused. Counted as one, a log that is
slower than the short wait would have nearly everything refused, the rate would fall with what is let in, and
the wait that is computed from it would rise: down to the lowest rate and never back. So it is taken off, and
a few requests are let in whatever is computed. Knows no bytes but their number.
"""

import math
from collections import deque
from dataclasses import dataclass

from services.common.clock import Clock

_S = 1_000_000_000
_RATE_OVER_S = 1.0
"""Busy time over which the rate is a (decaying) mean."""
_FIRST_RATE = 30e6
"""Bytes a second, until there is something to go by."""
_LOWEST_RATE = 8e6
"""Bytes a second: after a stall of whatever is behind, the way back must not begin at nothing."""
_APPENDS = 8
"""The log's time is the least of so many appends: the others waited for each other, or for the event loop."""
_REQUEST_COSTS = 24_000
"""What a request costs beyond its bytes, in bytes: an empty one takes as long as some 180 points."""


@dataclass(frozen=True, slots=True)
class PaceConfig:
    """Waits in seconds, from a complete request to its answer."""

    short_wait_s: float = 0.025
    """What a standing queue is refused down to."""
    patience_s: float = 0.2
    """A queue over the short wait for so long is a standing one."""
    longest_wait_s: float = 0.5
    """No burst may make a longer one."""
    calm_s: float = 1.0
    """Nobody had to be refused for so long: the next queue may be a burst again."""
    few_bytes: int = 2 << 20
    """Under way, costs included: never too slow, while anything is answered."""
    stalled_s: float = 1.0
    """Without an answer for so long nothing is."""


class Pace:
    """The queue of a process; its caller has the lock."""

    def __init__(self, clock: Clock, config: PaceConfig | None = None) -> None:
        self._clock = clock
        self._config = config or PaceConfig()
        self._under_way = 0
        self._done, self._busy_s = _FIRST_RATE * _RATE_OVER_S, _RATE_OVER_S
        self._at_ns = self._short_at_ns = clock.monotonic_ns()
        self._answered_at_ns = self._at_ns
        self._appends: deque[float] = deque(maxlen=_APPENDS)
        self._log_s = 0.0
        self._refused_at_ns = 0
        self._standing = False

    @property
    def standing(self) -> bool:
        """Whether there is a standing queue, so that requests are refused to keep it short."""
        return self._standing

    @property
    def wait_s(self) -> float:
        """Seconds that the next request would wait, beside what the log takes."""
        self._pass(self._clock.monotonic_ns())
        return self._wait_s()

    def began(self, size: int) -> None:
        """A request is complete and will be worked on."""
        now_ns = self._clock.monotonic_ns()
        self._pass(now_ns)
        if not self._under_way:
            self._answered_at_ns = now_ns  # nobody waited before
        self._under_way += size + _REQUEST_COSTS

    def ended(self, size: int) -> None:
        """It is answered, however."""
        now_ns = self._clock.monotonic_ns()
        self._pass(now_ns)
        self._under_way -= size + _REQUEST_COSTS
        self._done += size + _REQUEST_COSTS
        self._answered_at_ns = now_ns
        if self._wait_s() <= self._config.short_wait_s:
            self._short_at_ns = now_ns

    def log_took(self, seconds: float) -> None:
        """An append was confirmed after so long."""
        self._appends.append(seconds)
        self._log_s = min(*self._appends, self._config.longest_wait_s)

    def too_slow(self) -> bool:
        """Whether a request that comes now is to be refused."""
        now_ns, config = self._clock.monotonic_ns(), self._config
        self._pass(now_ns)
        wait_s = self._wait_s()
        if wait_s <= config.short_wait_s:
            self._short_at_ns = now_ns
        elif now_ns - self._short_at_ns > config.patience_s * _S:
            self._standing = True
        if (
            self._standing
            and now_ns - self._refused_at_ns > config.calm_s * _S
            and wait_s <= config.short_wait_s
        ):
            self._standing = False
        limit_s = config.short_wait_s if self._standing else config.longest_wait_s
        if wait_s <= limit_s or self._few(now_ns):
            return False
        self._refused_at_ns = now_ns
        return True

    def _wait_s(self) -> float:
        if not self._under_way:
            return 0.0
        return max(0.0, self._under_way * self._busy_s / self._done - self._log_s)

    def _few(self, now_ns: int) -> bool:
        answering = now_ns - self._answered_at_ns <= self._config.stalled_s * _S
        return answering and self._under_way <= self._config.few_bytes

    def _pass(self, now_ns: int) -> None:
        """Let time pass for the rate: only that in which there was something to do."""
        passed_s, self._at_ns = (now_ns - self._at_ns) / _S, now_ns
        if not self._under_way:
            self._short_at_ns = now_ns
            return
        kept = math.exp(-passed_s / _RATE_OVER_S)
        self._busy_s = self._busy_s * kept + _RATE_OVER_S * (1.0 - kept)
        self._done = max(_LOWEST_RATE * self._busy_s, self._done * kept)
