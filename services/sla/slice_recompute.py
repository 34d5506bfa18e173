"""Computes slices of books over a range: which of them may have changed, under which version, from one load.

Asks the source and the books' own facts; decides nothing about publishing.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from services.sla.model import Ints, Objective, Slice
from services.sla.slice_book import Book
from services.sla.slice_compute import Grid
from services.sla.slice_coverage import LOOKBACK_MS, latest
from services.sla.slice_hours import HOUR_MS
from services.sla.slice_range import Range, dirty_range
from services.sla.slice_source import Loaded, Source, left_out
from services.sla.slice_terms import Exclusions

_MARGIN_MS = 60_000

Pair = tuple[Book, Objective]
"""A book and one version of its objective."""


class Recompute:
    """Slices from a source, with the maintenance that counts."""

    def __init__(self, source: Source, exclusions: Exclusions) -> None:
        self._source = source
        self._exclusions = exclusions

    def groups(self, pairs: Sequence[Pair], written: Range) -> Iterator[list[Pair]]:
        """Pairs that one load serves: of one feed, each objective once, in force near the range."""
        groups: list[list[Pair]] = []
        for book, version in pairs:
            if not _near(version, written):
                continue
            for group in groups:
                same_feed = self._source.feed(group[0][1]) == self._source.feed(version)
                if same_feed and all(known is not book for known, _ in group):
                    group.append((book, version))
                    break
            else:
                groups.append([(book, version)])
        yield from groups

    async def over(
        self, group: Sequence[Pair], written: Range, *, oldest_ms: int, forced: bool
    ) -> list[list[Slice]]:
        """For each pair the slices that points of the range may have changed.

        Args:
            group: one of `groups`.
            written: times of the points.
            oldest_ms: nothing before it.
            forced: all of the range too, whatever points it has.
        """
        versions = [version for _, version in group]
        width = max(one.slice_ms for one in versions)
        near = Grid.over(written.low_ms - _MARGIN_MS, written.high_ms + 1, width)
        loaded = await self._source.load(versions, near.origin_ms, near.end_ms)
        grids = [_dirty(pair, written, loaded, oldest_ms, forced) for pair in group]
        wanted = [one for one in grids if one is not None]
        low = min((one.origin_ms for one in wanted), default=loaded.low_ms)
        high = max((one.end_ms for one in wanted), default=loaded.high_ms)
        if low < loaded.low_ms or high > loaded.high_ms:
            loaded = await self._source.load(versions, min(low, loaded.low_ms), max(high, loaded.high_ms))
        out: list[list[Slice]] = []
        for (book, version), grid in zip(group, grids, strict=True):
            if not forced and loaded.high_ms > book.sealed_ms:
                book.work = replace(book.work, left_out=left_out(loaded, version))
            if grid is None:
                out.append([])
                continue
            book.saw(latest(loaded.cover(version)))
            out.append(await self._slices(book, version, loaded, grid))
        return out

    async def exactly(self, book: Book, part: Range) -> dict[int, Slice]:
        """Every slice of [low, high), by start, under the version in force at each."""
        whole = Grid.over(part.low_ms, part.high_ms, book.width_ms)
        found: dict[int, Slice] = {}
        for version in book.versions:
            grid = whole.starting_in(version.from_ms, version.until_ms)
            if grid.count == 0:
                continue
            loaded = await self._source.load([version], grid.origin_ms - _MARGIN_MS, grid.end_ms)
            slices = await self._slices(book, version, loaded, grid)
            found.update((one.start_ms, one) for one in slices)
        return found

    async def covered_in(self, book: Book, part: Range) -> Range | None:
        """From where to where time is covered in [low, high); None when none of it is."""
        found = []
        for version in book.versions:
            low = max(part.low_ms, version.from_ms, book.promised_ms)
            high = part.high_ms if version.until_ms is None else min(part.high_ms, version.until_ms)
            if low >= high:
                continue
            loaded = await self._source.load([version], low, high, rows=False)
            cover = loaded.cover(version)
            inside = (cover.ts > low) & (cover.start < high)
            if inside.any():
                first, last = int(cover.start[inside].min()), int(cover.ts[inside].max())
                found.append(Range(max(low, first), min(high, last)))
        if not found:
            return None
        return Range(min(one.low_ms for one in found), max(one.high_ms for one in found))

    def excluded_of(self, book: Book) -> Callable[[int, int], Ints]:
        """Maintenance of a book's objective, by the version in force at the beginning."""

        def within(low_ms: int, high_ms: int) -> Ints:
            at = next(one for one in book.versions if one.until_ms is None or low_ms < one.until_ms)
            return self._exclusions(at, low_ms, high_ms)

        return within

    async def _slices(self, book: Book, version: Objective, loaded: Loaded, grid: Grid) -> list[Slice]:
        if book.first_ms is None:
            return []
        excluded = self._exclusions(version, grid.origin_ms, grid.end_ms)
        return await asyncio.to_thread(
            loaded.slices, version, grid=grid, first_ms=book.first_ms, excluded=excluded
        )


def _near(version: Objective, written: Range) -> bool:
    after = version.until_ms is None or written.low_ms - HOUR_MS < version.until_ms
    return after and written.high_ms + HOUR_MS >= version.from_ms


def _dirty(pair: Pair, written: Range, loaded: Loaded, oldest_ms: int, forced: bool) -> Grid | None:
    """Which slices may have changed; none before the promise, the first data, the oldest, or what is filled
    in later."""
    book, version = pair
    cover = loaded.cover(version)
    low, high = written.low_ms, written.high_ms
    if book.work.filling and book.first_ms is not None and low < book.lowest_live_ms:
        # Perhaps older than all that was found, or where nothing was: the back-fill looks again.
        book.work = book.work.looking(low - LOOKBACK_MS, high + 1, live_ms=book.first_ms)
    oldest_ms = max(oldest_ms, book.lowest_live_ms)
    heard = cover.start[cover.ts > book.promised_ms]
    if len(heard):
        dirty = dirty_range(written, loaded.spans(version))
        low, high = dirty.low_ms, dirty.high_ms
        first = max(int(heard.min()), oldest_ms, book.promised_ms)
        if book.first_ms is not None and first < book.first_ms - HOUR_MS:
            # Too much time in between to be computed at once: it is filled in by the hour.
            book.work = book.work.looking(first - 1, book.first_ms, live_ms=book.first_ms)
        elif book.first_ms is None or first < book.first_ms:
            # Data earlier than any before: the time in between has slices from now on.
            low, high = min(low, first), max(high, book.first_ms or high)
            book.start_at(first)
    elif not forced:
        return None
    if book.first_ms is None:
        return None
    low = max(low, book.first_ms, oldest_ms)
    if low >= high:
        return None
    grid = Grid.over(low, high, version.slice_ms).starting_in(version.from_ms, version.until_ms)
    return grid if grid.count else None
