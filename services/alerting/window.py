"""The recent slices of one objective, and sums over them.

Keeps, for each slice, the highest revision published so far. Which slices are kept depends only
on the messages up to a position of the stream and never on how the process got there, so that a
window rebuilt after a restart is the same window. Knows no rule.
"""

from dataclasses import dataclass

from services.alerting.model import Slice

MS_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sums:
    """What a span of time adds up to. `owed_ns` is the time for which data was due."""

    bad: int
    total: int
    observed_ns: int
    owed_ns: int


@dataclass(frozen=True, slots=True)
class Marks:
    """What must be remembered of a window besides the stream, to rebuild it exactly.

    Attributes:
        first_ms: start of the objective's first slice ever; time before it is not owed.
        kept_ms: slices that start before this are forgotten.
        from_seq: lowest position of SLICES that holds a slice of this window.
    """

    first_ms: int
    kept_ms: int
    from_seq: int


class Window:
    """Slices of one objective, newest revision each."""

    def __init__(self, *, first_ms: int | None = None, kept_ms: int = 0) -> None:
        self._slices: dict[int, Slice] = {}
        # What `sums` adds up, computed once a revision: it runs over every slice of an hour.
        self._terms: dict[int, tuple[int, int, int, int, int, int]] = {}
        self._impossible: set[int] = set()
        self._first_ms = first_ms
        self._kept_ms = kept_ms
        self._observed: tuple[int, int | None] = (-1, None)
        self.version = 0
        """Grows with each change: the same version gives the same sums."""

    def add(self, piece: Slice) -> None:
        """Take a slice; an older revision than the one known changes nothing."""
        if self._first_ms is None or piece.start_ms < self._first_ms:
            self._first_ms = piece.start_ms
        known = self._slices.get(piece.start_ms)
        if piece.start_ms < self._kept_ms or (known is not None and piece.revision <= known.revision):
            return
        self._slices[piece.start_ms] = piece
        self._terms[piece.start_ms] = _terms(piece)
        if 0 <= piece.good <= piece.total:
            self._impossible.discard(piece.start_ms)
        else:
            self._impossible.add(piece.start_ms)
        self.version += 1

    def forget_before(self, time_ms: int) -> None:
        """Drop slices that start before `time_ms`; they stay dropped when published again."""
        if time_ms <= self._kept_ms:
            return
        self._kept_ms = time_ms
        for start_ms in [start for start in self._slices if start < time_ms]:
            del self._slices[start_ms]
            del self._terms[start_ms]
            self._impossible.discard(start_ms)
            self.version += 1

    @property
    def impossible(self) -> bool:
        """Whether some slice counts more good requests than requests, or fewer than none."""
        return bool(self._impossible)

    def newest_first(self, *, ending_after_ms: int = 0) -> list[Slice]:
        """The slices that end after that time, the latest start first."""
        found = [piece for piece in self._slices.values() if piece.end_ms > ending_after_ms]
        return sorted(found, key=lambda piece: piece.start_ms, reverse=True)

    def newest_observed_end_ms(self) -> int | None:
        """End of the latest slice for which a sender reported; None without one."""
        if self._observed[0] != self.version:
            pieces = self._slices.values()
            ends = (piece.end_ms for piece in pieces if piece.observed_ns > 0 or piece.total > 0)
            self._observed = (self.version, max(ends, default=None))
        return self._observed[1]

    def sums(self, from_ms: int, to_ms: int) -> Sums:
        """Sums over slices within [from_ms, to_ms). Time without a slice is owed and not observed.

        Slices that are excluded as a whole count nowhere: neither requests nor time.
        """
        bad = total = observed_ns = known_owed_ns = known_ns = 0
        for start_ms, terms in self._terms.items():
            if start_ms >= from_ms and terms[0] <= to_ms:
                bad += terms[1]
                total += terms[2]
                observed_ns += terms[3]
                known_owed_ns += terms[4]
                known_ns += terms[5]
        begun_ms = to_ms if self._first_ms is None else max(from_ms, min(self._first_ms, to_ms))
        absent_ns = max(0, (to_ms - begun_ms) * MS_NS - known_ns)
        return Sums(bad, total, observed_ns, known_owed_ns + absent_ns)

    def marks(self) -> Marks:
        """What a snapshot needs; `from_seq` is 0 while the window is empty."""
        lowest = min((piece.seq for piece in self._slices.values()), default=0)
        return Marks(self._first_ms or 0, self._kept_ms, lowest)


def _terms(piece: Slice) -> tuple[int, int, int, int, int, int]:
    """End, bad, total, observed, owed and length; requests of excluded time count nowhere."""
    counts = (piece.bad, piece.total) if piece.excluded_ns < piece.length_ns else (0, 0)
    return (piece.end_ms, *counts, piece.observed_ns, piece.owed_ns, piece.length_ns)
