"""The figures of one objective under one set of terms, from its slices. Pure: columns in, figures out.

Windows that hold several versions of a contract are put together in `figures_segments.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from services.sla.columns import distribution_at, part_of
from services.sla.distribution import (
    merge,
    merge_exponential_columns,
    quantile_of,
    requests_within,
)
from services.sla.figures_budget import frozen_at, latency_budget, projection_of, uptime_budget
from services.sla.figures_burn import BURN_WINDOWS_MS, burn_rates_of
from services.sla.figures_model import Latency, TermsVerdict, Uptime, UsedWindow
from services.sla.figures_times import totals_of
from services.sla.kernels.within import within
from services.sla.methods.measure import Measured, measure
from services.sla.methods.model import MeanErrorRate, RequestRatio
from services.sla.model import (
    Distribution,
    DistributionKind,
    Effect,
    Ints,
    NoData,
    Objective,
    Reading,
    SliceColumns,
    Verdict,
)
from services.sla.slice_rows import take
from services.sla.verdict import Times, displayed_percent, judge_between, judge_share, under_policy
from services.sla.windows import Period, Window, period_around


def uptime_of(
    objective: Objective,
    columns: SliceColumns,
    where: Window,
    *,
    first_ms: int | None = None,
    windows_ms: Sequence[int] = BURN_WINDOWS_MS,
    promised_ms: int | None = None,
) -> Uptime:
    """Availability over the window.

    Args:
        objective: the terms that hold in all of it.
        columns: current slices; of [where.start, where.data_end) for the figure, earlier ones for burn rates.
            Sums of hours may stand for slices where the objective's method allows it.
        where: the window; time from data_end on is still to come.
        first_ms: start of the objective's first slice ever; None: of `columns`.
        windows_ms: for burn rates.
        promised_ms: burn rates look back to here; None: to first_ms.
    """
    held = part_of(columns, where.start_ms, where.data_end_ms)
    good, total, times = totals_of(held, where.start_ms, where.data_end_ms, first_ms)
    measured = _measured(objective, held, where, times, objective.no_data)
    share, target = measured.share, objective.good_share
    verdict = judge_share(share, target)
    stop = frozen_at(objective, held, where, times)
    now = (total, total - good, measured)
    if stop is not None:
        now = _as_of(objective, held, where, stop, first_ms)
    project = projection_of(share, measured.valid_ns, where)
    return Uptime(
        objective=objective,
        used=used_window(objective, held, where),
        good=good,
        total=total,
        times=times,
        share=share,
        displayed=displayed_percent(share, flawless=_flawless(objective, measured, times, good == total)),
        verdict=verdict,
        policy_verdicts=tuple(
            (policy, judge_share(_share_under(objective, held, where, times, policy, measured), target))
            for policy in NoData
        ),
        budget=uptime_budget(objective, *now, where=where, stop_ms=stop),
        burn_rates=burn_rates_of(
            objective, columns, where.data_end_ms, windows_ms, first_ms=_later(first_ms, promised_ms)
        ),
        measured=measured if _fine(objective, held) else replace(measured, downtimes=()),
        projection=project,
        terms=(_terms(objective, where, share, verdict),),
    )


def latency_of(
    objective: Objective,
    columns: SliceColumns,
    where: Window,
    quantile: Fraction | None = None,
    *,
    first_ms: int | None = None,
    windows_ms: Sequence[int] = BURN_WINDOWS_MS,
    promised_ms: int | None = None,
) -> Latency:
    """A quantile over the window, of the merged distribution: never a mean of quantiles.

    Arguments as of `uptime_of`; a contract that reads slices needs every slice. `quantile`: another one
    than the objective's.
    """
    q = objective.good_share if quantile is None else quantile
    held = part_of(columns, where.start_ms, where.data_end_ms)
    distribution = merged(held)
    sure, possible, total = _within(objective, held, distribution, q)
    _, _, times = totals_of(held, where.start_ms, where.data_end_ms, first_ms)
    verdicts = tuple((policy, _judged((sure, possible, total), times, policy, q)) for policy in NoData)
    verdict = dict(verdicts)[objective.no_data]
    share, since = _under(objective, sure, total, times), _later(first_ms, promised_ms)
    stop = frozen_at(objective, held, where, times)
    known = (sure, total, share)
    if stop is not None:
        known = _latency_as_of(objective, held, where.start_ms, stop, first_ms, q)
    return Latency(
        objective=objective,
        used=used_window(objective, held, where),
        quantile=q,
        bounds=None if distribution is None else quantile_of(distribution, q),
        sure=sure,
        possible=possible,
        total=total,
        times=times,
        verdict=verdict,
        budget=latency_budget(*known, q, stop_ms=stop),
        burn_rates=burn_rates_of(objective, columns, where.data_end_ms, windows_ms, first_ms=since),
        requests=0 if distribution is None else distribution.total,
        terms=(_terms(objective, where, share, verdict),),
        share=share,
        policy_verdicts=verdicts,
    )


def _latency_as_of(
    objective: Objective, held: SliceColumns, start_ms: int, stop_ms: int, first_ms: int | None, q: Fraction
) -> tuple[int, int, Fraction | None]:
    """(sure, total, share) of the window as it was at an earlier instant."""
    part = part_of(held, start_ms, stop_ms)
    sure, _, total = _within(objective, part, merged(part), q)
    _, _, times = totals_of(part, start_ms, stop_ms, first_ms)
    return sure, total, _under(objective, sure, total, times)


def _under(objective: Objective, sure: int, total: int, times: Times) -> Fraction | None:
    return under_policy(Fraction(sure, total), times, objective.no_data) if total else None


def _judged(counts: tuple[int, int, int], times: Times, policy: NoData, q: Fraction) -> Verdict:
    """The verdict over (sure, possible, total)."""
    sure, possible, total = counts
    if total == 0:
        return Verdict.NO_DATA
    low, high = (under_policy(Fraction(n, total), times, policy) for n in (sure, possible))
    return judge_between(low, high, q)


def _within(
    objective: Objective, held: SliceColumns, distribution: Distribution | None, q: Fraction
) -> tuple[int, int, int]:
    """(sure, possible, total) by the contract's reading."""
    assert objective.threshold_s is not None
    if objective.reading is Reading.SLICES:
        return slices_within(held, objective.threshold_s, q)
    if distribution is None:
        return 0, 0, 0
    return (*requests_within(distribution, objective.threshold_s), distribution.total)


