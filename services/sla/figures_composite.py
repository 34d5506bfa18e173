"""A composite objective over a window, from the slices of its children. Pure.

Children come as sets of time in nanoseconds. Where a slice is down for a part of itself only, that part is
taken to be its beginning, missing data follows, maintenance is its end: the same for every child.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from services.sla.columns import part_of
from services.sla.composite import ChildTimes, CompositeFigures, composite_of, verdict_of
from services.sla.figures_budget import projection_of
from services.sla.figures_model import Segment, TermsVerdict, UsedWindow
from services.sla.figures_model import Uptime as Figures
from services.sla.figures_segments import Terms
from services.sla.kernels import intervals
from services.sla.methods.measure import Measured
from services.sla.methods.model import RequestRatio, Uptime
from services.sla.model import (
    NS_PER_MS,
    CompositeMode,
    CompositeTerms,
    Effect,
    Ints,
    NoData,
    Objective,
    SliceColumns,
    Verdict,
)
from services.sla.verdict import Budget, Times, displayed_percent, judge_share, worst
from services.sla.windows import Window

_DOWN, _EXCLUDED, _NO_DATA, _NOT_STARTED = 2, 3, 4, 5
_HOUR_MS = 3_600_000
_NONE: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Child:
    """One child with its slices of the window, opened at least where anything but up happened.

    segments: its own figures by version, whose methods say when it was down.
    """

    name: str
    columns: SliceColumns
    first_ms: int
    segments: tuple[Segment, ...]


def child_times(child: Child, where: Window) -> ChildTimes:
    """When a child was down, unknown, and of no account, in nanoseconds within [start, data_end)."""
    low, high = where.start_ms * NS_PER_MS, where.data_end_ms * NS_PER_MS
    held = part_of(child.columns, where.start_ms, where.data_end_ms)
    start = held.start_ms * NS_PER_MS
    end = start + held.length_ms * NS_PER_MS
    down, missing, excluded, before = (held.durations[k] for k in (_DOWN, _NO_DATA, _EXCLUDED, _NOT_STARTED))
    out = _set(end - excluded - before, end - before)
    unknown = _set(start + down, start + down + missing)
    whole = intervals.normalise(np.array([low]), np.array([high]))
    begun = min(max(low, child.first_ms * NS_PER_MS), high)
    holes = intervals.difference(whole, _set(start, end))
    early = intervals.union(_set(end - before, end), intervals.clip(holes, low, begun))
    unknown = intervals.union(unknown, intervals.clip(holes, begun, high))
    broken = intervals.clip(_broken(child, start, down), low, high)
    for other in (out, early, unknown):
        broken = intervals.difference(broken, other)
    return ChildTimes(child.name, broken, unknown, out, early)


def composite_uptime(
    objective: Objective, parts: Sequence[Terms], children: Mapping[str, Child], used: UsedWindow
) -> Figures:
    """The composite over a window, each version's terms over its own part; the verdict is the worst.

    Args:
        objective: terms that stand for the whole.
        parts: as `figures_segments.split` gives them.
        children: by name; one that is missing has no data.
        used: the window.
    """
    where = used.window
    verdicts = [
        _part(one.objective, composite_over(one.objective, children, one.window), one.window)
        for one in parts
        if one.window.start_ms < one.window.data_end_ms
    ]
    found = composite_over(objective, children, where)
    own = _part(objective, found, where)
    times = _times(_union_of(objective, children, where))
    measured = _measured(objective, found, times)
    stop = _frozen_at(objective, children, where, found)
    return Figures(
        objective=objective,
        used=used,
        good=0,
        total=0,
        times=times,
        share=measured.share,
        displayed=displayed_percent(measured.share, flawless=times.down_ns == 0 and times.no_data_ns == 0),
        verdict=worst([one.verdict for one in verdicts] or [own.verdict]),
        policy_verdicts=tuple(
            (policy, _judged(replace(objective, no_data=policy), found)[1]) for policy in NoData
        ),
        budget=_budget(objective, measured, where)
        if stop is None
        else _frozen(objective, children, where, stop),
        burn_rates=(),
        measured=measured,
        projection=projection_of(measured.share, measured.valid_ns, where),
        terms=tuple(verdicts),
    )


def composite_segments(
    parts: Sequence[Terms], children: Mapping[str, Child], used: UsedWindow
) -> tuple[Segment, ...]:
    """The figures of each version over its own part of the window, as far as there is data."""
    return tuple(
        Segment(
            one.objective,
            one.window,
            composite_uptime(one.objective, [one], children, replace(used, window=one.window)),
        )
        for one in parts
        if one.window.start_ms < one.window.data_end_ms
    )


def composite_over(objective: Objective, children: Mapping[str, Child], where: Window) -> CompositeFigures:
    """What the children come to under one version's terms; maintenance as the contract says."""
    assert objective.composite is not None
    return _of(objective.composite, children, where, up=objective.effect is Effect.COUNT_UP)


def _union_of(objective: Objective, children: Mapping[str, Child], where: Window) -> CompositeFigures:
    """How the window divides: any child down is down, in both modes; maintenance is shown as such."""
    assert objective.composite is not None
    return _of(replace(objective.composite, mode=CompositeMode.INTERVAL_UNION), children, where, up=False)


