"""The figures of objectives over windows, as everyone takes them: RPCs, reports, credits. Data only.

Verdicts come from integers and fractions; the floats here are for display. Nothing of engines, nothing of
how a figure is computed (`figures*.py`) or where its slices come from.
"""

from dataclasses import dataclass
from fractions import Fraction

from services.sla.composite import CompositeFigures
from services.sla.distribution import QuantileBounds
from services.sla.incidents.model import ResolutionFigures
from services.sla.methods.measure import Measured
from services.sla.model import NoData, Objective, Verdict
from services.sla.verdict import Budget, Times
from services.sla.windows import Window


@dataclass(frozen=True, slots=True)
class UsedWindow:
    """The window with what was in it. data_revision grows with every change of any slice in it."""

    window: Window
    time_zone: str
    provisional: bool
    data_revision: int


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast the budget went over one window; `rate` is for display, 0 when it is not defined.

    no_data: nothing happened in it, or less of it is known than the contract's floor: alerts freeze.
    """

    window_ms: int
    rate: float
    bad: int
    total: int
    any_failure_breaches: bool
    no_data: bool = False


@dataclass(frozen=True, slots=True)
class Projection:
    """What a running period can come to. None where nothing is known yet.

    so_far: of the part that is over. projected: of the whole period if nothing of the rest is bad.
    worst: of the whole if all of the rest is. rest_ns: what is to come, all of it counted.
    """

    so_far: Fraction | None
    projected: Fraction | None
    worst: Fraction | None
    rest_ns: int

    def lost(self, target: Fraction) -> bool:
        """Whether the target cannot be reached any more."""
        return self.projected is not None and self.projected < target


@dataclass(frozen=True, slots=True)
class TermsVerdict:
    """One version's terms over its part of the window: [start, end), with data up to data_end."""

    contract_version: int
    start_ms: int
    end_ms: int
    data_end_ms: int
    target: Fraction
    share: Fraction | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Uptime:
    """Availability, data availability or a composite: a share of requests or of time.

    objective: the terms at the end of the window. share: by the objective's method, None without anything
    to measure or where versions measure in different ways (`terms` then holds a share of each).
    measured: the same with downtimes and bounds. projection: of running calendar periods.
    terms: one for each version that held in the window and has data; the verdict is the worst of them.
    """

    objective: Objective
    used: UsedWindow
    good: int
    total: int
    times: Times
    share: Fraction | None
    displayed: str
    verdict: Verdict
    policy_verdicts: tuple[tuple[NoData, Verdict], ...]
    budget: Budget
    burn_rates: tuple[BurnRate, ...]
    measured: Measured | None = None
    projection: Projection | None = None
    terms: tuple[TermsVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency quantile of one objective; `bounds` is None without requests.

    sure, possible, total: what the verdict compares: of requests that took no longer than the threshold,
    or, where the contract reads slices, of slices whose own quantile is within it. share: the sure one,
    with time without data counted by the contract's policy; None with nothing to measure, or where versions
    measure in different ways. policy_verdicts: under each policy.
    """

    objective: Objective
    used: UsedWindow
    quantile: Fraction
    bounds: QuantileBounds | None
    sure: int
    possible: int
    total: int
    times: Times
    verdict: Verdict
    budget: Budget
    burn_rates: tuple[BurnRate, ...]
    requests: int = 0
    terms: tuple[TermsVerdict, ...] = ()
    share: Fraction | None = None
    policy_verdicts: tuple[tuple[NoData, Verdict], ...] = ()

    @property
    def flawless(self) -> bool:
        """Whether nothing was slow, down or missing: only then is 100 % displayed."""
        return self.sure == self.total and self.times.down_ns == 0 and self.times.no_data_ns == 0


@dataclass(frozen=True, slots=True)
class Resolution:
    """Incidents of one objective; `found` is of the terms at the end of the window."""

    objective: Objective
    used: UsedWindow
    found: ResolutionFigures
    verdict: Verdict
    terms: tuple[TermsVerdict, ...] = ()


Figures = Uptime | Latency | Resolution


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a window under the terms of one version; `figures` are of that part alone."""

    objective: Objective
    window: Window
    figures: Figures


@dataclass(frozen=True, slots=True)
class DayRow:
    """One local day of the contract's zone, cut to the window and to its data: [start, end).

    date: ISO, local. share, displayed: by the method of the terms at the day's start, as for windows.
    bounds: of latency objectives, of all requests of the day; sure and possible as in `Latency`.
    """

    date: str
    start_ms: int
    end_ms: int
    good: int
    total: int
    times: Times
    share: Fraction | None
    displayed: str
    verdict: Verdict
    bounds: QuantileBounds | None = None
    sure: int = 0
    possible: int = 0


@dataclass(frozen=True, slots=True)
class Downtime:
    """A stretch in which slices or intervals were down, [start, end) in ms, to the slice.

    down_ns, degraded_ns, excluded_ns: what lies in it. bad, total: requests.
    """

    start_ms: int
    end_ms: int
    down_ns: int
    degraded_ns: int
    excluded_ns: int
    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """Everything about one objective in one window: what reports are made of.

    figures: of the whole window. segments: of each version in it, in order of time. days: local days, up
    to the data's end. downtimes: by the objective's method, in order of time. seq: the newest record of
    SLICES that the figures hold (the same as `figures.used.data_revision`). composite: of composites, what
    each part contributed, under the terms that stand for the whole.
    """

    objective: Objective
    figures: Figures
    segments: tuple[Segment, ...]
    days: tuple[DayRow, ...]
    downtimes: tuple[Downtime, ...]
    composite: CompositeFigures | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of all segments."""
        return self.figures.verdict
