"""What has to be asked before money moves: the cases in which input or terms allow two amounts.

A reason is a sentence for the person who decides. No reason is given where both readings come to one amount.
"""

from fractions import Fraction

from services.sla.credits.model import CreditTerms
from services.sla.credits.rules import Amount, amount_of, faults_of
from services.sla.methods.measure import Measured, doubts
from services.sla.windows import period_around

_MINUTE_NS = 60 * 10**9
_MINUTE_MS = 60_000


def open_questions(
    terms: CreditTerms,
    measured: Measured,
    result: Amount,
    *,
    period: tuple[int, int],
    zone: str,
    running: bool,
) -> tuple[str, ...]:
    """Why a person has to look at a credit, as sentences; none when the rules decide."""
    faults = faults_of(terms)
    if faults:
        return faults
    reasons = list(measured.ambiguous)
    if measured.share is None and not running:
        reasons.append("Nothing was measured in the period.")
    if not running:
        reasons += _missing_data(terms, measured)
        reasons += _parts_of_minutes(terms, measured)
    if result.raised and terms.minimum is not None and terms.minimum_currency not in ("", terms.currency):
        reasons.append(
            f"The minimum is in {terms.minimum_currency} and the fee in {terms.currency}; the terms do not"
            " say how one becomes the other."
        )
    if result.raised and period_around(terms.period, period[0], zone) != period:
        reasons.append(
            f"This version was in force for a part of the {terms.period} only; the terms do not say how"
            " the fee is divided."
        )
    return tuple(reasons)


def _missing_data(terms: CreditTerms, measured: Measured) -> tuple[str, ...]:
    if amount_of(terms, measured.low).amount == amount_of(terms, measured.high).amount:
        return ()
    return doubts(measured, sorted(tier.below for tier in terms.tiers))


def _parts_of_minutes(terms: CreditTerms, measured: Measured) -> tuple[str, ...]:
    if not terms.whole_minutes_unstated or measured.share is None or not measured.valid_ns:
        return ()
    lengths = [end - start for start, end in measured.downtimes]
    valid = measured.valid_ns
    least = sum(length // _MINUTE_MS for length in lengths) * _MINUTE_NS
    most = sum(-(-length // _MINUTE_MS) for length in lengths) * _MINUTE_NS
    shares = (Fraction(valid - min(down, valid), valid) for down in (least, most))
    amounts = {amount_of(terms, share).amount for share in (measured.share, *shares)}
    if len(amounts) == 1:
        return ()
    return (
        "The terms count minutes and do not say whether a part of one counts:"
        f" {least // _MINUTE_NS} whole minutes were down, {most // _MINUTE_NS} with parts.",
    )
