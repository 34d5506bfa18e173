"""The ALERTS stream: transitions and the rules that they were judged by, as bytes and back.

`rules` records say from which position of SLICES on a tenant's rules hold: configuration lives in
another stream, and only a record beside the transitions makes a replay see the same rules. Knows
the shape of the records and nothing of who writes or reads them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from services.alerting.errors import MalformedRecord, NewerRecord
from services.alerting.model import (
    BurnRate,
    Cause,
    Condition,
    Finding,
    Instance,
    Outage,
    Rule,
    State,
    Transition,
    Verdict,
)

STREAM = "ALERTS"
SUBJECT = "alerts.0"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class RulesRecord:
    """After the message `slices_seq` of SLICES the tenant has exactly these rules."""

    tenant: str
    slices_seq: int
    rules: tuple[Rule, ...]


AlertsRecord = Transition | RulesRecord


def encode(record: AlertsRecord) -> bytes:
    """The record as it is appended; the same record always gives the same bytes."""
    body = _transition_body(record) if isinstance(record, Transition) else _rules_body(record)
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode()


def decode(data: bytes) -> AlertsRecord | None:
    """The record; None for one that is neither (EPOCH).

    Raises:
        NewerRecord: written by a newer release.
        MalformedRecord: not a record of this shape.
    """
    try:
        body = json.loads(data)
        if int(body["version"]) > _VERSION:
            raise NewerRecord(f"ALERTS record of version {body['version']}, this release knows {_VERSION}")
        match body["type"]:
            case "transition":
                return _transition(body)
            case "rules":
                rules = tuple(_rule(rule) for rule in body["rules"])
                return RulesRecord(str(body["tenant"]), int(body["slices_seq"]), rules)
            case _:
                return None
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as err:
        raise MalformedRecord(f"not an ALERTS record: {err!r}") from err


def _transition_body(change: Transition) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "type": "transition",
        "id": change.id,
        "tenant": change.tenant,
        "rule": change.rule,
        "objective": change.objective,
        "severity": change.severity,
        "instance": dict(change.labels),
        "fingerprint": change.fingerprint,
        "from": change.old.state.value,
        "to": change.new.state.value,
        "at_ns": change.at_ns,
        "slices_seq": change.slices_seq,
        "cause": change.cause.value,
        "verdict": change.finding.verdict.value,
        "reason": change.finding.reason,
        "value": dict(change.finding.value),
        "annotations": dict(change.annotations),
        "started_ns": change.started_ns,
        "old": _instance_body(change.old),
        "new": _instance_body(change.new),
    }


def _transition(body: Mapping[str, Any]) -> Transition:
    return Transition(
        id=str(body["id"]),
        tenant=str(body["tenant"]),
        rule=str(body["rule"]),
        objective=str(body["objective"]),
        severity=str(body["severity"]),
        labels=dict(body["instance"]),
        fingerprint=str(body["fingerprint"]),
        old=_instance(body["old"]),
        new=_instance(body["new"]),
        at_ns=int(body["at_ns"]),
        slices_seq=int(body["slices_seq"]),
        cause=Cause(body["cause"]),
        finding=Finding(Verdict(body["verdict"]), str(body["reason"]), dict(body["value"])),
        annotations=dict(body["annotations"]),
    )


def _instance_body(instance: Instance) -> dict[str, Any]:
    return {
        "state": instance.state.value,
        "since_ns": instance.since_ns,
        "pending_ns": instance.pending_ns,
        "started_ns": instance.started_ns,
        "as_of_seq": instance.as_of_seq,
    }


def _instance(body: Mapping[str, Any]) -> Instance:
    return Instance(
        state=State(body["state"]),
        since_ns=int(body["since_ns"]),
        pending_ns=int(body["pending_ns"]),
        started_ns=int(body["started_ns"]),
        as_of_seq=int(body["as_of_seq"]),
    )


def _rules_body(record: RulesRecord) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "type": "rules",
        "tenant": record.tenant,
        "slices_seq": record.slices_seq,
        "rules": [_rule_body(rule) for rule in record.rules],
    }


def _rule_body(rule: Rule) -> dict[str, Any]:
    return {
        "tenant": rule.tenant,
        "name": rule.name,
        "objective": rule.objective,
        "severity": rule.severity,
        "for_ns": rule.for_ns,
        "keep_firing_for_ns": rule.keep_firing_for_ns,
        "built_in": rule.built_in,
        "version": rule.version,
        "condition": _condition_body(rule.condition),
    }


def _condition_body(condition: Condition) -> dict[str, Any]:
    match condition:
        case Outage():
            return {
                "type": "outage",
                "down_above": str(condition.down_above),
                "min_requests": condition.min_requests,
                "lookback_ns": condition.lookback_ns,
                "no_data_after_ns": condition.no_data_after_ns,
            }
        case BurnRate():
            return {
                "type": "burn_rate",
                "target": str(condition.target),
                "factor": str(condition.factor),
                "long_ns": condition.long_ns,
                "short_ns": condition.short_ns,
                "min_bad": condition.min_bad,
                "coverage_floor": str(condition.coverage_floor),
                "no_data_after_ns": condition.no_data_after_ns,
            }


def _rule(body: Mapping[str, Any]) -> Rule:
    return Rule(
        tenant=str(body["tenant"]),
        name=str(body["name"]),
        objective=str(body["objective"]),
        severity=str(body["severity"]),
        condition=_condition(body["condition"]),
        for_ns=int(body["for_ns"]),
        keep_firing_for_ns=int(body["keep_firing_for_ns"]),
        built_in=bool(body["built_in"]),
        version=int(body["version"]),
    )


def _condition(body: Mapping[str, Any]) -> Condition:
    if body["type"] == "outage":
        return Outage(
            down_above=Fraction(body["down_above"]),
            min_requests=int(body["min_requests"]),
            lookback_ns=int(body["lookback_ns"]),
            no_data_after_ns=int(body["no_data_after_ns"]),
        )
    if body["type"] == "burn_rate":
        return BurnRate(
            target=Fraction(body["target"]),
            factor=Fraction(body["factor"]),
            long_ns=int(body["long_ns"]),
            short_ns=int(body["short_ns"]),
            min_bad=int(body["min_bad"]),
            coverage_floor=Fraction(body["coverage_floor"]),
            no_data_after_ns=int(body["no_data_after_ns"]),
        )
    raise ValueError(f"unknown condition {body['type']!r}")
