"""Terms of service credits, and credits. Data only; shares are exact fractions and money is Decimal.

Knows neither slices nor stores. Rounding of money is stated with the terms and happens once.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

from services.sla.windows import Period


@dataclass(frozen=True, slots=True)
class Tier:
    """A measured share below `below` gives `credit` of the fee; the lowest tier that matches applies."""

    below: Fraction
    credit: Fraction


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """What a contract says on credits for one objective.

    objective: its key, `<contract>/<objective>`.
    base_fee: the fee of the affected service for one period, in `currency`.
    cap: at most this share of the fee. minimum: a credit is due only if it is greater than this.
    minimum_currency: the currency of `minimum` where it is not `currency`.
    rounding: half_even, half_up, down or up, to `minor_digits` decimals.
    claim_within_days: a claim has to come within so many days after the period; None: no claim needed.
    claim_within_cycles: the same in billing cycles: until the end of the n-th period after this one.
    whole_minutes_unstated: downtime is in minutes, and whether a part of one counts is not said.
    """

    objective: str
    period: Period
    tiers: tuple[Tier, ...]
    currency: str
    base_fee: Decimal
    cap: Fraction | None = None
    minimum: Decimal | None = None
    rounding: str = "half_even"
    minor_digits: int = 2
    claim_within_days: int | None = None
    source: str = ""
    preset: str = ""
    claim_within_cycles: int | None = None
    minimum_currency: str = ""
    whole_minutes_unstated: bool = False


class CreditState(IntEnum):
    """What became of it."""

    NOT_DUE = 1
    DUE = 2
    REVIEW_REQUIRED = 3
    RUNNING = 4


@dataclass(frozen=True, slots=True)
class Credit:
    """The credit for one objective over one period under one version of a contract.

    measured: the share so far; projected: with the rest of a running period counted as up.
    amount: of a running period the projected one; of one to be reviewed what the rules would give.
    claim_by_ms: the first instant at which a claim is too late.
    trace: sentences, in order, that lead from the measurement to the amount.
    name: resource name from tenant, contract, period and version, so that a re-run gives the same credit.
    amount_so_far: what it would be if a running period ended now.
    """

    tenant: str
    contract: str
    contract_version: int
    objective: str
    period_start_ms: int
    period_end_ms: int
    measured: Fraction | None
    state: CreditState
    tier: Tier | None
    amount: Decimal
    currency: str
    claim_by_ms: int | None
    trace: tuple[str, ...]
    name: str = ""
    projected: Fraction | None = None
    amount_so_far: Decimal = Decimal(0)
