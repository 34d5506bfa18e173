"""OpenSLO v1: what it can express comes back the same, what it cannot is named with a reason."""

from pathlib import Path

import pytest
import yaml

from services.common.documents import Document, DocumentErrors, load_documents
from services.common.documents_alerting import BurnRateRule
from services.common.documents_contract import AvailabilityObjective, ContractSpec
from services.common.documents_errors import DocumentError
from services.common.openslo_export import to_openslo
from tests.unit.common.contract_texts import TENANT, contract, load

EXPRESSIBLE = [
    '{name: a, type: availability, target: "99.9%", window: 30d}',
    '{name: b, type: availability, target: "0.9995", window: month, match: {service.name: shop},'
    " bad: {attribute: rpc.code, at_least: 3}}",
    '{name: c, type: availability, target: "99%", window: week,'
    " method: {type: error_rate, above: 5%, interval: 1m, partial_intervals: true}}",
    '{name: d, type: availability, target: "99%", window: quarter,'
    " method: {type: mean_error_rate, interval: 1h}}",
    '{name: e, type: availability, target: "99%", window: year,'
    " signal: {type: heartbeat, metric: m, every: 1h}}",
    '{name: f, type: availability, target: "99%", window: day,'
    " signal: {type: probe, metric: m, up_at_least: 50%}}",
    '{name: g, type: latency, target: 2s, quantile: "0.95", window: 4w}',
    '{name: h, type: latency, target: 250ms, quantile: "0.999", window: 12h, match: {a: b}}',
    '{name: i, type: availability, target: "99%", window: day, overlap: drop}',
    '{name: j, type: latency, target: 2s, quantile: "0.95", window: 4w, overlap: drop}',
]
INEXPRESSIBLE = [
    ("{name: x, type: availability, target: 100%, window: month}", "objectives[1].target"),
    (
        "{name: x, type: availability, target: 99%, window: 90s, method: {type: uptime}}",
        "objectives[1].method",
    ),
    ("{name: x, type: availability, target: 99%, window: 90s}", "objectives[1].window"),
    (
        "{name: x, type: availability, target: 99%, window: month, method: {type: error_rate, above: 5%,"
        " consecutive: 5}}",
        "objectives[1].method",
    ),
    ("{name: x, type: latency, target: 2s, window: month, reading: slices}", "objectives[1].reading"),
    ("{name: x, type: incident_resolution, target: 4h, window: month}", "objectives[1].type"),
    ("{name: x, type: data_availability, window: month}", "objectives[1].type"),
    ("{name: x, type: composite, children: [a], target: 99%, window: month}", "objectives[1].type"),
]
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: shop
  displayName: The shop
  annotations: {threenines/tenant: acme, team: payments}
spec:
  description: What people see.
  service: gold
  indicatorRef: shop-requests
  timeWindow:
    - duration: 1M
      isRolling: false
      calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}
  budgetingMethod: Occurrences
  objectives: [{displayName: Three nines, targetPercent: 99.9}]
  alertPolicies: [{alertPolicyRef: fast}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: shop-requests}
spec:
  ratioMetric:
    counter: true
    bad:
      metricSource:
        type: threenines
        spec: {metric: rpc.server.duration, attribute: rpc.code, at_least: 1}
    total: {metricSource: {type: threenines, spec: {metric: rpc.server.duration}}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: fast}
spec:
  alertWhenNoData: false
  conditions: [{conditionRef: burn}]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: burn}
spec:
  severity: page
  condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 5m}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: gold}
