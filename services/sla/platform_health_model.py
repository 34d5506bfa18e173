"""How a part of threenines is beside what it usually is: integers, medians and one comparison. Pure.

The baseline is the median of earlier figures, the deviation their median distance from it (MAD): an outage of
a day in a week of figures moves neither. Knows no store and no metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import median_low

ENOUGH_SAMPLES = 12
"""An hour of steps of five minutes: a baseline of less is told and not judged by."""
_DEVIATIONS = 6


class ComponentState(IntEnum):
    """How it is; the numbers are those of the contract, worse ones are higher."""

    UNKNOWN = 0
    HEALTHY = 1
    DEGRADED = 2
    DOWN = 3


class Measure(IntEnum):
    """What is measured; the numbers are those of the contract."""

    RESPONSE_TIME = 1
    ERROR_RATE = 2
    THROUGHPUT = 3
    DATABASE_TIME = 4
    LAG = 5


_UNITS = {
    Measure.RESPONSE_TIME: "us",
    Measure.ERROR_RATE: "ppm",
    Measure.THROUGHPUT: "a minute",
    Measure.DATABASE_TIME: "us",
    Measure.LAG: "ms",
}
_WORDS = {
    Measure.RESPONSE_TIME: "response time",
    Measure.ERROR_RATE: "errors",
    Measure.THROUGHPUT: "throughput",
    Measure.DATABASE_TIME: "database time",
    Measure.LAG: "lag",
}
# Differences below these are nobody's concern, however steady the baseline is.
_TOLERATED = {
    Measure.RESPONSE_TIME: 20_000,
    Measure.ERROR_RATE: 1_000,
    Measure.THROUGHPUT: 60,
    Measure.DATABASE_TIME: 20_000,
    Measure.LAG: 10_000,
}


@dataclass(frozen=True, slots=True)
class Indicator:
    """One figure beside its baseline, in the unit of its measure: microseconds, parts per million, counts a
    minute or milliseconds. limit: from here on it is degraded; 0 without a baseline."""

    name: str
    measure: Measure
    current: int
    baseline: int
    deviation: int
    limit: int
    samples: int
    state: ComponentState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One part, with everything that was measured of it."""

    name: str
    state: ComponentState
    message: str
    probed_ns: int
    lag_ms: int | None = None
    indicators: tuple[Indicator, ...] = ()


@dataclass(frozen=True, slots=True)
class PlatformHealth:
    """All parts, in order of name."""

    components: tuple[Component, ...]
    region: str

    @property
    def state(self) -> ComponentState:
        """The worst."""
        return max((one.state for one in self.components), default=ComponentState.UNKNOWN)


def judged(name: str, measure: Measure, current: int | None, before: Sequence[int]) -> Indicator:
    """The indicator. `current` None: nothing was measured lately, which says nothing."""
    baseline = median_low(before) if before else 0
    deviation = median_low([abs(one - baseline) for one in before]) if before else 0
    enough = len(before) >= ENOUGH_SAMPLES
    room = max(_DEVIATIONS * deviation, baseline // 2, _TOLERATED[measure])
    down = measure is Measure.THROUGHPUT
    limit = (max(0, baseline - room) if down else baseline + room) if enough else 0
    if current is None:
        return Indicator(
            name, measure, 0, baseline, deviation, limit, len(before), ComponentState.UNKNOWN, ""
        )
    beyond = enough and (current < limit if down else current > limit)
    return Indicator(
        name,
        measure,
        current,
        baseline,
        deviation,
        limit,
        len(before),
        ComponentState.DEGRADED if beyond else ComponentState.HEALTHY,
        _reason(measure, current, baseline, limit) if beyond else "",
    )


def component_of(
    name: str, *, down: str = "", probed_ns: int, indicators: Sequence[Indicator] = (), known: bool = True
) -> Component:
    """A part from what was measured; `down` says why it does not answer, empty when it does."""
    lags = [one.current for one in indicators if one.measure is Measure.LAG and one.state]
    if down:
        state, message = ComponentState.DOWN, down
    else:
        worst = max((one.state for one in indicators), default=ComponentState.UNKNOWN)
        state = max(worst, ComponentState.HEALTHY) if known else worst
        message = "; ".join(one.reason for one in indicators if one.reason)
    return Component(
        name,
        state,
        message,
        probed_ns,
        max(lags, default=None),
        tuple(sorted(indicators, key=lambda one: one.name)),
    )


def _reason(measure: Measure, current: int, baseline: int, limit: int) -> str:
    unit = _UNITS[measure]
    side = "below" if measure is Measure.THROUGHPUT else "above"
    return (
        f"{_WORDS[measure]} is {current:,} {unit}, usually {baseline:,} {unit}: {side} the limit of {limit:,}"
    )
