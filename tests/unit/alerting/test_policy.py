"""Rules as data: factors derived, dead and noisy rules refused."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.alerting.model import BurnRate, Outage
from services.alerting.policy import (
    BURN_RATE_1H_5M,
    DAY_NS,
    HOUR_NS,
    OUTAGE,
    SHIPPED,
    BurnRatePolicy,
    Objective,
    bind,
    burn_factor,
    refusal,
    shipped_rules,
)

SLICE_NS = 10_000_000_000
OBJECTIVE = Objective(
    tenant="acme",
    name="gold/availability",
    target=Fraction(999, 1000),
    period_ns=30 * DAY_NS,
    slice_ns=SLICE_NS,
    down_above=Fraction(1, 2),
    coverage_floor=Fraction(9, 10),
)


@pytest.mark.parametrize(
    ("days", "hours", "share", "factor"),
    [
        (7, 1, "0.02", "3.36"),
        (28, 1, "0.02", "13.44"),
        (30, 1, "0.02", "14.4"),
        (31, 1, "0.02", "14.88"),
        (90, 1, "0.02", "43.2"),
        (30, 6, "0.05", "6"),
        (28, 6, "0.05", "5.6"),
        (30, 24, "0.1", "3"),
        (30, 72, "0.1", "1"),
        (90, 72, "0.1", "3"),
    ],
)
def test_the_factor_follows_from_share_period_and_window(
    days: int, hours: int, share: str, factor: str
) -> None:
    derived = burn_factor(Fraction(share), period_ns=days * DAY_NS, long_ns=hours * HOUR_NS)

    assert derived == Fraction(factor)


def test_the_shipped_rules_are_sound_for_three_nines_over_thirty_days() -> None:
    rules = shipped_rules([OBJECTIVE])

    assert [rule.name for rule in rules] == ["outage", "burn-rate-1h-5m"]
    assert [refusal(rule, slice_ns=SLICE_NS) for rule in rules] == [None, None]
    assert all(rule.built_in for rule in rules)
    assert all(policy.source for policy in SHIPPED)


def test_the_outage_rule_uses_the_contracts_own_measure() -> None:
    rule = bind(OUTAGE, replace(OBJECTIVE, down_above=Fraction(1, 10)))

    assert isinstance(rule.condition, Outage)
    assert rule.condition.down_above == Fraction(1, 10)


def _burn(policy: BurnRatePolicy, **changes: object) -> str | None:
    rule = bind(policy, replace(OBJECTIVE, **changes))  # type: ignore[arg-type]
    assert isinstance(rule.condition, BurnRate)
    return refusal(rule, slice_ns=SLICE_NS)


def test_a_rule_that_can_never_fire_is_refused() -> None:
    """At 93.05 % even a total outage burns less than 14.4 times; at 93.06 % it just does not."""
    for target, dead in (("0.93", True), ("0.9305", True), ("0.931", False), ("0.95", False)):
        assert ((_burn(BURN_RATE_1H_5M, target=Fraction(target)) or "").startswith("DEAD_RULE")) is dead


def test_a_rule_that_fires_on_a_healthy_service_is_refused() -> None:
    """The fixed shares of 30 days are noise for 7 days."""
    three_days = replace(
        BURN_RATE_1H_5M, long_ns=3 * DAY_NS, short_ns=6 * HOUR_NS, budget_share=Fraction(1, 10)
    )

    assert (_burn(three_days, period_ns=7 * DAY_NS) or "").startswith("FIRES_ON_HEALTHY")
    assert _burn(three_days) is None


def test_windows_must_fit_the_slices() -> None:
    assert (_burn(replace(BURN_RATE_1H_5M, short_ns=5 * SLICE_NS + 1)) or "").startswith("BAD_WINDOWS")
    assert (_burn(replace(BURN_RATE_1H_5M, short_ns=HOUR_NS)) or "").startswith("BAD_WINDOWS")


def test_an_objective_that_counts_nothing_as_down_cannot_have_an_outage() -> None:
    rule = bind(OUTAGE, replace(OBJECTIVE, down_above=Fraction(1)))

    assert (refusal(rule, slice_ns=SLICE_NS) or "").startswith("DEAD_RULE")
