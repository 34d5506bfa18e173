"""The applied configuration as alerting needs it: rules and receivers of each tenant.

The adapter between the CONFIG stream's documents and `policy.py`. A tenant with a contract and no
rules of its own gets the shipped ones for each objective of availability and of stored data.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.alerting.model import Rule
from services.alerting.policy import (
    STORED_DATA,
    BurnRatePolicy,
    Objective,
    OutagePolicy,
    Policy,
    Refusal,
    bind,
    refusal,
    shipped_rules,
)
from services.alerting.ports import Receiver
from services.common.auth import PLATFORM_TENANT
from services.common.clock import Clock, SystemClock
from services.common.config_feed import ConfigFeed
from services.common.contract_versions import ContractDocument, next_change_ms, versions_of
from services.common.documents import Kind
from services.common.documents_alerting import BurnRateRule, OutageRule, ReceiverSpec
from services.common.documents_contract import AvailabilityObjective, ContractSpec, DataAvailabilityObjective

_log = logging.getLogger(__name__)

_PLATFORM_PREFIX = "platform/"


@dataclass(frozen=True, slots=True)
class _TenantRules:
    sound: tuple[Rule, ...]
    refused: tuple[Refusal, ...]


class ConfigCatalog:
    """`RuleCatalog` and `ReceiverCatalog` over the configuration feed.

    Args:
        feed: a started feed.
        secrets: environment variables, for the receivers' `headers_from_env`.
        clock: tells which version of a contract is in force.
    """

    def __init__(self, feed: ConfigFeed, secrets: Mapping[str, str], clock: Clock | None = None) -> None:
        self._feed = feed
        self._secrets = secrets
        self._clock = SystemClock() if clock is None else clock
        self._made_for = -1
        self._made_until_ms: int | None = None
        self._turns = 0
        self._made: dict[str, _TenantRules] = {}
        self._missed: set[tuple[str, str]] = set()

    @property
    def version(self) -> int:
        """See `RuleCatalog.version`: also moves when a version of a contract takes over."""
        self._current()
        return self._feed.seq + self._turns

    def tenants(self) -> set[str]:
        """See `RuleCatalog.tenants`."""
        return {tenant for tenant, rules in self._current().items() if rules.sound}

    def rules(self, tenant: str) -> tuple[Rule, ...]:
        """See `RuleCatalog.rules`."""
        found = self._current().get(tenant)
        return () if found is None else found.sound

    def refused(self, tenant: str) -> tuple[Refusal, ...]:
        """See `RuleCatalog.refused`."""
        found = self._current().get(tenant)
        return () if found is None else found.refused

    def receivers(self, tenant: str) -> tuple[Receiver, ...]:
        """See `ReceiverCatalog.receivers`: the tenant's own first, then the platform's."""
        own = [self._receiver(doc.name, doc.name, doc.spec) for doc in self._feed.specs(ReceiverSpec, tenant)]
        platform = [
            self._receiver(_PLATFORM_PREFIX + doc.name, doc.name, doc.spec)
            for doc in self._feed.specs(ReceiverSpec)
            if doc.tenant in (None, PLATFORM_TENANT)
        ]
        return (*own, *platform)

    def _receiver(self, receiver_id: str, name: str, spec: ReceiverSpec) -> Receiver:
        headers = {}
        for header, variable in spec.headers_from_env.items():
            if variable in self._secrets:
                headers[header] = self._secrets[variable]
            elif (receiver_id, variable) not in self._missed:
                # Sent without it all the same: an alert that may be refused is better than none.
                self._missed.add((receiver_id, variable))
                _log.error(
                    "receiver %s: header %s is not sent, as the environment of alerting has no %s",
                    receiver_id,
                    header,
                    variable,
                )
        return Receiver(receiver_id, name, spec.url, spec.send_resolved, headers)

    def _current(self) -> Mapping[str, _TenantRules]:
        now_ms = self._clock.now_ns() // 1_000_000
        turned = self._made_until_ms is not None and now_ms >= self._made_until_ms
        if turned or self._feed.seq != self._made_for:
            self._turns += turned
            versions = versions_of(self._feed.specs(ContractSpec))
            contracts: dict[str, list[ContractDocument]] = {}
            for one in versions:
                if one.holds(now_ms):
                    contracts.setdefault(one.document.tenant or "", []).append(one.document)
            self._made = {tenant: self._make(tenant, found) for tenant, found in contracts.items()}
            self._made_for = self._feed.seq
            self._made_until_ms = next_change_ms(versions, now_ms)
        return self._made

    def _make(self, tenant: str, contracts: Sequence[ContractDocument]) -> _TenantRules:
        objectives = _objectives(tenant, contracts)
        rules = self._configured(tenant, objectives)
        if rules is None:
            rules = [
                *shipped_rules(_of_type(AvailabilityObjective, contracts, objectives)),
                # Of stored data the first lost point of a 100 % promise pages; an outage it has not.
                *shipped_rules(_of_type(DataAvailabilityObjective, contracts, objectives), STORED_DATA),
            ]
        sound: list[Rule] = []
        refused: list[Refusal] = []
        for rule in rules:
            reason = refusal(rule, slice_ns=objectives[rule.objective].slice_ns)
            if reason is None:
                sound.append(rule)
            else:
                refused.append(Refusal(rule, reason))
        return _TenantRules(tuple(sound), tuple(refused))

    def _configured(self, tenant: str, objectives: Mapping[str, Objective]) -> list[Rule] | None:
        """The tenant's own rules; None when it has no document of that kind."""
        documents = self._feed.documents(Kind.ALERT_RULE, tenant)
        if not documents:
            return None
        return [
            bind(_policy(doc.name, doc.spec), objectives[doc.spec.objective], version=doc.seq)
            for doc in documents
            if isinstance(doc.spec, OutageRule | BurnRateRule) and doc.spec.objective in objectives
        ]


def _objectives(tenant: str, contracts: Sequence[ContractDocument]) -> dict[str, Objective]:
    found: dict[str, Objective] = {}
    for doc in contracts:
        for objective in doc.spec.objectives:
            name = f"{doc.name}/{objective.name}"
            found[name] = Objective(
                tenant=tenant,
                name=name,
                target=objective.good_share,
                period_ns=objective.window.ns,
                slice_ns=doc.spec.slice.ns,
                down_above=doc.spec.down_above.value,
                coverage_floor=doc.spec.coverage_floor.value,
            )
    return found


def _of_type(
    kind: type[AvailabilityObjective] | type[DataAvailabilityObjective],
    contracts: Sequence[ContractDocument],
    objectives: Mapping[str, Objective],
) -> list[Objective]:
    return [
        objectives[f"{doc.name}/{objective.name}"]
        for doc in contracts
        for objective in doc.spec.objectives
        if isinstance(objective, kind)
    ]


def _policy(name: str, spec: OutageRule | BurnRateRule) -> Policy:
    if isinstance(spec, OutageRule):
        return OutagePolicy(
            name=name,
            min_requests=spec.min_requests,
            for_ns=spec.for_.ns,
            keep_firing_for_ns=spec.keep_firing_for.ns,
            severity=spec.severity.value,
            source="configured",
        )
    return BurnRatePolicy(
        name=name,
        long_ns=spec.long.ns,
        short_ns=spec.short.ns,
        budget_share=None if spec.budget_share is None else spec.budget_share.value,
        factor=None if spec.factor is None else spec.factor.value,
        min_bad=spec.min_bad,
        for_ns=spec.for_.ns,
        keep_firing_for_ns=spec.keep_firing_for.ns,
        severity=spec.severity.value,
        source="configured",
    )
