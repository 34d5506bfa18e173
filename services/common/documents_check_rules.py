"""Whether an alert rule makes sense for the objective it points to.

A burn-rate rule must be able to fire, and one that wakes somebody must be silent on a healthy service; both
depend on the objective. Bounds: chapter 5 of the SRE workbook (https://sre.google/workbook/alerting-on-slos/).
"""

from collections.abc import Iterable, Iterator

from services.common.documents_alerting import BurnRateRule, OutageRule, Severity
from services.common.documents_contract import CompositeObjective, ContractSpec, IncidentObjective
from services.common.documents_contract_objectives import ObjectiveSpec
from services.common.documents_model import Document, Kind

_Problems = Iterator[tuple[str, str]]


def rule_problems(
    rule: OutageRule | BurnRateRule, tenant: str | None, documents: Iterable[Document]
) -> _Problems:
    """(field, reason) of what is wrong with a rule, by the newest contract version that has its objective.

    Earlier versions end, and what the rule comes to while they last is for the service that evaluates it.
    """
    contract_name, _, objective_name = rule.objective.partition("/")
    versions = _versions(tenant, contract_name, documents)
    if not versions:
        yield "spec.objective", f"tenant {tenant} has no Contract {contract_name}"
        return
    having = [spec for spec in versions if spec.objective(objective_name) is not None]
    if not having:
        names = ", ".join(known.name for known in versions[-1].objectives)
        yield "spec.objective", f"contract {contract_name} has no objective {objective_name}, only {names}"
        return
    objective = having[-1].objective(objective_name)
    match objective:
        case IncidentObjective():
            yield "spec.objective", f"{objective_name} is about incidents: there are no requests to watch"
        case CompositeObjective():
            children = ", ".join(objective.children)
            yield "spec.objective", f"{objective_name} is made of other objectives: watch {children}"
        case None:
            return
        case _:
            if isinstance(rule, BurnRateRule):
                yield from burn_rate_problems(rule, objective, having[-1])


def burn_rate_problems(rule: BurnRateRule, objective: ObjectiveSpec, contract: ContractSpec) -> _Problems:
    """(field, reason) of what makes the rule useless for that objective.

    A rule is dead when its factor times the allowed bad share reaches 1: not even a total outage
    burns that fast. Below 1 it fires while the budget is being kept, which only a ticket may do.
    """
    field = "spec.factor" if rule.factor is not None else "spec.budget_share"
    factor = rule.factor_for(objective.window.ns)
    if factor < 1 and objective.good_share < 1 and rule.severity is not Severity.TICKET:
        yield (
            field,
            f"a burn rate of {float(factor):.4g} is below 1: it would fire on a healthy service;"
            " only a ticket may",
        )
    if factor * (1 - objective.good_share) >= 1:
        yield (
            field,
            f"a burn rate of {float(factor):.4g} needs {float(factor * (1 - objective.good_share)):.1%}"
            f" bad requests for {objective.name}: it could never fire",
        )
    for name, window in (("long", rule.long), ("short", rule.short)):
        if window.ns % contract.slice.ns:
            yield f"spec.{name}", f"{window.text} is not a multiple of the slice {contract.slice.text}"


def _versions(tenant: str | None, name: str, documents: Iterable[Document]) -> list[ContractSpec]:
    found = [
        document.spec
        for document in documents
        if isinstance(document.spec, ContractSpec)
        and (document.kind, document.tenant, document.name) == (Kind.CONTRACT, tenant, name)
    ]
    return sorted(found, key=lambda spec: spec.effective_from)
