"""Documents: exact values, all errors at once, nothing that could never work."""

from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.documents import (
    Document,
    DocumentErrors,
    Kind,
    document_from_json,
    document_to_json,
    load_documents,
)
from services.common.documents_alerting import BurnRateRule, OutageRule, ReceiverSpec
from services.common.documents_contract import AvailabilityObjective, ContractSpec, LatencyObjective
from services.common.documents_platform import PlatformSpec, TokenSpec
from services.common.documents_values import Duration, Ratio

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"
TENANT = "kind: Tenant\nmetadata: {name: acme}\nspec: {display_name: Acme}\n"
CONTRACT = """
kind: Contract
metadata: {{tenant: acme, name: gold}}
spec:
  time_zone: Europe/Berlin
  effective_from: 2026-01-01
  objectives:
    - {{name: availability, type: availability, target: "{target}", window: {window}}}
    - {{name: latency, type: latency, target: 2s, window: 30d}}
"""
RULE = """
kind: AlertRule
metadata: {{tenant: acme, name: fast-burn}}
spec: {{type: burn_rate, objective: {objective}, long: {long}, short: {short}, {burn}}}
"""


def load(tmp_path: Path, *documents: str, known: tuple[Document, ...] = ()) -> list[Document]:
    file = tmp_path / "all.yaml"
    file.write_text("\n---\n".join(dedent(document) for document in documents))
    return load_documents([file], known=known)


def problems(tmp_path: Path, *documents: str, known: tuple[Document, ...] = ()) -> list[tuple[int, str, str]]:
    with pytest.raises(DocumentErrors) as refused:
        load(tmp_path, *documents, known=known)
    return [(error.document, error.field, error.reason) for error in refused.value.errors]


def contract(target: str = "99.9%", window: str = "30d") -> str:
    return CONTRACT.format(target=target, window=window)


def rule(burn: str, objective: str = "gold/availability", long: str = "1h", short: str = "5m") -> str:
    return RULE.format(burn=burn, objective=objective, long=long, short=short)


def test_the_example_configuration_loads() -> None:
    tenant, promise, receiver = load_documents([EXAMPLES / "acme.yaml"])

    assert (tenant.kind, tenant.tenant, tenant.name) == (Kind.TENANT, None, "acme")
    assert isinstance(promise.spec, ContractSpec)
    availability, latency = promise.spec.objectives
    assert isinstance(availability, AvailabilityObjective)
    assert availability.target == Ratio("99.9%", Fraction(999, 1000))
    assert isinstance(latency, LatencyObjective)
    assert (latency.target.ns, latency.quantile.value) == (2_000_000_000, Fraction(19, 20))
    assert (promise.spec.slice.ns, promise.spec.down_above.value) == (10_000_000_000, Fraction(1, 2))
    assert isinstance(receiver.spec, ReceiverSpec)
    assert receiver.spec.send_resolved


def test_a_document_survives_storage_with_its_texts_as_written(tmp_path: Path) -> None:
    documents = load(tmp_path, TENANT, contract(target="99.90%"), rule("budget_share: 2%"))
    stored = [document_to_json(document) for document in documents]

    assert [document_from_json(json) for json in stored] == documents
    assert stored[1]["spec"]["objectives"][0]["target"] == "99.90%"
    assert stored[2]["spec"]["for"] == "0s"


def test_an_unquoted_decimal_stays_exact(tmp_path: Path) -> None:
    documents = load(tmp_path, TENANT, contract(target="0.99900000000000000001"))
    assert isinstance(documents[1].spec, ContractSpec)
    written = Path(tmp_path / "all.yaml").read_text().replace('"', "")
    (tmp_path / "bare.yaml").write_text(written)

    assert load_documents([tmp_path / "bare.yaml"]) == documents


