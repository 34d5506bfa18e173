"""Tiers, cap, minimum and rounding: from a share to an amount of money, with the sentences of each step."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.sla.credits.model import CreditTerms, Tier
from services.sla.credits.money import ROUNDINGS, rounded
from services.sla.verdict import percent_of

_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Amount:
    """What a share is worth. `raised` before the minimum was looked at."""

    tier: Tier | None
    amount: Decimal
    raised: Decimal
    steps: tuple[str, ...]


def faults_of(terms: CreditTerms) -> tuple[str, ...]:
    """What is wrong with terms, as sentences; a configuration with any of them should be refused."""
    faults = []
    edges = [tier.below for tier in terms.tiers]
    if not terms.tiers:
        faults.append("The schedule has no tiers.")
    if len(set(edges)) < len(edges):
        faults.append("Two tiers have one edge.")
    if any(not 0 < edge <= 1 for edge in edges):
        faults.append("The edge of a tier is not above 0 and at most 100 %.")
    if any(not 0 <= tier.credit <= 1 for tier in terms.tiers):
        faults.append("The credit of a tier is not between 0 and 100 %.")
    credits_upwards = [tier.credit for tier in _from_lowest(terms)]
    if credits_upwards != sorted(credits_upwards, reverse=True):
        faults.append("A lower tier gives less than a higher one.")
    if not terms.base_fee.is_finite() or terms.base_fee < 0:
        faults.append("The fee is not an amount of money.")
    if terms.cap is not None and not 0 <= terms.cap <= 1:
        faults.append("The cap is not between 0 and 100 %.")
    if terms.minimum is not None and (not terms.minimum.is_finite() or terms.minimum < 0):
        faults.append("The minimum is not an amount of money.")
    if terms.rounding not in ROUNDINGS:
        faults.append(f"There is no rounding {terms.rounding}; there are {', '.join(ROUNDINGS)}.")
    if not 0 <= terms.minor_digits <= _MOST_DIGITS:
        faults.append(f"Money has 0 to {_MOST_DIGITS} decimals.")
    return tuple(faults)


def tier_for(terms: CreditTerms, share: Fraction | None) -> Tier | None:
    """The lowest tier whose edge the share is below, exactly; None when it is below none."""
    if share is None:
        return None
    return next((tier for tier in _from_lowest(terms) if share < tier.below), None)


def amount_of(terms: CreditTerms, share: Fraction | None) -> Amount:
    """The credit for a share by tiers, cap, rounding and minimum; nothing for terms with faults."""
    if faults_of(terms):
        return Amount(None, Decimal(0), Decimal(0), ())
    none = nothing(terms)
    if share is None:
        return Amount(None, none, none, ())
    tier = tier_for(terms, share)
    steps = list(_tier_steps(terms, share, tier))
    if tier is None:
        return Amount(None, none, none, tuple(steps))
    exact = Fraction(terms.base_fee) * tier.credit
    amount = rounded(exact, terms.minor_digits, terms.rounding)
    steps.append(
        f"{percent_of(tier.credit)} % of the fee of {terms.base_fee} {terms.currency} is {amount}"
        f" {terms.currency}, rounded {terms.rounding} to {terms.minor_digits} decimals."
    )
    if terms.cap is not None:
        most = rounded(Fraction(terms.base_fee) * terms.cap, terms.minor_digits, "down")
        cut = f"cut to {most} {terms.currency}" if amount > most else "not reached"
        steps.append(f"At most {percent_of(terms.cap)} % of the fee, {most} {terms.currency}: {cut}.")
        amount = min(amount, most)
    raised = amount
    if terms.minimum is not None:
        enough = amount > terms.minimum
        of = terms.minimum_currency or terms.currency
        steps.append(
            f"Only credits of more than {terms.minimum} {of} are given: {amount} {terms.currency}"
            f" {'is more' if enough else 'is not more'}."
        )
        amount = amount if enough else none
    return Amount(tier, amount, raised, tuple(steps))


def nothing(terms: CreditTerms) -> Decimal:
    """Zero with the decimals of the currency."""
    return rounded(Fraction(0), terms.minor_digits, "down")


def fee_share(terms: CreditTerms, amount: Decimal) -> Fraction:
    """An amount as a share of the fee; 0 of a fee of 0."""
    fee = Fraction(terms.base_fee)
    return Fraction(amount) * Fraction(fee.denominator, fee.numerator) if fee else Fraction(0)


def _tier_steps(terms: CreditTerms, share: Fraction, applies: Tier | None) -> tuple[str, ...]:
    steps = []
    for tier in reversed(_from_lowest(terms)):
        if share >= tier.below:
            end = "it is not below"
        elif tier is applies:
            end = "it is below, and this tier applies"
        else:
            end = "it is below, and so is a lower tier"
        steps.append(f"Below {percent_of(tier.below)} %: {percent_of(tier.credit)} % of the fee; {end}.")
    return tuple(steps)


def _from_lowest(terms: CreditTerms) -> list[Tier]:
    return sorted(terms.tiers, key=lambda tier: tier.below)
