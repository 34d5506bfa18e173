"""All that a report says, before it is written down in any format.

Frozen values of int, Fraction, Decimal, str, bool and tuples of such: no float, so that the same report has
the same bytes everywhere. Nothing of stores, engines or rendering. Times: `_ms` is always an instant, in Unix
milliseconds, `_ns` always a length. `None` where a value does not exist (no data, no target of that kind),
never 0.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.sla.credits.model import Credit
from services.sla.verdict import Times

SCHEMA = "threenines.sla.report/1"
"""Changes when a reader of the canonical content would have to."""


@dataclass(frozen=True, slots=True)
class Offset:
    """From an instant on, local time is this many seconds ahead of UTC."""

    from_ms: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Period:
    """What the report is about: [start, end), with data up to data_end.

    label: such as `2026-10`, `2026-Q4`, `2026-W41`, or two dates.
    local_start, local_end: the same in `zone` as ISO 8601 with offset. offsets: those of `zone` in the
        period, in order of time. All are kept here, because a later edition of the time zone data must not
        change an issued report. Without offsets instants are shown in UTC.
    running: it is not over. provisional: some of its data is not final.
    """

    label: str
    start_ms: int
    end_ms: int
    data_end_ms: int
    zone: str
    local_start: str
    local_end: str
    offsets: tuple[Offset, ...] = ()
    running: bool = False
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of the contract that was in force in the period; `until_ms` None: no end is known.

    start_ms, end_ms: the part of the period under it.
    """

    version: int
    effective_from_ms: int
    until_ms: int | None
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """The verdict if time without data counted as `policy`: exclude, count_down or count_up.

    chosen: the contract's own policy.
    """

    policy: str
    verdict: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """What may fail and what did; in time, in counts, or in both. What remains is negative when overdrawn.

    allowed_ns, consumed_ns, remaining_ns: None where the budget is not one of time.
    allowed, consumed, remaining: of `ObjectiveReport.unit`; None where it is not one of counts.
    remaining_share: of the budget; None when the budget is 0 (then `any_failure_breaches`) or unknown.
    period_allowed_ns: of a running period, what it may lose in the whole.
    frozen: coverage is below the floor; the values are as of frozen_at_ms, when it was not (None: never).
    """

    allowed_ns: int | None = None
    consumed_ns: int | None = None
    remaining_ns: int | None = None
    allowed: int | None = None
    consumed: int | None = None
    remaining: int | None = None
    remaining_share: Fraction | None = None
    frozen: bool = False
    any_failure_breaches: bool = False
    period_allowed_ns: int | None = None
    frozen_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ProjectionRow:
    """What a running period can come to; each share has its own verdict.

    so_far: of the elapsed part. projected: of the whole period if nothing bad is added. worst: of the whole
    period if all of the rest is bad. rest_ns: what is to come.
    """

    so_far: Fraction | None
    so_far_verdict: str
    projected: Fraction | None
    projected_verdict: str
    worst: Fraction | None
    worst_verdict: str
    rest_ns: int


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One version's terms over its part of the period, with its own verdict.

    terms: the promise in a sentence. displayed: percent or seconds, empty without data.
    """

    contract_version: int
    start_ms: int
    end_ms: int
    terms: str
    target: Fraction
    share: Fraction | None
    displayed: str
    good: int
    total: int
    verdict: str


@dataclass(frozen=True, slots=True)
class DayRow:
    """One local day, cut to the period and its data.

    date: ISO, local. displayed: percent, empty without data.
    quantile_s: the latency quantile of the day; None where there is none.
    """

    date: str
    start_ms: int
    end_ms: int
    good: int
    total: int
    times: Times
    share: Fraction | None
    displayed: str
    verdict: str
    quantile_s: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DownRow:
    """A stretch that was down, [start, end); what lies in it, and its requests."""

    start_ms: int
    end_ms: int
    down_ns: int
    degraded_ns: int
    excluded_ns: int
    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class ExclusionRow:
    """One occurrence of announced maintenance in the period.

    effect: `drop` or `count_up`. counted: whether it was excluded; why_not says why it was refused.
    announced_ms: None when not known. reason: why the maintenance was made, by its announcer.
    """

    start_ms: int
    end_ms: int
    window: str
    title: str
    effect: str
    counted: bool
    why_not: str = ""
    announced_ms: int | None = None
    announced_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident. state: RUNNING, PAUSED or STOPPED (the clock's).

    elapsed_ns on the contract's clock; worst_ns: at the end of the period if nothing happens until then.
    limit_ns, in_time: None where no objective limits it, or it is open and not decided.
    """

    incident: str
    title: str
    severity: str
    opened_ms: int
    stopped_ms: int | None
    state: str
    elapsed_ns: int
    worst_ns: int
    limit_ns: int | None
    in_time: bool | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests above the previous bucket's bound and not above `upper_s`; None: no upper bound."""

    upper_s: Decimal | None
    count: int


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """A latency quantile against its target.

    estimate_s: the nearest-rank quantile; it surely lies in [lower_s, upper_s]; upper_s None: not bounded
        (`saturated`). All None without requests.
    sure, possible, total: what the verdict compares: requests (or slices) that surely, and possibly, took no
        longer than the threshold.
    buckets: the distribution of the whole period, ascending.
    """

    quantile: Fraction
    threshold_s: Fraction
    estimate_s: Decimal | None
    lower_s: Decimal | None
    upper_s: Decimal | None
    saturated: bool
    sure: int
    possible: int
    total: int
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class BurnPoint:
    """How much of the period's whole budget was used by an instant; above 1 when overdrawn."""

    at_ms: int
    consumed: Fraction