def _of(terms: CompositeTerms, children: Mapping[str, Child], where: Window, *, up: bool) -> CompositeFigures:
    """up: maintenance is not taken out, so that what is not down in it counts as up."""
    times = _times_of(terms, children, where, up=up)
    low, high = where.start_ms * NS_PER_MS, where.data_end_ms * NS_PER_MS
    return composite_of(terms, times, low=low, high=high)


def _times_of(
    terms: CompositeTerms, children: Mapping[str, Child], where: Window, *, up: bool
) -> list[ChildTimes]:
    times = [child_times(children[name], where) for name in terms.children if name in children]
    return [replace(one, excluded=_set(_NONE, _NONE)) for one in times] if up else times


def _judged(objective: Objective, found: CompositeFigures) -> tuple[Fraction | None, Verdict]:
    """(share, verdict) under the contract's policy; without anything known there is neither under any."""
    target = objective.good_share
    if objective.no_data is NoData.EXCLUDE:
        return found.share, verdict_of(found, target, floor=objective.coverage_floor)
    share = found.worst_share if objective.no_data is NoData.COUNT_DOWN else found.best_share
    if found.share is None:
        share = None
    return share, judge_share(share, target)


def _measured(objective: Objective, found: CompositeFigures, times: Times) -> Measured:
    share, _ = _judged(objective, found)
    left_out = objective.no_data is NoData.EXCLUDE
    valid_ns = times.covered_ns + (0 if left_out else times.no_data_ns)
    valid_ns += times.excluded_ns if objective.effect is Effect.COUNT_UP else 0
    lost = Fraction(0) if share is None else 1 - share
    low, high = (found.worst_share, found.best_share) if left_out else (share, share)
    downs = tuple((start // NS_PER_MS, -(-end // NS_PER_MS)) for start, end in found.downtimes)
    return Measured(share, _floor(lost * valid_ns), valid_ns, downs, (), low, high)


def _frozen_at(
    objective: Objective, children: Mapping[str, Child], where: Window, found: CompositeFigures
) -> int | None:
    """As `figures_budget.frozen_at`: the latest full hour up to which enough was known of the whole."""
    floor, terms = objective.coverage_floor, objective.composite
    if terms is None or found.coverage is None or found.coverage >= floor:
        return None
    times = _times_of(terms, children, where, up=objective.effect is Effect.COUNT_UP)
    low = where.start_ms * NS_PER_MS
    last = where.data_end_ms // _HOUR_MS * _HOUR_MS
    for stop_ms in range(last, where.start_ms, -_HOUR_MS):
        high = stop_ms * NS_PER_MS
        coverage = composite_of(terms, [_until(one, low, high) for one in times], low=low, high=high).coverage
        if coverage is not None and coverage >= floor:
            return stop_ms
    return where.start_ms


def _until(one: ChildTimes, low: int, high: int) -> ChildTimes:
    sets = (
        intervals.clip(each, low, high) for each in (one.down, one.no_data, one.excluded, one.not_started)
    )
    return ChildTimes(one.name, *sets)


def _frozen(objective: Objective, children: Mapping[str, Child], where: Window, stop_ms: int) -> Budget:
    """The budget as it was when enough was known; untouched where that never was."""
    until = replace(where, data_end_ms=stop_ms)
    measured = Measured(None, 0, 0, ())
    if stop_ms > where.start_ms:
        found = composite_over(objective, children, until)
        measured = _measured(objective, found, _times(_union_of(objective, children, until)))
    return replace(_budget(objective, measured, where), frozen=True, frozen_at_ms=stop_ms)


def _budget(objective: Objective, measured: Measured, where: Window) -> Budget:
    allowed = 1 - objective.good_share
    lost = Fraction(0) if measured.share is None else 1 - measured.share
    rest_ns = (where.end_ms - where.data_end_ms) * NS_PER_MS
    return Budget(
        total=0,
        consumed=0,
        remaining_ratio=1 - lost / allowed if allowed else Fraction(0),
        frozen=False,
        any_failure_breaches=not allowed,
        total_ns=_floor(allowed * measured.valid_ns),
        consumed_ns=measured.bad_ns,
        period_total_ns=_floor(allowed * (measured.valid_ns + rest_ns)) if rest_ns else None,
    )


def _part(objective: Objective, found: CompositeFigures, where: Window) -> TermsVerdict:
    share, verdict = _judged(objective, found)
    return TermsVerdict(
        objective.contract_version,
        where.start_ms,
        where.end_ms,
        where.data_end_ms,
        objective.good_share,
        share,
        verdict,
    )


def _times(found: CompositeFigures) -> Times:
    up = found.window - found.down - found.no_data - found.excluded - found.not_started
    return Times(up, 0, found.down, found.excluded, found.no_data, found.not_started)


def _broken(child: Child, start: Ints, down: Ints) -> Ints:
    spans = _set(_NONE, _NONE)
    by_state = True
    for one in child.segments:
        method, figures = one.objective.method, one.figures
        if not isinstance(method, RequestRatio | Uptime) and isinstance(figures, Figures):
            by_state = False
            if figures.measured is not None and figures.measured.downtimes:
                low, high = (
                    np.array(side, np.int64) for side in zip(*figures.measured.downtimes, strict=True)
                )
                spans = intervals.union(spans, intervals.normalise(low * NS_PER_MS, high * NS_PER_MS))
    return _set(start, start + down) if by_state else spans


def _set(start: Ints, end: Ints) -> Ints:
    return intervals.normalise(np.array(start), np.array(end))


def _floor(exact: Fraction) -> int:
    return exact.numerator // exact.denominator
