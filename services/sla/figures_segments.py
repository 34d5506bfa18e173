"""Windows under several versions of a contract: cut at their boundaries, judged by part, put together again.

Old terms hold before a boundary and new ones after it; the verdict of the whole is the worst of its parts.
Time in which no version promised the objective is in no figure: it counts as not started. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from services.sla.columns import part_of
from services.sla.distribution import quantile_of
from services.sla.figures import latency_of, merged, uptime_of, used_window
from services.sla.figures_budget import frozen_at
from services.sla.figures_burn import burn_rates_of
from services.sla.figures_model import Latency, Resolution, Segment, Uptime
from services.sla.figures_times import added
from services.sla.model import NS_PER_MS, NoData, Objective, ObjectiveKind, SliceColumns, Verdict
from services.sla.verdict import Budget, Times, displayed_percent, under_policy, worst
from services.sla.windows import Window


@dataclass(frozen=True, slots=True)
class Terms:
    """One version's objective and its part of a window, with data up to `window.data_end_ms`."""

    objective: Objective
    window: Window


@dataclass(frozen=True, slots=True)
class Basis:
    """What figures are computed from, besides the terms. `columns` reach back for the burn windows.

    first_ms: start of the objective's first slice. windows_ms: of burn rates. quantile: another one than
    the contract's. promised_ms: since when the promise holds without a break; burn rates look no further.
    """

    columns: SliceColumns
    first_ms: int
    windows_ms: tuple[int, ...]
    quantile: Fraction | None = None
    promised_ms: int = 0

    @property
    def burning_from_ms(self) -> int:
        """What lies before it is in no burn window."""
        return max(self.first_ms, self.promised_ms)


def split(timeline: Sequence[Objective], where: Window) -> tuple[Terms, ...]:
    """The parts of a window by version, in order of time; parts that are still to come have no data in them.

    Boundaries are moved up to slices, as slices are computed under the version in force at their start.
    """
    found = []
    for one in timeline:
        start = max(where.start_ms, _up(one.from_ms, one.slice_ms))
        end = where.end_ms
        if one.until_ms is not None:
            end = min(end, _up(one.until_ms, one.slice_ms))
        if start < end:
            found.append(Terms(one, Window(start, end, max(start, min(end, where.data_end_ms)))))
    return tuple(found)


def promised_since(timeline: Sequence[Objective], at_ms: int) -> int:
    """Since when the promise holds without a break at the end of [.., at); the end itself where it does not.

    As `split` cuts: a slice belongs to the version in force at its start.
    """
    since = at_ms
    for one in reversed(timeline):
        until = None if one.until_ms is None else _up(one.until_ms, one.slice_ms)
        if until is not None and until < since:
            break
        since = min(since, _up(one.from_ms, one.slice_ms))
    return since


def figures_of(
    objective: Objective, parts: Sequence[Terms], basis: Basis, where: Window
) -> tuple[Uptime | Latency, tuple[Segment, ...]]:
    """The figures of the whole window, and those of each part.

    Args:
        objective: terms that stand for the whole: those at its end.
        parts: as `split` gives them.
        basis: the slices.
        where: the window.
    """
    told = [one for one in parts if one.window.start_ms < one.window.data_end_ms] or list(parts[:1])
    segments = tuple(Segment(one.objective, one.window, _part(one, basis)) for one in told)
    if not segments:
        # No version promised anything in this window.
        return _part(Terms(objective, Window(where.start_ms, where.end_ms, where.start_ms)), basis), ()
    last = segments[-1].figures
    whole = Window(told[0].window.start_ms, told[-1].window.end_ms, told[-1].window.data_end_ms)
    if len(segments) == 1 and whole == where:
        assert not isinstance(last, Resolution)
        return last, segments
    if objective.kind is ObjectiveKind.LATENCY:
        return _latency(objective, segments, basis, where), segments
    return _uptime(objective, segments, basis, where), segments


