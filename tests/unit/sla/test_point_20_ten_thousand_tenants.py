"""Point 20: ten thousand tenants in one evaluation, each under its own terms, in its own zone and money."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from services.sla.columns import columns_of
from services.sla.credits.calculate import credit_period, credits_for
from services.sla.credits.model import CreditState, CreditTerms, Tier
from services.sla.figures import uptime_of
from services.sla.model import Contract, Objective, ObjectiveKind, Revision, Slice, Verdict
from services.sla.windows import Calendar, Period, Window

_TENANTS = 10_000
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
_HOUR_MS = 3_600_000
_INSIDE = 1_794_700_000_000  # in November 2026 everywhere


def terms_of(k: int) -> Contract:
    """Targets of 99.0 % to 99.9 %, fees of their own, a zone of their own; every fifth drops no data."""
    name, zone = f"tenant-{k:05d}", _ZONES[k % len(_ZONES)]
    target = Fraction(990 + k % 10, 1000)
    objective = Objective(
        name, "gold", "requests", ObjectiveKind.AVAILABILITY, target, 30 * 24 * _HOUR_MS, "m", time_zone=zone
    )
    objective = replace(objective, window=Calendar(Period.MONTH), slice_ms=_HOUR_MS)
    tiers = (Tier(target, Fraction(1 + k % 50, 100)),)
    paid = CreditTerms("gold/requests", Period.MONTH, tiers, "EUR", Decimal(100 + k))
    return Contract(name, "gold", 1, zone, 0, (objective,), credits=paid)


def test_ten_thousand_tenants_get_figures_and_credits_of_their_own() -> None:
    bad = np.random.default_rng(20).integers(0, 25, _TENANTS)
    for k in range(_TENANTS):
        contract, failed = terms_of(k), int(bad[k])
        (objective,) = contract.objectives
        start, end = credit_period(contract, _INSIDE)
        slice_ = Slice(start, end - start, 1000 - failed, 1000, up_ns=(end - start) * 10**6, sealed=True)
        columns = columns_of([(Revision(slice_, 1, end), 1)])
        found = uptime_of(objective, columns, Window(start, end, end), windows_ms=())
        assert found.measured is not None
        (credit,) = credits_for(
            contract, {"gold/requests": found.measured}, period=(start, end), data_end_ms=end
        )

        kept = 1000 - failed >= 990 + k % 10
        assert found.verdict is (Verdict.PASS if kept else Verdict.FAIL)
        assert credit.tenant == contract.tenant
        assert credit.state is (CreditState.NOT_DUE if kept else CreditState.DUE)
        assert credit.amount == (
            0 if kept else (Decimal(100 + k) * (1 + k % 50) / 100).quantize(Decimal("0.01"))
        )