@dataclass(frozen=True, slots=True)
class ChildRow:
    """What one child contributed to a composite."""

    name: str
    weight: Fraction
    down_ns: int
    no_data_ns: int
    excluded_ns: int
    share: Fraction | None


@dataclass(frozen=True, slots=True)
class ObjectiveReport:
    """One objective over the period.

    kind: availability, latency, incident_resolution, data_availability or composite.
    promise: what was promised, in a sentence. method: how it was measured, in sentences.
    reading: which quantile a latency objective means: merged, requests or slices; else empty.
    unit: what good and total count: requests, slices, points, incidents; or empty.
    share, displayed: the figure, exact and as printed (percent without sign, floored; empty without data).
    burn: in order of time; empty where there is no budget.
    """

    name: str
    kind: str
    promise: str
    method: tuple[str, ...]
    window: str
    target: Fraction
    verdict: str
    share: Fraction | None
    displayed: str
    times: Times
    coverage: Fraction | None
    coverage_floor: Fraction
    good: int
    total: int
    unit: str
    budget: BudgetRow
    reading: str = ""
    policies: tuple[PolicyVerdict, ...] = ()
    projection: ProjectionRow | None = None
    segments: tuple[SegmentRow, ...] = ()
    days: tuple[DayRow, ...] = ()
    downtimes: tuple[DownRow, ...] = ()
    exclusions: tuple[ExclusionRow, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    latency: LatencyReport | None = None
    children: tuple[ChildRow, ...] = ()
    burn: tuple[BurnPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference to the revision that this one replaces.

    path: of the value in the canonical content, RFC 6901. old, new: JSON, empty where there was or is none.
    reason: a code such as LATE_DATA or MAINTENANCE_ADDED. actor: who caused it.
    """

    path: str
    old: str
    new: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """The revision that this one replaces, and how it differs. revision 0: it replaces none."""

    revision: int = 0
    content_sha256: str = ""
    why: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the report was computed from.

    watermark_ms: data is complete up to here. data_revision: the newest slice record in it.
    as_of_ms: what was known then; None: everything up to the watermark.
    """

    watermark_ms: int
    data_revision: int
    as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ReportInput:
    """A whole report in one revision: the same values give the same bytes in every format.

    verdict: the worst of all objectives. versions: of the contract in the period, oldest first.
    incidents: of the tenant in the period, whether an objective limits them or not.
    """

    tenant: str
    contract: str
    period: Period
    versions: tuple[VersionRow, ...]
    verdict: str
    objectives: tuple[ObjectiveReport, ...]
    provenance: Provenance
    credits: tuple[Credit, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    revision: int = 1
    replaces: Replaced = Replaced()