def merged(columns: SliceColumns) -> Distribution | None:
    """The distribution of all slices together."""
    stepped = np.flatnonzero(columns.kind == DistributionKind.EXPLICIT)
    if len(stepped) == 0:
        # The common case, and the one that has to be fast: nothing is copied.
        return merge([_smooth(columns, columns.at, columns.counts, slice(None))])
    parts = [distribution_at(columns, int(k)) for k in stepped]
    smooth = np.flatnonzero(columns.kind == DistributionKind.EXPONENTIAL)
    at, counts = take(columns.at, columns.counts, smooth)
    parts.append(_smooth(columns, at, counts.astype(np.int64), smooth))
    return merge(part for part in parts if part is not None)


def slices_within(columns: SliceColumns, threshold_s: Fraction, q: Fraction) -> tuple[int, int, int]:
    """(slices whose own quantile surely keeps the threshold, that may, all that have requests)."""
    out = np.zeros((3, len(columns.start_ms)), np.int64)
    # Copies: arrays as stores give them cannot be written to, which is another type to the compiler.
    within(
        np.array(columns.kind),
        np.array(columns.scale),
        np.array(columns.offset),
        np.array(columns.zero_count),
        np.array(columns.at),
        np.array(columns.counts),
        np.array(columns.bounds_at),
        np.array(columns.bounds),
        float(threshold_s),
        out,
    )
    sure, possible, samples = out
    enough = samples * q.numerator
    busy = samples > 0
    return (
        int((busy & (sure * q.denominator >= enough)).sum()),
        int((busy & (possible * q.denominator >= enough)).sum()),
        int(busy.sum()),
    )


def used_window(objective: Objective, columns: SliceColumns, where: Window) -> UsedWindow:
    """The window with what these slices say of it."""
    return UsedWindow(
        window=where,
        time_zone=objective.time_zone,
        provisional=bool((~columns.sealed).any()),
        data_revision=int(columns.seq.max()) if len(columns.seq) else 0,
    )


def _smooth(columns: SliceColumns, at: Ints, counts: Ints, rows: Ints | slice) -> Distribution:
    return merge_exponential_columns(
        columns.scale[rows], columns.offset[rows], int(columns.zero_count[rows].sum()), at, counts
    )


def _measured(
    objective: Objective, held: SliceColumns, where: Window, times: Times, policy: NoData
) -> Measured:
    return measure(
        objective.method,
        held,
        start_ms=where.start_ms,
        end_ms=where.data_end_ms,
        times=times,
        no_data=policy,
        excluded_counts_up=objective.effect is Effect.COUNT_UP,
        anchor_ms=anchor_of(objective, where.start_ms),
    )


def anchor_of(objective: Objective, at_ms: int) -> int:
    """Where intervals of the method start: local midnight, so that an hour is one in every zone."""
    return period_around(Period.DAY, at_ms, objective.time_zone)[0]


def _share_under(
    objective: Objective,
    held: SliceColumns,
    where: Window,
    times: Times,
    policy: NoData,
    measured: Measured,
) -> Fraction | None:
    if policy is objective.no_data or times.no_data_ns == 0:
        return measured.share
    return _measured(objective, held, where, times, policy).share


def _as_of(
    objective: Objective, held: SliceColumns, where: Window, stop_ms: int, first_ms: int | None
) -> tuple[int, int, Measured]:
    """(total, bad, measured) of the window as it was at an earlier instant."""
    if stop_ms <= where.start_ms:
        return 0, 0, Measured(None, 0, 0, ())
    until = Window(where.start_ms, where.end_ms, stop_ms)
    part = part_of(held, where.start_ms, stop_ms)
    good, total, times = totals_of(part, where.start_ms, stop_ms, first_ms)
    return total, total - good, _measured(objective, part, until, times, objective.no_data)


def _flawless(objective: Objective, measured: Measured, times: Times, all_good: bool) -> bool:
    by_requests = isinstance(objective.method, RequestRatio | MeanErrorRate)
    fine = all_good if by_requests else measured.bad_ns == 0
    return fine and times.down_ns == 0 and times.no_data_ns == 0


def _later(first_ms: int | None, promised_ms: int | None) -> int | None:
    return first_ms if first_ms is None or promised_ms is None else max(first_ms, promised_ms)


def _fine(objective: Objective, held: SliceColumns) -> bool:
    """Whether downtimes can be told to the slice."""
    return not len(held.length_ms) or int(held.length_ms.max()) <= objective.slice_ms


def _terms(objective: Objective, where: Window, share: Fraction | None, verdict: Verdict) -> TermsVerdict:
    return TermsVerdict(
        objective.contract_version,
        where.start_ms,
        where.end_ms,
        where.data_end_ms,
        objective.good_share,
        share,
        verdict,
    )
