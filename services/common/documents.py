"""Configuration documents: what people write in YAML, checked before anything acts on it.

A document is `kind`, `metadata` (name, and for most kinds the tenant) and `spec`. All errors of
all files are reported at once. Applied documents live in the CONFIG stream (`config_feed.py`);
this module does no networking and decides nothing about alerts or verdicts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from services.common.documents_alerting import AlertRule, ReceiverSpec
from services.common.documents_check import Check, cross_check
from services.common.documents_contract import ContractSpec
from services.common.documents_errors import DocumentError, DocumentErrors, FieldProblems
from services.common.documents_model import Document, DocumentKey, DocumentSpec, Kind, version_of
from services.common.documents_platform import (
    MaintenanceWindowSpec,
    PlatformSpec,
    QuotaSpec,
    TenantSpec,
    TokenSpec,
)
from services.common.documents_values import ALL_TENANTS, Name, TenantId
from services.common.documents_yaml import RawDocument, literal_secrets, read_yaml
from services.common.openslo import from_openslo

__all__ = [
    "Document",
    "DocumentErrors",
    "DocumentKey",
    "DocumentSpec",
    "Kind",
    "document_from_json",
    "document_to_json",
    "load_documents",
    "version_of",
]

_SPECS: Mapping[Kind, TypeAdapter[Any]] = {
    Kind.TENANT: TypeAdapter(TenantSpec),
    Kind.CONTRACT: TypeAdapter(ContractSpec),
    Kind.ALERT_RULE: TypeAdapter(AlertRule),
    Kind.RECEIVER: TypeAdapter(ReceiverSpec),
    Kind.MAINTENANCE_WINDOW: TypeAdapter(MaintenanceWindowSpec),
    Kind.PLATFORM: TypeAdapter(PlatformSpec),
    Kind.QUOTA: TypeAdapter(QuotaSpec),
    Kind.TOKEN: TypeAdapter(TokenSpec),
}
# These belong to the platform and not to one client.
_WITHOUT_TENANT = frozenset({Kind.TENANT, Kind.PLATFORM, Kind.TOKEN})
# Only these may be meant for every tenant at once.
_FOR_ALL_TENANTS = frozenset({Kind.RECEIVER})


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name


class _TenantMetadata(_Metadata):
    tenant: TenantId


class _TenantName(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: TenantId


def load_documents(
    paths: Iterable[Path | str],
    *,
    known: Iterable[Document] = (),
    checks: Iterable[Check] = (),
    notes: list[DocumentError] | None = None,
) -> list[Document]:
    """Read files, and the *.yaml and *.yml of directories, and check them together.

    Args:
        paths: files or directories.
        known: documents that are applied already: references may point to them.
        checks: what else to ask of each document, by those who know more than this module may.
        notes: takes what of OpenSLO documents has no meaning here.

    Raises:
        DocumentErrors: with every error of every document.
    """
    raws, errors = read_yaml([Path(path) for path in paths])
    raws, wrong, unused = from_openslo(raws)
    errors.extend(wrong)
    if notes is not None:
        notes.extend(unused)
    found: list[tuple[RawDocument, Document]] = []
    for raw in raws:
        document, problems = _parse(raw)
        errors.extend(problems)
        if document is not None:
            found.append((raw, document))
    errors.extend(cross_check(found, tuple(known), tuple(checks)))
    if errors:
        raise DocumentErrors(errors)
    return [document for _, document in found]


def document_to_json(document: Document) -> dict[str, Any]:
    """The document as JSON values, texts as written, defaults written out.

    Defaults are stored so that a later release with other defaults does not change the meaning
    of what was applied.
    """
    return {
        "kind": document.kind.value,
        "tenant": document.tenant,
        "name": document.name,
        "spec": document.spec.model_dump(mode="json", by_alias=True),
    }


def document_from_json(data: Mapping[str, Any], *, source: str = "document") -> Document:
    """The other half of `document_to_json`.

    Raises:
        DocumentErrors: it is not a document of this release.
    """
    metadata = {"name": data.get("name")}
    if data.get("tenant") is not None:
        metadata["tenant"] = data["tenant"]
    content = {"kind": data.get("kind"), "metadata": metadata, "spec": data.get("spec")}
    document, problems = _parse(RawDocument(source, 1, content), internal=True)
    if document is None or problems:
        raise DocumentErrors(problems)
    return document


def _parse(raw: RawDocument, *, internal: bool = False) -> tuple[Document | None, list[DocumentError]]:
    content = raw.content
    kinds = [kind for kind in Kind if internal or kind is not Kind.TOKEN]
    kind = next((kind for kind in kinds if kind == content.get("kind")), None)
    if kind is None:
        reason = f"must be one of {', '.join(kinds)}"
        if content.get("kind") == Kind.TOKEN:
            reason = "tokens are not written in files: make one with `threenines tenant create`"
        return None, [raw.error("kind", reason)]
    problems = [
        raw.error(name, "unknown field") for name in content if name not in ("kind", "metadata", "spec")
    ]
    if not internal:
        problems.extend(raw.error(field, reason) for field, reason in literal_secrets(content.get("spec")))
    metadata = content.get("metadata")
    tenant, name, wrong = _identity(kind, metadata if isinstance(metadata, Mapping) else {})
    problems.extend(raw.error(field, reason) for field, reason in wrong)
    spec = None
    try:
        given = {} if content.get("spec") is None else content["spec"]
        spec = _SPECS[kind].validate_python(given, context={"from_file": not internal})
    except ValidationError as err:
        problems.extend(raw.error(*place) for place in _places(err, "spec", content.get("spec")))
    if problems or spec is None:
        return None, problems
    return Document(kind, tenant, name, spec), []


def _identity(kind: Kind, metadata: Mapping[str, Any]) -> tuple[str | None, str, list[tuple[str, str]]]:
    """(tenant, name, errors) of the metadata."""
    values = dict(metadata)
    everyone = kind in _FOR_ALL_TENANTS and values.get("tenant") == ALL_TENANTS
    if everyone:
        del values["tenant"]
    model: type[BaseModel] = _TenantMetadata
    if kind is Kind.TENANT:
        model = _TenantName
    elif kind in _WITHOUT_TENANT or everyone:
        model = _Metadata
    try:
        model.model_validate(values)
    except ValidationError as err:
        return None, "", _places(err, "metadata", values)
    return (ALL_TENANTS if everyone else values.get("tenant")), str(values["name"]), []


def _places(err: ValidationError, start: str, data: Any) -> list[tuple[str, str]]:
    """(field path, reason) of each error, without the tags that unions put into the path."""
    out: list[tuple[str, str]] = []
    for detail in err.errors():
        path, node = start, data
        for part in detail["loc"]:
            if isinstance(part, int):
                path += f"[{part}]"
            elif isinstance(node, Mapping) and (part in node or part == detail["loc"][-1]):
                path += f".{part}"
            else:
                continue
            node = _child(node, part)
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FieldProblems):
            out.extend((f"{path}.{field}", reason) for field, reason in cause.problems)
            continue
        reason = detail["msg"].removeprefix("Value error, ")
        match detail["type"]:
            case "missing":
                reason = "is required"
            case "extra_forbidden":
                reason = "unknown field"
            case "string_pattern_mismatch":
                reason = f"must match {detail['ctx']['pattern']}"
        out.append((path, reason))
    return out


def _child(node: Any, part: int | str) -> Any:
    if isinstance(node, Mapping):
        return node.get(part)
    if isinstance(node, list | tuple) and isinstance(part, int) and part < len(node):
        return node[part]
    return None
