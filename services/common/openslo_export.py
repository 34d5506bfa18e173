"""Our contracts as OpenSLO v1 documents, and by name everything of them that OpenSLO v1 cannot say.

One SLO for each objective. What is read back is the same promise; the fields that are left out are listed in
the result, so that nobody takes an export for the contract.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import yaml

from services.common.documents_alerting import BurnRateRule, OutageRule
from services.common.documents_contract import (
    AvailabilityObjective,
    ContractSpec,
    LatencyObjective,
)
from services.common.documents_contract_methods import (
    ErrorRateMethod,
    MeanErrorRateMethod,
    RequestRatioMethod,
    UptimeMethod,
)
from services.common.documents_contract_objectives import LatencyReading, ObjectiveSpec, OverlapRule
from services.common.documents_model import Document
from services.common.documents_values import WindowLength
from services.common.openslo_numbers import Number as _Number
from services.common.openslo_policies import policy_of
from services.common.openslo_values import (
    API_VERSION,
    CONTRACT,
    EFFECTIVE_FROM,
    OBJECTIVE,
    SOURCE_TYPE,
    TENANT,
    TIME_ZONE,
    decimal_text,
    duration_text,
    first_day,
    period_text,
)

_CONTRACT_FIELDS = (
    "slice",
    "down_above",
    "no_data",
    "coverage_floor",
    "maintenance",
    "service_hours",
    "credits",
    "reports",
)
_NO_FIELD = "OpenSLO v1 has no such field"


@dataclass(frozen=True, slots=True)
class Omission:
    """A field that the export does not hold, and why."""

    tenant: str
    contract: str
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.contract}: {self.field}: {self.reason}"


@dataclass(slots=True)
class Export:
    """OpenSLO documents, and what they leave out."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    omitted: list[Omission] = field(default_factory=list)

    def text(self) -> str:
        """YAML, with what is left out as a comment on top."""
        lines = [f"# OpenSLO v1: {len(self.documents)} SLOs."]
        if self.omitted:
            lines.append("# Not in it, as OpenSLO v1 cannot say it:")
            lines.extend(f"#   {one}" for one in self.omitted)
        body = yaml.dump_all(self.documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        return "\n".join(lines) + "\n" + body


class _Dumper(yaml.SafeDumper):
    """SafeDumper that knows exact decimals."""


def _plain(dumper: yaml.SafeDumper, value: _Number) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in value else 'int'}", str(value))


_Dumper.add_representer(_Number, _plain)


