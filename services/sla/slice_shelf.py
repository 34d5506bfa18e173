"""The books of one slicer: opened from what is stored, kept in step with the configuration, recalled when
a plan reaches further back than they remember.

Knows the stores and the record of work, and nothing of computing.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from services.sla.columns import revision_at
from services.sla.model import NS_PER_MS, Ints, Objective, Revision, Slice
from services.sla.ports import SliceStore
from services.sla.slice_book import Book, hours_of, tiling
from services.sla.slice_coverage import LOOKBACK_MS, latest
from services.sla.slice_hours import HOUR_MS, hour_of
from services.sla.slice_range import Range
from services.sla.slice_source import Feed, Source
from services.sla.slice_terms import (
    Exclusions,
    Footing,
    dirty_by_configuration,
    footing,
    no_exclusions,
    within_raw,
)
from services.sla.slice_work import MemoryWorkStore, Work, WorkStore

_logger = logging.getLogger(__name__)

_AGO_MS = 35 * 86_400_000
_AHEAD_MS = 8 * 86_400_000
"""Terms are compared from so long before log time, which is more than raw data reaches, to so long after."""

Key = tuple[str, str]


def _never_changes() -> int:
    return 0


async def _at_once() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is promised, asked at every plan.

    objectives: those in force. timeline: all versions of (tenant, key); without it, the one in force.
    exclusions: maintenance. changed: moves whenever `exclusions` may say something else.
    """

    objectives: Callable[[], Sequence[Objective]]
    timeline: Callable[[str, str], Sequence[Objective]] | None = None
    exclusions: Exclusions = no_exclusions
    changed: Callable[[], int] = _never_changes


