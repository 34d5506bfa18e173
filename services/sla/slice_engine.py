"""Turns what was applied into new revisions of slices: the slicer without its streams.

A function of the applied batches, the stored points, the configuration and the slices that were published
before. Whatever it remembers can be read back, so a new engine that starts from the stored slices and the
record of work continues the same. What comes in is planned by `plan`; what is left to do of the past comes
out of `piece`, an hour at a time, for whenever nothing waits.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.common.errors import ThreeninesError
from services.common.telemetry import Counters
from services.sla.model import NS_PER_MS, Applied, Revision, Slice, Touched
from services.sla.ports import SliceStore
from services.sla.slice_book import Book
from services.sla.slice_hours import HOUR_MS
from services.sla.slice_range import Range, written_ranges
from services.sla.slice_recompute import Pair, Recompute
from services.sla.slice_shelf import Configuration, Key, Shelf, _at_once
from services.sla.slice_source import REQUESTS, Feed, Source
from services.sla.slice_work import Work, WorkStore

_logger = logging.getLogger(__name__)

REACH_MS = 8 * 86_400_000
"""How far before log time slices are computed again: points may be 7 days late."""

_INLINE = 4
"""More hours than these of one metric at once, when they are past, wait for a pause of what is live."""

_RETRY_MS = 10_000
_MOST_RETRY_MS = 600_000

__all__ = ["REACH_MS", "Configuration", "Plan", "SliceEngine"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to publish: revisions of slices and hours by (tenant, objective).

    A plan without any still has to be committed: it may have looked where there was nothing.
    """

    watermark_ns: int
    revisions: Mapping[Key, Sequence[Revision]]
    hours: Mapping[Key, Sequence[Revision]] = field(default_factory=dict)