class _Inexpressible(Exception):
    """This objective has no OpenSLO form: (field, reason)."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(reason)
        self.where = where


def to_openslo(documents: Sequence[Document]) -> Export:
    """The contracts among the documents, with their burn-rate rules; other kinds are left out."""
    out = Export()
    for document in documents:
        if isinstance(document.spec, OutageRule):
            name = f"AlertRule {document.name}"
            out.omitted.append(Omission(document.tenant or "", name, "type", "OpenSLO v1 has no outage rule"))
    for document in documents:
        spec = document.spec
        if not isinstance(spec, ContractSpec):
            continue
        omitted = list(_contract_omissions(spec))
        for place, one in enumerate(spec.objectives):
            try:
                made = _slo(document, spec, one, omitted)
                policies = list(_policies(document, one, documents, omitted))
                if policies:
                    made["spec"]["alertPolicies"] = policies
                out.documents.append(made)
            except _Inexpressible as err:
                where = f"objectives[{place}]" + (f".{err.where}" if err.where else "")
                omitted.append((where, f"{err}; {one.name} is left out"))
        tenant, name = document.tenant or "", document.name
        if sum(each.key[:3] == document.key[:3] for each in documents) > 1:
            name = f"{name} from {spec.effective_from}"
        out.omitted.extend(Omission(tenant, name, where, reason) for where, reason in omitted)
    return out


def _policies(
    contract: Document, one: ObjectiveSpec, documents: Sequence[Document], omitted: list[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    key = f"{contract.name}/{one.name}"
    if _replaced(contract, one, documents):
        return  # rules have no dates: they stand with the newest version
    for document in documents:
        rule = document.spec
        if not isinstance(rule, BurnRateRule) or (document.tenant, rule.objective) != (contract.tenant, key):
            continue
        policy, problems = policy_of(document.name, rule, one.window.ns)
        omitted.extend((f"AlertRule {document.name}.{where}", reason) for where, reason in problems)
        if policy is not None:
            yield policy


def _replaced(contract: Document, one: ObjectiveSpec, documents: Sequence[Document]) -> bool:
    """Whether a later version of the contract has the objective too."""
    return any(
        document.key[:3] == contract.key[:3]
        and document.key > contract.key
        and isinstance(document.spec, ContractSpec)
        and document.spec.objective(one.name) is not None
        for document in documents
    )


def _contract_omissions(spec: ContractSpec) -> Iterator[tuple[str, str]]:
    for name in _CONTRACT_FIELDS:
        if getattr(spec, name) != ContractSpec.model_fields[name].default:
            yield name, _NO_FIELD


def _slo(
    document: Document, spec: ContractSpec, one: ObjectiveSpec, omitted: list[tuple[str, str]]
) -> dict[str, Any]:
    method = "Occurrences"
    objective: dict[str, Any] = {}
    match one:
        case AvailabilityObjective():
            method, objective = _measured(one)
            indicator = {"ratioMetric": _ratio(one)}
            preset = spec.credits.preset if spec.credits and spec.credits.objective == one.name else None
            if preset and one.method is None and one.signal is None:
                omitted.append((f"{one.name}.method", f"is that of {preset}; read back it is request_ratio"))
            if one.good_share == 1:
                raise _Inexpressible("target", "OpenSLO v1 has no target of 100%")
        case LatencyObjective():
            if one.reading is LatencyReading.SLICES:
                raise _Inexpressible("reading", "OpenSLO v1 has no quantile of a slice")
            if one.reading is LatencyReading.REQUESTS:
                omitted.append((f"{one.name}.reading", "is read back as merged, which has the same verdict"))
            seconds = _Number(decimal_text(Fraction(one.target.ns, 10**9)) or "0")
            objective = {"op": "lt", "value": seconds}
            indicator = {"thresholdMetric": _metric_source(one)}
        case _:
            raise _Inexpressible("type", f"OpenSLO v1 has no {one.type}")
    name = f"{document.name}-{one.name}"
    return {
        "apiVersion": API_VERSION,
        "kind": "SLO",
        "metadata": {"name": name, "annotations": _annotations(document, spec, one)},
        "spec": {
            "service": document.name,
            "indicator": {"metadata": {"name": name}, "spec": indicator},
            "timeWindow": [_window(one.window, spec)],
            "budgetingMethod": method,
            "objectives": [{**objective, "target": _Number(decimal_text(one.good_share) or "0")}],
        },
    }


def _annotations(document: Document, spec: ContractSpec, one: ObjectiveSpec) -> dict[str, str]:
    return {
        TENANT: document.tenant or "",
        CONTRACT: document.name,
        OBJECTIVE: one.name,
        EFFECTIVE_FROM: spec.effective_from.isoformat(),
        TIME_ZONE: str(spec.time_zone),
    }


def _measured(one: AvailabilityObjective) -> tuple[str, dict[str, Any]]:
    """(budgeting method, fields of its objective)."""
    method = one.method
    match method:
        case None | RequestRatioMethod():
            return "Occurrences", {}
        case UptimeMethod() if one.signal is not None:
            return "Occurrences", {}
        case ErrorRateMethod(consecutive=1, min_requests=1, partial_intervals=True):
            good = decimal_text(1 - method.above.value) or "0"
            length = _length(method.interval.ns, method.interval.text, "method.interval")
            return "Timeslices", {"timeSliceTarget": _Number(good), "timeSliceWindow": length}
        case MeanErrorRateMethod():
            length = _length(method.interval.ns, method.interval.text, "method.interval")
            return "RatioTimeslices", {"timeSliceWindow": length}
        case ErrorRateMethod():
            raise _Inexpressible(
                "method", "OpenSLO v1 has no consecutive intervals, minimum of requests, or whole intervals"
            )
        case _:
            raise _Inexpressible("method", f"OpenSLO v1 has no method {method.type}")


def _ratio(one: AvailabilityObjective) -> dict[str, Any]:
    if one.signal is not None:
        signal = one.signal.model_dump(mode="json")
        return {"counter": False, "raw": {"metricSource": {"type": SOURCE_TYPE, "spec": {"signal": signal}}}}
    outcome = {"attribute": one.bad.attribute, "at_least": one.bad.at_least}
    return {"counter": True, "bad": _metric_source(one, outcome), "total": _metric_source(one)}


def _metric_source(
    one: AvailabilityObjective | LatencyObjective, outcome: dict[str, Any] | None = None
) -> dict[str, Any]:
    spec: dict[str, Any] = {"metric": one.metric, **({"match": dict(one.match)} if one.match else {})}
    if one.overlap is not OverlapRule.COUNT:
        spec["overlap"] = one.overlap.value
    return {"metricSource": {"type": SOURCE_TYPE, "spec": {**spec, **(outcome or {})}}}


def _window(window: WindowLength, spec: ContractSpec) -> dict[str, Any]:
    if window.period is None:
        return {"duration": _length(window.ns, window.text, "window"), "isRolling": True}
    start = first_day(window.period, spec.effective_from)
    calendar = {"startTime": f"{start.isoformat()} 00:00:00", "timeZone": str(spec.time_zone)}
    return {"duration": period_text(window.period), "isRolling": False, "calendar": calendar}


def _length(ns: int, text: str, where: str) -> str:
    found = duration_text(ns, like=text)
    if found is None:
        raise _Inexpressible(where, f"{text} is not whole minutes, the smallest unit of OpenSLO v1")
    return found
