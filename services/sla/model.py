"""What the SLA service talks about: objectives, slices, distributions, rows of histograms.

Frozen values and enums, no behaviour that needs an engine. Times are Unix milliseconds (`_ms`) where
they place something, nanoseconds (`_ns`) where a verdict adds them up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from services.sla.credits.model import CreditTerms
from services.sla.methods.model import Method, RequestRatio, Signal
from services.sla.terms import CompositeMode as CompositeMode
from services.sla.terms import CompositeTerms as CompositeTerms
from services.sla.terms import Effect as Effect
from services.sla.terms import IncidentClock as IncidentClock
from services.sla.terms import IncidentTerms as IncidentTerms
from services.sla.terms import IncidentUntil as IncidentUntil
from services.sla.terms import Overlap as Overlap
from services.sla.terms import Reading as Reading
from services.sla.terms import ReportTerms as ReportTerms
from services.sla.terms import ServiceHours as ServiceHours
from services.sla.windows import Calendar, Rolling

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NS_PER_MS = 1_000_000


class ObjectiveKind(StrEnum):
    """What an objective promises."""

    AVAILABILITY = "availability"
    LATENCY = "latency"
    INCIDENT_RESOLUTION = "incident_resolution"
    DATA_AVAILABILITY = "data_availability"
    COMPOSITE = "composite"


class NoData(StrEnum):
    """What time without data counts as."""

    EXCLUDE = "exclude"
    COUNT_DOWN = "count_down"
    COUNT_UP = "count_up"


class Verdict(IntEnum):
    """What a promise came to."""

    PASS = 1
    FAIL = 2
    INDETERMINATE = 3
    NO_DATA = 4


class DistributionKind(IntEnum):
    """How a slice holds its latencies; the codes of the table's Enum8."""

    NONE = 0
    EXPONENTIAL = 1
    EXPLICIT = 2


