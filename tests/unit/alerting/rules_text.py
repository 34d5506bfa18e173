"""Rules for tests."""

from fractions import Fraction

from services.alerting.model import BurnRate, Outage, Rule

SECOND_NS = 1_000_000_000


def outage(
    *,
    tenant: str = "acme",
    objective: str = "gold/availability",
    min_requests: int = 1,
    for_s: int = 0,
    keep_s: int = 30,
) -> Rule:
    """The shipped outage rule, or one like it."""
    return Rule(
        tenant=tenant,
        name="outage",
        objective=objective,
        severity="critical",
        condition=Outage(
            down_above=Fraction(1, 2),
            min_requests=min_requests,
            lookback_ns=60 * SECOND_NS,
            no_data_after_ns=60 * SECOND_NS,
        ),
        for_ns=for_s * SECOND_NS,
        keep_firing_for_ns=keep_s * SECOND_NS,
    )


def burn(
    *,
    target: str = "999/1000",
    factor: str = "72/5",
    long_s: int = 3600,
    short_s: int = 300,
    min_bad: int = 1,
    keep_s: int = 0,
    tenant: str = "acme",
) -> Rule:
    """A burn-rate rule; 14.4 over 1 h and 5 min unless told otherwise."""
    return Rule(
        tenant=tenant,
        name="burn-rate",
        objective="gold/availability",
        severity="page",
        condition=BurnRate(
            target=Fraction(target),
            factor=Fraction(factor),
            long_ns=long_s * SECOND_NS,
            short_ns=short_s * SECOND_NS,
            min_bad=min_bad,
            coverage_floor=Fraction(9, 10),
            no_data_after_ns=60 * SECOND_NS,
        ),
        for_ns=0,
        keep_firing_for_ns=keep_s * SECOND_NS,
    )
