"""What can only be seen when documents are read together.

References must lead somewhere, names must be given once, and alert rules must make sense for the objective
they point to (`documents_check_rules.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from services.common.documents_alerting import BurnRateRule, OutageRule
from services.common.documents_check_rules import rule_problems
from services.common.documents_contract import ContractSpec
from services.common.documents_errors import DocumentError
from services.common.documents_maintenance import MaintenanceWindowSpec
from services.common.documents_model import Document, DocumentKey, Kind
from services.common.documents_platform import QUOTA_NAME
from services.common.documents_values import ALL_TENANTS
from services.common.documents_yaml import RawDocument

Check = Callable[[Document], Iterable[tuple[str, str]]]
"""(field, reason) of what is wrong with one document that is valid by itself."""

_Found = Sequence[tuple[RawDocument, Document]]


def cross_check(
    found: _Found, known: Sequence[Document], checks: Iterable[Check] = ()
) -> list[DocumentError]:
    """Errors between the documents; `known` are the ones applied before, `checks` what callers add."""
    everything = {document.key: document for document in known}
    everything.update((document.key, document) for _, document in found)
    errors = list(_repeated(found))
    for raw, document in found:
        wrong = [*_wrong(document, everything), *(each for check in checks for each in check(document))]
        errors.extend(raw.error(field, reason) for field, reason in wrong)
    errors.extend(_broken_rules(found, known, everything))
    return errors


def _repeated(found: _Found) -> Iterator[DocumentError]:
    first: dict[DocumentKey, RawDocument] = {}
    for raw, document in found:
        earlier = first.setdefault(document.key, raw)
        if earlier is not raw:
            version = document.key[-1]
            which = f"is there already with effective_from {version}" if version else "is there already"
            yield raw.error("metadata.name", f"{which} in {earlier.file}, document {earlier.index}")


def _broken_rules(
    found: _Found, known: Sequence[Document], everything: dict[DocumentKey, Document]
) -> Iterator[DocumentError]:
    """Rules applied before that a changed contract would break: told at its newest version given."""
    contracts: dict[tuple[str | None, str], tuple[str, RawDocument]] = {}
    for raw, document in found:
        if document.kind is Kind.CONTRACT:
            place, version = (document.tenant, document.name), document.key[-1]
            contracts[place] = max(contracts.get(place, ("", raw)), (version, raw), key=lambda one: one[0])
    given = {document.key for _, document in found}
    for rule in known:
        if rule.key in given or not isinstance(rule.spec, OutageRule | BurnRateRule):
            continue
        changed = contracts.get((rule.tenant, rule.spec.objective.partition("/")[0]))
        if changed is not None:
            for field, reason in rule_problems(rule.spec, rule.tenant, everything.values()):
                yield changed[1].error("spec", f"breaks AlertRule {rule.name} ({field}): {reason}")


def _wrong(document: Document, everything: dict[DocumentKey, Document]) -> Iterator[tuple[str, str]]:
    tenant = document.tenant
    if tenant not in (None, ALL_TENANTS) and (Kind.TENANT, None, tenant, "") not in everything:
        yield "metadata.tenant", f"there is no Tenant {tenant}"
    match document.spec:
        case OutageRule() | BurnRateRule():
            yield from rule_problems(document.spec, tenant, everything.values())
        case ContractSpec(reports=reports) if reports is not None and reports.webhook is not None:
            receivers = [(Kind.RECEIVER, place, reports.webhook, "") for place in (tenant, ALL_TENANTS)]
            if not any(key in everything for key in receivers):
                yield "spec.reports.webhook", f"tenant {tenant} has no Receiver {reports.webhook}"
        case MaintenanceWindowSpec():
            yield from _unknown_places(document.spec, tenant, everything)
    if document.kind is Kind.QUOTA and document.name != QUOTA_NAME:
        yield "metadata.name", f"the quota of a tenant is named {QUOTA_NAME}"


def _unknown_places(
    window: MaintenanceWindowSpec, tenant: str | None, everything: dict[DocumentKey, Document]
) -> Iterator[tuple[str, str]]:
    """Contracts and objectives that a window names in vain: it would exclude nothing, unseen."""
    contracts, objectives = set(), set()
    for document in everything.values():
        if document.tenant == tenant and isinstance(document.spec, ContractSpec):
            contracts.add(document.name)
            for one in document.spec.objectives:
                objectives |= {one.name, f"{document.name}/{one.name}"}
    for i, name in enumerate(window.contracts):
        if name not in contracts:
            yield f"spec.contracts[{i}]", f"tenant {tenant} has no contract {name}"
    for i, name in enumerate(window.objectives):
        if name not in contracts | objectives:
            yield f"spec.objectives[{i}]", f"tenant {tenant} has no objective {name}"
