"""From a measured share to a credit, with every step as a sentence. Pure, exact, and the same when re-run.

What the input or the terms leave open is not guessed: the credit is to be reviewed, and says why. The
sources do not agree on much, so nothing here belongs to one vendor; see `presets`.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from services.sla.credits.model import Credit, CreditState, CreditTerms
from services.sla.credits.review import open_questions
from services.sla.credits.rules import Amount, amount_of
from services.sla.credits.sentences import local_text, local_time, trace_of
from services.sla.methods.measure import Measured
from services.sla.model import NS_PER_MS
from services.sla.windows import period_around

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def credit_of(
    terms: CreditTerms,
    measured: Measured,
    *,
    tenant: str,
    contract: str,
    contract_version: int,
    period_start_ms: int,
    period_end_ms: int,
    zone: str = "UTC",
    running: bool = False,
    data_end_ms: int | None = None,
    review: tuple[str, ...] = (),
) -> Credit:
    """The credit for one period.

    Args:
        terms: what the contract says.
        measured: the figure of [period_start_ms, data_end_ms).
        tenant, contract, contract_version: whose; with the period they name the credit.
        period_start_ms, period_end_ms: the period, or the part of it in which the version was in force.
        zone: IANA zone of the contract, for claims and dates.
        running: the period is not over, or its data not complete.
        data_end_ms: up to where a running period has data; the rest is projected as up.
        review: further reasons for a person to look at it, as sentences.
    """
    projected = _projected(measured, period_start_ms, period_end_ms, data_end_ms) if running else None
    result = amount_of(terms, projected if running else measured.share)
    reasons = review + open_questions(
        terms, measured, result, period=(period_start_ms, period_end_ms), zone=zone, running=running
    )
    credit = Credit(
        tenant=tenant,
        contract=contract,
        contract_version=contract_version,
        objective=terms.objective,
        period_start_ms=period_start_ms,
        period_end_ms=period_end_ms,
        measured=measured.share,
        state=_state(result, reasons, running=running),
        tier=result.tier,
        amount=result.amount,
        currency=terms.currency,
        claim_by_ms=_claim_by(terms, period_start_ms, period_end_ms, zone) if result.amount else None,
        trace=(),
        name=credit_name(tenant, contract, contract_version, local_text(period_start_ms, zone)[:10]),
        projected=projected,
        amount_so_far=(amount_of(terms, measured.share) if running else result).amount,
    )
    return replace(credit, trace=trace_of(credit, terms, measured, result.steps, reasons, zone=zone))


def credit_name(tenant: str, contract: str, version: int, day: str) -> str:
    """Resource name: one credit for each tenant, period and version of a contract. day: as 2026-03-01."""
    return f"tenants/{tenant}/contracts/{contract}/credits/{day}.v{version}"


def _state(result: Amount, reasons: tuple[str, ...], *, running: bool) -> CreditState:
    if running:
        return CreditState.RUNNING
    if reasons:
        return CreditState.REVIEW_REQUIRED
    return CreditState.DUE if result.amount else CreditState.NOT_DUE


def _projected(measured: Measured, start_ms: int, end_ms: int, data_end_ms: int | None) -> Fraction | None:
    """The share of the whole period if the rest of it is up, and carries as much as what was."""
    if measured.share is None:
        return None
    left = (end_ms - (start_ms if data_end_ms is None else data_end_ms)) * NS_PER_MS
    if data_end_ms is None or left <= 0 or not measured.valid_ns:
        return measured.share
    return 1 - (1 - measured.share) * Fraction(measured.valid_ns, measured.valid_ns + left)


def _claim_by(terms: CreditTerms, start_ms: int, end_ms: int, zone: str) -> int | None:
    """The first instant that is too late, at local midnight; of two rules the one that ends first."""
    ends = []
    if terms.claim_within_days is not None:
        day = local_time(end_ms, zone) + timedelta(days=terms.claim_within_days)
        ends.append(_unix_ms(day))
    if terms.claim_within_cycles is not None:
        end = period_around(terms.period, start_ms, zone)[1]
        for _ in range(terms.claim_within_cycles):
            end = period_around(terms.period, end, zone)[1]
        ends.append(end)
    return min(ends, default=None)


def _unix_ms(instant: datetime) -> int:
    delta = instant.astimezone(UTC) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000
