"""Contracts over the wire: the whole message for a contract with everything in it."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from services.common.config_feed import AppliedDocument
from services.common.contract_versions import ContractVersion, effective_ms
from services.common.documents import Kind, load_documents
from services.common.documents_contract import ContractSpec
from services.sla.convert_contract import contract_to_proto, objective_to_proto
from services.sla.convert_values import money_to_proto
from services.sla.methods.model import Probe
from services.sla.model import Objective, Overlap
from services.sla.objectives import contract_of
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from threenines.sla.v1 import sla_pb2

DOCS = Path(__file__).parents[3] / "docs" / "contracts.md"
PREFIX = "tenants/acme/objectives/gold/"


@pytest.fixture
def contract(tmp_path: Path) -> sla_pb2.Contract:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    (tmp_path / "docs.yaml").write_text(text)
    spec = load_documents([tmp_path / "docs.yaml"])[2].spec
    assert isinstance(spec, ContractSpec)
    applied = AppliedDocument(Kind.CONTRACT, "acme", "gold", spec, 7)
    start = effective_ms(spec)
    return contract_to_proto(contract_of(ContractVersion(applied, start, start + 86_400_000)))


def plain(message: object) -> dict[str, object]:
    return dict(MessageToDict(message, preserving_proto_field_name=True))  # type: ignore[arg-type]


def test_the_terms_of_a_contract_are_all_there(contract: sla_pb2.Contract) -> None:
    said = plain(contract)
    del said["objectives"]

    assert said == {
        "name": "tenants/acme/contracts/gold",
        "display_name": "gold",
        "version": "7",
        "effective_start_time": "2025-12-31T23:00:00Z",
        "effective_end_time": "2026-01-01T23:00:00Z",
        "time_zone": "Europe/Berlin",
        "credit_schedule": {
            "objective": PREFIX + "requests",
            "period": "CALENDAR_PERIOD_MONTH",
            "tiers": [
                {"below": ratio(999, 1000), "credit_ratio": ratio(1, 10)},
                {"below": ratio(99, 100), "credit_ratio": ratio(1, 4)},
                {"below": ratio(19, 20), "credit_ratio": ratio(1, 1)},
            ],
            "base_fee": {"currency_code": "EUR", "units": "1000"},
            "cap_ratio": ratio(1, 2),
            "minimum_credit": {"currency_code": "EUR", "units": "1"},
            "rounding": "half_even",
            "claim_days": 60,
        },
        "service_hours": {
            "weekdays": [1, 2, 3, 4, 5],
            "start_minute": 480,
            "end_minute": 1200,
            "holidays": ["2026-12-25", "2027-01-01"],
        },
        "report_terms": {
            "period": "CALENDAR_PERIOD_MONTH",
            "formats": ["html", "pdf", "csv", "json"],
            "emails": ["sla@acme.example"],
            "receiver": "billing",
        },
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "requests",
            {
                "availability_method": "AVAILABILITY_METHOD_REQUEST_RATIO",
                "method_terms": {},
                "overlap_rule": "OVERLAP_RULE_COUNT",
            },
        ),
        (
            "downtime",
            {
                "availability_method": "AVAILABILITY_METHOD_ERROR_RATE",
                "method_terms": {
                    "interval": "60s",
                    "min_request_count": "100",
                    "error_share_above": {"numerator": "1", "denominator": "20"},
                    "consecutive_count": 5,
                },
            },
        ),
        (
            "reachable",
            {
                "availability_method": "AVAILABILITY_METHOD_UPTIME",
                "metric": "probe.success",
                "signal": {
                    "metric": "probe.success",
                    "probe": {"up_at_least": {"numerator": "1", "denominator": "2"}},
                },
            },
        ),
        (
            "nightly-import",
            {"signal": {"metric": "import.finished", "heartbeat": {"interval": "90000s"}}},
        ),
        (
            "p95",
            {
                "type": "OBJECTIVE_TYPE_LATENCY",
                "threshold_seconds": 2.0,
                "latency_reading": "LATENCY_READING_MERGED",
                "overlap_rule": "OVERLAP_RULE_COUNT",
                "window": {"calendar": {"period": "CALENDAR_PERIOD_MONTH"}},
            },
        ),
        (
            "critical-incidents",
            {
                "type": "OBJECTIVE_TYPE_INCIDENT_RESOLUTION",
                "resolution_limit": "14400s",
                "incident_terms": {
                    "severity": "critical",
                    "clock": "INCIDENT_CLOCK_SERVICE_HOURS",
                    "until": "INCIDENT_UNTIL_RESOLVED",
                },
            },
        ),
        (
            "stored",
            {
                "type": "OBJECTIVE_TYPE_DATA_AVAILABILITY",
                "target": {"numerator": "1", "denominator": "1"},
                "maintenance_effect": "MAINTENANCE_EFFECT_DROP",
                "maintenance_notice": "259200s",
                "contract_version": "7",
            },
        ),
        (
            "journey",
            {
                "type": "OBJECTIVE_TYPE_COMPOSITE",
                "composite_terms": {
                    "mode": "COMPOSITE_MODE_INTERVAL_UNION",
                    "children": [{"objective": PREFIX + "requests"}, {"objective": PREFIX + "reachable"}],
                },
            },
        ),
    ],
)
def test_every_type_of_objective_says_its_terms(
    contract: sla_pb2.Contract, name: str, expected: dict[str, object]
) -> None:
    (found,) = [plain(one) for one in contract.objectives if one.name == PREFIX + name]

    assert {field: found.get(field) for field in expected} == expected
    assert (found["effective_start_time"], found["effective_end_time"]) == (
        "2025-12-31T23:00:00Z",
        "2026-01-01T23:00:00Z",
    )


@pytest.mark.parametrize(
    ("amount", "units", "nanos"), [("12.34", 12, 340_000_000), ("-0.05", 0, -50_000_000), ("0", 0, 0)]
)
def test_money_is_exact(amount: str, units: int, nanos: int) -> None:
    made = money_to_proto(Decimal(amount), "EUR")
    assert (made.units, made.nanos, made.currency_code) == (units, nanos, "EUR")


def ratio(numerator: int, denominator: int) -> dict[str, str]:
    return {"numerator": str(numerator), "denominator": str(denominator)}


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["availability", "latency"])
def test_what_counts_of_two_writers_is_said(objective: Objective) -> None:
    dropping = objective_to_proto(replace(objective, overlap=Overlap.DROP))
    probed = objective_to_proto(replace(AVAILABILITY, signal=Probe("m"), overlap=Overlap.DROP))

    assert dropping.overlap_rule == sla_pb2.OVERLAP_RULE_DROP
    assert probed.overlap_rule == sla_pb2.OVERLAP_RULE_UNSPECIFIED
