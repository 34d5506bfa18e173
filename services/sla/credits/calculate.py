"""The use case behind CalculateSlaCredits: all credits of one contract version for one period. No stores."""

from collections.abc import Mapping

from services.sla.credits.compute import credit_of
from services.sla.credits.model import Credit
from services.sla.credits.stacking import without_stacking
from services.sla.methods.measure import Measured
from services.sla.model import Contract
from services.sla.windows import period_around

NOTHING = Measured(None, 0, 0, ())


def credit_period(contract: Contract, inside_ms: int) -> tuple[int, int]:
    """[start, end) of the credit period that holds an instant, cut to when the version is in force.

    Raises:
        ValueError: the contract has no credits, or is not in force in that period.
    """
    if contract.credits is None:
        raise ValueError(f"contract {contract.name} has no credits")
    start, end = period_around(contract.credits.period, inside_ms, contract.time_zone)
    start = max(start, contract.effective_from_ms)
    end = end if contract.until_ms is None else min(end, contract.until_ms)
    if start >= end:
        raise ValueError(f"contract {contract.name} version {contract.version} is not in force then")
    return start, end


def credits_for(
    contract: Contract,
    measured: Mapping[str, Measured],
    *,
    period: tuple[int, int],
    data_end_ms: int,
    review: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Credit]:
    """The credits of one version of a contract for one period; none when it has no schedule.

    Args:
        contract: in the version that is in force in the period.
        measured: by objective as the terms name it, `<contract>/<objective>`, of [start, data_end_ms); an
            absent one was not measured.
        period: [start, end) as `credit_period` gives it.
        data_end_ms: up to where data is sealed; before the end of the period it is still running.
        review: by objective in the same way, why a person has to look, such as slices that may still change.
    """
    terms = contract.credits
    if terms is None:
        return []
    start, end = period
    one = credit_of(
        terms,
        measured.get(terms.objective, NOTHING),
        tenant=contract.tenant,
        contract=contract.name,
        contract_version=contract.version,
        period_start_ms=start,
        period_end_ms=end,
        zone=contract.time_zone,
        running=data_end_ms < end,
        data_end_ms=min(data_end_ms, end),
        review=(review or {}).get(terms.objective, ()),
    )
    return without_stacking([one], terms)
