"""How a credit explains itself: what was measured, what is only so far, and how it ends. Text only."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.sla.credits.model import Credit, CreditState, CreditTerms
from services.sla.credits.rules import fee_share
from services.sla.methods.measure import Measured
from services.sla.verdict import percent_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_FRACTION_BITS = 128


def trace_of(
    credit: Credit,
    terms: CreditTerms,
    measured: Measured,
    steps: tuple[str, ...],
    reasons: tuple[str, ...],
    *,
    zone: str,
) -> tuple[str, ...]:
    """All sentences of a credit, in the order in which a person can check them.

    Args:
        credit: complete but for its trace.
        terms, measured: what it follows from.
        steps: those of the tiers, the cap and the minimum.
        reasons: why it has to be reviewed.
        zone: IANA zone that times are written in.
    """
    span = f"{local_text(credit.period_start_ms, zone)} to {local_text(credit.period_end_ms, zone)} {zone}"
    source = " from ".join(text for text in (terms.preset, terms.source) if text) or "the contract"
    return (
        f"Contract {credit.contract} version {credit.contract_version} of {credit.tenant},"
        f" objective {credit.objective}: {span}.",
        f"Schedule: {source}.",
        *_measured_sentences(measured),
        *(_running_sentences(credit) if credit.state is CreditState.RUNNING else ()),
        *steps,
        *(f"Review required: {reason}" for reason in dict.fromkeys(reasons)),
        *_claim_sentences(credit, zone),
        _end_sentence(credit, terms),
    )


def local_time(instant_ms: int, zone: str) -> datetime:
    """An instant in a zone."""
    return (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(ZoneInfo(zone))


def local_text(instant_ms: int, zone: str) -> str:
    """Date, time and offset of an instant in a zone."""
    return local_time(instant_ms, zone).isoformat(sep=" ", timespec="minutes")


def _measured_sentences(measured: Measured) -> tuple[str, ...]:
    share = measured.share
    if share is None:
        return ("Measured: nothing.",)
    exact = f"{share.numerator}/{share.denominator}" if _short(share) else "a fraction too long to print"
    figures: tuple[str, ...] = (f"Measured: {exact}, {_floored(share)}.",)
    if measured.valid_ns and share == Fraction(measured.valid_ns - measured.bad_ns, measured.valid_ns):
        figures += (f"{_seconds(measured.bad_ns)} s down of {_seconds(measured.valid_ns)} s that count.",)
    return figures


def _running_sentences(credit: Credit) -> tuple[str, ...]:
    if credit.measured is None or credit.projected is None:
        return ("The period is not over.",)
    return (
        f"The period is not over. So far: {percent_of(credit.measured)} %, which would give"
        f" {credit.amount_so_far} {credit.currency} if it ended now.",
        f"Projected, with the rest of the period up: {percent_of(credit.projected)} %.",
    )


def _claim_sentences(credit: Credit, zone: str) -> tuple[str, ...]:
    if credit.claim_by_ms is None:
        return ()
    return (f"A claim has to come before {local_text(credit.claim_by_ms, zone)} {zone}.",)


def _end_sentence(credit: Credit, terms: CreditTerms) -> str:
    money = f"{credit.amount} {credit.currency}"
    match credit.state:
        case CreditState.NOT_DUE:
            return "No credit is due."
        case CreditState.DUE:
            return f"Due: {money}, {percent_of(fee_share(terms, credit.amount))} % of the fee."
        case CreditState.REVIEW_REQUIRED:
            return f"To be reviewed by a person; by the rules as they are it is {money}."
        case CreditState.RUNNING:
            return f"Projected credit: {money}; nothing is due before the period is over."


def _short(share: Fraction) -> bool:
    # A mean of thousands of error rates has thousands of digits, which Python refuses to print.
    return share.denominator.bit_length() <= _LONGEST_FRACTION_BITS


def _floored(share: Fraction) -> str:
    percent = percent_of(share)
    exact = Fraction(percent) == 100 * share
    return f"{percent} %" if exact else f"floored {percent} %"


def _seconds(ns: int) -> str:
    return f"{ns // 10**9}.{ns % 10**9:09d}"
