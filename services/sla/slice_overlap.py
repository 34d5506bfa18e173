"""Two writers of one series: intervals of different starts that overlap.

The data model calls it a violation of the single-writer rule
(https://opentelemetry.io/docs/specs/otel/metrics/data-model/#overlap). Two live processes that share an
identity are the usual reason, so both count unless the contract says otherwise; either way it is shown.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.common.telemetry import Counters
from services.sla.model import Ints
from services.sla.slice_rows import Increments

_logger = logging.getLogger(__name__)
_NOBODY = np.iinfo(np.int64).min
"""A series that nothing matches."""


def shared_series(part: Increments) -> Ints:
    """Series of which two starts have intervals that overlap, ascending."""
    order = np.lexsort((part.ts, part.start, part.series))
    series, start, ts = part.series[order], part.start[order], part.ts[order]
    if len(series) == 0:
        return series
    rank = np.cumsum(np.concatenate(([0], (series[1:] != series[:-1]).astype(np.int64))))
    low, width = int(start.min()), int(ts.max() - start.min()) + 1
    # Later series lie behind earlier ones, so that one running maximum serves them all.
    reach = np.maximum.accumulate((ts - low) + rank * width)
    over = (start[1:] - low) + rank[1:] * width < reach[:-1]
    return np.unique(series[1:][over & (ts[1:] > start[1:])])


def superseded(part: Increments) -> NDArray[np.bool_]:
    """Increments that overlap one of a later start of the same series: the later process took over."""
    out = np.zeros(len(part.series), np.bool_)
    for series in shared_series(part).tolist():
        rows = np.flatnonzero(part.series == series)
        begun, start, ts = part.begun[rows], part.start[rows], part.ts[rows]
        for i, row in enumerate(rows.tolist()):
            later = (begun > begun[i]) & (start < ts[i]) & (ts > start[i])
            out[row] = bool(later.any())
    return out


def without_superseded(part: Increments) -> Increments:
    """The same with superseded increments of no series."""
    gone = superseded(part)
    return replace(part, series=np.where(gone, _NOBODY, part.series)) if gone.any() else part


class Overlaps:
    """Tells of each series with two writers once."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters or Counters()
        self._told: set[tuple[str, str, int]] = set()

    def seen(self, tenant: str, metric: str, parts: Sequence[Increments]) -> None:
        """Look at increments that were loaded."""
        for part in parts:
            for series in shared_series(part).tolist():
                if (tenant, metric, series) in self._told:
                    continue
                self._told.add((tenant, metric, series))
                self._counters.add("sla.series.overlapping", tenant=tenant)
                shown = series % (1 << 64)
                _logger.warning("two processes write series %016x of %s %s", shown, tenant, metric)
