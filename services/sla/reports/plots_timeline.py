"""The picture of what happened when: incidents against their limits, and announced maintenance.

From rows to shapes, on the same axis of days as the other pictures over time.
"""

from collections.abc import Sequence

from services.sla.reports.model import ExclusionRow, IncidentRow, Period
from services.sla.reports.plots import (
    BAD,
    EMPTY,
    EXCLUDED,
    EXCLUDED_INK,
    GOOD,
    GRID,
    INK,
    QUIET,
    RIGHT,
    UNSURE,
    WIDTH,
    dates_of,
    ticks,
)
from services.sla.reports.scene import Anchor, Box, Label, Line, Pattern, Scene, Shape
from services.sla.reports.wording import duration_text, local_text

LEGEND = (
    (GOOD, "plain", "in time"),
    (BAD, "plain", "too late"),
    (UNSURE, "plain", "still open"),
    (QUIET, "plain", "no limit"),
    (EXCLUDED, "dotted", "maintenance, excluded"),
    (EMPTY, "plain", "maintenance, not excluded"),
)
MOST_LANES = 20
_LEFT, _TOP, _APART, _HIGH = 168.0, 4.0, 20.0, 13.0
_NARROWEST, _NARROWEST_HOLLOW = 2.5, 4.5
_LONGEST_NAME = 26


def timeline_scene(
    incidents: Sequence[IncidentRow], exclusions: Sequence[ExclusionRow], period: Period
) -> Scene | None:
    """A lane for maintenance and one for each incident, at most MOST_LANES; None when nothing happened."""
    if not incidents and not exclusions:
        return None
    days = dates_of(period)
    shapes: list[Shape] = []
    lane = 0
    if exclusions:
        shapes += _lane("maintenance", lane)
        shapes += [_maintenance(one, period, lane) for one in dict.fromkeys(exclusions)]
        lane += 1
    for incident in incidents[:MOST_LANES]:
        shapes += _lane(incident.incident, lane)
        shapes.append(_incident(incident, period, lane))
        lane += 1
    bottom = _TOP + lane * _APART
    if period.data_end_ms < period.end_ms:
        x = _across(max(period.start_ms, period.data_end_ms), period)
        shapes.append(Line(((x, _TOP), (x, bottom)), INK, 0.8))
    shapes += ticks(days, (WIDTH - _LEFT - RIGHT) / len(days), bottom + 10, _LEFT)
    more = len(incidents) - MOST_LANES
    return Scene(
        width=WIDTH,
        height=bottom + 18,
        title="Incidents and maintenance",
        description=f"{len(incidents)} incidents and {len(set(exclusions))} times of maintenance"
        + (f"; {more} incidents are in the table only." if more > 0 else "."),
        shapes=tuple(shapes),
    )


def _across(instant_ms: int, period: Period) -> float:
    inside = min(max(instant_ms, period.start_ms), period.end_ms) - period.start_ms
    return _LEFT + inside / (period.end_ms - period.start_ms) * (WIDTH - _LEFT - RIGHT)


def _lane(name: str, lane: int) -> list[Shape]:
    y = _TOP + lane * _APART
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "\u2026"
    middle = y + _HIGH / 2
    return [
        Label(_LEFT - 10, y + 10.5, short, Anchor.END, INK),
        Line(((_LEFT, middle), (WIDTH - RIGHT, middle)), GRID, 0.6),
    ]


def _span(start_ms: int, end_ms: int, period: Period, least: float = _NARROWEST) -> tuple[float, float]:
    """(x, width): within the axis, and wide enough to be seen."""
    low, high = _across(start_ms, period), _across(end_ms, period)
    width = max(least, high - low)
    return min(low, WIDTH - RIGHT - width), width


def _maintenance(one: ExclusionRow, period: Period, lane: int) -> Box:
    least = _NARROWEST if one.counted else _NARROWEST_HOLLOW
    x, width = _span(one.start_ms, one.end_ms, period, least)
    y = _TOP + lane * _APART
    note = f"{one.title or one.window}: {local_text(one.start_ms, period)}"
    if not one.counted:
        return Box(
            x, y, width, _HIGH, EMPTY, stroke=EXCLUDED_INK, note=f"{note}, not excluded: {one.why_not}"
        )
    return Box(x, y, width, _HIGH, EXCLUDED, Pattern.DOTTED, EXCLUDED_INK, note=f"{note}, excluded")


def _incident(one: IncidentRow, period: Period, lane: int) -> Box:
    end_ms = period.data_end_ms if one.stopped_ms is None else one.stopped_ms
    x, width = _span(one.opened_ms, max(one.opened_ms, end_ms), period)
    tone = {True: GOOD, False: BAD, None: QUIET if one.limit_ns is None else UNSURE}[one.in_time]
    note = f"{one.incident} {one.title}: {local_text(one.opened_ms, period)}, {duration_text(one.elapsed_ns)}"
    return Box(x, _TOP + lane * _APART, width, _HIGH, tone, note=note)
