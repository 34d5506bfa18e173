"""Our burn-rate rules as OpenSLO v1 alert policies: one condition with one lookback window, the long one."""

from typing import Any

from services.common.documents_alerting import BurnRateRule
from services.common.openslo_numbers import Number
from services.common.openslo_values import decimal_text, duration_text

_SHORT = 12


def policy_of(
    name: str, rule: BurnRateRule, period_ns: int
) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """(the policy or None, (field, reason) of what it leaves out)."""
    factor, long = decimal_text(rule.factor_for(period_ns)), duration_text(rule.long.ns, like=rule.long.text)
    after = duration_text(rule.for_.ns, like=rule.for_.text) if rule.for_.ns else None
    if factor is None or long is None:
        where = "long" if long is None else "budget_share"
        return None, [(where, "is no decimal number or whole minutes; the rule is left out")]
    omitted = []
    if rule.short.ns * _SHORT != rule.long.ns:
        omitted.append(("short", "OpenSLO v1 has one window; read back it is a twelfth of the long one"))
    if rule.budget_share is not None:
        omitted.append(("budget_share", "is written as the factor that follows from it"))
    if rule.for_.ns and after is None:
        omitted.append(("for", f"{rule.for_.text} is not whole minutes"))
    omitted.extend(
        (field, "OpenSLO v1 has no such field")
        for field in ("min_bad", "keep_firing_for")
        if getattr(rule, field) != BurnRateRule.model_fields[field].default
    )
    condition = {"kind": "burnrate", "op": "gt", "threshold": Number(factor), "lookbackWindow": long}
    if after is not None:
        condition["alertAfter"] = after
    spec = {"severity": rule.severity.value, "condition": condition}
    policy = {
        "kind": "AlertPolicy",
        "metadata": {"name": name},
        "spec": {"conditions": [{"kind": "AlertCondition", "metadata": {"name": name}, "spec": spec}]},
    }
    return policy, omitted
