"""What the slicer remembers of one objective: what it has published, and how far time is sealed.

All of it can be read back from the stored slices, so losing it loses nothing. No I/O here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from services.sla.model import NS_PER_MS, Objective, Revision, Slice
from services.sla.slice_coverage import DEFAULT_INTERVAL_MS, LOOKBACK_MS, TOLERANCE, Sender

SEAL_INTERVALS = 2
SEAL_GRACE_MS = 5_000
_KEEP_MS = 2 * 3_600_000


@dataclass(slots=True)
class Book:
    """One objective's published slices.

    first_ms: first data, None before there is any. sealed_ms: every slice that ends by then is sealed.
    hot: the current revision of every slice that was published and starts at or after hot_from_ms.
    """

    objective: Objective
    first_ms: int | None = None
    sealed_ms: int = 0
    hot_from_ms: int = 0
    hot: dict[int, Revision] = field(default_factory=dict)
    senders: dict[int, Sender] = field(default_factory=dict)

    def start_at(self, first_ms: int) -> None:
        """The first data is known, or turned out to be earlier."""
        aligned = first_ms // self.objective.slice_ms * self.objective.slice_ms
        if self.first_ms is None:
            self.hot_from_ms = aligned
            self.sealed_ms = aligned
        self.first_ms = first_ms
        self.hot_from_ms = min(self.hot_from_ms, aligned)

    def saw(self, senders: dict[int, Sender]) -> None:
        """Exports that were read; older ones than known change nothing."""
        for sender_id, seen in senders.items():
            known = self.senders.get(sender_id)
            if known is None or known.last_ms <= seen.last_ms:
                self.senders[sender_id] = seen

    def seal_until_ms(self, watermark_ms: int) -> int:
        """Time by which a slice may end to be sealed now.

        Every live sender has reported later, or the log is two export intervals and a grace ahead. A sender
        that was silent for longer than the tolerance is not waited for.
        """
        recent = [one for one in self.senders.values() if one.last_ms >= watermark_ms - LOOKBACK_MS]
        live = [one for one in recent if one.last_ms >= watermark_ms - TOLERANCE * one.interval_ms]
        slowest = max((one.interval_ms for one in recent), default=DEFAULT_INTERVAL_MS)
        late = watermark_ms - SEAL_INTERVALS * slowest - SEAL_GRACE_MS
        reported = min((one.last_ms for one in live), default=late)
        return min(watermark_ms, max(late, reported))

    def seal(self, pending: dict[int, Slice], watermark_ms: int) -> int:
        """Seal what is due among `pending` (start to slice) and the published; returns the new sealed_ms.

        Time that nothing ever touched becomes slices without data.
        """
        width = self.objective.slice_ms
        if self.first_ms is None:
            return self.sealed_ms
        sealed = max(self.sealed_ms, self.seal_until_ms(watermark_ms) // width * width)
        for start in range(self.sealed_ms, sealed, width):
            one = pending.get(start)
            if one is None:
                known = self.hot.get(start)
                one = self.untouched(start) if known is None else known.slice
            pending[start] = one
        for start, one in pending.items():
            pending[start] = replace(one, sealed=one.end_ms <= sealed)
        return sealed

    def untouched(self, start_ms: int) -> Slice:
        """A slice that no interval overlaps."""
        width = self.objective.slice_ms
        early = min(max(0, (self.first_ms or 0) - start_ms), width)
        return Slice(
            start_ms,
            width,
            no_data_ns=(width - early) * NS_PER_MS,
            not_started_ns=early * NS_PER_MS,
        )

    def revise(self, pending: dict[int, Slice], known_at_ms: int) -> list[Revision]:
        """The slices whose content is new, each as the next revision of its start, in order."""
        changed = []
        for start in sorted(pending):
            known = self.hot.get(start)
            if known is not None and known.slice == pending[start]:
                continue
            changed.append(Revision(pending[start], 1 if known is None else known.revision + 1, known_at_ms))
        return changed

    def published(self, revisions: Iterable[Revision], sealed_ms: int) -> None:
        """These are out; forget what is old enough to be read back."""
        for one in revisions:
            self.hot[one.slice.start_ms] = one
        self.sealed_ms = max(self.sealed_ms, sealed_ms)
        oldest = (self.sealed_ms - _KEEP_MS) // self.objective.slice_ms * self.objective.slice_ms
        if oldest > self.hot_from_ms:
            self.hot_from_ms = oldest
            for start in [start for start in self.hot if start < oldest]:
                del self.hot[start]