@given(st.integers(0, 10**12), st.integers(0, 12))
def test_ratios_are_exactly_what_is_written(digits: int, places: int) -> None:
    text = f"{digits // 10**places}.{digits % 10**places:0{places}d}" if places else str(digits)
    assert Ratio.parse(text).value == Fraction(digits, 10**places)
    assert Ratio.parse(f"{text}%").value == Fraction(digits, 10**places * 100)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("10s", 10**10),
        ("5m", 3 * 10**11),
        ("1.5h", 54 * 10**11),
        ("30d", 2592 * 10**12),
        ("0s", 0),
        ("1ns", 1),
    ],
)
def test_durations_are_whole_nanoseconds(text: str, ns: int) -> None:
    assert Duration.parse(text) == Duration(text, ns)


@pytest.mark.parametrize("text", ["10", "s", "-1s", "1.0000000001s", "1 s", 10, None, "1h30m"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        Duration.parse(text)


def test_every_error_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "kind: Tenant\nmetadata: {name: Acme}\nspec: {colour: red}\n---\n"
        + contract().replace("Europe/Berlin", "Europe/Atlantis").replace("99.9%", "101%")
    )
    (tmp_path / "b.yml").write_text("kind: Contact\nmetadata: {name: x}\n")
    (tmp_path / "c.yaml").write_text("kind: Tenant\nspec: {a: 1, a: 2}\n")
    (tmp_path / "ignored.txt").write_text("kind: Nonsense")
    with pytest.raises(DocumentErrors) as refused:
        load_documents([tmp_path, tmp_path / "missing.yaml"])
    found = {(Path(error.file).name, error.document, error.field) for error in refused.value.errors}

    assert found == {
        ("a.yaml", 1, "metadata.name"),
        ("a.yaml", 1, "spec.colour"),
        ("a.yaml", 2, "spec.time_zone"),
        ("a.yaml", 2, "spec.objectives[0].target"),
        ("b.yml", 1, "kind"),
        ("c.yaml", 1, ""),
        ("missing.yaml", 0, ""),
    }
    assert refused.value.reason == "BAD_DOCUMENTS"
    assert len(refused.value.violations) == 7
    assert "a.yaml, document 2 (Contract gold): spec.time_zone" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("effective_from: 2026-01-01", ""), "spec.effective_from"),
        (("type: availability", "type: luck"), "spec.objectives[0]"),
        (("target: 2s, window: 30d", "target: 2s, window: 12s"), "spec.objectives[1].window"),
        (("name: latency", "name: availability"), "spec.objectives[1].name"),
        (("tenant: acme, ", ""), "metadata.tenant"),
        (("tenant: acme", "tenant: tick"), "metadata.tenant"),
        (("tenant: acme", 'tenant: "*"'), "metadata.tenant"),
    ],
)
def test_a_broken_contract_names_its_field(tmp_path: Path, change: tuple[str, str], field: str) -> None:
    found = problems(tmp_path, TENANT, contract().replace(*change))
    assert [(document, place) for document, place, _ in found] == [(2, field)]


def test_references_must_lead_somewhere(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        contract(),
        rule("factor: 14.4", objective="gold/uptime"),
        rule("factor: 14.4", objective="silver/uptime").replace("fast-burn", "other"),
    )
    assert found == [
        (1, "metadata.tenant", "there is no Tenant acme"),
        (2, "metadata.tenant", "there is no Tenant acme"),
        (2, "spec.objective", "contract gold has no objective uptime, only availability, latency"),
        (3, "metadata.tenant", "there is no Tenant acme"),
        (3, "spec.objective", "tenant acme has no Contract silver"),
    ]


def test_references_may_lead_to_what_is_applied_already(tmp_path: Path) -> None:
    known = tuple(load(tmp_path, TENANT, contract()))
    assert len(load(tmp_path, rule("factor: 14.4"), known=known)) == 1


def test_a_contract_may_not_break_the_rules_applied_before(tmp_path: Path) -> None:
    known = tuple(load(tmp_path, TENANT, contract(), rule("factor: 14.4")))
    found = problems(tmp_path, contract(target="90%"), known=known)

    assert [(document, field) for document, field, _ in found] == [(1, "spec")]
    assert found[0][2].startswith("breaks AlertRule fast-burn (spec.factor)")


