"""The picture of a latency distribution against its target. From buckets to shapes.

The axis is logarithmic. A bar's area is its share of the requests, so wide buckets do not look like many
requests; buckets narrower than a few points are drawn together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, log10

from services.sla.reports.model import Bucket, LatencyReport, ObjectiveReport
from services.sla.reports.plots import (
    BAD,
    GOOD,
    GRID,
    INK,
    LEFT,
    QUIET,
    RIGHT,
    UNSURE,
    WIDTH,
)
from services.sla.reports.scene import Anchor, Box, Label, Line, Pattern, Scene, Shape
from services.sla.reports.wording import count_text, percent_text, seconds_text

LEGEND = (
    (GOOD, "plain", "within the target"),
    (BAD, "plain", "slower than the target"),
    (UNSURE, "plain", "bucket on both sides of the target"),
)
_TOP, _HEIGHT = 26.0, 120.0
_NARROWEST = 4.0


@dataclass(frozen=True, slots=True)
class _Bar:
    low: Fraction
    high: Fraction
    count: int
    open: bool = False


def latency_scene(objective: ObjectiveReport, latency: LatencyReport) -> Scene | None:
    """The distribution, the target and the quantile; None where there is nothing to show."""
    bars = _bars(latency.buckets)
    if not bars:
        return None
    marks = [latency.threshold_s, *(Fraction(v) for v in (latency.estimate_s,) if v)]
    low = min(bars[0].low, *marks)
    high = max(bars[-1].high, *marks)
    left, right = log10(low) - 0.05, log10(high) + 0.05

    def across(seconds: Fraction) -> float:
        return LEFT + (log10(seconds) - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    drawn = _joined([(across(bar.low), across(bar.high), bar) for bar in bars], latency.threshold_s)
    density = max(bar.count / (to - at) for at, to, bar in drawn)
    ground = _TOP + _HEIGHT
    shapes = _axis(left, right, ground)
    total = sum(bar.count for bar in bars)
    for at, to, bar in drawn:
        height = max(0.8, bar.count / (to - at) / density * _HEIGHT) if bar.count else 0.0
        note = (
            f"{seconds_text(bar.low)} to {'more' if bar.open else seconds_text(bar.high)}:"
            f" {count_text(bar.count)} requests, {percent_text(Fraction(bar.count, total))}"
        )
        pattern = Pattern.HATCHED if bar.open else Pattern.PLAIN
        colour = _colour(bar, latency.threshold_s)
        shapes.append(
            Box(at, ground - height, max(0.6, to - at - 0.6), height, colour, pattern, "#ffffff", note=note)
        )
    shapes.append(Line(((LEFT, ground), (WIDTH - RIGHT, ground)), INK, 0.8))
    shapes += _marks(latency, across, ground)
    shapes.append(Label(LEFT - 8, ground - _HEIGHT / 2, "Requests", Anchor.END, QUIET))
    return Scene(
        width=WIDTH,
        height=ground + 22,
        title=f"{objective.name}: distribution of response times",
        description=f"{count_text(total)} requests; {count_text(latency.sure)} of {count_text(latency.total)}"
        f" surely within {seconds_text(latency.threshold_s)}.",
        shapes=tuple(shapes),
    )


def _bars(buckets: Sequence[Bucket]) -> list[_Bar]:
    """Buckets with finite, positive bounds: the first begins at half of its end, the last ends at twice."""
    bars: list[_Bar] = []
    before: Fraction | None = None
    for bucket in buckets:
        if bucket.upper_s is None:
            if bucket.count:
                low = before or Fraction(1)
                bars.append(_Bar(low, 2 * low, bucket.count, open=True))
            continue
        upper = Fraction(bucket.upper_s)
        if upper <= 0:
            continue
        bars.append(_Bar(before or upper / 2, upper, bucket.count))
        before = upper
    populated = [place for place, bar in enumerate(bars) if bar.count]
    return bars[populated[0] : populated[-1] + 1] if populated else []


def _joined(drawn: list[tuple[float, float, _Bar]], threshold: Fraction) -> list[tuple[float, float, _Bar]]:
    """Neighbours together until they are wide enough to be seen; never across the target or the open end."""
    out: list[tuple[float, float, _Bar]] = []
    for at, to, bar in drawn:
        narrow = bool(out) and out[-1][1] - out[-1][0] < _NARROWEST
        if narrow and not bar.open and out[-1][2].high != threshold:
            before = out[-1]
            joined = _Bar(before[2].low, bar.high, before[2].count + bar.count)
            out[-1] = (before[0], to, joined)
        else:
            out.append((at, to, bar))
    return out


def _colour(bar: _Bar, threshold: Fraction) -> str:
    if bar.high <= threshold and not bar.open:
        return GOOD
    return BAD if bar.low >= threshold else UNSURE


def _axis(left: float, right: float, ground: float) -> list[Shape]:
    shapes: list[Shape] = []
    steps = (1, 2, 5) if right - left < 3 else (1,)
    for power in range(floor(left), ceil(right) + 1):
        for step in steps:
            seconds = Fraction(step) * Fraction(10) ** power
            place = log10(seconds)
            if left <= place <= right:
                x = LEFT + (place - left) / (right - left) * (WIDTH - LEFT - RIGHT)
                shapes.append(Line(((x, ground), (x, ground + 4)), INK, 0.6))
                shapes.append(Line(((x, _TOP), (x, ground)), GRID, 0.4))
                shapes.append(Label(x, ground + 15, seconds_text(seconds), Anchor.MIDDLE, QUIET))
    return shapes


def _marks(latency: LatencyReport, across: Callable[[Fraction], float], ground: float) -> list[Shape]:
    """The target, and the quantile with what it surely lies between."""
    shapes: list[Shape] = []
    if latency.estimate_s:
        low, high = latency.lower_s, latency.upper_s
        name = f"p{percent_text(latency.quantile, 0).removesuffix(' %')} {seconds_text(latency.estimate_s)}"
        if low and high and low < high:
            name += f" ({seconds_text(low)} to {seconds_text(high)})"
        elif latency.saturated and low:
            name = f"p{percent_text(latency.quantile, 0).removesuffix(' %')} above {seconds_text(low)}"
        shapes += _mark(across(Fraction(latency.estimate_s)), 21, name, ground, dashed=False)
    target = across(latency.threshold_s)
    shapes += _mark(target, 9, f"target {seconds_text(latency.threshold_s)}", ground, dashed=True)
    return shapes


def _mark(x: float, y: float, text: str, ground: float, *, dashed: bool) -> list[Shape]:
    late = x > WIDTH * 0.6
    return [
        Line(((x, y - 8), (x, ground)), INK, 1.2, dashed=dashed),
        Label(x - 5 if late else x + 5, y, text, Anchor.END if late else Anchor.START, INK, bold=True),
    ]
