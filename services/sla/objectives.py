"""Contracts and objectives as the applied configuration says them: documents into this service's model.

Several documents of one name with different effective dates are versions of one contract. A version holds
from local midnight of its date, in its own zone, until the next one does. Nothing is decided here on what
the terms come to.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from services.common.clock import Clock, SystemClock
from services.common.config_feed import ConfigFeed
from services.common.contract_versions import ContractDocument, ContractVersion, versions_of
from services.common.documents_contract import ContractSpec
from services.sla.model import NS_PER_MS, Contract, Objective
from services.sla.objective_terms import contract_credits, contract_hours, contract_reports, objective_of

_Made = tuple[int, int, int | None]
"""What a contract is made of: the place of its document in the log, and when it holds."""


class Catalogue:
    """The contracts that are applied, in all versions, read from the configuration feed when asked.

    A question about one tenant costs what that tenant has, however many there are; so does a change.
    """

    def __init__(self, feed: ConfigFeed, clock: Clock | None = None) -> None:
        self._feed = feed
        self._clock = SystemClock() if clock is None else clock
        self._seq = -1
        self._made: dict[_Made, Contract] = {}
        self._versions: dict[str, tuple[Contract, ...]] = {}
        self._timelines: dict[tuple[str, str], tuple[Objective, ...]] = {}

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        """The versions in force now, in order of tenant and name; of one tenant when it is given."""
        now_ms = self._clock.now_ns() // NS_PER_MS
        return [one for one in self.versions(tenant) if in_force(one, now_ms)]

    def versions(self, tenant: str | None = None) -> list[Contract]:
        """Every version, in order of tenant, name and effective date; of one tenant when it is given."""
        self._read()
        if tenant is not None:
            return list(self._versions.get(tenant, ()))
        return [one for each in self._versions.values() for one in each]

    def objectives(self, tenant: str | None = None) -> list[Objective]:
        """The objectives in force now; of one tenant when it is given."""
        return [objective for one in self.contracts(tenant) for objective in one.objectives]

    def sliced(self) -> list[Objective]:
        """Those in force now whose slices come from request histograms."""
        return [one for one in self.objectives() if one.from_requests]

    def sliced_versions(self) -> list[Objective]:
        """Every version of what has slices: of one key several, in order of time."""
        return [one for each in self.versions() for one in each.objectives if one.has_slices]

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        """An objective in each version that has it, in order of time: [from_ms, until_ms) never overlap.

        Between two of them nothing was promised, where a version in between did not have it. Empty for a
        name that no version knows.
        """
        self._read()
        return self._timelines.get((tenant, key), ())

    def tenants(self) -> list[str]:
        """Tenants that have a contract."""
        return sorted({one.tenant for one in self.contracts()})

    def _read(self) -> None:
        if self._seq == self._feed.seq:
            return
        # Sequences move with every record of the stream, so this is asked often and done rarely.
        self._seq = self._feed.seq
        made: dict[_Made, Contract] = {}
        for version in versions_of(self._feed.specs(ContractSpec)):
            key = (version.document.seq, version.from_ms, version.until_ms)
            made[key] = self._made.get(key) or contract_of(version)
        self._made = made
        held = self._versions
        self._versions = {
            tenant: tuple(found) for tenant, found in groupby(made.values(), key=lambda one: one.tenant)
        }
        for tenant in held.keys() | self._versions.keys():
            before, now = held.get(tenant, ()), self._versions.get(tenant, ())
            if not _same(before, now):
                self._keep_timelines(before, now)

    def _keep_timelines(self, before: Sequence[Contract], now: Sequence[Contract]) -> None:
        """Those of one tenant's objectives."""
        for version in before:
            for one in version.objectives:
                self._timelines.pop((one.tenant, one.key), None)
        timelines: dict[tuple[str, str], list[Objective]] = {}
        for version in now:
            for one in version.objectives:
                timelines.setdefault((one.tenant, one.key), []).append(one)
        self._timelines.update((key, tuple(found)) for key, found in timelines.items())


def _same(before: Sequence[Contract], now: Sequence[Contract]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def in_force(contract: Contract, at_ms: int) -> bool:
    """Whether these terms hold at an instant."""
    return contract.effective_from_ms <= at_ms and (contract.until_ms is None or at_ms < contract.until_ms)


def contracts_of(documents: Iterable[ContractDocument]) -> list[Contract]:
    """Every version of every contract, in order of tenant, name and date."""
    return [contract_of(version) for version in versions_of(documents)]


def contract_of(version: ContractVersion) -> Contract:
    """One version of a contract. Its number is the place of its document in the configuration's history."""
    document = version.document
    assert document.tenant is not None
    return Contract(
        tenant=document.tenant,
        name=document.name,
        version=document.seq,
        time_zone=str(document.spec.time_zone),
        effective_from_ms=version.from_ms,
        objectives=tuple(
            objective_of(document, one, from_ms=version.from_ms, until_ms=version.until_ms)
            for one in document.spec.objectives
        ),
        until_ms=version.until_ms,
        credits=contract_credits(document),
        reports=contract_reports(document.spec),
        hours=contract_hours(document.spec),
    )
