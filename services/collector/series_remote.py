"""The census of series, asked from another process: one owner counts, its workers ask.

`SeriesCensus` over `RequestReply`, and the owner's side of it. A worker asks about each series once an
hour, all new ones of a request in one question; what was let in is remembered, what was refused for a
second. Without the owner a series is let in and counted later, when it is sent again (`series_gate.py`):
a refusal is final for OTLP's senders, and a limit must not cost them data because a process was busy.
After a failure nobody waits for the owner again for a while. Knows neither quotas nor what a series is.
"""

import struct

import numpy as np

from services.collector.model import U64, Bools
from services.collector.quota_ports import SeriesCensus
from services.collector.series_census import hour_of
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.request_reply import RequestReply, no_answer

_TIMEOUT_S = 2.0
"""An owner that is busy is waited for: the log gets 5 s as well."""
_PAUSE_NS = 1_000_000_000
_REFUSED_NS = 1_000_000_000
_MOST_AT_ONCE = 1 << 16
"""Series in a question: half a megabyte."""
_MOST_REFUSED = 1 << 16
_FRESH_AT_LEAST = 256

_HEAD = struct.Struct("<BBq")
_ACTIVE = struct.Struct("<q")
_ADMIT, _COUNT = 1, 2
_UNKNOWN = -1


class CensusOwner:
    """Answers workers from the census of this process."""

    def __init__(self, census: SeriesCensus) -> None:
        self._census = census

    async def answer(self, question: bytes) -> bytes:
        """A bit for each series asked about, set where it is beyond the limit; or a count.

        Raises:
            ValueError: it is no question of ours.
        """
        kind, length, limit = _HEAD.unpack_from(question)
        tenant = question[_HEAD.size : _HEAD.size + length].decode()
        if kind == _COUNT:
            active = await self._census.active(tenant)
            return _ACTIVE.pack(_UNKNOWN if active is None else active)
        if kind != _ADMIT:
            raise ValueError(f"a question of kind {kind}")
        series = np.frombuffer(question, "<u8", offset=_HEAD.size + length).astype(np.uint64)
        return np.packbits(await self._census.admit(tenant, series, limit=limit)).tobytes()


class _Known:
    """What a worker remembers of a tenant, within one hour."""

    __slots__ = ("_fresh", "_sorted", "hour", "refused")

    def __init__(self, hour: int) -> None:
        self.hour = hour
        self._sorted: U64 = np.zeros(0, np.uint64)
        self._fresh: set[int] = set()
        self.refused: dict[tuple[int, int], int] = {}
        """Monotonic nanoseconds until which it holds, by limit and series."""

    def admitted(self, series: U64) -> Bools:
        """Which of them were let in."""
        found = _within(series, self._sorted)
        if self._fresh:
            for place in np.flatnonzero(~found).tolist():
                found[place] = int(series[place]) in self._fresh
        return found

    def admit(self, series: U64) -> None:
        """Remember that they were let in."""
        self._fresh.update(series.tolist())
        if len(self._fresh) > max(_FRESH_AT_LEAST, len(self._sorted) // 8):
            fresh = np.fromiter(self._fresh, np.uint64, len(self._fresh))
            self._sorted, self._fresh = np.union1d(self._sorted, fresh), set()


class RemoteSeriesCensus:
    """`SeriesCensus` of a worker; belongs to one event loop."""

    def __init__(
        self, questions: RequestReply, subject: str, clock: Clock, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._questions = questions
        self._subject = subject
        self._clock = clock
        self._timeout_s = timeout_s
        self._known: dict[str, _Known] = {}
        self._away_until_ns = 0

    async def admit(self, tenant: str, series: U64, *, limit: int) -> Bools:
        """See `SeriesCensus.admit`."""
        known = self._of(tenant)
        refused = np.zeros(len(series), np.bool_)
        open_ = np.flatnonzero(~known.admitted(series))
        if len(open_) and known.refused:
            again = self._refused_lately(known, series[open_], limit)
            refused[open_[again]] = True
            open_ = open_[~again]
        for first in range(0, len(open_), _MOST_AT_ONCE):
            places = open_[first : first + _MOST_AT_ONCE]
            beyond = await self._ask_admission(tenant, series[places], limit)
            refused[places] = beyond
            self._remember(known, series[places], beyond, limit)
        return refused

    async def active(self, tenant: str) -> int | None:
        """See `SeriesCensus.active`."""
        answer = await self._ask(_question(_COUNT, tenant, 0))
        count: int = _ACTIVE.unpack(answer)[0]
        return None if count == _UNKNOWN else count

    async def _ask_admission(self, tenant: str, series: U64, limit: int) -> Bools:
        question = _question(_ADMIT, tenant, limit) + series.astype("<u8").tobytes()
        answer = await self._ask(question)
        if len(answer) != -(-len(series) // 8):
            raise no_answer(self._subject)
        return np.unpackbits(np.frombuffer(answer, np.uint8), count=len(series)).astype(np.bool_)

    async def _ask(self, question: bytes) -> bytes:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._away_until_ns:
            raise no_answer(self._subject)
        if self._away_until_ns:
            # It was away: this request tries it, the others go on meanwhile.
            self._away_until_ns = now_ns + _PAUSE_NS
        try:
            answer = await self._questions.ask(self._subject, question, timeout_s=self._timeout_s)
        except Unavailable:
            self._away_until_ns = self._clock.monotonic_ns() + _PAUSE_NS
            raise
        self._away_until_ns = 0
        return answer

    def _of(self, tenant: str) -> _Known:
        hour = hour_of(self._clock.now_ns())
        known = self._known.get(tenant)
        if known is None or known.hour != hour:
            # Every hour each series must be seen anew by the one that counts.
            known = self._known[tenant] = _Known(hour)
        return known

    def _refused_lately(self, known: _Known, series: U64, limit: int) -> Bools:
        now_ns = self._clock.monotonic_ns()
        until = known.refused.get
        return np.array([until((limit, one), 0) > now_ns for one in series.tolist()], np.bool_)

    def _remember(self, known: _Known, series: U64, beyond: Bools, limit: int) -> None:
        known.admit(series[~beyond])
        if beyond.any():
            if len(known.refused) > _MOST_REFUSED:
                known.refused.clear()
            until_ns = self._clock.monotonic_ns() + _REFUSED_NS
            known.refused.update(((limit, one), until_ns) for one in series[beyond].tolist())


def _question(kind: int, tenant: str, limit: int) -> bytes:
    name = tenant.encode()
    return _HEAD.pack(kind, len(name), limit) + name


def _within(series: U64, ordered: U64) -> Bools:
    """Which of the series are in a sorted array."""
    if not len(ordered):
        return np.zeros(len(series), np.bool_)
    places = np.searchsorted(ordered, series)
    places[places == len(ordered)] = 0
    found: Bools = ordered[places] == series
    return found
