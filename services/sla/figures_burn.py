"""Burn rates over the windows of an objective's alert rules, each judged by what is known of it alone.

Rate = (bad/total) / (1 - target) (https://sre.google/workbook/alerting-on-slos/), in integers up to the last
division, which is for display.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from services.sla.figures_model import BurnRate
from services.sla.model import NS_PER_MS, Objective, SliceColumns

BURN_WINDOWS_MS = (300_000, 3_600_000)
"""Windows of the shipped burn-rate rule."""
_LADDER_MS = (300_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000, 259_200_000)
_MOST_OF_PERIOD = 7
_COVERED, _NO_DATA = slice(0, 3), 4


def default_windows_ms(objective: Objective) -> tuple[int, ...]:
    """Where no rule names the objective: the windows of the workbook's pairs (1h/5m, 6h/30m, 1d/2h, 3d/6h)
    that are at most a seventh of the objective's period; longer ones would fire on a healthy service."""
    longest = max(objective.window_ms // _MOST_OF_PERIOD, _LADDER_MS[0])
    return tuple(length for length in _LADDER_MS if length <= longest)


def burn_rates_of(
    objective: Objective,
    columns: SliceColumns,
    end_ms: int,
    windows_ms: Sequence[int] = BURN_WINDOWS_MS,
    *,
    first_ms: int | None = None,
) -> tuple[BurnRate, ...]:
    """Burn rates over windows that end at `end_ms`, shortest first.

    Args:
        objective: the terms in force.
        columns: slices that reach back at least as far as the longest window, or as there are any.
        end_ms: the end of the data: the watermark.
        windows_ms: lengths.
        first_ms: start of the first slice ever, or of the promise; what lies before it is in no window.
            None: of `columns`.
    """
    begin = first_ms
    if begin is None:
        begin = int(columns.start_ms[0]) if len(columns.start_ms) else end_ms
    return tuple(_burn_rate(objective, columns, (begin, end_ms), length) for length in sorted(windows_ms))


def _burn_rate(
    objective: Objective, columns: SliceColumns, known: tuple[int, int], length_ms: int
) -> BurnRate:
    first_ms, end_ms = known
    start = max(end_ms - length_ms, first_ms)
    low, high = (int(k) for k in np.searchsorted(columns.start_ms, (start, end_ms)))
    total = int(columns.total[low:high].sum())
    bad = total - int(columns.good[low:high].sum())
    durations = columns.durations[:, low:high]
    covered, missing = int(durations[_COVERED].sum()), int(durations[_NO_DATA].sum())
    told = int(columns.length_ms[low:high].sum())
    missing += max(0, end_ms - start - told) * NS_PER_MS
    floor = objective.coverage_floor
    blind = covered * floor.denominator < floor.numerator * (covered + missing)
    allowed = 1 - objective.good_share
    no_data = total == 0 or blind
    rate = 0.0 if no_data or not allowed else float(Fraction(bad, total) / allowed)
    return BurnRate(length_ms, rate, bad, total, any_failure_breaches=allowed == 0, no_data=no_data)
