"""The pictures over time: how each day was, and what was left of the budget. From a report to shapes.

Colours are apart for every kind of colour vision (blue and vermilion, by Okabe and Ito), and states that are
neither good nor bad carry a pattern as well.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from services.sla.reports.model import DayRow, ObjectiveReport, Period
from services.sla.reports.scene import Anchor, Box, Label, Line, Pattern, Scene, Shape
from services.sla.reports.wording import (
    day_text,
    displayed_text,
    duration_text,
    local_date,
    percent_text,
    seconds_text,
)

GOOD, FINE, BAD, UNSURE = "#0b5a8f", "#8cbfe0", "#c8501e", "#e2a72e"
MISSING, MISSING_INK, EXCLUDED, EXCLUDED_INK = "#eceff2", "#7b8794", "#cfbfe9", "#53368f"
EMPTY = "#ffffff"
GRID, INK, QUIET = "#d5dbe1", "#3d4852", "#5b6772"
WIDTH = 720.0
LEFT, RIGHT = 62.0, 12.0

DAY_LEGEND = (
    (GOOD, "plain", "no loss"),
    (FINE, "plain", "within the target"),
    (BAD, "plain", "target missed"),
    (UNSURE, "plain", "not decidable"),
    (EXCLUDED, "dotted", "maintenance, excluded"),
    (MISSING, "hatched", "no data"),
    (EMPTY, "plain", "not begun"),
)
_STRIP, _CHART, _TOP = 30.0, 74.0, 4.0
_SMALLEST, _VERDICT = 5.0, 0.4
_OUTLINED, _PALE = 5.0, "#f3f5f7"
_ROUND = (1, Fraction(3, 2), 2, Fraction(5, 2), 3, 4, 5, 6, 8, 10)


def days_scene(objective: ObjectiveReport, period: Period) -> Scene:
    """A cell for each local day of the period, above bars of what was lost, or of the quantile."""
    days = dates_of(period)
    rows = {row.date: row for row in objective.days}
    step = (WIDTH - LEFT - RIGHT) / len(days)
    gap = min(2.0, step / 4)
    shapes: list[Shape] = [Label(LEFT - 8, _TOP + _STRIP / 2 + 3.5, "Days", Anchor.END, QUIET)]
    for place, day in enumerate(days):
        at = LEFT + place * step
        shapes += _cell(rows.get(day.isoformat()), day, at, _TOP, width=step - gap, height=_STRIP)
    bottom = _TOP + _STRIP
    bars = _bars(objective, [rows.get(day.isoformat()) for day in days])
    if any(value for value, _ in bars):
        shapes += _chart(objective, bars, step=step, gap=gap, top=bottom + 16)
        bottom += 16 + _CHART
    shapes += ticks(days, step, bottom + 14)
    kept = sum(row.verdict == "PASS" for row in objective.days)
    missed = [row.date for row in objective.days if row.verdict == "FAIL"]
    return Scene(
        width=WIDTH,
        height=bottom + 22,
        title=f"{objective.name}: day by day",
        description=f"{len(days)} days: {kept} within the target, {len(missed)} missed"
        + (f" ({', '.join(missed[:10])})" if missed else "")
        + f", {len(days) - len(objective.days)} without any row.",
        shapes=tuple(shapes),
    )


def overview_scene(objectives: Sequence[ObjectiveReport], period: Period) -> Scene | None:
    """A line of days for each objective that has days; None when none has."""
    lines = [objective for objective in objectives if objective.days]
    if not lines:
        return None
    days = dates_of(period)
    left, high, apart = 168.0, 16.0, 22.0
    step = (WIDTH - left - RIGHT) / len(days)
    gap = min(2.0, step / 4)
    shapes: list[Shape] = []
    for line, objective in enumerate(lines):
        y = _TOP + line * apart
        rows = {row.date: row for row in objective.days}
        name = objective.name if len(objective.name) <= 26 else objective.name[:25] + "\u2026"
        shapes.append(Label(left - 10, y + 12, name, Anchor.END, INK))
        for place, day in enumerate(days):
            at = left + place * step
            shapes += _cell(rows.get(day.isoformat()), day, at, y, width=step - gap, height=high)
    bottom = _TOP + len(lines) * apart
    shapes += ticks(days, step, bottom + 10, left)
    return Scene(
        width=WIDTH,
        height=bottom + 18,
        title="All objectives, day by day",
        description=f"{len(lines)} objectives over {len(days)} days; each has its own picture below.",
        shapes=tuple(shapes),
    )


def burn_scene(objective: ObjectiveReport, period: Period) -> Scene:
    """What was left of the budget of the whole period, in percent; below zero it is overdrawn."""
    points = [(period.start_ms, Fraction(1))]
    points += [(point.at_ms, 1 - point.consumed) for point in objective.burn]
    low = min(Fraction(0), *(left for _, left in points))
    if low < 0:
        low = -nice(-low)
    top, height = 8.0, 104.0

    def across(instant_ms: int) -> float:
        share = Fraction(instant_ms - period.start_ms, period.end_ms - period.start_ms)
        return LEFT + float(share) * (WIDTH - LEFT - RIGHT)

    def down(left: Fraction) -> float:
        return top + float((1 - left) / (1 - low)) * height

    levels = [Fraction(1), Fraction(0), low]
    if low > -4:
        levels.append(Fraction(1, 2))
    shapes = _levels(levels, down)
    shapes += _areas([(across(at), left) for at, left in points], down)
    even = ((across(period.start_ms), down(Fraction(1))), (across(period.end_ms), down(Fraction(0))))
    shapes.append(Line(even, QUIET, 0.8, dashed=True))
    shapes.append(Line(tuple((across(at), down(left)) for at, left in points), INK, 1.6))
    if period.data_end_ms < period.end_ms:
        x = across(max(period.start_ms, period.data_end_ms))
        shapes.append(Line(((x, top), (x, top + height)), INK, 0.8))
        late = x > WIDTH * 0.8
        shapes.append(Label(x - 4 if late else x + 4, top + 9, "data ends", _side(late), QUIET))
    days = dates_of(period)
    shapes += ticks(days, (WIDTH - LEFT - RIGHT) / len(days), top + height + 14)
    return Scene(
        width=WIDTH,
        height=top + height + 22,
        title=f"{objective.name}: budget left over the period",
        description=f"Starts at 100 % and comes to {percent_text(points[-1][1])} of the budget of the period."
        " The dashed line would use it up evenly.",
        shapes=tuple(shapes),
    )


def nice(value: Fraction) -> Fraction:
    """The smallest round number that is not below a positive value."""
    step = Fraction(1)
    while step >= value:
        step /= 10
    while step * 10 < value:
        step *= 10
    return next(step * n for n in _ROUND if step * n >= value)


def _side(before: bool) -> Anchor:
    return Anchor.END if before else Anchor.START


def dates_of(period: Period) -> list[date]:
    first = local_date(period.start_ms, period)
    last = local_date(max(period.start_ms, period.end_ms - 1), period)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _cell(row: DayRow | None, day: date, x: float, y: float, *, width: float, height: float) -> list[Shape]:
    if row is None:
        return _blank(f"{day}: not reported", x, y, width, height)
    times = row.times
    whole = times.covered_ns + times.no_data_ns + times.excluded_ns + times.not_started_ns
    if whole and whole == times.not_started_ns:
        return _blank(f"{row.date}: before the first data", x, y, width, height)
    note = f"{row.date}: {displayed_text(row.displayed)}, {duration_text(times.down_ns)} down"
    if times.excluded_ns:
        note += f", {duration_text(times.excluded_ns)} excluded"
    if times.no_data_ns:
        note += f", {duration_text(times.no_data_ns)} without data"
    shapes: list[Shape] = [Box(x, y, width, height, _tone(row), note=note)]
    if whole == 0:
        return shapes
    # Of a day with any data, its verdict is seen, however short the data.
    room = height * (1 - _VERDICT) if times.covered_ns else height
    out = min(room, _part(times.excluded_ns, whole, height))
    if out:
        shapes.append(Box(x, y, width, out, EXCLUDED, Pattern.DOTTED, EXCLUDED_INK, note=note))
    gone = min(room - out, _part(times.no_data_ns, whole, height))
    below = y + height - gone
    if gone > 0:
        shapes.append(Box(x, below, width, gone, MISSING, Pattern.HATCHED, MISSING_INK, note=note))
    early = min(room - out - gone, _part(times.not_started_ns, whole, height))
    return [*shapes, *_blank(note, x, below - early, width, early)] if early > 0 else shapes


def _blank(note: str, x: float, y: float, width: float, height: float) -> list[Shape]:
    """Time that is to come, or before there was anything to report."""
    if width < _OUTLINED:
        return [Box(x, y, width, height, _PALE, note=note)]
    return [Box(x, y, width, height, EMPTY, stroke=GRID, note=note)]


def _part(ns: int, whole: int, height: float) -> float:
    """The height of a part of a day; what is there at all is seen."""
    return max(_SMALLEST, float(Fraction(ns, whole)) * height) if ns else 0.0


def _tone(row: DayRow) -> str:
    if row.verdict == "FAIL":
        return BAD
    if row.verdict == "INDETERMINATE":
        return UNSURE
    if row.verdict == "NO_DATA":
        return MISSING
    flawless = row.times.down_ns == 0 and (row.share is None or row.share == 1)
    return GOOD if flawless else FINE


def _bars(objective: ObjectiveReport, rows: Sequence[DayRow | None]) -> list[tuple[Fraction, str]]:
    """What the lower chart shows of each day: the quantile in seconds, or the lost share."""
    if objective.latency is not None:
        return [
            (Fraction(row.quantile_s), _tone(row))
            if row and row.quantile_s is not None
            else (Fraction(0), "")
            for row in rows
        ]
    return [
        (1 - row.share, _tone(row)) if row and row.share is not None else (Fraction(0), "") for row in rows
    ]


def _chart(
    objective: ObjectiveReport, bars: Sequence[tuple[Fraction, str]], *, step: float, gap: float, top: float
) -> list[Shape]:
    latency = objective.latency
    limit = 1 - objective.target if latency is None else latency.threshold_s
    most = max(value for value, _ in bars)
    # The limit is shown where that does not press all the bars to the ground.
    high = nice(max(most, limit) if limit <= 4 * most else most)
    text = percent_text if latency is None else seconds_text
    named = "Lost" if latency is None else f"p{percent_text(latency.quantile, 0).removesuffix(' %')}"
    shapes: list[Shape] = []
    for level in (high, high / 2, Fraction(0)):
        y = top + _CHART * (1 - float(level / high))
        shapes.append(Line(((LEFT, y), (WIDTH - RIGHT, y)), GRID, 0.6))
        label = named if level == 0 else _short(text(level))
        shapes.append(Label(LEFT - 8, y + 3.5, label, Anchor.END, QUIET))
    for place, (value, tone) in enumerate(bars):
        if value:
            height = max(1.0, _CHART * float(value / high))
            shapes.append(Box(LEFT + place * step, top + _CHART - height, step - gap, height, tone))
    if limit and limit <= high:
        y = top + _CHART * (1 - float(limit / high))
        shapes.append(Line(((LEFT, y), (WIDTH - RIGHT, y)), INK, 1, dashed=True))
        word = "allowed" if latency is None else "target"
        shapes.append(Label(WIDTH - RIGHT, y - 4, f"{word} {_short(text(limit))}", Anchor.END, INK))
    return shapes


def _short(text: str) -> str:
    """Without zeros at the end of the decimals."""
    number, _, unit = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def ticks(days: Sequence[date], step: float, y: float, left: float = LEFT) -> list[Shape]:
    """Days that are named below; in long periods the firsts of months."""
    if len(days) > 62:
        named = [place for place, day in enumerate(days) if day.day == 1]
        apart = -(-len(named) // 14)
        named = named[::apart]
    else:
        apart = -(-len(days) // 12)
        named = list(range(0, len(days), apart))
    middle = step / 2
    return [Label(left + n * step + middle, y, day_text(days[n]), Anchor.MIDDLE, QUIET) for n in named]


def _levels(levels: Sequence[Fraction], down: Callable[[Fraction], float]) -> list[Shape]:
    shapes: list[Shape] = []
    for level in dict.fromkeys(levels):
        y = down(level)
        shapes.append(Line(((LEFT, y), (WIDTH - RIGHT, y)), INK if level == 0 else GRID, 0.6))
        shapes.append(Label(LEFT - 8, y + 3.5, _short(percent_text(level)), Anchor.END, QUIET))
    return shapes


def _areas(points: list[tuple[float, Fraction]], down: Callable[[Fraction], float]) -> list[Shape]:
    """What lies between the line and zero, above and below it."""
    crossed: list[tuple[float, Fraction]] = []
    for (x, left), (to_x, to_left) in pairwise(points):
        crossed.append((x, left))
        if (left > 0) != (to_left > 0) and left != to_left:
            crossed.append((x + float(left / (left - to_left)) * (to_x - x), Fraction(0)))
    crossed += points[-1:]
    shapes: list[Shape] = []
    for colour, clip in (("#dcebf6", max), ("#f6d9cc", min)):
        line = [(x, down(clip(left, Fraction(0)))) for x, left in crossed]
        zero = down(Fraction(0))
        shapes.append(Line((*line, (crossed[-1][0], zero), (crossed[0][0], zero)), fill=colour))
    return shapes
