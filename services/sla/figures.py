"""The figures of one objective over one window, from its current slices. Pure: columns in, figures out."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from services.sla.columns import distribution_at
from services.sla.distribution import (
    merge,
    merge_exponential_columns,
    quantile_of,
    requests_within,
)
from services.sla.figures_model import BurnRate, Latency, Uptime, UsedWindow
from services.sla.kernels import burn, window
from services.sla.model import (
    NS_PER_MS,
    Distribution,
    DistributionKind,
    Ints,
    NoData,
    Objective,
    SliceColumns,
)
from services.sla.slice_rows import take
from services.sla.verdict import (
    Times,
    displayed_percent,
    judge_bounds,
    judge_share,
    request_budget,
    request_ratio,
)
from services.sla.windows import Window

BURN_WINDOWS_MS = (300_000, 3_600_000)
"""Windows of the shipped burn-rate rule."""


def uptime_of(objective: Objective, columns: SliceColumns, where: Window) -> Uptime:
    """Availability over the window; `columns` are the current slices that start in it."""
    good, total, times = _totals(columns, where)
    share = request_ratio(good, total, times, objective.no_data)
    flawless = good == total and times.down_ns == 0 and times.no_data_ns == 0
    return Uptime(
        objective=objective,
        used=_used(objective, columns, where),
        good=good,
        total=total,
        times=times,
        share=share,
        displayed=displayed_percent(share, flawless=flawless),
        verdict=judge_share(share, objective.good_share),
        policy_verdicts=tuple(
            (policy, judge_share(request_ratio(good, total, times, policy), objective.good_share))
            for policy in NoData
        ),
        budget=request_budget(total - good, total, objective.good_share, frozen=_frozen(objective, times)),
        burn_rates=burn_rates_of(objective, columns, where),
    )


def latency_of(
    objective: Objective, columns: SliceColumns, where: Window, quantile: Fraction | None = None
) -> Latency:
    """A quantile over the window, of the merged distribution: never a mean of quantiles."""
    q = objective.good_share if quantile is None else quantile
    assert objective.threshold_s is not None
    distribution = merged(columns)
    sure, possible = (0, 0) if distribution is None else requests_within(distribution, objective.threshold_s)
    total = 0 if distribution is None else distribution.total
    _, _, times = _totals(columns, where)
    return Latency(
        objective=objective,
        used=_used(objective, columns, where),
        quantile=q,
        bounds=None if distribution is None else quantile_of(distribution, q),
        sure=sure,
        possible=possible,
        total=total,
        times=times,
        verdict=judge_bounds(sure, possible, total, q),
        budget=request_budget(total - sure, total, q, frozen=_frozen(objective, times)),
        burn_rates=burn_rates_of(objective, columns, where),
    )


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


def _smooth(columns: SliceColumns, at: Ints, counts: Ints, rows: Ints | slice) -> Distribution:
    return merge_exponential_columns(
        columns.scale[rows], columns.offset[rows], int(columns.zero_count[rows].sum()), at, counts
    )


def burn_rates_of(
    objective: Objective, columns: SliceColumns, where: Window, windows_ms: Sequence[int] = BURN_WINDOWS_MS
) -> tuple[BurnRate, ...]:
    """Burn rates over windows that end with the data."""
    allowed = 1 - objective.good_share
    rates = []
    for length in windows_ms:
        bad, total = burn.window_counts(
            columns.start_ms, columns.good, columns.total, where.data_end_ms - length
        )
        rate = float(Fraction(bad, total) / allowed) if total and allowed else 0.0
        rates.append(BurnRate(length, rate, bad, total, any_failure_breaches=allowed == 0))
    return tuple(rates)


def _totals(columns: SliceColumns, where: Window) -> tuple[int, int, Times]:
    table = np.vstack((columns.good, columns.total, columns.durations))
    out = np.zeros(8, np.int64)
    window.totals(np.ascontiguousarray(table), out)
    good, total, *durations = (int(n) for n in out)
    times = Times(*durations)
    # Before the first slice the objective had not started; after it slices leave no hole.
    known = sum(durations)
    missing = (where.data_end_ms - where.start_ms) * NS_PER_MS - known
    before = 0
    if len(columns.start_ms):
        before = min(missing, (int(columns.start_ms[0]) - where.start_ms) * NS_PER_MS)
    else:
        before = missing
    return (
        good,
        total,
        Times(
            times.up_ns,
            times.degraded_ns,
            times.down_ns,
            times.excluded_ns,
            times.no_data_ns + missing - before,
            times.not_started_ns + before,
        ),
    )


def _used(objective: Objective, columns: SliceColumns, where: Window) -> UsedWindow:
    return UsedWindow(
        window=where,
        time_zone=objective.time_zone,
        provisional=bool((~columns.sealed).any()),
        data_revision=int(columns.seq.max()) if len(columns.seq) else 0,
    )


def _frozen(objective: Objective, times: Times) -> bool:
    return times.coverage is not None and times.coverage < objective.coverage_floor
