"""OpenSLO v1 alert policies into the raw form of our burn-rate rules.

A condition of theirs has one lookback window; ours fire on two. The short one is a twelfth of the long one,
as in chapter 5 of the SRE workbook (https://sre.google/workbook/alerting-on-slos/), and that is noted.
"""

from collections.abc import Mapping
from typing import Any

from services.common.documents_values import Duration
from services.common.documents_yaml import RawDocument
from services.common.openslo_import import Found, Place, Refused

_SEVERITIES = {"critical": "critical", "page": "page", "ticket": "ticket"}
_SHORT = 12


def rules_from(raw: RawDocument, place: Place, found: Found) -> list[RawDocument]:
    """AlertRule documents of an SLO, for each of its objectives. Raises Refused."""
    spec = raw.content.get("spec")
    policies = spec.get("alertPolicies") if isinstance(spec, Mapping) else None
    out = []
    for at, said in enumerate(policies if isinstance(policies, list) else []):
        where = f"spec.alertPolicies[{at}]"
        policy = said if isinstance(said, Mapping) else {}
        if "alertPolicyRef" in policy or isinstance(said, str):
            name = str(policy.get("alertPolicyRef", said))
            body = found.spec_of("AlertPolicy", name, where)
        else:
            name = str(_mapping(policy.get("metadata")).get("name", f"policy-{at + 1}"))
            body = _mapping(policy.get("spec"))
        for objective in place.names:
            rule = {"objective": f"{place.contract}/{objective}", **_condition(raw, body, where, found)}
            made = name if len(place.names) == 1 else f"{name}-{objective}"
            metadata = {"tenant": place.tenant, "name": made}
            content = {"kind": "AlertRule", "metadata": metadata, "spec": rule}
            out.append(RawDocument(raw.file, raw.index, content))
    return out


def _condition(raw: RawDocument, policy: Mapping[str, Any], where: str, found: Found) -> dict[str, Any]:
    for name in sorted(policy.keys() - {"conditions"}):
        found.note(
            raw, f"{where}.spec.{name}", "alerts go to the tenant's receivers, and tell the end by those"
        )
    conditions = policy.get("conditions")
    if not isinstance(conditions, list) or len(conditions) != 1 or not isinstance(conditions[0], Mapping):
        raise Refused([(f"{where}.spec.conditions", "must hold exactly one condition")])
    where = f"{where}.spec.conditions[0]"
    spec = _mapping(conditions[0].get("spec"))
    if "conditionRef" in conditions[0]:
        spec = found.spec_of("AlertCondition", conditions[0]["conditionRef"], where)
    condition = _mapping(spec.get("condition"))
    if condition.get("kind") != "burnrate" or condition.get("op", "gt") not in ("gt", "gte"):
        raise Refused([(f"{where}.spec.condition", "must be a burnrate above (gt, gte) a threshold")])
    try:
        long = Duration.parse(str(condition.get("lookbackWindow")))
    except ValueError as err:
        raise Refused([(f"{where}.spec.condition.lookbackWindow", str(err))]) from None
    short = long.ns // _SHORT
    found.note(raw, f"{where}.spec.condition", f"has one window: {short // 10**9}s is added as the short one")
    severity = str(spec.get("severity", "page"))
    if severity not in _SEVERITIES:
        found.note(raw, f"{where}.spec.severity", f"{severity} is taken as ticket")
    out = {
        "type": "burn_rate",
        "long": long.text,
        "short": f"{short // 10**9}s",
        "factor": str(condition.get("threshold")),
        "severity": _SEVERITIES.get(severity, "ticket"),
    }
    if "alertAfter" in condition:
        out["for"] = str(condition["alertAfter"])
    return out


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
