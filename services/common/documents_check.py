"""What can only be seen when documents are read together.

References must lead somewhere, names must be given once, and a burn-rate rule must be able to
fire and must be silent on a healthy service; both depend on the objective it points to.
"""

from collections.abc import Iterator, Sequence

from services.common.documents_alerting import BurnRateRule, OutageRule
from services.common.documents_contract import (
    CompositeObjective,
    ContractSpec,
    IncidentObjective,
)
from services.common.documents_contract_objectives import ObjectiveSpec
from services.common.documents_errors import DocumentError
from services.common.documents_model import Document, Kind
from services.common.documents_platform import QUOTA_NAME
from services.common.documents_values import ALL_TENANTS
from services.common.documents_yaml import RawDocument

_Key = tuple[Kind, str | None, str]
_Found = Sequence[tuple[RawDocument, Document]]


def cross_check(found: _Found, known: Sequence[Document]) -> list[DocumentError]:
    """Errors between the documents; `known` are the ones applied before."""
    everything = {document.key: document for document in known}
    everything.update((document.key, document) for _, document in found)
    errors = list(_repeated(found))
    for raw, document in found:
        for field, reason in _wrong(document, everything):
            errors.append(raw.error(field, reason))
    errors.extend(_broken_rules(found, known, everything))
    return errors


def burn_rate_problems(
    rule: BurnRateRule, objective: ObjectiveSpec, contract: ContractSpec
) -> Iterator[tuple[str, str]]:
    """(field, reason) of what makes the rule useless for that objective.

    A rule is dead when its factor times the allowed bad share reaches 1: not even a total outage
    burns that fast. Below 1 it fires while the budget is being kept.
    """
    field = "spec.factor" if rule.factor is not None else "spec.budget_share"
    factor = rule.factor_for(objective.window.ns)
    if factor < 1:
        yield field, f"a burn rate of {float(factor):.4g} is below 1: it would fire on a healthy service"
    if factor * (1 - objective.good_share) >= 1:
        yield (
            field,
            f"a burn rate of {float(factor):.4g} needs {float(factor * (1 - objective.good_share)):.1%}"
            f" bad requests for {objective.name}: it could never fire",
        )
    for name, window in (("long", rule.long), ("short", rule.short)):
        if window.ns % contract.slice.ns:
            yield f"spec.{name}", f"{window.text} is not a multiple of the slice {contract.slice.text}"


def _repeated(found: _Found) -> Iterator[DocumentError]:
    first: dict[_Key, RawDocument] = {}
    for raw, document in found:
        earlier = first.setdefault(document.key, raw)
        if earlier is not raw:
            yield raw.error("metadata.name", f"is there already in {earlier.file}, document {earlier.index}")


def _broken_rules(
    found: _Found, known: Sequence[Document], everything: dict[_Key, Document]
) -> Iterator[DocumentError]:
    """Rules applied before that a changed contract would break: told at the contract."""
    contracts = {document.key: raw for raw, document in found if document.kind is Kind.CONTRACT}
    given = {document.key for _, document in found}
    for rule in known:
        if rule.key in given or not isinstance(rule.spec, OutageRule | BurnRateRule):
            continue
        contract = contracts.get((Kind.CONTRACT, rule.tenant, rule.spec.objective.partition("/")[0]))
        if contract is not None:
            for field, reason in _wrong_rule(rule.spec, rule.tenant, everything):
                yield contract.error("spec", f"breaks AlertRule {rule.name} ({field}): {reason}")


def _wrong(document: Document, everything: dict[_Key, Document]) -> Iterator[tuple[str, str]]:
    tenant = document.tenant
    if tenant not in (None, ALL_TENANTS) and (Kind.TENANT, None, tenant) not in everything:
        yield "metadata.tenant", f"there is no Tenant {tenant}"
    if document.kind is Kind.QUOTA and document.name != QUOTA_NAME:
        yield "metadata.name", f"the quota of a tenant is named {QUOTA_NAME}"
    if isinstance(document.spec, OutageRule | BurnRateRule):
        yield from _wrong_rule(document.spec, tenant, everything)


def _wrong_rule(
    rule: OutageRule | BurnRateRule, tenant: str | None, everything: dict[_Key, Document]
) -> Iterator[tuple[str, str]]:
    contract_name, _, objective_name = rule.objective.partition("/")
    contract = everything.get((Kind.CONTRACT, tenant, contract_name))
    if contract is None or not isinstance(contract.spec, ContractSpec):
        yield "spec.objective", f"tenant {tenant} has no Contract {contract_name}"
        return
    objective = contract.spec.objective(objective_name)
    if objective is None:
        names = ", ".join(known.name for known in contract.spec.objectives)
        yield "spec.objective", f"contract {contract_name} has no objective {objective_name}, only {names}"
        return
    if isinstance(rule, BurnRateRule):
        yield from burn_rate_problems(rule, objective, contract.spec)