class SliceEngine:
    """Plans revisions; the caller publishes them, says so with `commit`, and records the work with `save`.

    A plan that was not published leaves nothing behind: plan again. Only one plan is open at a time.

    Args:
        source: the points.
        store: what was published before.
        configuration: what is promised.
        works: keeps what is left to do; without it, a new process starts a back-fill anew.
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
        counters: Counters | None = None,
    ) -> None:
        self._shelf = Shelf(
            source=source, store=store, configuration=configuration, works=works, settled=settled
        )
        self._recompute = Recompute(source, self._shelf.excluded)
        self._counters = counters or Counters()
        self._watermark_ns = 0
        self._last: Key = ("", "")

    @property
    def works(self) -> dict[Key, Work]:
        """What is left to do of each objective that has something left."""
        return {key: book.work for key, book in self._shelf.books.items() if book.work.busy}

    @property
    def due(self) -> bool:
        """Whether `piece` has something to do now."""
        return self._watermark_ns > 0 and any(self._due(book) for book in self._shelf.books.values())

    @property
    def failing(self) -> list[Key]:
        """Objectives that a defect keeps from being computed."""
        return sorted(key for key, book in self._shelf.books.items() if book.failures)

    async def plan(self, batch: Sequence[Applied]) -> Plan:
        """The revisions that these batches, which are in ClickHouse, ask for.

        Raises:
            Unavailable: a store is away; plan the same batches again.
        """
        self._watermark_ns = batch[-1].watermark_ns
        watermark_ms = self._watermark_ns // NS_PER_MS
        await self._shelf.refresh(watermark_ms)
        feeds = self._shelf.feeds()
        pending: dict[Key, dict[int, Slice]] = {key: {} for key in self._shelf.books}
        ranges: dict[Feed, list[Range]] = {}
        for feed, written in _written(batch, feeds, watermark_ms - REACH_MS):
            ranges.setdefault(feed, []).append(written)
        for feed, found in ranges.items():
            live, past = _apart(found, watermark_ms)
            for written in live:
                await self._computed(feeds[feed], written, pending, oldest_ms=watermark_ms - REACH_MS)
            for book, _ in feeds[feed]:
                book.work = _put_off(book, past)
        plan = await self._finished(pending, seal=True)
        await self._shelf.save()
        return plan

    async def piece(self) -> Plan | None:
        """The next hour of what is left to do; None when nothing is, or nothing was applied so far.

        Raises:
            Unavailable: a store is away; ask again.
        """
        waiting = [key for key, book in self._shelf.books.items() if self._due(book)]
        if not waiting or not self._watermark_ns:
            return None
        key = min((one for one in waiting if one > self._last), default=min(waiting))
        self._last = key
        book = self._shelf.books[key]
        book.begin()
        pending: dict[Key, dict[int, Slice]] = {key: {}}
        if book.work.repairs:
            await self._repaired(book, pending)
        else:
            await self._filled(key, book, pending)
        return await self._finished(pending, seal=False)

    def commit(self, plan: Plan) -> None:
        """All of the plan is in the stream."""
        for key, revisions in plan.revisions.items():
            if (book := self._shelf.books.get(key)) is not None:
                book.published(revisions, plan.hours.get(key, ()))
                book.settle()

    async def save(self) -> None:
        """Record the work that is left; before the position moves."""
        await self._shelf.save()

    def _due(self, book: Book) -> bool:
        return book.work.busy and book.retry_ms * NS_PER_MS <= self._watermark_ns

    async def _computed(
        self,
        pairs: Sequence[Pair],
        written: Range,
        pending: dict[Key, dict[int, Slice]],
        *,
        oldest_ms: int,
        forced: bool = False,
    ) -> None:
        """Slices that the written points may have changed; a defect of one objective stops no other."""
        ready = []
        for book, version in pairs:
            if book.retry_ms * NS_PER_MS > self._watermark_ns:
                book.work = book.work.with_repair(_unsealed(book, written))
            else:
                ready.append((book, version))
        for group in self._recompute.groups(ready, written):
            try:
                found = await self._recompute.over(group, written, oldest_ms=oldest_ms, forced=forced)
            except ThreeninesError:
                raise
            except Exception as err:  # whatever is wrong with one objective's data must not stop the others
                if len(group) == 1:
                    self._fail(group[0][0], written, err)
                    continue
                for pair in group:
                    await self._computed([pair], written, pending, oldest_ms=oldest_ms, forced=forced)
                continue
            for (book, _), slices in zip(group, found, strict=True):
                one = book.objective
                pending[one.tenant, one.key].update((s.start_ms, s) for s in slices)

    async def _repaired(self, book: Book, pending: dict[Key, dict[int, Slice]]) -> None:
        part = book.work.next_repair()
        book.work = book.work.without_repair(part)
        pairs = [(book, version) for version in book.versions]
        failures = book.failures
        await self._computed(pairs, part, pending, oldest_ms=0, forced=True)
        if book.failures == failures:
            book.failures = 0

    async def _filled(self, key: Key, book: Book, pending: dict[Key, dict[int, Slice]]) -> None:
        """One look for older data, or one hour of what was found."""
        work = book.work
        if work.to_fill is None:
            part = work.to_probe
            seen = await self._recompute.covered_in(book, part)
            work = work.probed(part.low_ms, None if seen is None else seen.low_ms)
            if work.filled_ms is None and seen is not None:
                # What is live begins behind the last report, but not so far back that it is much at once.
                last_ms = max(seen.high_ms, self._watermark_ns // NS_PER_MS - HOUR_MS)
                live_ms = last_ms if book.first_ms is None else book.first_ms
                work = replace(work, filled_ms=live_ms, until_ms=live_ms)
            if work.found_ms is not None and (book.first_ms is None or work.found_ms < book.first_ms):
                book.start_at(work.found_ms, live_ms=work.filled_ms)
            book.work = work
            return
        part = work.to_fill
        try:
            pending[key] = await self._recompute.exactly(book, part)
        except ThreeninesError:
            raise
        except Exception as err:  # as in `_computed`; the hour stays to be filled
            self._fail(book, None, err)
            return
        book.failures = 0
        book.work = replace(work, filled_ms=part.low_ms)

    def _fail(self, book: Book, missed: Range | None, err: Exception) -> None:
        one = book.objective
        _logger.error("%s of %s cannot be computed and waits", one.key, one.tenant, exc_info=err)
        self._counters.add("sla.objectives.failed", tenant=one.tenant)
        wait_ms = min(_RETRY_MS << min(book.failures, 10), _MOST_RETRY_MS)
        book.failures += 1
        book.retry_ms = self._watermark_ns // NS_PER_MS + wait_ms
        if missed is not None:
            book.work = book.work.with_repair(_unsealed(book, missed))

    async def _finished(self, pending: Mapping[Key, dict[int, Slice]], *, seal: bool) -> Plan:
        watermark_ms = self._watermark_ns // NS_PER_MS
        revisions: dict[Key, Sequence[Revision]] = {}
        hours: dict[Key, Sequence[Revision]] = {}
        for key, mine in pending.items():
            book = self._shelf.books[key]
            await self._shelf.recall(book, mine)
            try:
                if seal:
                    book.seal(mine, watermark_ms, self._recompute.excluded_of(book))
                else:
                    mine = book.marked(mine)
                found = book.revise(mine, watermark_ms), book.revise_hours(mine, watermark_ms)
            except Exception as err:  # as in `_computed`
                missed = Range(min(mine), max(mine) + book.width_ms) if mine else None
                self._fail(book, missed, err)
                continue
            revisions[key], hours[key] = found
        return Plan(self._watermark_ns, revisions, hours)


def _unsealed(book: Book, missed: Range) -> Range:
    """What was missed, from where slices are not sealed yet: its points may reach back to there."""
    if missed.high_ms < book.sealed_ms:
        return missed
    return Range(min(missed.low_ms, book.sealed_ms), missed.high_ms)


def _apart(ranges: Sequence[Range], watermark_ms: int) -> tuple[list[Range], list[Range]]:
    """(what is computed at once, what waits): a long past must not hold up what is live."""
    past = [one for one in ranges if one.high_ms < watermark_ms - HOUR_MS]
    if len(past) <= _INLINE:
        return list(ranges), []
    return [one for one in ranges if one.high_ms >= watermark_ms - HOUR_MS], past


def _put_off(book: Book, past: Sequence[Range]) -> Work:
    work = book.work
    if not past:
        return work
    low, high = min(one.low_ms for one in past), max(one.high_ms for one in past)
    if book.first_ms is None or low < book.first_ms:
        live_ms = high + 1 if book.first_ms is None else book.first_ms
        work = work.looking(low - HOUR_MS, high + 1, live_ms=live_ms)
    # Before anything was found there is nothing to compute again, only to look for.
    return work if book.first_ms is None else work.with_repair(*past)


def _written(
    batch: Sequence[Applied], feeds: Mapping[Feed, Sequence[Pair]], oldest_ms: int
) -> list[tuple[Feed, Range]]:
    """What was written, as it concerns feeds, in pieces of an hour at most.

    Cut to the time that is computed again: a start may name any instant. Any other metric of a tenant
    may be the heartbeat of its senders.
    """
    by_tenant: dict[str, list[Feed]] = {}
    for feed in feeds:
        by_tenant.setdefault(feed.tenant, []).append(feed)
    concerned: dict[Feed, list[Touched]] = {}
    for applied in batch:
        for one in applied.touched:
            if one.latest_ms <= oldest_ms:
                continue
            cut = replace(one, earliest_ms=max(one.earliest_ms, oldest_ms))
            own = by_tenant.get(one.tenant, [])
            direct = [feed for feed in own if feed.metric == one.metric]
            # Histograms are nobody's heartbeat; gauges and sums may be, also those that are feeds themselves.
            only_direct = any(feed.way == REQUESTS for feed in direct)
            for feed in direct if only_direct else own:
                concerned.setdefault(feed, []).append(cut)
    found: list[tuple[Feed, Range]] = []
    for feed in sorted(concerned):
        one_metric = [replace(one, metric=feed.metric) for one in concerned[feed]]
        found.extend((feed, written) for _, _, written in written_ranges(one_metric))
    return found
