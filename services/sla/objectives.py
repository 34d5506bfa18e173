"""Contracts and objectives as the applied configuration says them: documents into this service's model."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.common.config_feed import AppliedDocument, ConfigFeed
from services.common.documents_contract import AvailabilityObjective, ContractSpec, LatencyObjective
from services.sla.model import NS_PER_MS, Contract, NoData, Objective, ObjectiveKind


class Catalogue:
    """The contracts in force, read from the configuration feed when asked."""

    def __init__(self, feed: ConfigFeed) -> None:
        self._feed = feed
        self._seq = -1
        self._contracts: tuple[Contract, ...] = ()

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        """All contracts in order of tenant and name; of one tenant when it is given."""
        if self._seq != self._feed.seq:
            # Sequences move with every record of the stream, so this is asked often and done rarely.
            self._seq = self._feed.seq
            self._contracts = tuple(contracts_of(self._feed.specs(ContractSpec)))
        return [one for one in self._contracts if tenant is None or one.tenant == tenant]

    def objectives(self, tenant: str | None = None) -> list[Objective]:
        """All objectives; of one tenant when it is given."""
        return [objective for one in self.contracts(tenant) for objective in one.objectives]

    def tenants(self) -> list[str]:
        """Tenants that have a contract."""
        return sorted({one.tenant for one in self.contracts()})


def contracts_of(documents: Iterable[AppliedDocument[ContractSpec]]) -> list[Contract]:
    """Contract documents as contracts; documents of no tenant promise nothing to anybody."""
    return [contract_of(document) for document in documents if document.tenant is not None]


def contract_of(document: AppliedDocument[ContractSpec]) -> Contract:
    """One contract. Its version is the place of its document in the configuration's history."""
    assert document.tenant is not None
    spec = document.spec
    midnight = datetime.combine(spec.effective_from, time(), tzinfo=ZoneInfo(_zone(spec)))
    return Contract(
        tenant=document.tenant,
        name=document.name,
        version=document.seq,
        time_zone=_zone(spec),
        effective_from_ms=round(midnight.astimezone(UTC).timestamp() * 1000),
        objectives=tuple(_objective(document, one) for one in spec.objectives),
    )


def _objective(
    document: AppliedDocument[ContractSpec], one: AvailabilityObjective | LatencyObjective
) -> Objective:
    spec = document.spec
    common = Objective(
        tenant=document.tenant or "",
        contract=document.name,
        name=one.name,
        kind=ObjectiveKind.AVAILABILITY,
        good_share=one.good_share,
        window_ms=one.window.ns // NS_PER_MS,
        metric=one.metric,
        slice_ms=spec.slice.ns // NS_PER_MS,
        match=dict(one.match),
        down_above=spec.down_above.value,
        no_data=NoData(spec.no_data.value),
        coverage_floor=spec.coverage_floor.value,
        time_zone=_zone(spec),
    )
    if isinstance(one, LatencyObjective):
        return replace(common, kind=ObjectiveKind.LATENCY, threshold_s=Fraction(one.target.ns, 10**9))
    return replace(common, bad_attribute=one.bad.attribute, bad_at_least=one.bad.at_least)


def _zone(spec: ContractSpec) -> str:
    return str(spec.time_zone)
