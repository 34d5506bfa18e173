"""Presets are checked when they are read: what is not exact, not ordered or not known is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest

from services.sla.credits.presets import preset_of, presets, read_presets
from services.sla.credits.rules import faults_of

GOOD = """
presets:
  - name: own-schedule
    title: Own schedule
    source: https://example.com/sla
    as_of: "2026-10"
    commitment: 99.9%
    method: {type: all_fail, interval: 1m, min_requests: 3}
    tiers: [{below: 99.9%, credit: 10%}, {below: 99%, credit: 25%}]
    cap: 50%
    claim: {days: 30}
"""


def test_a_preset_is_read_exactly():
    (preset,) = read_presets([GOOD])

    assert preset.tiers == ((Fraction(999, 1000), Fraction(1, 10)), (Fraction(99, 100), Fraction(1, 4)))
    assert preset.cap == Fraction(1, 2)
    assert (preset.claim_within_days, preset.claim_within_cycles) == (30, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cap: 50%", "cap: 0.5"),
        ("commitment: 99.9%", "commitment: 99.5%"),
        ("below: 99%", "below: 99.95%"),
        ("credit: 25%", "credit: 5%"),
        ("credit: 25%", "credit: 125%"),
        ("source: https://example.com/sla", "source: somebody said so"),
        ('as_of: "2026-10"', 'as_of: "lately"'),
        ("type: all_fail", "type: all_fine"),
        ("claim: {days: 30}", "claim: {days: 30, cycles: 2}"),
        ("claim: {days: 30}", "claim: {}"),
        ("claim: {days: 30}", "claims: {days: 30}"),
        ("min_requests: 3", "min_requests: 0"),
        ("commitment: 99.9%", "commitment: target"),
        ("below: 99%", "below: target"),
    ],
)
def test_a_preset_that_cannot_be_is_refused(old, new):
    assert old in GOOD
    with pytest.raises(ValueError, match="validation error"):
        read_presets([GOOD.replace(old, new)])


def test_two_presets_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two presets own-schedule"):
        read_presets([GOOD, GOOD])


def test_an_unknown_preset_is_told_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"no preset aws-s3;.*aws-s3-standard"):
        preset_of("aws-s3")


def test_a_google_style_preset_takes_the_target_of_the_contract():
    preset = preset_of("google-style-5m-10pct-100")

    terms = preset.terms(objective="up", target=Fraction(9995, 10_000), base_fee=Decimal(1), currency="USD")

    assert terms.tiers[0].below == Fraction(9995, 10_000)
    with pytest.raises(ValueError, match="targets from"):
        preset.terms(objective="up", target=Fraction(99, 100), base_fee=Decimal(1), currency="USD")


@pytest.mark.parametrize("name", presets())
def test_every_shipped_preset_makes_terms_without_faults(name):
    terms = preset_of(name).terms(
        objective="up", target=Fraction(999, 1000), base_fee=Decimal("10.00"), currency="USD"
    )

    assert faults_of(terms) == ()
    assert terms.preset == name
    assert terms.source.startswith("https://")