def test_the_same_document_twice_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, TENANT, contract(), contract())
    assert [(document, field) for document, field, _ in found] == [(3, "metadata.name")]


@pytest.mark.parametrize(
    ("target", "burn", "reason"),
    [
        ("93%", "factor: 14.4", "could never fire"),
        ("50%", "budget_share: 2%", "could never fire"),
        ("99.9%", "factor: 0.99", "healthy service"),
        ("99.9%", "budget_share: 0.1%", "healthy service"),
    ],
)
def test_a_burn_rate_rule_that_cannot_work_is_refused(
    tmp_path: Path, target: str, burn: str, reason: str
) -> None:
    (found,) = problems(tmp_path, TENANT, contract(target=target), rule(burn))
    assert found[:2] == (3, f"spec.{burn.partition(':')[0]}")
    assert reason in found[2]


@pytest.mark.parametrize(
    ("target", "burn"), [("93.1%", "factor: 14.4"), ("100%", "factor: 14.4"), ("99.9%", "factor: 1")]
)
def test_a_burn_rate_rule_at_the_edge_is_accepted(tmp_path: Path, target: str, burn: str) -> None:
    assert len(load(tmp_path, TENANT, contract(target=target), rule(burn))) == 3


def test_windows_must_be_multiples_of_the_slice(tmp_path: Path) -> None:
    found = problems(tmp_path, TENANT, contract(), rule("factor: 14.4", long="3601s", short="15s"))
    assert [field for _, field, _ in found] == ["spec.long", "spec.short"]


@pytest.mark.parametrize(
    ("period", "factors"),
    [
        ("28d", ["13.44", "5.6", "2.8", "0.9333333333333333"]),
        ("30d", ["14.4", "6", "3", "1"]),
        ("31d", ["14.88", "6.2", "3.1", "1.0333333333333334"]),
        ("90d", ["43.2", "18", "9", "3"]),
    ],
)
def test_factors_follow_from_period_and_share(period: str, factors: list[str]) -> None:
    """Table of chapter 5 of the SRE workbook, scaled to other periods."""
    found = []
    for long, share in (("1h", "2%"), ("6h", "5%"), ("1d", "10%"), ("3d", "10%")):
        parsed = BurnRateRule.model_validate(
            {"type": "burn_rate", "objective": "a/b", "long": long, "short": "5m", "budget_share": share}
        )
        found.append(float(parsed.factor_for(Duration.parse(period).ns)))
    assert found == [float(factor) for factor in factors]


@pytest.mark.parametrize("burn", ["min_bad: 1", "factor: 14.4, budget_share: 2%", "factor: 0"])
def test_a_burn_rate_rule_needs_exactly_one_threshold(tmp_path: Path, burn: str) -> None:
    assert problems(tmp_path, TENANT, contract(), rule(burn))


def test_an_outage_rule_reads_its_waiting_times(tmp_path: Path) -> None:
    text = """
        kind: AlertRule
        metadata: {tenant: acme, name: outage}
        spec: {type: outage, objective: gold/availability, for: 20s, severity: page}
    """
    spec = load(tmp_path, TENANT, contract(), text)[2].spec
    assert isinstance(spec, OutageRule)
    assert (spec.for_.ns, spec.keep_firing_for.ns, spec.severity) == (20 * 10**9, 30 * 10**9, "page")


def receiver(spec: str, tenant: str = "acme") -> str:
    return f'kind: Receiver\nmetadata: {{tenant: "{tenant}", name: hook}}\nspec: {{type: webhook, {spec}}}\n'


