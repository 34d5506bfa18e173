"""Each tenant has its own targets, calendar, maintenance and credits; nothing of one is seen in another."""

from fractions import Fraction

from services.common.config_feed import AppliedDocument
from services.common.contract_versions import ContractDocument
from services.common.documents import Kind
from services.common.documents_contract import ContractSpec
from services.sla.model import Effect
from services.sla.objectives import contracts_of

_TENANTS = 2_000


def document(number: int) -> ContractDocument:
    """Terms that follow from the tenant's number, so that any mix-up shows."""
    spec = ContractSpec.model_validate(
        {
            "time_zone": ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")[number % 3],
            "effective_from": "2026-01-01",
            "maintenance": {"effect": ("drop", "count_up")[number % 2], "notice": f"{number}h"},
            "objectives": [
                {"name": "up", "type": "availability", "target": f"99.{number:05d}%", "window": "month"}
            ],
            "credits": {
                "objective": "up",
                "base_fee": number,
                "currency": "EUR",
                "tiers": [{"below": "99%", "credit": f"{number % 100 + 1}%"}],
            },
        }
    )
    return AppliedDocument(Kind.CONTRACT, f"tenant-{number:05d}", "gold", spec, number + 1)


def test_terms_of_thousands_of_tenants_stay_apart() -> None:
    found = contracts_of(document(number) for number in reversed(range(_TENANTS)))

    assert [one.tenant for one in found] == [f"tenant-{number:05d}" for number in range(_TENANTS)]
    for number, one in enumerate(found):
        (objective,) = one.objectives
        assert one.credits is not None
        assert (objective.tenant, objective.good_share) == (one.tenant, Fraction(9_900_000 + number, 10**7))
        assert objective.effect is (Effect.DROP, Effect.COUNT_UP)[number % 2]
        assert (objective.notice_ms, one.credits.base_fee) == (number * 3_600_000, number)
        assert one.credits.tiers[0].credit == Fraction(number % 100 + 1, 100)
        assert objective.time_zone == one.time_zone
    assert len({one.effective_from_ms for one in found}) == 3
