"""`kind: MaintenanceWindow`: local times, rules, objectives, and what only the service may write."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.common.documents import DocumentErrors, document_from_json, document_to_json, load_documents
from services.common.documents_maintenance import MaintenanceRecord, MaintenanceWindowSpec

TEXT = """
kind: Tenant
metadata: {name: acme}
---
kind: Contract
metadata: {tenant: acme, name: gold}
spec:
  time_zone: Europe/Berlin
  effective_from: 2026-10-01
  objectives:
    - {type: availability, name: requests, target: 99.9%, window: 30d}
    - {type: latency, name: latency, target: 2s, quantile: "0.95", window: 30d}
---
kind: MaintenanceWindow
metadata: {tenant: acme, name: disks}
spec:
  title: New disks
  zone: Europe/Berlin
  start: 2026-11-29 02:00:00
  end: "2026-11-29T04:00:00"
  rule: FREQ=WEEKLY;BYDAY=SU
  objectives: [gold/requests, latency]
"""


def read(tmp_path: Path, text: str) -> MaintenanceWindowSpec:
    file = tmp_path / "window.yaml"
    file.write_text(text)
    (*_, window) = load_documents([file])
    assert document_from_json(document_to_json(window)) == window
    assert isinstance(window.spec, MaintenanceWindowSpec)
    return window.spec


def test_times_without_an_offset_are_local_in_the_zone(tmp_path: Path) -> None:
    spec = read(tmp_path, TEXT)
    assert spec.start == datetime(2026, 11, 29, 1, tzinfo=UTC)
    assert spec.end_ms - spec.start_ms == 2 * 3_600_000
    assert spec.objectives == ("gold/requests", "latency")


@pytest.mark.parametrize(
    ("before", "after", "field", "reason"),
    [
        ("BYDAY=SU", "BYDAY=MO", "rule", "the first start is not a time that the rule makes"),
        ("WEEKLY", "HOURLY", "rule", "FREQ: must be DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("Europe/Berlin", "Europe/Bonn", "zone", "must be an IANA time zone such as Europe/Berlin"),
        ("2026-11-29T04", "2027-02-29T04", "end", None),
        ("T04:00:00", "T01:00:00", "end", "must be after start"),
        ("gold/requests", "Gold", "objectives[0]", None),
        ("gold/requests", "gold/nothing", "objectives[0]", "tenant acme has no objective gold/nothing"),
        (
            "objectives: [gold",
            "contracts: [iron]\n  objectives: [gold",
            "contracts[0]",
            "tenant acme has no contract iron",
        ),
        ("  title", "  record: {announced_ms: 0}\n  title", "record", "is written by the service"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_reason(
    tmp_path: Path, before: str, after: str, field: str, reason: str | None
) -> None:
    """An announcement cannot be dated back in a file."""
    with pytest.raises(DocumentErrors) as caught:
        read(tmp_path, TEXT.replace(before, after))
    told = {one.field: one.reason for one in caught.value.errors}
    assert f"spec.{field}" in told
    assert reason in (None, told[f"spec.{field}"])


def test_what_the_service_wrote_is_read_back(tmp_path: Path) -> None:
    spec = read(tmp_path, TEXT).model_copy(
        update={"record": MaintenanceRecord(announced_ms=7, cancelled=True)}
    )
    data = {
        "kind": "MaintenanceWindow",
        "tenant": "acme",
        "name": "disks",
        "spec": spec.model_dump(mode="json"),
    }
    assert document_from_json(data).spec == spec
