"""Burn-rate rules follow from period and budget share; what could not work is refused, with a reason."""

from fractions import Fraction
from pathlib import Path

import pytest

from services.alerting.policy import WORKBOOK, BurnRatePolicy, Objective, bind, burn_factor, refusal
from tests.unit.common.contract_texts import contract, load, problems

DAY_NS = 86_400 * 10**9
TABLE = {
    28: ("13.44", "5.6", "2.8", "0.9333"),
    30: ("14.4", "6", "3", "1"),
    31: ("14.88", "6.2", "3.1", "1.0333"),
    90: ("43.2", "18", "9", "3"),
}
"""Chapter 5 of the SRE workbook for 30 days, scaled: 1h/5m, 6h/30m, 1d/2h, 3d/6h."""


def rule(burn: str, *, long: str = "1h", short: str = "5m", severity: str = "page") -> str:
    spec = (
        f"{{type: burn_rate, objective: gold/up, long: {long}, short: {short}, severity: {severity}, {burn}}}"
    )
    return f"kind: AlertRule\nmetadata: {{tenant: acme, name: burn}}\nspec: {spec}\n"


def up(target: str = "99.9%", window: str = "30d") -> str:
    return contract(f'{{name: up, type: availability, target: "{target}", window: {window}}}')


@pytest.mark.parametrize("days", sorted(TABLE))
def test_the_default_window_pairs_have_the_factors_of_the_table(days: int) -> None:
    for policy, factor in zip(WORKBOOK, TABLE[days], strict=True):
        assert policy.budget_share is not None
        found = burn_factor(policy.budget_share, period_ns=days * DAY_NS, long_ns=policy.long_ns)
        assert abs(found - Fraction(factor)) < Fraction(1, 10_000)
        assert policy.long_ns % policy.short_ns == 0
        assert policy.long_ns // policy.short_ns == 12


@pytest.mark.parametrize("days", sorted(TABLE))
def test_the_default_rules_are_sound_for_three_nines(days: int) -> None:
    objective = Objective(
        "acme", "gold/up", Fraction(999, 1000), days * DAY_NS, 10**10, Fraction(1, 2), Fraction(9, 10)
    )
    assert [refusal(bind(policy, objective), slice_ns=10**10) for policy in WORKBOOK] == [None] * 4


@pytest.mark.parametrize("days", sorted(TABLE))
@pytest.mark.parametrize("policy", WORKBOOK, ids=lambda policy: policy.name)
def test_the_default_rules_are_accepted_as_documents(
    tmp_path: Path, days: int, policy: BurnRatePolicy
) -> None:
    written = rule(
        f"budget_share: {float(policy.budget_share or 0)}",
        long=f"{policy.long_ns // 10**9}s",
        short=f"{policy.short_ns // 10**9}s",
        severity=policy.severity,
    )
    assert problems(tmp_path, up(window=f"{days}d"), written) == []


@pytest.mark.parametrize(
    ("target", "window", "burn", "severity", "reason"),
    [
        ("93.05%", "30d", "factor: 14.4", "page", "could never fire"),
        ("93.05%", "30d", "factor: 14.4", "ticket", "could never fire"),
        ("99.9%", "30d", "factor: 1000", "page", "could never fire"),
        ("99.9%", "30d", "factor: 0.999", "page", "healthy service"),
        ("99.9%", "30d", "factor: 0.999", "critical", "healthy service"),
        ("99.9%", "7d", "budget_share: 0.5%", "page", "healthy service"),
        ("99.9%", "week", "budget_share: 0.5%", "page", "healthy service"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(
    tmp_path: Path, target: str, window: str, burn: str, severity: str, reason: str
) -> None:
    text = rule(burn, severity=severity)
    ((field, found),) = problems(tmp_path, up(target, window), text)
    assert (field, reason in found) == (f"spec.{burn.partition(':')[0]}", True)


@pytest.mark.parametrize(
    ("target", "window", "burn", "severity"),
    [
        ("93.06%", "30d", "factor: 14.4", "page"),
        ("99.9%", "30d", "factor: 999.99", "page"),
        ("99.9%", "30d", "factor: 1", "page"),
        ("99.9%", "30d", "factor: 0.93", "ticket"),
        ("100%", "30d", "factor: 14.4", "page"),
        ("99.9%", "month", "budget_share: 2%", "page"),
    ],
)
def test_a_rule_at_the_edge_is_accepted(
    tmp_path: Path, target: str, window: str, burn: str, severity: str
) -> None:
    assert problems(tmp_path, up(target, window), rule(burn, severity=severity)) == []


@pytest.mark.parametrize(("long", "short", "fields"), [("3601s", "15s", {"spec.long", "spec.short"})])
def test_windows_that_cut_slices_are_refused(tmp_path: Path, long: str, short: str, fields: set[str]) -> None:
    text = rule("factor: 14.4", long=long, short=short)
    found = problems(tmp_path, up(), text)

    assert {field for field, _ in found} == fields
    assert all("is not a multiple of the slice 10s" in reason for _, reason in found)


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        ("{name: up, type: incident_resolution, target: 4h, window: month}", "about incidents"),
        ('{name: up, type: composite, target: "1", window: month, children: [a]}', "watch a"),
    ],
)
def test_a_rule_needs_an_objective_with_requests(tmp_path: Path, objective: str, reason: str) -> None:
    other = '{name: a, type: availability, target: "99.9%", window: month}'
    text = rule("factor: 14.4")
    ((field, found),) = problems(tmp_path, contract(objective, other), text)
    assert (field, reason in found) == ("spec.objective", True)


def test_a_rule_is_judged_by_the_newest_version_that_has_its_objective(tmp_path: Path) -> None:
    lax = contract('{name: up, type: availability, target: "90%", window: 30d}')
    strict = contract('{name: up, type: availability, target: "99.9%", window: 30d}', since="2026-06-01")
    without = contract('{name: b, type: availability, target: "90%", window: 30d}', since="2026-09-01")
    text = rule("factor: 14.4")

    assert problems(tmp_path, lax, strict, without, text) == []
    known = tuple(load(tmp_path, lax, text.replace("14.4", "9")))
    ((field, reason),) = problems(tmp_path, strict.replace("99.9%", "80%"), known=known)
    assert (field, reason.startswith("breaks AlertRule burn")) == ("spec", True)
