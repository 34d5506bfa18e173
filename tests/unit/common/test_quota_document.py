"""`kind: Quota` in files: checked like every document, one for each tenant."""

from pathlib import Path

import pytest

from services.common.documents import DocumentErrors, document_from_json, document_to_json, load_documents
from services.common.documents_platform import QuotaSpec

_TENANT = "kind: Tenant\nmetadata: {name: acme}\n---\n"


def load(tmp_path: Path, text: str) -> QuotaSpec:
    """The quota of a file."""
    path = tmp_path / "quota.yaml"
    path.write_text(_TENANT + text)
    (document,) = [one for one in load_documents([path]) if isinstance(one.spec, QuotaSpec)]
    assert document_from_json(document_to_json(document)) == document
    assert isinstance(document.spec, QuotaSpec)
    return document.spec


def test_what_is_not_given_is_unlimited(tmp_path: Path) -> None:
    text = "kind: Quota\nmetadata: {tenant: acme, name: quota}\nspec: {active_series: 5}\n"

    assert load(tmp_path, text) == QuotaSpec(active_series=5)


@pytest.mark.parametrize(
    ("name", "spec", "reason"),
    [
        ("other", "{}", "named quota"),
        ("quota", "{points_per_second: 10, burst_points: 9}", "at least points_per_second"),
        ("quota", "{active_series: -1}", "active_series"),
        ("quota", "{series: 1}", "unknown field"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, name: str, spec: str, reason: str) -> None:
    text = f"kind: Quota\nmetadata: {{tenant: acme, name: {name}}}\nspec: {spec}\n"

    with pytest.raises(DocumentErrors, match=reason):
        load(tmp_path, text)
