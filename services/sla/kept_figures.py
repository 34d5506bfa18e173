"""Figures that are computed once: kept in this process, in a cache behind it, and waited for together.

A key says everything that a figure follows from (`key_of`): the database, the terms, the window, the newest
record of the slices. So nothing is ever invalidated and nothing stale can be found; what nobody asks for any
more goes with time. Failures are not kept. A cache that does not answer is left alone for a while.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.telemetry import Counters
from services.sla.figure_cache import FigureCache
from services.sla.figures_codec import FORMAT, from_bytes, to_bytes
from services.sla.figures_model import Latency, Uptime
from services.sla.model import Objective

_logger = logging.getLogger(__name__)
_MOST = 4096
_REST_NS = 5 * 10**9
Kept = Uptime | Latency


class KeptFigures:
    """Figures by key."""

    def __init__(
        self, clock: Clock, counters: Counters, behind: FigureCache | None = None, *, most: int = _MOST
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._behind = behind
        self._most = most
        self._held: OrderedDict[str, Kept] = OrderedDict()
        self._underway: dict[str, asyncio.Task[Kept]] = {}
        self._rests_until_ns = 0

    async def get(
        self, key: str, versions: Mapping[int, Objective], compute: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        """The figures under a key, computed if they are nowhere.

        Args:
            key: of `key_of`.
            versions: the objective by version of its contract, as bytes do not hold it.
            compute: gives the figures; whatever it raises is raised here.
        """
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            self._counters.add("sla.cache.hits", 1, where="process")
            return held
        task = self._underway.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(key, versions, compute))
            self._underway[key] = task
            task.add_done_callback(lambda _: self._underway.pop(key, None))
        # A caller that leaves does not take the others' answer with it.
        return await asyncio.shield(task)

    async def _make(
        self, key: str, versions: Mapping[int, Objective], compute: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        figures = await self._find(key, versions)
        if figures is None:
            self._counters.add("sla.cache.misses", 1)
            figures = await compute()
            await self._put(key, figures)
        self._held[key] = figures
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return figures

    async def _find(self, key: str, versions: Mapping[int, Objective]) -> Kept | None:
        if self._behind is None or self._resting():
            return None
        try:
            data = await self._behind.get(key)
        except Unavailable:
            self._rest()
            return None
        if data is None:
            return None
        try:
            figures = from_bytes(data, versions)
        except (ValueError, KeyError, TypeError, IndexError):
            _logger.warning("an entry of the figure cache cannot be read; it is computed again")
            self._counters.add("sla.cache.errors", 1, reason="unreadable")
            return None
        self._counters.add("sla.cache.hits", 1, where="cache")
        return figures

    async def _put(self, key: str, figures: Kept) -> None:
        if self._behind is None or self._resting():
            return
        try:
            await self._behind.put(key, to_bytes(figures))
        except Unavailable:
            self._rest()

    def _resting(self) -> bool:
        return self._clock.monotonic_ns() < self._rests_until_ns

    def _rest(self) -> None:
        self._counters.add("sla.cache.errors", 1, reason="unavailable")
        self._rests_until_ns = self._clock.monotonic_ns() + _REST_NS


class TermsDigests:
    """The terms of objectives as short texts, made once for each."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Objective, str]] = {}

    def of(self, terms: Sequence[Objective]) -> str:
        """One text for these terms; the same for the same terms in any process."""
        return ",".join(self._one(objective) for objective in terms)

    def _one(self, objective: Objective) -> str:
        known = self._known.get(id(objective))
        if known is not None and known[0] is objective:
            return known[1]
        if len(self._known) > 50_000:
            self._known.clear()
        digest = hashlib.sha256(repr(objective).encode()).hexdigest()
        self._known[id(objective)] = (objective, digest)
        return digest


def key_of(*parts: object) -> str:
    """The key of a figure that follows from these values, whose repr says all of them."""
    return hashlib.sha256(repr((FORMAT, *parts)).encode()).hexdigest()
