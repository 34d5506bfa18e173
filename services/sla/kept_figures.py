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
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class AskedFigures:
    """One figure that is asked for: its key of `key_of`, and the objective by version of its contract, which
    the bytes in a cache do not hold."""

    key: str
    versions: Mapping[int, Objective]


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
        self._underway: dict[str, asyncio.Future[Kept]] = {}
        self._makers: set[asyncio.Task[None]] = set()
        self._rests_until_ns = 0

    async def get(
        self,
        asked: Sequence[AskedFigures],
        compute: Callable[[Sequence[AskedFigures]], Awaitable[Sequence[Kept]]],
    ) -> list[Kept]:
        """The figures under each key; those that are nowhere are computed, all of them together.

        Args:
            asked: no key twice.
            compute: gives the figures of some of `asked`, in their order; whatever it raises is raised here.
        """
        waits: list[asyncio.Future[Kept]] = []
        missing = []
        for one in asked:
            future = self._underway.get(one.key) or self._at_hand(one.key)
            if future is None:
                future = self._underway[one.key] = asyncio.get_running_loop().create_future()
                missing.append(one)
            waits.append(future)
        if missing:
            task = asyncio.ensure_future(self._make(missing, compute))
            self._makers.add(task)
            task.add_done_callback(self._makers.discard)
        # A caller that leaves does not take the others' answer with it.
        return [future.result() if future.done() else await asyncio.shield(future) for future in waits]

    def _at_hand(self, key: str) -> "asyncio.Future[Kept] | None":
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        self._counters.add("sla.cache.hits", 1, where="process")
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        future.set_result(held)
        return future

    async def _make(
        self,
        asked: Sequence[AskedFigures],
        compute: Callable[[Sequence[AskedFigures]], Awaitable[Sequence[Kept]]],
    ) -> None:
        """Answers the futures of all that is asked, one way or the other."""
        try:
            found = await self._find(asked)
            missing = [one for one in asked if one.key not in found]
            if missing:
                self._counters.add("sla.cache.misses", len(missing))
                computed = await compute(missing)
                fresh = {one.key: figures for one, figures in zip(missing, computed, strict=True)}
                await self._put(fresh)
                found.update(fresh)
        except BaseException as err:
            for one in asked:
                _fail(self._underway.pop(one.key), err)
            if not isinstance(err, Exception):
                raise
            return
        for one in asked:
            self._held[one.key] = found[one.key]
            self._underway.pop(one.key).set_result(found[one.key])
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    async def _find(self, asked: Sequence[AskedFigures]) -> dict[str, Kept]:
        if self._behind is None or self._resting():
            return {}
        try:
            entries = await self._behind.get([one.key for one in asked])
        except Unavailable:
            self._rest()
            return {}
        found = {}
        for one, data in zip(asked, entries, strict=True):
            if data is not None and (figures := self._read(data, one.versions)) is not None:
                found[one.key] = figures
        return found

    def _read(self, data: bytes, versions: Mapping[int, Objective]) -> Kept | None:
        try:
            figures = from_bytes(data, versions)
        except (ValueError, KeyError, TypeError, IndexError):
            _logger.warning("an entry of the figure cache cannot be read; it is computed again")
            self._counters.add("sla.cache.errors", 1, reason="unreadable")
            return None
        self._counters.add("sla.cache.hits", 1, where="cache")
        return figures

    async def _put(self, fresh: Mapping[str, Kept]) -> None:
        if self._behind is None or self._resting():
            return
        try:
            await self._behind.put({key: to_bytes(figures) for key, figures in fresh.items()})
        except Unavailable:
            self._rest()

    def _resting(self) -> bool:
        return self._clock.monotonic_ns() < self._rests_until_ns

    def _rest(self) -> None:
        self._counters.add("sla.cache.errors", 1, reason="unavailable")
        self._rests_until_ns = self._clock.monotonic_ns() + _REST_NS


def _fail(future: "asyncio.Future[Kept]", err: BaseException) -> None:
    if isinstance(err, Exception):
        future.set_exception(err)
        # Nobody may be left who asks: the error has been told all the same.
        future.exception()
    else:
        future.cancel()


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