def test_a_receiver_may_be_for_every_tenant(tmp_path: Path) -> None:
    (document,) = load(tmp_path, receiver("url: 'http://127.0.0.1:1/x'", tenant="*"))
    assert document.tenant == "*"
    assert document_from_json(document_to_json(document)) == document


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("url: 'http://a.example/', password: hunter2", "spec.password"),
        ("url: 'http://a.example/', headers: {Authorization: Bearer x}", "spec.headers.Authorization"),
        ("url: 'http://me:hunter2@a.example/'", "spec.url"),
    ],
)
def test_a_secret_in_a_file_is_refused_without_repeating_it(tmp_path: Path, spec: str, field: str) -> None:
    found = problems(tmp_path, TENANT, receiver(spec))
    reasons = [reason for _, place, reason in found if place == field]

    assert any("from_env" in reason for reason in reasons)
    assert "hunter2" not in str(found)


def test_a_header_may_come_from_the_environment(tmp_path: Path) -> None:
    text = receiver("url: 'http://a.example/', headers_from_env: {Authorization: HOOK_TOKEN}")
    spec = load(tmp_path, TENANT, text)[1].spec
    assert isinstance(spec, ReceiverSpec)
    assert spec.headers_from_env == {"Authorization": "HOOK_TOKEN"}


def test_tokens_are_stored_but_never_read_from_files(tmp_path: Path) -> None:
    text = "kind: Token\nmetadata: {name: abc}\nspec: {}\n"
    ((_, field, reason),) = problems(tmp_path, text)
    spec = TokenSpec(token_id="0" * 12, tenant="acme", role="writer", sha256="a" * 64)
    document = Document(Kind.TOKEN, None, "0" * 12, spec)

    assert (field, "tenant create" in reason) == ("kind", True)
    assert document_from_json(document_to_json(document)) == document


def test_production_without_tokens_is_refused(tmp_path: Path) -> None:
    text = "kind: Platform\nmetadata: {name: here}\nspec: {environment: production, auth: none}\n"
    assert problems(tmp_path, text) == [(1, "spec", "auth: none is for the laptop only")]
    (document,) = load(tmp_path, text.replace("production", "laptop"))
    assert isinstance(document.spec, PlatformSpec)


def test_a_maintenance_window_needs_a_zone_and_a_length(tmp_path: Path) -> None:
    text = "kind: MaintenanceWindow\nmetadata: {{tenant: acme, name: move}}\nspec: {{start: {}, end: {}}}\n"
    (_, window) = load(tmp_path, TENANT, text.format("2026-03-01T01:00:00+01:00", "2026-03-01T00:00:01Z"))
    assert document_from_json(document_to_json(window)) == window
    backwards = problems(tmp_path, TENANT, text.format("2026-03-01T00:00:00Z", "2026-03-01T01:00:00+01:00"))
    assert [(field, reason) for _, field, reason in backwards] == [("spec.end", "must be after start")]
    found = problems(tmp_path, TENANT, text.format("2026-03-01 00:00:00", "2026-03-01T02:00:00Z"))
    assert [field for _, field, _ in found] == ["spec.start"]


@pytest.mark.parametrize(
    ("before", "after", "field", "reason"),
    [
        ("window: 30d", "window: 401d", "objectives[0].window", "401d is over 400d"),
        ("objectives:", "slice: 1ms\n  objectives:", "slice", "must be 1s to 1h"),
        ("objectives:", "slice: 2h\n  objectives:", "slice", "must be 1s to 1h"),
    ],
)
def test_one_contract_cannot_ask_for_more_than_is_computed(
    tmp_path: Path, before: str, after: str, field: str, reason: str
) -> None:
    """It would stop the slicer, or the status of every tenant that is asked for in one call."""
    found = problems(tmp_path, TENANT, contract().replace(before, after, 1))

    assert [(place, why) for _, place, why in found] == [(f"spec.{field}", reason)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("since: 2026-13-01", "month must be in 1..12"),
        ("amount: " + "9" * 5000, "Exceeds the limit"),
        ("deep: " + "[" * 5000, "is nested too deeply"),
    ],
    ids=["date", "number", "depth"],
)
def test_values_that_cannot_be_are_errors_of_the_file(tmp_path: Path, text: str, reason: str) -> None:
    (found,) = problems(tmp_path, TENANT, text)

    assert reason in found[2]
