"""What was active before this process started, so that a restart neither forgets nor forgives.

Two sources, and no gap between them: the table of series for everything written, and the log from
the writer's position on for everything acknowledged since. The table knows when a series was
described, not its last arrival: of a series that is still sent it has a row of each day, so that
it counts; one that fell silent since may leave the count up to a day early.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from services.collector.decode import decode
from services.collector.identity import series_key
from services.collector.model import Record
from services.collector.poison import readable_heads
from services.collector.quota_ports import KnownSeries, SeriesHistory
from services.collector.record import decode_record
from services.collector.series_census import ACTIVE_HOURS, LocalSeriesCensus, hour_of
from services.collector.validate import unpack_bitmap
from services.common.clock import Clock
from services.common.errors import ThreeninesError, Unavailable
from services.common.log_port import Entry, Log
from services.common.streams import OTLP

_log = logging.getLogger(__name__)

_RETRY_S = 1.0
_DAY_S = 86_400


class CensusRebuild:
    """Loads a census once, however long the store is away; nothing is refused until then."""

    def __init__(
        self,
        census: LocalSeriesCensus,
        *,
        log: Log,
        history: SeriesHistory,
        written_seq: Callable[[], Awaitable[int]],
        clock: Clock,
    ) -> None:
        self._census = census
        self._log = log
        self._history = history
        self._written_seq = written_seq
        self._clock = clock

    async def run(self) -> None:
        """Load, trying again while the store or the log is away."""
        while True:
            try:
                await self.load()
                break
            except Unavailable as err:
                _log.warning("limits of series wait for what was there before: %s", err)
                await self._clock.sleep(err.retry_after_s or _RETRY_S)

    async def load(self) -> None:
        """Load once.

        Raises:
            Unavailable: the store or the log does not answer; nothing was loaded.
        """
        # The position first: what is written after it was read is in both sources, not in none.
        first = await self._written_seq() + 1
        now_s = self._clock.now_ns() // 10**9
        since_s = now_s - ACTIVE_HOURS * 3600
        stored = await self._history.known_series(first_day=since_s // _DAY_S, since_s=since_s)
        waiting = await self._waiting(first)
        self._census.load(waiting)
        self._census.load(stored)
        _log.info("%d series of %d tenants are active", *_size(self._census.counts()))

    async def _waiting(self, first: int) -> dict[str, KnownSeries]:
        """Series of accepted points in the log from `first` to its present end."""
        state = await self._log.stream_info(OTLP)
        hours: dict[str, dict[int, int]] = {}
        seq = max(first, state.first_seq)
        while seq <= state.last_seq:
            entries = await self._log.read(OTLP, seq)
            if not entries:
                break
            for tenant, found in (await asyncio.to_thread(_series_of, entries)).items():
                hours.setdefault(tenant, {}).update(found)
            seq = entries[-1].seq + 1
        return {tenant: KnownSeries.of(found) for tenant, found in hours.items()}


def _series_of(entries: Sequence[Entry]) -> dict[str, dict[int, int]]:
    """Hour of append by tenant and series id, over what can be read; the writer sees to the rest."""
    found: dict[str, dict[int, int]] = {}
    for entry in entries:
        heads = readable_heads(entry)
        if heads is None or heads.tick:
            continue
        try:
            series = _accepted(decode_record(entry.data))
        except ThreeninesError:
            continue
        found.setdefault(heads.tenant, {}).update(dict.fromkeys(series, hour_of(entry.time_ns)))
    return found


def _accepted(record: Record) -> set[int]:
    series: set[int] = set()
    for request in record.requests:
        try:
            decoded = decode(request.raw)
            keep = ~unpack_bitmap(request.rejected, request.point_count)
            places = np.unique(decoded.series_index[keep]).tolist()
            series.update(series_key(record.tenant, decoded.series.identity[one]).series_id for one in places)
        # Poison, as the writer will find: what is in the log must not end the process at each of its starts.
        except Exception as err:
            _log.debug("a request of the log is left out of the count: %s", err)
    return series


def _size(counts: dict[str, int]) -> tuple[int, int]:
    return sum(counts.values()), len(counts)