class Shelf:
    """Books by (tenant, objective key).

    Args:
        source, store, works: what there is.
        configuration: what is promised.
        settled: returns when everything that was published is stored.
    """

    def __init__(
        self,
        *,
        source: Source,
        store: SliceStore,
        configuration: Configuration,
        works: WorkStore | None = None,
        settled: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self._source = source
        self._store = store
        self._configuration = configuration
        self._works = works or MemoryWorkStore()
        self._settled = settled
        self._seen: dict[Key, Sequence[Objective]] = {}
        self._changed = -1
        self._saved: dict[Key, Work] = {}
        self.books: dict[Key, Book] = {}

    async def refresh(self, watermark_ms: int) -> None:
        """Open the books of new objectives, put away those that are gone, notice changed terms.

        Raises:
            Unavailable: a store is away.
        """
        current = {(one.tenant, one.key): one for one in self._configuration.objectives()}
        for key in [key for key in self.books if key not in current]:
            del self.books[key]
            self._seen.pop(key, None)
            self._saved.pop(key, None)
        changed = self._configuration.changed()
        for key, objective in current.items():
            versions = self._versions(objective)
            book = self.books.get(key)
            if book is None:
                book = self.books[key] = await self._open(key, versions, watermark_ms)
            book.begin()
            seen = self._seen.get(key)
            moved = seen is not versions and seen != versions
            if moved:
                self._seen[key] = versions
                book.versions = self._with_width(versions, book)
            known = book.work.footing
            if moved or changed != self._changed or known is None or known.high_ms < watermark_ms:
                await self._compare(book, watermark_ms)
            # Seen once, so it must not be forgotten with a plan that is not published.
            book.settle()
        self._changed = changed

    def feeds(self) -> dict[Feed, list[tuple[Book, Objective]]]:
        """Which versions of which books take their slices from each feed."""
        found: dict[Feed, list[tuple[Book, Objective]]] = {}
        for book in self.books.values():
            for version in book.versions:
                found.setdefault(self._source.feed(version), []).append((book, version))
        return found

    def excluded(self, version: Objective, low_ms: int, high_ms: int) -> Ints:
        """Maintenance over [low, high) under one version."""
        return self._configuration.exclusions(version, low_ms, high_ms)

    async def save(self) -> None:
        """Record the work of every book that has other work than recorded."""
        for key, book in self.books.items():
            if self._saved.get(key) is not book.work:
                if self._saved.get(key) != book.work:
                    await self._works.save(*key, book.work)
                self._saved[key] = book.work

    async def recall(self, book: Book, pending: dict[int, Slice]) -> None:
        """Have every published slice in the book that `pending` or sealing could be another revision of."""
        if book.first_ms is None:
            return
        await self._warm(book)
        hours = sorted(hours_of([start for start in pending if start < book.hot_from_ms]))
        if not hours:
            return
        await self._settled()
        for low, high in _runs(hours):
            book.cold.update(await self._slices(book, low, high))
            book.cold_hours.update(await self._hours(book, low, high))

    async def _warm(self, book: Book) -> None:
        """Have in `hot` what may be sealed next, with the hour that it belongs to."""
        low, high = hour_of(book.sealed_ms), book.hot_from_ms
        if low >= high:
            return
        await self._settled()
        book.hot = await self._slices(book, low, high) | book.hot
        book.hours = await self._hours(book, low, hour_of(high) + HOUR_MS) | book.hours
        book.hot_from_ms = low

    async def _slices(self, book: Book, low_ms: int, high_ms: int) -> dict[int, Revision]:
        one = book.objective
        found = await self._store.current(one.tenant, one.key, low_ms=low_ms, high_ms=high_ms)
        return {revision.slice.start_ms: revision for revision in found}

    async def _hours(self, book: Book, low_ms: int, high_ms: int) -> dict[int, Revision]:
        one = book.objective
        found = await self._store.hours(one.tenant, one.key, low_ms=low_ms, high_ms=high_ms)
        return {int(found.start_ms[k]): revision_at(found, k) for k in range(len(found.start_ms))}

    def _versions(self, objective: Objective) -> Sequence[Objective]:
        timeline = self._configuration.timeline
        found = () if timeline is None else timeline(objective.tenant, objective.key)
        return found or (objective,)

    def _with_width(self, versions: Sequence[Objective], book: Book) -> tuple[Objective, ...]:
        wanted = versions[-1].slice_ms
        width = book.width_ms if book.first_ms is not None else wanted
        if width != wanted:
            _logger.warning(
                "%s of %s keeps its slices of %d ms: their length cannot change",
                versions[-1].key,
                versions[-1].tenant,
                width,
            )
        return tiling(versions, width)

    async def _open(self, key: Key, versions: Sequence[Objective], watermark_ms: int) -> Book:
        """The book as the published slices and the record tell it; a new objective's past is to be filled."""
        book = Book(tiling(versions))
        work = await self._works.load(*key)
        if work is not None:
            self._saved[key] = book.work = work
        span = await self._store.span(*key)
        if span is not None:
            await self._continue(book, span, watermark_ms)
            if book.first_ms is not None and book.work.found_ms is not None:
                book.first_ms = min(book.first_ms, book.work.found_ms)
        elif work is None:
            reach = await self._reach(book)
            if reach is not None and reach < watermark_ms:
                book.work = Work(reach_ms=reach, probed_ms=watermark_ms)
        return book

    async def _continue(self, book: Book, span: tuple[int, int, int], watermark_ms: int) -> None:
        one, (start_ms, end_ms, sealed_ms) = book.objective, span
        found = await self._store.current(one.tenant, one.key, low_ms=start_ms, high_ms=start_ms + 1)
        book.versions = tiling(book.versions, found[0].slice.length_ms)
        book.first_ms = start_ms + found[0].slice.not_started_ns // NS_PER_MS
        book.hot_from_ms = end_ms
        book.sealed_ms = sealed_ms or start_ms
        for version in book.versions:
            low = max(version.from_ms, watermark_ms - LOOKBACK_MS)
            if version.until_ms is None or low < version.until_ms:
                loaded = await self._source.load([version], low, max(low, watermark_ms), rows=False)
                book.saw(latest(loaded.cover(version)))

    async def _oldest(self, book: Book) -> int | None:
        extents = [await self._source.extent(version) for version in book.versions]
        return min((one[0] for one in extents if one is not None), default=None)

    async def _reach(self, book: Book) -> int | None:
        """As far back as slices can have data, as what covers a point begins before it; None without any."""
        oldest = await self._oldest(book)
        return None if oldest is None else max(oldest - LOOKBACK_MS, book.promised_ms)

    async def _promised_earlier(self, book: Book, before: Footing, now: Footing, work: Work) -> Work:
        """A first version that begins earlier than before: its past is to be filled in."""
        first = book.first_ms
        if first is None or not before.terms or now.terms[0][0] >= before.terms[0][0]:
            return work
        reach = await self._reach(book)
        return work if reach is None or reach >= first else work.looking(reach, first, live_ms=first)

    async def _compare(self, book: Book, watermark_ms: int) -> None:
        """Slices that other terms or other maintenance would make others are to be computed again."""
        now = footing(
            book.versions,
            self._configuration.exclusions,
            low_ms=watermark_ms - _AGO_MS,
            high_ms=watermark_ms + _AHEAD_MS,
        )
        before = book.work.footing
        dirty = [] if before is None else dirty_by_configuration(before, now)
        if before is not None and not dirty and before.high_ms >= watermark_ms:
            return
        work = replace(book.work, footing=now)
        if before is not None:
            work = await self._promised_earlier(book, before, now, work)
        if book.first_ms is not None:
            low = book.first_ms if work.filled_ms is None else work.filled_ms
            past = [
                Range(max(one.low_ms, low), min(one.high_ms, watermark_ms))
                for one in dirty
                if max(one.low_ms, low) < min(one.high_ms, watermark_ms)
            ]
            if past:
                kept, lost = within_raw(past, await self._oldest(book))
                work = work.with_repair(*kept)
                _say(book, kept, lost)
        book.work = work


def _say(book: Book, kept: Sequence[Range], lost: Sequence[Range]) -> None:
    key, tenant = book.objective.key, book.objective.tenant
    for one in kept:
        _logger.info("%s of %s is computed again from %d to %d ms", key, tenant, one.low_ms, one.high_ms)
    for one in lost:
        _logger.warning(
            "%s of %s stays as it was published from %d to %d ms: no raw data reaches back so far",
            key,
            tenant,
            one.low_ms,
            one.high_ms,
        )


def _runs(hours: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Hours that follow each other as one range."""
    low = high = hours[0]
    for hour in hours:
        if hour > high:
            yield low, high
            low = hour
        high = hour + HOUR_MS
    yield low, high
