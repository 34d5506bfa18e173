"""Turns what was applied into new revisions of slices: the slicer without its streams.

A function of the applied batches, the stored points and the slices that were published before. Whatever it
remembers can be read back, so a new engine that starts from the stored slices continues the same.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.sla.model import NS_PER_MS, Applied, Objective, PointKind, Revision, Series, Slice, Touched
from services.sla.ports import PointReader, SliceStore
from services.sla.slice_book import Book
from services.sla.slice_compute import Grid, compute
from services.sla.slice_coverage import LOOKBACK_MS, Covered, covered, latest, reports_of
from services.sla.slice_range import Range, dirty_range, pieces, written_ranges
from services.sla.slice_rows import Increments, in_order, increments_of, matches

_logger = logging.getLogger(__name__)

REACH_MS = 8 * 86_400_000
"""How far before log time slices are computed again: points may be 7 days late."""

_MARGIN_MS = 60_000
_Key = tuple[str, str]

__all__ = ["REACH_MS", "Plan", "SliceEngine"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to publish for some batches: revisions by (tenant, objective), and how far each is sealed."""

    watermark_ns: int
    revisions: Mapping[_Key, Sequence[Revision]]
    sealed_ms: Mapping[_Key, int]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What overlaps (low, high] of one metric."""

    low_ms: int
    high_ms: int
    series: Mapping[int, Series]
    parts: tuple[Increments, ...]
    cover: Mapping[str, Covered]


class SliceEngine:
    """Plans revisions; the caller publishes them and then says so with `commit`.

    A plan that was not published leaves nothing behind: plan again.
    """

    def __init__(
        self, *, reader: PointReader, store: SliceStore, objectives: Callable[[], Sequence[Objective]]
    ) -> None:
        self._reader = reader
        self._store = store
        self._objectives = objectives
        self._books: dict[_Key, Book] = {}
        self._backfill: dict[_Key, list[Range]] = {}
        self._series: dict[tuple[str, str], dict[int, Series]] = {}

    async def plan(self, batch: Sequence[Applied]) -> Plan:
        """The revisions that these batches, which are in ClickHouse, ask for.

        A new objective is filled in from the first point that is stored, however old it is.

        Raises:
            Unavailable: ClickHouse is away; plan the same batches again.
        """
        watermark_ns = batch[-1].watermark_ns
        watermark_ms = watermark_ns // NS_PER_MS
        await self._open_books(watermark_ms)
        pending: dict[_Key, dict[int, Slice]] = {key: {} for key in self._books}
        metrics = {(book.objective.tenant, book.objective.metric) for book in self._books.values()}
        for tenant, metric, written in written_ranges(_concerning(batch, metrics, watermark_ms)):
            books = [
                book
                for book in self._books.values()
                if book.objective.tenant == tenant and book.objective.metric == metric
            ]
            if books:
                await self._recompute(books, written, watermark_ms - REACH_MS, pending)
        for key, ranges in self._backfill.items():
            for written in ranges:
                await self._recompute([self._books[key]], written, 0, pending)
        sealed: dict[_Key, int] = {}
        revisions: dict[_Key, Sequence[Revision]] = {}
        for key, book in self._books.items():
            await self._remember(book, min([book.sealed_ms, *pending[key]]))
            sealed[key] = book.seal(pending[key], watermark_ms)
            revisions[key] = book.revise(pending[key], watermark_ms)
        return Plan(watermark_ns, revisions, sealed)

    def commit(self, plan: Plan) -> None:
        """All of the plan is in the stream."""
        for key, revisions in plan.revisions.items():
            self._books[key].published(revisions, plan.sealed_ms[key])
        self._backfill.clear()

    async def _open_books(self, watermark_ms: int) -> None:
        current = {(one.tenant, one.key): one for one in self._objectives()}
        for key in [key for key in self._books if key not in current]:
            del self._books[key]
            self._backfill.pop(key, None)
        for key, objective in current.items():
            if key in self._books:
                self._books[key].objective = _keeping_grid(objective, self._books[key].objective.slice_ms)
            else:
                book, fresh = await self._open(objective, watermark_ms)
                self._books[key] = book
                if fresh:
                    self._backfill[key] = fresh

    async def _open(self, objective: Objective, watermark_ms: int) -> tuple[Book, list[Range]]:
        """The book as the published slices tell it; for a new objective what there is to fill in."""
        book = Book(objective)
        span = await self._store.span(objective.tenant, objective.key)
        if span is None:
            extent = await self._reader.extent(objective.tenant, objective.metric)
            return book, [] if extent is None else pieces(Range(*extent))
        start_ms, end_ms, sealed_ms = span
        first = await self._store.current(
            objective.tenant, objective.key, low_ms=start_ms, high_ms=start_ms + 1
        )
        book.objective = _keeping_grid(objective, first[0].slice.length_ms)
        book.first_ms = start_ms + first[0].slice.not_started_ns // NS_PER_MS
        book.hot_from_ms = end_ms
        book.sealed_ms = sealed_ms or start_ms
        loaded = await self._load([book], watermark_ms - LOOKBACK_MS, watermark_ms, rows=False)
        book.saw(latest(loaded.cover[objective.key]))
        return book, []

    async def _remember(self, book: Book, low_ms: int) -> None:
        """Have every published slice from low on in the book."""
        if book.first_ms is None or low_ms >= book.hot_from_ms:
            return
        one = book.objective
        for revision in await self._store.current(
            one.tenant, one.key, low_ms=low_ms, high_ms=book.hot_from_ms
        ):
            book.hot.setdefault(revision.slice.start_ms, revision)
        book.hot_from_ms = low_ms

    async def _recompute(
        self, books: Sequence[Book], written: Range, oldest_ms: int, pending: dict[_Key, dict[int, Slice]]
    ) -> None:
        width = max(book.objective.slice_ms for book in books)
        grid = Grid.over(written.low_ms - _MARGIN_MS, written.high_ms + 1, width)
        loaded = await self._load(books, grid.origin_ms, grid.end_ms)
        grids = self._grids(books, written, loaded, oldest_ms)
        if grids and (
            min(one.origin_ms for one in grids.values()) < loaded.low_ms
            or max(one.end_ms for one in grids.values()) > loaded.high_ms
        ):
            low = min(one.origin_ms for one in grids.values())
            high = max(one.end_ms for one in grids.values())
            loaded = await self._load(books, min(low, loaded.low_ms), max(high, loaded.high_ms))
        for book in books:
            objective = book.objective
            if (wanted := grids.get(objective.key)) is None or book.first_ms is None:
                continue
            book.saw(latest(loaded.cover[objective.key]))
            slices = await asyncio.to_thread(
                compute,
                objective,
                loaded.parts,
                loaded.series,
                loaded.cover[objective.key],
                grid=wanted,
                first_ms=book.first_ms,
            )
            pending[objective.tenant, objective.key].update((one.start_ms, one) for one in slices)

    def _grids(
        self, books: Sequence[Book], written: Range, loaded: _Loaded, oldest_ms: int
    ) -> dict[str, Grid]:
        """Which slices of each objective may have changed; none before its first data or the oldest."""
        found = {}
        for book in books:
            objective = book.objective
            cover = loaded.cover[objective.key]
            if len(cover.ts) == 0:
                continue
            dirty = dirty_range(written, loaded.parts, cover)
            low, high = dirty.low_ms, dirty.high_ms
            first = int(cover.start.min())
            if book.first_ms is None or first < book.first_ms:
                # Data earlier than any before: the time in between has slices from now on.
                low, high = min(low, first), max(high, book.first_ms or high)
                book.start_at(first)
            assert book.first_ms is not None
            low = max(low, book.first_ms, oldest_ms)
            if low < high:
                found[objective.key] = Grid.over(low, high, objective.slice_ms)
        return found

    async def _load(self, books: Sequence[Book], low_ms: int, high_ms: int, *, rows: bool = True) -> _Loaded:
        """Everything of one metric that decides about the slices of (low, high]."""
        tenant, metric = books[0].objective.tenant, books[0].objective.metric
        exports = await self._reader.exports(tenant, metric, low_ms=low_ms - LOOKBACK_MS, high_ms=high_ms)
        beats = await self._reader.heartbeats(tenant, metric, low_ms=low_ms - LOOKBACK_MS, high_ms=high_ms)
        series = await self._known_series(tenant, metric, set(exports.series.tolist()))
        parts, reports = [], reports_of(exports, series)
        for kind in sorted({one.kind for one in series.values()} if rows else ()):
            found = await self._reader.rows(tenant, metric, PointKind(kind), low_ms=low_ms, high_ms=high_ms)
            if len(found):
                parts.append(await asyncio.to_thread(increments_of, in_order(found), series, reports))
        cover = {}
        for book in books:
            senders = {one.sender_id for one in series.values() if matches(one, book.objective)}
            members = {s: one.sender_id for s, one in series.items() if one.sender_id in senders}
            cover[book.objective.key] = covered(exports, beats, members)
        return _Loaded(low_ms, high_ms, series, tuple(parts), cover)

    async def _known_series(self, tenant: str, metric: str, needed: set[int]) -> Mapping[int, Series]:
        known = self._series.setdefault((tenant, metric), {})
        if not needed <= known.keys():
            known.update({one.series_id: one for one in await self._reader.series(tenant, metric)})
        return known


def _concerning(
    batch: Sequence[Applied], metrics: Collection[tuple[str, str]], watermark_ms: int
) -> Iterator[Touched]:
    """What was written, as it concerns the metrics of objectives, by (tenant, metric).

    Cut to the time that is computed again: a start may name any instant. Any other metric of a tenant
    may be the heartbeat of its senders.
    """
    oldest = watermark_ms - REACH_MS
    for applied in batch:
        for one in applied.touched:
            if one.latest_ms <= oldest:
                continue
            cut = replace(one, earliest_ms=max(one.earliest_ms, oldest))
            if (one.tenant, one.metric) in metrics:
                yield cut
            else:
                yield from (replace(cut, metric=m) for tenant, m in metrics if tenant == one.tenant)


def _keeping_grid(objective: Objective, slice_ms: int) -> Objective:
    """The objective with the slices that it has: two lengths would count the same time twice."""
    if objective.slice_ms == slice_ms:
        return objective
    _logger.warning(
        "%s of %s keeps its slices of %d ms: their length cannot change",
        objective.key,
        objective.tenant,
        slice_ms,
    )
    return replace(objective, slice_ms=slice_ms)