spec: {}
"""


def read(tmp_path: Path, text: str) -> tuple[list[Document], list[DocumentError]]:
    file = tmp_path / "openslo.yaml"
    file.write_text(f"{TENANT}---\n{text}")
    notes: list[DocumentError] = []
    return load_documents([file], notes=notes)[1:], notes


def refused(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(DocumentErrors) as caught:
        read(tmp_path, text)
    return [(error.field, error.reason) for error in caught.value.errors]


def meaning(value: object) -> object:
    """Ratios and lengths as values, not as written."""
    if isinstance(value, dict):
        return {name: meaning(each) for name, each in value.items() if name != "text"}
    return value


@pytest.mark.parametrize("written", EXPRESSIBLE)
def test_what_openslo_can_express_comes_back_the_same(tmp_path: Path, written: str) -> None:
    (before,) = load(tmp_path, contract(written))
    exported = to_openslo([before])
    (after,), notes = read(tmp_path, exported.text())

    assert (exported.omitted, notes) == ([], [])
    assert isinstance(before.spec, ContractSpec)
    assert isinstance(after.spec, ContractSpec)
    assert [meaning(one.model_dump()) for one in after.spec.objectives] == [
        meaning(one.model_dump()) for one in before.spec.objectives
    ]
    assert after.key == before.key
    assert after.spec.time_zone == before.spec.time_zone


def test_a_contract_with_several_objectives_and_versions_comes_back_whole(tmp_path: Path) -> None:
    before = load(tmp_path, contract(*EXPRESSIBLE), contract(EXPRESSIBLE[0], since="2026-06-15"))
    text = to_openslo(before).text()
    after, _ = read(tmp_path, text)

    assert [one.key for one in after] == [one.key for one in before]
    assert len(list(yaml.safe_load_all(text))) == len(EXPRESSIBLE) + 1
    assert to_openslo(after).text() == text


@pytest.mark.parametrize(("written", "field"), INEXPRESSIBLE)
def test_what_openslo_cannot_express_is_named_with_a_reason(tmp_path: Path, written: str, field: str) -> None:
    exported = to_openslo(load(tmp_path, contract(EXPRESSIBLE[0].replace("30d", "month"), written)))

    assert [one.field for one in exported.omitted] == [field]
    assert exported.omitted[0].reason.endswith("x is left out")
    assert len(exported.documents) == 1
    assert f"#   acme/gold: {field}: " in exported.text()


def test_terms_of_the_contract_itself_are_named(tmp_path: Path) -> None:
    more = (
        "no_data: count_down\nmaintenance: {effect: count_up}\n"
        "credits: {objective: a, base_fee: 1, currency: EUR, tiers: [{below: 99%, credit: 10%}]}"
    )
    exported = to_openslo(load(tmp_path, contract(EXPRESSIBLE[0].replace("30d", "month"), more=more)))

    assert [one.field for one in exported.omitted] == ["no_data", "maintenance", "credits"]


def test_referenced_indicators_and_alert_policies_are_read(tmp_path: Path) -> None:
    (promise, rule), notes = read(tmp_path, SLO)

    assert promise.key[1:] == ("acme", "gold", "2026-01-01")
    assert isinstance(promise.spec, ContractSpec)
    (one,) = promise.spec.objectives
    assert isinstance(one, AvailabilityObjective)
    assert (one.name, one.metric, one.target.text, one.window.period) == (
        "shop",
        "rpc.server.duration",
        "99.9%",
        "month",
    )
    assert (one.bad.attribute, one.bad.at_least) == ("rpc.code", 1)
    assert isinstance(rule.spec, BurnRateRule)
    assert (rule.name, rule.spec.objective, rule.spec.long.ns, rule.spec.short.ns) == (
        "fast",
        "gold/shop",
        3600 * 10**9,
        300 * 10**9,
    )
    assert {note.field for note in notes} == {
        "metadata.displayName",
        "metadata.annotations.team",
        "spec.description",
        "spec.objectives[0].displayName",
        "spec.alertPolicies[0].spec.alertWhenNoData",
        "spec.alertPolicies[0].spec.conditions[0].spec.condition",
        "kind",
    }


def test_a_burn_rate_rule_comes_back_with_its_long_window(tmp_path: Path) -> None:
    rule = (
        "kind: AlertRule\nmetadata: {tenant: acme, name: fast}\n"
        "spec: {type: burn_rate, objective: gold/a, long: 1h, short: 5m, budget_share: 2%, for: 2m}\n"
    )
    exported = to_openslo(load(tmp_path, contract(EXPRESSIBLE[0]), rule))
    (_, after), _ = read(tmp_path, exported.text())

    assert [one.field for one in exported.omitted] == ["AlertRule fast.budget_share"]
    assert isinstance(after.spec, BurnRateRule)
    assert after.spec.factor is not None
    assert (after.spec.factor.text, after.spec.long.ns, after.spec.short.ns, after.spec.for_.ns) == (
        "14.4",
        3600 * 10**9,
        300 * 10**9,
        120 * 10**9,
    )


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("threenines/tenant: acme, ", "", "metadata.annotations.threenines/tenant"),
        ("indicatorRef: shop-requests", "indicatorRef: nothing", "spec.indicatorRef"),
        ("type: threenines", "type: Prometheus", "spec.indicatorRef.spec.ratioMetric.bad.metricSource.type"),
        ("duration: 1M", "duration: 1d30m", "spec.timeWindow[0].duration"),
        ("2026-01-01 00:00:00", "2026-01-15 00:00:00", "spec.timeWindow[0].calendar.startTime"),
        ("2026-01-01 00:00:00", "soon", "spec.timeWindow[0].calendar.startTime"),
        ("targetPercent: 99.9", "targetPercent: lots", "spec.objectives[0].targetPercent"),
        ("budgetingMethod: Occurrences", "budgetingMethod: Luck", "spec.budgetingMethod"),
        ("alertPolicyRef: fast", "alertPolicyRef: slow", "spec.alertPolicies[0]"),
        ("kind: burnrate", "kind: latency", "spec.alertPolicies[0].spec.conditions[0].spec.condition"),
    ],
)
def test_what_would_change_the_meaning_is_an_error(tmp_path: Path, old: str, new: str, field: str) -> None:
    found = refused(tmp_path, SLO.replace(old, new))
    assert field in [place for place, _ in found], found


def test_an_slo_that_is_not_openslo_v1_is_refused(tmp_path: Path) -> None:
    ((field, _),) = refused(tmp_path, "kind: SLO\nmetadata: {name: x}\nspec: {}\n")
    assert field == "kind"