REQUEST_RATIO = RequestRatio()
OWN_WINDOW = Rolling(0)
"""Stands for `Rolling(window_ms)` when an Objective is made."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise of one contract, with what its slices are computed from.

    good_share: the share of requests that must be good; for latency the quantile, for incidents the share
        of them that must be in time.
    window_ms: length of `window`; for calendar periods a nominal one (a month is 30 days).
    threshold_s: seconds that the quantile must stay below; latency only.
    notice_ms: maintenance that is announced later than this before its start does not count.
    from_ms, until_ms: the version's terms hold in [from, until); None: no end is known.
    """

    tenant: str
    contract: str
    name: str
    kind: ObjectiveKind
    good_share: Fraction
    window_ms: int
    metric: str
    slice_ms: int = 10_000
    threshold_s: Fraction | None = None
    match: Mapping[str, str] = field(default_factory=dict)
    bad_attribute: str = "http.response.status_code"
    bad_at_least: int = 500
    down_above: Fraction = Fraction(1, 2)
    no_data: NoData = NoData.EXCLUDE
    coverage_floor: Fraction = Fraction(9, 10)
    time_zone: str = "UTC"
    window: Rolling | Calendar = OWN_WINDOW
    method: Method = REQUEST_RATIO
    signal: Signal = None
    reading: Reading = Reading.MERGED
    overlap: Overlap = Overlap.COUNT
    effect: Effect = Effect.DROP
    notice_ms: int = 0
    incident: IncidentTerms | None = None
    composite: CompositeTerms | None = None
    contract_version: int = 0
    from_ms: int = 0
    until_ms: int | None = None

    def __post_init__(self) -> None:
        if self.window == OWN_WINDOW:
            object.__setattr__(self, "window", Rolling(self.window_ms))

    @property
    def from_requests(self) -> bool:
        """Whether its slices come from the request histograms of `metric`."""
        return self.kind in (ObjectiveKind.AVAILABILITY, ObjectiveKind.LATENCY) and self.signal is None

    @property
    def has_slices(self) -> bool:
        """Whether there are slices of it; of incidents and composites there are none."""
        kinds = (ObjectiveKind.AVAILABILITY, ObjectiveKind.LATENCY, ObjectiveKind.DATA_AVAILABILITY)
        return self.kind in kinds

    @property
    def key(self) -> str:
        """Name inside the tenant, as streams and tables have it: `<contract>/<objective>`."""
        return f"{self.contract}/{self.name}"


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract in one version, whose terms hold in [effective_from_ms, until_ms)."""

    tenant: str
    name: str
    version: int
    time_zone: str
    effective_from_ms: int
    objectives: tuple[Objective, ...]
    until_ms: int | None = None
    credits: CreditTerms | None = None
    reports: ReportTerms | None = None
    hours: ServiceHours | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """Latencies of a slice or a window, in seconds, as bucket counts.

    Exponential: scale, offset and zero_count as in OTLP. Explicit: len(counts) == len(bounds) + 1.
    """

    kind: DistributionKind
    counts: tuple[int, ...]
    scale: int = 0
    offset: int = 0
    zero_count: int = 0
    bounds: tuple[float, ...] = ()

    @property
    def total(self) -> int:
        """Requests in it."""
        return self.zero_count + sum(self.counts)


@dataclass(frozen=True, slots=True)
class Slice:
    """One objective over (start, start + length]. The six durations sum to the length, exactly."""

    start_ms: int
    length_ms: int
    good: int = 0
    total: int = 0
    up_ns: int = 0
    degraded_ns: int = 0
    down_ns: int = 0
    excluded_ns: int = 0
    no_data_ns: int = 0
    not_started_ns: int = 0
    distribution: Distribution | None = None
    sealed: bool = False

    @property
    def end_ms(self) -> int:
        """Where the next slice starts."""
        return self.start_ms + self.length_ms


@dataclass(frozen=True, slots=True)
class Revision:
    """A slice as it was published: its number among those of the same start, and when it was known."""

    slice: Slice
    revision: int
    known_at_ms: int


@dataclass(frozen=True, slots=True)
class SliceMessage:
    """One record of the SLICES stream; `tenant` None and no slices when only log time moved.

    hours: exact sums of whole UTC hours whose slices are sealed, as slices of an hour.
    shard, shards: whose log time `watermark_ns` is: that of the tenants whose hash modulo shards is shard.
    """

    tenant: str | None
    watermark_ns: int
    applied_seq: int
    slices: tuple[tuple[str, Revision], ...] = ()
    hours: tuple[tuple[str, Revision], ...] = ()
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """How far one objective is in a database: the start of its first slice, the end of the last one and of
    the last sealed one (0: none), and the newest of what is stored: log time and record of SLICES.

    Nothing about the objective's slices has changed for as long as it is the same.
    """

    database: str
    first_ms: int
    end_ms: int
    sealed_ms: int
    known_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class Touched:
    """What a batch wrote of one metric: times of its points and, for deltas, of their starts."""

    tenant: str
    metric: str
    earliest_ms: int
    latest_ms: int


@dataclass(frozen=True, slots=True)
class Applied:
    """One record of the APPLIED stream: a batch is in ClickHouse."""

    database: str
    last_seq: int
    watermark_ns: int
    touched: tuple[Touched, ...]


class PointKind(IntEnum):
    """What a series' points are; the codes of `series.type`. Gauges and sums are number points."""

    GAUGE = 1
    SUM = 2
    EXPLICIT = 3
    EXPONENTIAL = 4


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a metric: who sends it, how, and its attributes as text."""

    series_id: int
    sender_id: int
    kind: PointKind
    delta: bool
    unit: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Points of one table, one element a point; series ids are int64 with the bits of the UInt64.

    start and ts are milliseconds; start_ns and ts_ns what they have below them, 0 where that is not kept.
    Buckets lie flat: those of row i are counts[at[i]:at[i+1]]. `scale`, `offset`, `zero_count` and
    `zero_threshold` are of exponential rows, `bounds` with `bounds_at` of explicit ones; the columns of the
    other kind are empty.
    """

    kind: PointKind
    series: Ints
    start: Ints
    start_ns: Ints
    ts: Ints
    ts_ns: Ints
    bits: Ints
    count: Ints
    at: Ints
    counts: Ints
    scale: Ints
    offset: Ints
    zero_count: Ints
    zero_threshold: Floats
    bounds: Floats
    bounds_at: Ints

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Number points of one metric, one element a point; series, times and bits as in `Rows`.

    count: the value as a whole number, floored where it was a double. value: the same as a double.
    """

    series: Ints
    start: Ints
    start_ns: Ints
    ts: Ints
    ts_ns: Ints
    bits: Ints
    count: Ints
    value: Floats

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Exports:
    """When series reported: one element a point, without its values. start is 0 when not known."""

    series: Ints
    ts: Ints
    start: Ints


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """When senders reported anything else than the metric: one element a report."""

    sender: Ints
    ts: Ints


@dataclass(frozen=True, slots=True)
class SliceColumns:
    """Current slices of one objective by column, ordered by start; for windows of many slices.

    durations: (6, slices) in the order up, degraded, down, excluded, no_data, not_started.
    kind, scale, offset, zero_count, and flat counts and bounds as in `Rows`.
    """

    start_ms: Ints
    length_ms: Ints
    good: Ints
    total: Ints
    durations: Ints
    kind: Ints
    scale: Ints
    offset: Ints
    zero_count: Ints
    at: Ints
    counts: Ints
    bounds_at: Ints
    bounds: Floats
    sealed: NDArray[np.bool_]
    revision: Ints
    known_at_ms: Ints
    seq: Ints
