"""Budgets, their freezing, and what a running period can still come to. Integers and fractions only."""

from fractions import Fraction

import numpy as np

from services.sla.figures_model import Projection
from services.sla.methods.measure import Measured
from services.sla.methods.model import AllFail, ErrorRate, RequestRatio, Uptime
from services.sla.model import NS_PER_MS, Objective, SliceColumns
from services.sla.verdict import Budget, Times
from services.sla.windows import Window

_HOUR_MS = 3_600_000
_COVERED, _NO_DATA = slice(0, 3), 4


def frozen_at(objective: Objective, columns: SliceColumns, where: Window, times: Times) -> int | None:
    """Until when the budget counts, where less of the window is known than the contract's floor.

    None: enough is known. Otherwise the latest full hour up to which enough was, from the window's start;
    the start itself when there is none. Full hours, so that sums of hours and slices say the same.
    """
    floor = objective.coverage_floor
    if times.coverage is None or times.coverage >= floor:
        return None
    ends = columns.start_ms + columns.length_ms
    covered = np.cumsum(columns.durations[_COVERED].sum(axis=0))
    counted = covered + np.cumsum(columns.durations[_NO_DATA])
    for k in np.flatnonzero(ends % _HOUR_MS == 0)[::-1].tolist():
        known, of = int(covered[k]), int(counted[k])
        if of and known * floor.denominator >= floor.numerator * of:
            return int(ends[k])
    return where.start_ms


def uptime_budget(
    objective: Objective, total: int, bad: int, measured: Measured, *, where: Window, stop_ms: int | None
) -> Budget:
    """What may fail, of requests where they decide, and of time.

    `total`, `bad` and `measured` are as of stop_ms where the budget is frozen.
    """
    allowed = 1 - objective.good_share
    share = measured.share
    if isinstance(objective.method, RequestRatio):
        exact, failed = allowed * total, bad
    else:
        exact, failed = Fraction(0), 0
    lost = Fraction(0) if share is None else 1 - share
    if isinstance(objective.method, Uptime | AllFail | ErrorRate):
        consumed_ns = measured.bad_ns
    else:
        consumed_ns = _floor(lost * measured.valid_ns)
    rest_ns = (where.end_ms - where.data_end_ms) * NS_PER_MS
    return Budget(
        total=_floor(exact),
        consumed=failed,
        remaining_ratio=(1 - lost / allowed) if allowed else Fraction(0),
        frozen=stop_ms is not None,
        any_failure_breaches=not allowed,
        total_ns=_floor(allowed * measured.valid_ns),
        consumed_ns=consumed_ns,
        period_total_ns=_floor(allowed * (measured.valid_ns + rest_ns)) if rest_ns else None,
        frozen_at_ms=stop_ms,
    )


def latency_budget(
    sure: int, total: int, share: Fraction | None, q: Fraction, *, stop_ms: int | None
) -> Budget:
    """Requests (or slices) that may be slower than the threshold; `share` is what the verdict compares."""
    allowed = 1 - q
    exact = allowed * total
    lost = Fraction(0) if share is None else 1 - share
    return Budget(
        total=_floor(exact),
        consumed=total - sure,
        remaining_ratio=1 - lost / allowed if allowed else Fraction(0),
        frozen=stop_ms is not None,
        any_failure_breaches=not allowed,
        frozen_at_ms=stop_ms,
    )


def projection_of(share: Fraction | None, valid_ns: int, where: Window) -> Projection | None:
    """What a period that is still running can come to; None for one that is over.

    Shares of requests weigh by time: what is to come is taken at the average rate so far.
    """
    rest_ns = (where.end_ms - where.data_end_ms) * NS_PER_MS
    if rest_ns <= 0:
        return None
    if share is None or valid_ns <= 0:
        return Projection(share, None, None, rest_ns)
    part = Fraction(valid_ns, valid_ns + rest_ns)
    return Projection(share, 1 - (1 - share) * part, share * part, rest_ns)


def _floor(exact: Fraction) -> int:
    return exact.numerator // exact.denominator
