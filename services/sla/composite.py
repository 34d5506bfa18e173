"""One promise made of several: the time at which any child was down, or the weighted mean of their shares.

Children come as sets of time (`kernels.intervals`, one unit, any clock): when each was down and when nothing
is known of it. Known downtime wins over missing data: what is down in one child is down in the whole whatever
the others do, and an instant that may have been down is not up. Integers and fractions only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from services.sla.kernels import intervals
from services.sla.model import CompositeMode, CompositeTerms, Ints, Verdict


@dataclass(frozen=True, slots=True)
class ChildTimes:
    """One child over the window, as (n, 2) sets: sorted, disjoint, within the window.

    excluded: maintenance, and not_started: time before the child began; both of no account for this child.
    down and no_data lie outside of them and do not overlap.
    """

    name: str
    down: Ints
    no_data: Ints
    excluded: Ints
    not_started: Ints = field(default_factory=lambda: np.zeros((0, 2), np.int64))


@dataclass(frozen=True, slots=True)
class ChildShare:
    """What one child contributed. share: up of what is known; None when nothing is."""

    name: str
    weight: Fraction
    down: int
    no_data: int
    excluded: int
    share: Fraction | None
    not_started: int = 0


@dataclass(frozen=True, slots=True)
class CompositeFigures:
    """The composite over [low, high), in the unit of the sets.

    down, no_data, excluded, not_started: of INTERVAL_UNION, lengths that do not overlap; of WEIGHTED 0: there
    is no set.
    share: up of what is known; None when nothing is, or, weighted, when one child has no share at all.
    worst_share, best_share: the same with all missing data as down, and as up.
    downtimes: when it was down, of INTERVAL_UNION.
    """

    mode: CompositeMode
    window: int
    down: int
    no_data: int
    excluded: int
    share: Fraction | None
    worst_share: Fraction | None
    best_share: Fraction | None
    downtimes: tuple[tuple[int, int], ...]
    children: tuple[ChildShare, ...]
    not_started: int = 0

    @property
    def coverage(self) -> Fraction | None:
        """Known share of what counts, of WEIGHTED that of the worst child; None when nothing counts."""
        sets: list[CompositeFigures | ChildShare] = [self]
        if self.mode is CompositeMode.WEIGHTED:
            sets = list(self.children)
        valid = [(one, self.window - one.excluded - one.not_started) for one in sets]
        return min((Fraction(v - one.no_data, v) for one, v in valid if v), default=None)


def composite_of(
    terms: CompositeTerms, children: Sequence[ChildTimes], *, low: int, high: int
) -> CompositeFigures:
    """The composite over [low, high); `children` by the names of `terms`, those of weight 0 may be left out.

    A child that is named and not given has no data for the whole window. Maintenance is left out; where it
    counts as up, children are given without it.

    Raises:
        ValueError: no child has a weight, or weights and children differ in number.
    """
    weights = terms.weights or tuple(Fraction(1) for _ in terms.children)
    if len(weights) != len(terms.children):
        raise ValueError("there is not one weight for each child")
    weighted = [(name, weight) for name, weight in zip(terms.children, weights, strict=True) if weight]
    if not weighted:
        raise ValueError("no child has a weight")
    given = {child.name: child for child in children}
    named = [(given.get(name) or _unknown(name, low, high), weight) for name, weight in weighted]
    shares = tuple(_child(child, weight, high - low) for child, weight in named)
    if terms.mode is CompositeMode.WEIGHTED:
        return _weighted(shares, high - low)
    return _union([child for child, _ in named], shares, low=low, high=high)


def verdict_of(figures: CompositeFigures, target: Fraction, *, floor: Fraction) -> Verdict:
    """Against a target, exactly: decided only where missing data cannot change it, else INDETERMINATE.

    NO_DATA: nothing is known, or less than `floor` of what counts and the target is not missed already.
    """
    worst, best = figures.worst_share, figures.best_share
    if worst is None or best is None:
        return Verdict.NO_DATA
    if best < target:
        return Verdict.FAIL
    if figures.share is None or (figures.coverage is not None and figures.coverage < floor):
        return Verdict.NO_DATA
    return Verdict.PASS if worst >= target else Verdict.INDETERMINATE


def _union(
    children: Sequence[ChildTimes], shares: tuple[ChildShare, ...], *, low: int, high: int
) -> CompositeFigures:
    """Down while any child is; of no data while none is down and one is not known; excluded while all are of
    no account, and not started while no child is."""
    none = np.zeros((0, 2), np.int64)
    down, no_data = none, none
    idle = before = _whole(low, high)
    for child in children:
        down = intervals.union(down, child.down)
        no_data = intervals.union(no_data, child.no_data)
        idle = intervals.intersection(idle, intervals.union(child.excluded, child.not_started))
        before = intervals.intersection(before, child.not_started)
    no_data = intervals.difference(no_data, down)
    down_length, missing = int(intervals.length(down)), int(intervals.length(no_data))
    not_started = int(intervals.length(before))
    out = int(intervals.length(idle)) - not_started
    valid = high - low - out - not_started
    return CompositeFigures(
        mode=CompositeMode.INTERVAL_UNION,
        window=high - low,
        down=down_length,
        no_data=missing,
        excluded=out,
        share=_share(valid - missing - down_length, valid - missing),
        worst_share=_share(valid - missing - down_length, valid),
        best_share=_share(valid - down_length, valid),
        downtimes=tuple((int(start), int(end)) for start, end in down),
        children=shares,
        not_started=not_started,
    )


def _weighted(shares: tuple[ChildShare, ...], window: int) -> CompositeFigures:
    """The mean of the children's shares by weight. A child that is excluded all the time has no say."""
    counted = [one for one in shares if one.excluded + one.not_started < window]
    total = sum((one.weight for one in counted), Fraction(0))
    share = worst = best = None
    if counted:
        known = [one.share for one in counted if one.share is not None]
        valid = [window - one.excluded - one.not_started for one in counted]
        worst = _mean(
            counted, [Fraction(v - c.no_data - c.down, v) for c, v in zip(counted, valid, strict=True)]
        )
        best = _mean(counted, [Fraction(v - c.down, v) for c, v in zip(counted, valid, strict=True)])
        share = _mean(counted, known) if len(known) == len(counted) and total else None
    return CompositeFigures(
        mode=CompositeMode.WEIGHTED,
        window=window,
        down=0,
        no_data=0,
        excluded=0,
        share=share,
        worst_share=worst,
        best_share=best,
        downtimes=(),
        children=shares,
    )


def _mean(children: Sequence[ChildShare], shares: Sequence[Fraction]) -> Fraction:
    total = sum((one.weight for one in children), Fraction(0))
    return sum((one.weight * share for one, share in zip(children, shares, strict=True)), Fraction(0)) / total


def _child(child: ChildTimes, weight: Fraction, window: int) -> ChildShare:
    down, no_data = int(intervals.length(child.down)), int(intervals.length(child.no_data))
    before = int(intervals.length(child.not_started))
    excluded = int(intervals.length(intervals.difference(child.excluded, child.not_started)))
    known = window - excluded - before - no_data
    return ChildShare(child.name, weight, down, no_data, excluded, _share(known - down, known), before)


def _unknown(name: str, low: int, high: int) -> ChildTimes:
    none = np.zeros((0, 2), np.int64)
    return ChildTimes(name, none, _whole(low, high), none)


def _whole(low: int, high: int) -> Ints:
    return np.array([[low, high]], np.int64) if low < high else np.zeros((0, 2), np.int64)


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None
