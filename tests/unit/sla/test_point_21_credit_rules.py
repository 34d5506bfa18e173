"""Caps, minimum, stacking, deadline, fee, rounding and review: what turns a share into money, or does not."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.credits.calculate import credit_period, credits_for
from services.sla.credits.compute import credit_of
from services.sla.credits.model import CreditState, CreditTerms, Tier
from services.sla.credits.money import minor_digits_of, rounded
from services.sla.credits.presets import preset_of
from services.sla.credits.rules import faults_of, tier_for
from services.sla.credits.stacking import without_stacking
from services.sla.methods.measure import Measured
from services.sla.model import Contract
from services.sla.windows import Period, period_around

BERLIN = "Europe/Berlin"
T999 = Fraction(999, 1000)
TIERS = (
    Tier(T999, Fraction(1, 10)),
    Tier(Fraction(99, 100), Fraction(1, 4)),
    Tier(Fraction(95, 100), Fraction(1)),
)
TERMS = CreditTerms("requests", Period.MONTH, TIERS, "EUR", Decimal("1234.55"))


def ms(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000


OCTOBER = period_around(Period.MONTH, ms(2026, 10, 15), BERLIN)
HOURS_NS = 745 * 3600 * 10**9


def seen(share, **more):
    share = Fraction(share)
    return Measured(share, int((1 - share) * HOURS_NS), HOURS_NS, (), **{"low": share, "high": share, **more})


def credited(terms=TERMS, measured=None, *, share="0.98", period=OCTOBER, **more):
    return credit_of(
        terms,
        seen(share) if measured is None else measured,
        tenant="acme",
        contract="gold",
        contract_version=3,
        period_start_ms=period[0],
        period_end_ms=period[1],
        zone=BERLIN,
        **more,
    )


def test_the_lowest_tier_that_matches_applies():
    assert tier_for(TERMS, T999) is None
    assert tier_for(TERMS, Fraction(98, 100)).credit == Fraction(1, 4)
    assert tier_for(TERMS, Fraction(0)).credit == 1
    assert tier_for(replace(TERMS, tiers=TIERS[::-1]), Fraction(98, 100)).credit == Fraction(1, 4)


@pytest.mark.parametrize(
    ("rounding", "amount"),
    [("half_even", "308.64"), ("half_up", "308.64"), ("down", "308.63"), ("up", "308.64")],
)
def test_money_is_rounded_once_by_the_rule_that_the_terms_name(rounding, amount):
    """A quarter of 1234.55 is 308.6375."""
    assert str(credited(replace(TERMS, rounding=rounding)).amount) == amount


@pytest.mark.parametrize(
    ("exact", "digits", "rounding", "money"),
    [
        ("0.125", 2, "half_even", "0.12"),
        ("0.135", 2, "half_even", "0.14"),
        ("0.125", 2, "half_up", "0.13"),
        ("0.121", 2, "up", "0.13"),
        ("0.129", 2, "down", "0.12"),
        ("1234.5", 0, "half_even", "1234"),
        ("1.0005", 3, "half_even", "1.000"),
        ("12345678901234567890123456789012.345", 2, "half_even", "12345678901234567890123456789012.34"),
    ],
)
def test_rounding_is_exact_for_any_amount(exact, digits, rounding, money):
    assert str(rounded(Fraction(exact), digits, rounding)) == money


@given(st.decimals(0, 10**9, places=2), st.fractions(0, 1, max_denominator=1000))
def test_half_even_is_that_of_decimal(fee, share):
    exact = Fraction(fee) * share
    shown = rounded(exact, 2, "half_even")

    assert abs(Fraction(shown) - exact) <= Fraction(1, 200)
    assert shown.as_tuple().exponent == -2


def test_currencies_have_the_decimals_of_iso_4217():
    assert [minor_digits_of(code) for code in ("EUR", "JPY", "KWD")] == [2, 0, 3]
    terms = preset_of("azure-dns").terms(
        objective="dns", target=Fraction(1), base_fee=Decimal(12_345), currency="JPY"
    )
    assert str(credited(terms, share="0.999").amount) == "3086"


def test_a_cap_cuts_and_is_never_exceeded_by_rounding():
    capped = replace(TERMS, cap=Fraction(1, 2), base_fee=Decimal("0.33"), rounding="up")

    assert str(credited(capped, share="0.5").amount) == "0.16"
    assert any("cut to 0.16 EUR" in text for text in credited(capped, share="0.5").trace)
    assert str(credited(replace(TERMS, cap=Fraction(1, 2)), share="0.98").amount) == "308.64"


@pytest.mark.parametrize(("fee", "state"), [("10.00", CreditState.NOT_DUE), ("10.10", CreditState.DUE)])
def test_a_credit_has_to_be_more_than_the_minimum(fee, state):
    """AWS: only if greater than one dollar. A tenth of 10.00 is not, of 10.10 it is."""
    terms = preset_of("aws-s3-standard").terms(
        objective="s3", target=T999, base_fee=Decimal(fee), currency="USD"
    )
    credit = credited(terms, share="0.995")

    assert credit.state is state
    assert str(credit.amount) == ("0.00" if state is CreditState.NOT_DUE else "1.01")


def test_a_minimum_in_another_currency_is_not_guessed():
    terms = preset_of("aws-s3-standard").terms(
        objective="s3", target=T999, base_fee=Decimal(9), currency="EUR"
    )

    assert credited(terms, share="0.995").state is CreditState.REVIEW_REQUIRED
    assert credited(terms, share="0.9999").state is CreditState.NOT_DUE
    stated = replace(terms, minimum=Decimal("0.50"), minimum_currency="EUR")
    assert credited(stated, share="0.995").state is CreditState.DUE


def test_a_fee_of_nothing_gives_nothing():
    assert credited(replace(TERMS, base_fee=Decimal(0))).state is CreditState.NOT_DUE


def test_claims_end_with_the_second_billing_cycle_after_or_so_many_local_days():
    """October in Berlin ends in winter time, and so do November, December and the 30 and 60 days."""
    cycles = credited(replace(TERMS, claim_within_cycles=2))
    assert cycles.claim_by_ms == ms(2026, 12, 31, 23)
    assert credited(replace(TERMS, claim_within_days=30)).claim_by_ms == ms(2026, 11, 30, 23)
    assert credited(replace(TERMS, claim_within_days=60)).claim_by_ms == ms(2026, 12, 30, 23)
    assert any("before 2027-01-01 00:00+01:00" in text for text in cycles.trace)
    both = replace(TERMS, claim_within_days=30, claim_within_cycles=2)
    assert credited(both).claim_by_ms == ms(2026, 11, 30, 23)
    assert credited(TERMS).claim_by_ms is None
    assert credited(replace(TERMS, claim_within_days=30), share=1).claim_by_ms is None


def test_a_claim_over_a_change_of_the_clock_ends_at_local_midnight():
    march = period_around(Period.MONTH, ms(2026, 3, 15), BERLIN)
    february = period_around(Period.MONTH, ms(2026, 2, 15), BERLIN)

    assert credited(replace(TERMS, claim_within_days=30), period=february).claim_by_ms == ms(2026, 3, 30, 22)
    assert credited(replace(TERMS, claim_within_cycles=1), period=march).claim_by_ms == ms(2026, 4, 30, 22)


def test_credits_do_not_stack():
    low, high = credited(share="0.995"), replace(credited(share="0.98"), objective="latency")

    for found in ([low, high], [high, low], [low, high, low]):
        latency, requests = without_stacking(found, TERMS)
        assert (latency.state, str(latency.amount)) == (CreditState.DUE, "308.64")
        assert (requests.state, str(requests.amount)) == (CreditState.NOT_DUE, "0.00")
        assert "do not stack" in requests.trace[-1]


def test_other_periods_are_other_credits():
    november = period_around(Period.MONTH, ms(2026, 11, 15), BERLIN)

    kept = without_stacking([credited(), credited(period=november)], TERMS)

    assert [one.state for one in kept] == [CreditState.DUE, CreditState.DUE]


def test_while_one_is_to_be_reviewed_none_of_the_period_is_due():
    doubtful = replace(credited(share="0.9995", review=("Somebody disputes it.",)), objective="latency")

    kept = without_stacking([credited(), doubtful], TERMS)

    assert {one.state for one in kept} == {CreditState.REVIEW_REQUIRED}


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (Measured(None, 0, 0, ()), "Nothing was measured"),
        (seen("0.98", ambiguous=("Hourly slices.",)), "Hourly slices."),
        (seen("0.9991", low=Fraction(998, 1000), high=Fraction(1)), "below 99.9 %: it is between 99.8 %"),
    ],
)
def test_ambiguous_input_is_to_be_reviewed_and_says_why(measured, reason):
    credit = credited(measured=measured)

    assert credit.state is CreditState.REVIEW_REQUIRED
    assert any(text.startswith("Review required") and reason in text for text in credit.trace)


def test_missing_data_that_changes_no_amount_needs_no_review():
    assert (
        credited(measured=seen("0.97", low=Fraction(96, 100), high=Fraction(98, 100))).state
        is CreditState.DUE
    )


@pytest.mark.parametrize(
    "change",
    [
        {"tiers": ()},
        {"tiers": (TIERS[0], TIERS[0])},
        {"tiers": (Tier(T999, Fraction(1, 2)), Tier(Fraction(1, 2), Fraction(1, 10)))},
        {"tiers": (Tier(Fraction(2), Fraction(1, 10)),)},
        {"tiers": (Tier(T999, Fraction(2)),)},
        {"base_fee": Decimal("NaN")},
        {"base_fee": Decimal(-1)},
        {"cap": Fraction(3, 2)},
        {"minimum": Decimal("Infinity")},
        {"rounding": "to taste"},
        {"minor_digits": -1},
    ],
    ids=str,
)
def test_terms_that_cannot_be_are_told_and_give_nothing(change):
    terms = replace(TERMS, **change)

    assert len(faults_of(terms)) == 1
    assert credited(terms).state is CreditState.REVIEW_REQUIRED
    assert credited(terms).amount == 0
    assert faults_of(TERMS) == ()


def test_a_running_period_is_projected_with_its_rest_up():
    """A day of 31, of which a hundredth was down: 99 % so far, 99.968 % if the rest is up."""
    middle = OCTOBER[0] + 86_400_000
    day = Measured(Fraction(99, 100), 864 * 10**9, 86_400 * 10**9, ())

    credit = credited(measured=day, running=True, data_end_ms=middle)

    assert credit.state is CreditState.RUNNING
    assert credit.projected == 1 - Fraction(864, 745 * 3600)
    assert (str(credit.amount), str(credit.amount_so_far)) == ("0.00", "123.46")
    assert any("So far: 99 %" in text and "123.46 EUR" in text for text in credit.trace)
    assert credited(measured=Measured(None, 0, 0, ()), running=True).state is CreditState.RUNNING


def test_a_running_period_that_can_no_longer_be_kept_says_so():
    week = Measured(Fraction(9, 10), 60_480 * 10**9, 604_800 * 10**9, ())

    credit = credited(measured=week, running=True, data_end_ms=OCTOBER[0] + 7 * 86_400_000)

    assert credit.tier == TIERS[1]
    assert str(credit.amount) == "308.64"
    assert "nothing is due before" in credit.trace[-1]


def test_a_re_run_gives_the_same_credit():
    assert credited() == credited()
    assert without_stacking([credited(), credited()], TERMS) == [credited()]
    assert credited().name == "tenants/acme/contracts/gold/credits/2026-10-01.v3"


def test_the_trace_can_be_followed_with_a_pencil():
    terms = replace(
        TERMS, cap=Fraction(1, 2), minimum=Decimal("1.00"), claim_within_days=30, source="annex B"
    )

    assert list(credited(terms).trace) == [
        "Contract gold version 3 of acme, objective requests:"
        " 2026-10-01 00:00+02:00 to 2026-11-01 00:00+01:00 Europe/Berlin.",
        "Schedule: annex B.",
        "Measured: 49/50, 98 %.",
        "53640.000000000 s down of 2682000.000000000 s that count.",
        "Below 99.9 %: 10 % of the fee; it is below, and so is a lower tier.",
        "Below 99 %: 25 % of the fee; it is below, and this tier applies.",
        "Below 95 %: 100 % of the fee; it is not below.",
        "25 % of the fee of 1234.55 EUR is 308.64 EUR, rounded half_even to 2 decimals.",
        "At most 50 % of the fee, 617.27 EUR: not reached.",
        "Only credits of more than 1.00 EUR are given: 308.64 EUR is more.",
        "A claim has to come before 2026-12-01 00:00+01:00 Europe/Berlin.",
        "Due: 308.64 EUR, 25.000202502 % of the fee.",
    ]


def test_a_share_that_is_too_long_to_print_is_floored_in_the_trace():
    share = 1 - sum((Fraction(1, 10**6 + k) for k in range(400)), Fraction(0))

    assert any("too long to print, floored 99.96" in text for text in credited(share=share).trace)


def contract(**more):
    return Contract("acme", "gold", 3, BERLIN, 0, (), credits=TERMS, **more)


def test_the_use_case_gives_the_credit_of_a_contract():
    gold = contract()
    period = credit_period(gold, ms(2026, 10, 15))

    (credit,) = credits_for(gold, {"requests": seen("0.98")}, period=period, data_end_ms=period[1])

    assert period == OCTOBER
    assert credit == credited(data_end_ms=period[1])
    (running,) = credits_for(gold, {"requests": seen("0.98")}, period=period, data_end_ms=period[1] - 1)
    assert running.state is CreditState.RUNNING
    (nothing,) = credits_for(gold, {}, period=period, data_end_ms=period[1])
    assert nothing.state is CreditState.REVIEW_REQUIRED
    (open_,) = credits_for(
        gold,
        {"requests": seen(1)},
        period=period,
        data_end_ms=period[1],
        review={"requests": ("Not sealed.",)},
    )
    assert open_.state is CreditState.REVIEW_REQUIRED
    assert credits_for(replace(gold, credits=None), {}, period=period, data_end_ms=period[1]) == []


def test_a_version_that_began_in_the_middle_leaves_the_fee_to_a_person():
    half = replace(contract(), effective_from_ms=ms(2026, 10, 14, 22))
    period = credit_period(half, ms(2026, 10, 20))

    (credit,) = credits_for(half, {"requests": seen("0.98")}, period=period, data_end_ms=period[1])

    assert period == (ms(2026, 10, 14, 22), OCTOBER[1])
    assert credit.state is CreditState.REVIEW_REQUIRED
    assert credit.name.endswith("2026-10-15.v3")
    (kept,) = credits_for(half, {"requests": seen(1)}, period=period, data_end_ms=period[1])
    assert kept.state is CreditState.NOT_DUE


def test_a_version_that_is_over_has_no_period():
    with pytest.raises(ValueError, match="not in force"):
        credit_period(contract(until_ms=ms(2026, 9, 30)), ms(2026, 10, 15))
    with pytest.raises(ValueError, match="no credits"):
        credit_period(replace(contract(), credits=None), ms(2026, 10, 15))
