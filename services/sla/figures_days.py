"""Local days and downtimes of a window, for reports and lists. Pure: columns in, rows out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from services.sla.columns import part_of
from services.sla.figures import latency_of, uptime_of
from services.sla.figures_model import DayRow, Downtime, Latency, Segment, Uptime
from services.sla.figures_segments import Basis, Terms
from services.sla.kernels import intervals
from services.sla.methods.model import RequestRatio
from services.sla.methods.model import Uptime as ByState
from services.sla.model import ObjectiveKind, SliceColumns
from services.sla.windows import Period, Window, period_around

_DEGRADED, _DOWN, _EXCLUDED = 1, 2, 3


def day_edges(zone: str, start_ms: int, end_ms: int) -> list[int]:
    """start, each local midnight in between, end."""
    edges = [start_ms]
    while edges[-1] < end_ms:
        edges.append(min(end_ms, period_around(Period.DAY, edges[-1], zone)[1]))
    return edges


def days_of(parts: Sequence[Terms], basis: Basis, where: Window) -> tuple[DayRow, ...]:
    """One row for each local day up to the data's end, under the terms at its start (a version begins at
    midnight of its own zone, so a day has one version but where a contract moves to another zone)."""
    rows: list[DayRow] = []
    for one in parts:
        zone = one.objective.time_zone
        edges = day_edges(zone, one.window.start_ms, one.window.data_end_ms)
        rows += [_day(one, basis, Window(low, high, high), zone) for low, high in pairwise(edges)]
    return tuple(row for row in rows if row.start_ms < where.data_end_ms)


def downtimes_of(segments: Sequence[Segment], columns: SliceColumns) -> tuple[Downtime, ...]:
    """When the objective was down or degraded, by its method; needs rows of `Detail.STATES` at least.

    By the states of slices, adjoining down and degraded slices are one stretch. Methods of intervals have
    whole intervals, as the contract says.
    """
    found: list[Downtime] = []
    for one in segments:
        held = part_of(columns, one.window.start_ms, one.window.data_end_ms)
        by_state = isinstance(one.objective.method, RequestRatio | ByState)
        if isinstance(one.figures, Uptime) and not by_state and one.figures.measured is not None:
            spans = list(one.figures.measured.downtimes)
        else:
            bad = (held.durations[_DOWN] > 0) | (held.durations[_DEGRADED] > 0)
            starts = held.start_ms[bad]
            joined = intervals.normalise(np.array(starts), np.array(starts + held.length_ms[bad]))
            spans = [(int(start), int(end)) for start, end in joined]
        found.extend(_downtime(held, start, end) for start, end in spans)
    return tuple(found)


def _downtime(held: SliceColumns, start_ms: int, end_ms: int) -> Downtime:
    part = part_of(held, start_ms, end_ms)
    total = int(part.total.sum())
    return Downtime(
        start_ms=start_ms,
        end_ms=end_ms,
        down_ns=int(part.durations[_DOWN].sum()),
        degraded_ns=int(part.durations[_DEGRADED].sum()),
        excluded_ns=int(part.durations[_EXCLUDED].sum()),
        bad=total - int(part.good.sum()),
        total=total,
    )


def _day(terms: Terms, basis: Basis, where: Window, zone: str) -> DayRow:
    objective = terms.objective
    figures: Uptime | Latency
    if objective.kind is ObjectiveKind.LATENCY:
        figures = latency_of(
            objective, basis.columns, where, basis.quantile, first_ms=basis.first_ms, windows_ms=()
        )
    else:
        figures = uptime_of(objective, basis.columns, where, first_ms=basis.first_ms, windows_ms=())
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=where.start_ms)
    date = local.astimezone(ZoneInfo(zone)).date().isoformat()
    part = part_of(basis.columns, where.start_ms, where.data_end_ms)
    if isinstance(figures, Latency):
        return DayRow(
            date=date,
            start_ms=where.start_ms,
            end_ms=where.end_ms,
            good=int(part.good.sum()),
            total=figures.total,
            times=figures.times,
            share=figures.terms[0].share,
            displayed="",
            verdict=figures.verdict,
            bounds=figures.bounds,
            sure=figures.sure,
            possible=figures.possible,
        )
    return DayRow(
        date=date,
        start_ms=where.start_ms,
        end_ms=where.end_ms,
        good=figures.good,
        total=figures.total,
        times=figures.times,
        share=figures.share,
        displayed=figures.displayed,
        verdict=figures.verdict,
    )
