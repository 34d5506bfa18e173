"""What the slicer remembers of one objective: what it has published, and how far time is sealed.

All of it can be read back from the stored slices and the record of work, so losing it loses nothing.
No I/O here.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from services.sla.kernels import intervals
from services.sla.model import NS_PER_MS, Ints, Objective, Revision, Slice
from services.sla.slice_coverage import DEFAULT_INTERVAL_MS, LOOKBACK_MS, TOLERANCE, Sender
from services.sla.slice_hours import HOUR_MS, has_hours, hour_of, revised
from services.sla.slice_work import Work

SEAL_INTERVALS = 2
SEAL_GRACE_MS = 5_000
_KEEP_MS = HOUR_MS


@dataclass(slots=True)
class Book:
    """One objective's published slices.

    versions: the objective in each version of its contract, in order of time; they tile it.
    first_ms: first data, None before there is any. sealed_ms: every slice that ends by then is sealed,
        from the beginning of the live ones on.
    hot, hours: the current revision of every slice and hour that was published and starts at or after
        hot_from_ms; cold, cold_hours: of earlier ones that a plan needs.
    work: what is still to do. retry_ms: log time before which a defect is not tried again.
    """

    versions: tuple[Objective, ...]
    work: Work = field(default_factory=Work)
    first_ms: int | None = None
    sealed_ms: int = 0
    hot_from_ms: int = 0
    hot: dict[int, Revision] = field(default_factory=dict)
    hours: dict[int, Revision] = field(default_factory=dict)
    cold: dict[int, Revision] = field(default_factory=dict)
    cold_hours: dict[int, Revision] = field(default_factory=dict)
    senders: dict[int, Sender] = field(default_factory=dict)
    retry_ms: int = 0
    failures: int = 0
    _committed: tuple[int | None, int, int, Work] | None = None

    @property
    def objective(self) -> Objective:
        """The newest version: tenant, key and slice length are those of all of them."""
        return self.versions[-1]

    @property
    def width_ms(self) -> int:
        """Length of a slice."""
        return self.versions[-1].slice_ms

    @property
    def promised_ms(self) -> int:
        """Where the first slice of the first version begins: before it nothing was promised, and there are
        no slices."""
        return -(-self.versions[0].from_ms // self.width_ms) * self.width_ms

    @property
    def lowest_live_ms(self) -> int:
        """What is before this is the back-fill's, while it runs."""
        if not self.work.filling:
            return 0
        filled = self.work.filled_ms
        return filled if filled is not None else self.first_ms or 0

    def begin(self) -> None:
        """A new plan: what an earlier one thought and did not publish is forgotten."""
        if self._committed is None:
            self.settle()
        assert self._committed is not None
        self.first_ms, self.sealed_ms, self.hot_from_ms, self.work = self._committed
        self.cold, self.cold_hours = {}, {}

    def settle(self) -> None:
        """All of it is out or recorded."""
        self._committed = (self.first_ms, self.sealed_ms, self.hot_from_ms, self.work)

    def start_at(self, first_ms: int, *, live_ms: int | None = None) -> None:
        """The first data is known, or turned out to be earlier.

        live_ms: where the live slices begin, when the first data is the back-fill's.
        """
        if self.first_ms is None:
            width = self.width_ms
            aligned = (first_ms if live_ms is None else live_ms) // width * width
            self.hot_from_ms = aligned
            self.sealed_ms = aligned
        self.first_ms = first_ms

    def saw(self, senders: dict[int, Sender]) -> None:
        """Exports that were read; older ones than known change nothing."""
        for sender_id, seen in senders.items():
            known = self.senders.get(sender_id)
            if known is None or known.last_ms <= seen.last_ms:
                self.senders[sender_id] = seen

    def known(self, start_ms: int) -> Revision | None:
        """The published slice of a start, as far as it was read."""
        return self.hot.get(start_ms) or self.cold.get(start_ms)

    def seal_until_ms(self, watermark_ms: int) -> int:
        """Time by which a slice may end to be sealed now.

        Every live sender has reported later, or the log is two export intervals and a grace ahead. A sender
        that was silent for longer than the tolerance is not waited for. Never beyond what has to be computed
        again, because it might not have been computed at all.
        """
        recent = [one for one in self.senders.values() if one.last_ms >= watermark_ms - LOOKBACK_MS]
        live = [one for one in recent if one.last_ms >= watermark_ms - TOLERANCE * one.interval_ms]
        slowest = max((one.interval_ms for one in recent), default=DEFAULT_INTERVAL_MS)
        late = watermark_ms - SEAL_INTERVALS * slowest - SEAL_GRACE_MS
        reported = min((one.last_ms for one in live), default=late)
        missing = [one.low_ms for one in self.work.repairs if one.high_ms > self.sealed_ms]
        return min(watermark_ms, max(late, reported), *missing)

    def seal(
        self, pending: dict[int, Slice], watermark_ms: int, excluded: Callable[[int, int], Ints]
    ) -> None:
        """Seal what is due among `pending` (start to slice) and the published; moves `sealed_ms`.

        Time that nothing ever touched becomes slices without data. `excluded` gives maintenance over
        [low, high).
        """
        if self.first_ms is None:
            return
        width = self.width_ms
        sealed = max(self.sealed_ms, self.seal_until_ms(watermark_ms) // width * width)
        for start in range(self.sealed_ms, sealed, width):
            one = pending.get(start)
            if one is None:
                known = self.known(start)
                one = self.untouched(start, excluded(start, start + width)) if known is None else known.slice
            pending[start] = one
        self.sealed_ms = sealed
        pending.update(self.marked(pending))

    def marked(self, pending: dict[int, Slice]) -> dict[int, Slice]:
        """The same slices, each sealed where time is."""
        return {start: replace(one, sealed=one.end_ms <= self.sealed_ms) for start, one in pending.items()}

    def untouched(self, start_ms: int, excluded: Ints) -> Slice:
        """A slice that no interval overlaps."""
        width = self.width_ms
        early = min(max(0, (self.first_ms or 0) - start_ms), width)
        away = _overlap_ms(excluded, start_ms + early, start_ms + width)
        return Slice(
            start_ms,
            width,
            excluded_ns=away * NS_PER_MS,
            no_data_ns=(width - early - away) * NS_PER_MS,
            not_started_ns=early * NS_PER_MS,
        )

    def revise(self, pending: dict[int, Slice], known_at_ms: int) -> list[Revision]:
        """The slices whose content is new, each as the next revision of its start, in order."""
        changed = []
        for start in sorted(pending):
            known = self.known(start)
            if known is not None and known.slice == pending[start]:
                continue
            changed.append(Revision(pending[start], 1 if known is None else known.revision + 1, known_at_ms))
        return changed

    def revise_hours(self, pending: dict[int, Slice], known_at_ms: int) -> list[Revision]:
        """The hours whose sum is new; looked at wherever a slice was computed, whether it changed or not."""
        if not has_hours(self.width_ms):
            return []

        def at(start: int) -> Slice | None:
            if (one := pending.get(start)) is not None:
                return one
            known = self.known(start)
            return None if known is None else known.slice

        return revised(
            (hour for hour in hours_of(pending) if hour + HOUR_MS <= self.sealed_ms),
            slice_ms=self.width_ms,
            at=at,
            known=self.cold_hours | self.hours,
            known_at_ms=known_at_ms,
        )

    def published(self, slices: Iterable[Revision], hours: Iterable[Revision]) -> None:
        """These are out; forget what is old enough to be read back."""
        for kept, revisions in ((self.hot, slices), (self.hours, hours)):
            kept.update((one.slice.start_ms, one) for one in revisions if one.slice.end_ms > self.hot_from_ms)
        self.cold, self.cold_hours = {}, {}
        oldest = hour_of(self.sealed_ms - _KEEP_MS)
        if oldest > self.hot_from_ms:
            self.hot_from_ms = oldest
            for held in (self.hot, self.hours):
                for start in [start for start in held if start < oldest]:
                    del held[start]


def tiling(versions: Sequence[Objective], slice_ms: int | None = None) -> tuple[Objective, ...]:
    """The versions as slices need them: from the first one on one at each time, with slices of one length.

    Where a version does not have the objective, the one before it goes on: figures leave that time out. Two
    lengths of slices would count the same time twice, so the first one stays.
    """
    out = []
    for place, one in enumerate(versions):
        out.append(
            replace(
                one,
                until_ms=versions[place + 1].from_ms if place + 1 < len(versions) else None,
                slice_ms=slice_ms or versions[-1].slice_ms,
            )
        )
    return tuple(out)


def hours_of(starts: Collection[int]) -> set[int]:
    """The hours that hold these times."""
    return {hour_of(start) for start in starts}


def _overlap_ms(spans: Ints, low_ms: int, high_ms: int) -> int:
    """How much of [low, high) the set holds."""
    if len(spans) == 0 or low_ms >= high_ms:
        return 0
    inside = intervals.clip(spans, low_ms, high_ms)
    return int((inside[:, 1] - inside[:, 0]).sum())