def worst_of(segments: Sequence[Segment]) -> Verdict:
    """The worst verdict; parts before the objective started, or all of maintenance, have no say."""
    verdicts = [one.figures.verdict for one in segments if _counts(one)]
    return worst(verdicts or [one.figures.verdict for one in segments])


def _part(terms: Terms, basis: Basis) -> Uptime | Latency:
    if terms.objective.kind is ObjectiveKind.LATENCY:
        return latency_of(
            terms.objective,
            basis.columns,
            terms.window,
            basis.quantile,
            first_ms=basis.first_ms,
            windows_ms=basis.windows_ms,
            promised_ms=basis.promised_ms,
        )
    return uptime_of(
        terms.objective,
        basis.columns,
        terms.window,
        first_ms=basis.first_ms,
        windows_ms=basis.windows_ms,
        promised_ms=basis.promised_ms,
    )


def _up(at_ms: int, slice_ms: int) -> int:
    return -(-at_ms // slice_ms) * slice_ms


def _counts(one: Segment) -> bool:
    figures = one.figures
    if isinstance(figures, Resolution):
        return True
    return figures.times.covered_ns + figures.times.no_data_ns > 0


def _uptime(objective: Objective, segments: Sequence[Segment], basis: Basis, where: Window) -> Uptime:
    parts = [one.figures for one in segments if isinstance(one.figures, Uptime)]
    held = part_of(basis.columns, where.start_ms, where.data_end_ms)
    times = added([one.times for one in parts], _unpromised_ns(segments, where))
    alike = _alike(segments)
    same = None
    if alike:
        # One way of measuring throughout: the share is that of all requests, or all time, together.
        begin = segments[0].window.start_ms
        whole = Window(begin, where.end_ms, segments[-1].window.data_end_ms)
        same = uptime_of(objective, basis.columns, whole, first_ms=basis.first_ms, windows_ms=())
    share = None if same is None else same.share
    return Uptime(
        objective=objective,
        used=used_window(objective, held, where),
        good=sum(one.good for one in parts) if alike else 0,
        total=sum(one.total for one in parts) if alike else 0,
        times=times,
        share=share,
        displayed=displayed_percent(share, flawless=same is not None and same.displayed == "100"),
        verdict=worst_of(segments),
        policy_verdicts=_policies(parts),
        budget=_budget(segments, basis, where, frozen_at(objective, held, where, times)),
        burn_rates=burn_rates_of(
            objective, basis.columns, where.data_end_ms, basis.windows_ms, first_ms=basis.burning_from_ms
        ),
        measured=None if same is None else same.measured,
        projection=None if same is None else same.projection,
        terms=tuple(told for one in parts for told in one.terms),
    )


def _latency(objective: Objective, segments: Sequence[Segment], basis: Basis, where: Window) -> Latency:
    parts = [one.figures for one in segments if isinstance(one.figures, Latency)]
    held = part_of(basis.columns, segments[0].window.start_ms, segments[-1].window.data_end_ms)
    distribution = merged(held) if _alike(segments) else None
    q = objective.good_share if basis.quantile is None else basis.quantile
    times = added([one.times for one in parts], _unpromised_ns(segments, where))
    return Latency(
        objective=objective,
        used=used_window(objective, held, where),
        quantile=q,
        bounds=None if distribution is None else quantile_of(distribution, q),
        sure=sum(one.sure for one in parts),
        possible=sum(one.possible for one in parts),
        total=sum(one.total for one in parts),
        times=times,
        verdict=worst_of(segments),
        budget=_budget(segments, basis, where, frozen_at(objective, held, where, times)),
        burn_rates=burn_rates_of(
            objective, basis.columns, where.data_end_ms, basis.windows_ms, first_ms=basis.burning_from_ms
        ),
        requests=sum(one.requests for one in parts),
        terms=tuple(told for one in parts for told in one.terms),
        share=_latency_share(objective, parts, times) if _alike(segments) else None,
        policy_verdicts=_policies(parts),
    )


def _slow(one: Latency) -> Fraction:
    return Fraction(0) if one.share is None else (1 - one.share) * one.total


def _latency_share(objective: Objective, parts: Sequence[Latency], times: Times) -> Fraction | None:
    total = sum(one.total for one in parts)
    if not total or len({(one.objective.threshold_s, one.objective.no_data) for one in parts}) > 1:
        return None
    return under_policy(Fraction(sum(one.sure for one in parts), total), times, objective.no_data)


def _alike(segments: Sequence[Segment]) -> bool:
    """Whether all versions measure the same thing in the same way, so that what they counted adds up."""
    measures = [
        (one.metric, one.match, one.bad_attribute, one.bad_at_least, one.method, one.signal, one.effect)
        for one in (segment.objective for segment in segments)
    ]
    return all(one == measures[0] for one in measures[1:])


def _unpromised_ns(segments: Sequence[Segment], where: Window) -> int:
    promised = sum(one.window.data_end_ms - one.window.start_ms for one in segments)
    return (where.data_end_ms - where.start_ms - promised) * NS_PER_MS


def _policies(parts: Sequence[Uptime] | Sequence[Latency]) -> tuple[tuple[NoData, Verdict], ...]:
    started = [one for one in parts if one.times.covered_ns + one.times.no_data_ns] or list(parts)
    return tuple((policy, worst([dict(one.policy_verdicts)[policy] for one in started])) for policy in NoData)


def _weights(parts: Sequence[Uptime | Latency]) -> list[tuple[int, Fraction, Fraction]]:
    """(weight, allowed share, lost weight) of each part: requests where there are some, else time."""
    slow = [(one.total, 1 - one.quantile, _slow(one)) for one in parts if isinstance(one, Latency)]
    return slow or _shares([one for one in parts if isinstance(one, Uptime)])


def _shares(parts: Sequence[Uptime]) -> list[tuple[int, Fraction, Fraction]]:
    out = []
    requests = all(one.budget.total or one.budget.consumed or one.total for one in parts)
    for one in parts:
        valid = 0 if one.measured is None else one.measured.valid_ns
        weight = one.total if requests else valid
        lost = Fraction(0) if one.share is None else (1 - one.share) * weight
        out.append((weight, 1 - one.objective.good_share, lost))
    return out


def _unfrozen(segments: Sequence[Segment], basis: Basis, stop_ms: int | None) -> list[Uptime | Latency]:
    """The parts as they were at an instant, without freezing of their own: the whole freezes or does not."""
    found = []
    for one in segments:
        terms, part = replace(one.objective, coverage_floor=Fraction(0)), one.window
        if stop_ms is not None:
            part = replace(part, data_end_ms=max(part.start_ms, min(part.data_end_ms, stop_ms)))
        found.append(_part(Terms(terms, part), replace(basis, windows_ms=())))
    return found


def _budget(segments: Sequence[Segment], basis: Basis, where: Window, stop_ms: int | None) -> Budget:
    """Each version's allowance over its own part, added up; as of `stop_ms` where the whole is frozen."""
    parts = _unfrozen(segments, basis, stop_ms)
    budgets, weights = [one.budget for one in parts], _weights(parts)
    allowed = sum((weight * share for weight, share, _ in weights), Fraction(0))
    lost = sum((one for _, _, one in weights), Fraction(0))
    periods = [one.period_total_ns for one in budgets if one.period_total_ns is not None]
    ended = sum(one.total_ns for one in budgets if one.period_total_ns is None)
    left = Fraction(0) if any(one.any_failure_breaches for one in budgets) else Fraction(1)
    return Budget(
        total=sum(one.total for one in budgets),
        consumed=sum(one.consumed for one in budgets),
        remaining_ratio=1 - lost / allowed if allowed else left,
        frozen=stop_ms is not None,
        any_failure_breaches=budgets[-1].any_failure_breaches,
        total_ns=sum(one.total_ns for one in budgets),
        consumed_ns=sum(one.consumed_ns for one in budgets),
        period_total_ns=sum(periods) + ended if where.data_end_ms < where.end_ms and periods else None,
        frozen_at_ms=stop_ms,
    )
