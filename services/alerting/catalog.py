"""The applied configuration as alerting needs it: rules and receivers of each tenant.

The adapter between the CONFIG stream's documents and `policy.py`. A tenant with a contract and no
rules of its own gets the shipped ones for each availability objective.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from services.alerting.model import Rule
from services.alerting.policy import (
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
from services.common.config_feed import ConfigFeed
from services.common.documents import Kind
from services.common.documents_alerting import BurnRateRule, OutageRule, ReceiverSpec
from services.common.documents_contract import AvailabilityObjective, ContractSpec

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
    """

    def __init__(self, feed: ConfigFeed, secrets: Mapping[str, str]) -> None:
        self._feed = feed
        self._secrets = secrets
        self._made_for = -1
        self._made: dict[str, _TenantRules] = {}
        self._missed: set[tuple[str, str]] = set()

    @property
    def version(self) -> int:
        """See `RuleCatalog.version`."""
        return self._feed.seq

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
        version = self._feed.seq
        if version != self._made_for:
            self._made = {tenant: self._make(tenant) for tenant in self._tenants_with_contracts()}
            self._made_for = version
        return self._made

    def _tenants_with_contracts(self) -> set[str]:
        return {doc.tenant for doc in self._feed.specs(ContractSpec) if doc.tenant is not None}

    def _make(self, tenant: str) -> _TenantRules:
        objectives = self._objectives(tenant)
        rules = self._configured(tenant, objectives)
        if rules is None:
            rules = shipped_rules(o for o in objectives.values() if o.name in self._availability(tenant))
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

    def _objectives(self, tenant: str) -> dict[str, Objective]:
        found: dict[str, Objective] = {}
        for doc in self._feed.specs(ContractSpec, tenant):
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

    def _availability(self, tenant: str) -> set[str]:
        return {
            f"{doc.name}/{objective.name}"
            for doc in self._feed.specs(ContractSpec, tenant)
            for objective in doc.spec.objectives
            if isinstance(objective, AvailabilityObjective)
        }


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
