"""Which rules a tenant has: shipped ones as data with their source, its own from documents.

Turns what is configured into `Rule`s that hold everything an evaluation needs, and names the
rules that would be dead or would page on a healthy service instead of loading them. Knows no
stream, no engine and no YAML.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from services.alerting.model import BurnRate, Outage, Rule

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

NO_DATA_AFTER_NS = 60 * SECOND_NS
"""Silence of every sender for this long is NO_DATA: six exports of 10 s, one of 60 s."""


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """How to page when an objective is down."""

    name: str
    min_requests: int
    for_ns: int
    keep_firing_for_ns: int
    severity: str
    source: str


@dataclass(frozen=True, slots=True)
class BurnRatePolicy:
    """One window pair: `budget_share` of the period's budget used up within `long_ns`.

    The factor follows from it (share x period / long window), so that a period of any length
    gets the right one; `factor` is only given where a document insists on one.
    """

    name: str
    long_ns: int
    short_ns: int
    budget_share: Fraction | None
    factor: Fraction | None
    min_bad: int
    for_ns: int
    keep_firing_for_ns: int
    severity: str
    source: str


Policy = OutagePolicy | BurnRatePolicy

OUTAGE = OutagePolicy(
    name="outage",
    min_requests=1,
    for_ns=0,
    keep_firing_for_ns=30 * SECOND_NS,
    severity="critical",
    source="ours: the newest slice with traffic is down by the contract's own `down_above`",
)

BURN_RATE_1H_5M = BurnRatePolicy(
    name="burn-rate-1h-5m",
    long_ns=HOUR_NS,
    short_ns=5 * MINUTE_NS,
    budget_share=Fraction(2, 100),
    factor=None,
    min_bad=1,
    for_ns=0,
    keep_firing_for_ns=0,
    severity="page",
    source="SRE workbook, table 5-8: https://sre.google/workbook/alerting-on-slos/",
)

BURN_RATE_6H_30M = replace(
    BURN_RATE_1H_5M,
    name="burn-rate-6h-30m",
    long_ns=6 * HOUR_NS,
    short_ns=30 * MINUTE_NS,
    budget_share=Fraction(5, 100),
)
BURN_RATE_1D_2H = replace(
    BURN_RATE_1H_5M,
    name="burn-rate-1d-2h",
    long_ns=DAY_NS,
    short_ns=2 * HOUR_NS,
    budget_share=Fraction(10, 100),
    severity="ticket",
)
BURN_RATE_3D_6H = replace(BURN_RATE_1D_2H, name="burn-rate-3d-6h", long_ns=3 * DAY_NS, short_ns=6 * HOUR_NS)

WORKBOOK: tuple[BurnRatePolicy, ...] = (BURN_RATE_1H_5M, BURN_RATE_6H_30M, BURN_RATE_1D_2H, BURN_RATE_3D_6H)
"""The window pairs of the workbook's chapter 5, for periods of four weeks and more."""

SHIPPED: tuple[Policy, ...] = (OUTAGE, BURN_RATE_1H_5M)
STORED_DATA: tuple[Policy, ...] = (BURN_RATE_1H_5M,)
"""Shipped for data availability, whose good and bad are points."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What rules need to know of an objective and its contract.

    `name` is `<contract>/<objective>`, as in SLICES.
    """

    tenant: str
    name: str
    target: Fraction
    period_ns: int
    slice_ns: int
    down_above: Fraction
    coverage_floor: Fraction


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that is configured and not evaluated, and why."""

    rule: Rule
    reason: str


def burn_factor(share: Fraction, *, period_ns: int, long_ns: int) -> Fraction:
    """B = f * P / L (SRE workbook, chapter 5): 2 % of 30 days within an hour is 14.4."""
    return share * Fraction(period_ns, long_ns)


def bind(policy: Policy, objective: Objective, *, built_in: bool = False, version: int = 0) -> Rule:
    """The policy for one objective."""
    condition: Outage | BurnRate
    match policy:
        case OutagePolicy():
            condition = Outage(
                down_above=objective.down_above,
                min_requests=policy.min_requests,
                lookback_ns=max(policy.keep_firing_for_ns, 6 * objective.slice_ns),
                no_data_after_ns=NO_DATA_AFTER_NS,
            )
        case BurnRatePolicy():
            condition = BurnRate(
                target=objective.target,
                factor=_factor(policy, objective),
                long_ns=policy.long_ns,
                short_ns=policy.short_ns,
                min_bad=policy.min_bad,
                coverage_floor=objective.coverage_floor,
                no_data_after_ns=NO_DATA_AFTER_NS,
            )
    return Rule(
        tenant=objective.tenant,
        name=policy.name,
        objective=objective.name,
        severity=policy.severity,
        condition=condition,
        for_ns=policy.for_ns,
        keep_firing_for_ns=policy.keep_firing_for_ns,
        built_in=built_in,
        version=version,
    )


def refusal(rule: Rule, *, slice_ns: int) -> str | None:
    """Why a rule must not be loaded; None when it is sound.

    A rule is dead when even 100 % errors do not pass its threshold, and noise when a service
    that uses its budget exactly as planned would fire it; only a ticket may do that.
    """
    condition = rule.condition
    if isinstance(condition, Outage):
        return "DEAD_RULE: down_above >= 1 can never be passed" if condition.down_above >= 1 else None
    if condition.threshold >= 1:
        return f"DEAD_RULE: an error rate above {condition.threshold} cannot happen"
    if condition.factor < 1 and condition.target < 1 and rule.severity != "ticket":
        return f"FIRES_ON_HEALTHY: factor {condition.factor} is below 1"
    if condition.short_ns <= 0 or condition.short_ns >= condition.long_ns:
        return "BAD_WINDOWS: the short window must be shorter than the long one"
    if condition.short_ns % slice_ns or condition.long_ns % slice_ns:
        return "BAD_WINDOWS: windows must be multiples of the slice length"
    return None


def shipped_rules(objectives: Iterable[Objective], policies: Sequence[Policy] = SHIPPED) -> list[Rule]:
    """What a tenant without rules of its own gets, for each of its objectives of a kind."""
    return [bind(policy, objective, built_in=True) for objective in objectives for policy in policies]


def _factor(policy: BurnRatePolicy, objective: Objective) -> Fraction:
    if policy.factor is not None:
        return policy.factor
    assert policy.budget_share is not None
    return burn_factor(policy.budget_share, period_ns=objective.period_ns, long_ns=policy.long_ns)
