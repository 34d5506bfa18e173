"""What a record of the CONFIG stream looks like, and where it goes.

One subject per document, so that the last record of a subject is the document's current state. Contracts
have one for each effective date; earlier releases had one without a date, which is still read.
Nothing here talks to the log.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.common.documents import (
    Document,
    DocumentKey,
    Kind,
    document_from_json,
    document_to_json,
    version_of,
)
from services.common.documents_values import ALL_TENANTS
from services.common.errors import InvalidArgument

RECORD_VERSION = 1
# Neither can be a tenant id, and NATS allows no `*` in a subject that is published to.
_NO_TENANT = "_"
_EVERY_TENANT = "_all"


class Operation(StrEnum):
    """What happens to the document."""

    APPLY = "apply"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One record: `document` is None when the document is deleted.

    version: as the subject has it; empty for a contract under a subject without a date.
    """

    kind: Kind
    tenant: str | None
    name: str
    document: Document | None
    actor: str
    time_ns: int
    version: str = ""

    @property
    def key(self) -> DocumentKey:
        """The same as `Document.key`."""
        version = self.version if self.document is None else version_of(self.document.spec)
        return (self.kind, self.tenant, self.name, version)


def subject_for(kind: Kind, tenant: str | None, name: str, version: str = "") -> str:
    """The subject of a document: `config.<kind>.<tenant>.<name>`, and `.<effective date>` for contracts."""
    place = {None: _NO_TENANT, ALL_TENANTS: _EVERY_TENANT}.get(tenant, tenant)
    return f"config.{kind}.{place}.{name}" + (f".{version}" if version else "")


def encode(change: Change) -> bytes:
    """The record as JSON."""
    content = {
        "version": RECORD_VERSION,
        "op": Operation.DELETE if change.document is None else Operation.APPLY,
        "kind": change.kind.value,
        "tenant": change.tenant,
        "name": change.name,
        **({"effective_from": change.version} if change.version else {}),
        "spec": None if change.document is None else document_to_json(change.document)["spec"],
        "actor": change.actor,
        "time_ns": change.time_ns,
    }
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def decode(subject: str, data: bytes) -> Change:
    """The other half of `encode`.

    Raises:
        InvalidArgument: BAD_CONFIG_ENTRY, or DocumentErrors; the record is not one of this release.
    """
    content = _json(data)
    if content.get("version") != RECORD_VERSION:
        raise _bad(f"version {content.get('version')!r} is not known")
    try:
        kind, operation = Kind(content.get("kind", "")), Operation(content.get("op", ""))
    except ValueError as err:
        raise _bad(str(err)) from err
    tenant, name = content.get("tenant"), content.get("name")
    if not isinstance(name, str) or not isinstance(tenant, str | None):
        raise _bad("name or tenant is not text")
    document = document_from_json(content, source=subject) if operation is Operation.APPLY else None
    version = str(content.get("effective_from") or "")
    dates = {version, version_of(document.spec)} if document is not None and version else {version}
    if len(dates) > 1 or subject_for(kind, tenant, name, version) != subject:
        raise _bad(f"{kind} {tenant} {name} {version} does not belong to subject {subject}")
    time_ns = content.get("time_ns")
    return Change(
        kind,
        tenant,
        name,
        document,
        str(content.get("actor", "")),
        time_ns if isinstance(time_ns, int) else 0,
        version,
    )


def message_id(subject: str, last_seq: int, change: Change) -> str:
    """Id of a change made on top of `last_seq`.

    The same change on the same state is the same message, also when two people make it; applying
    A, B and A again are three messages.
    """
    spec = None if change.document is None else document_to_json(change.document)
    text = json.dumps([subject, last_seq, spec], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise _bad("is not JSON") from err
    if not isinstance(content, dict):
        raise _bad("is not a JSON object")
    return content


def _bad(reason: str) -> InvalidArgument:
    return InvalidArgument(f"CONFIG record: {reason}", reason="BAD_CONFIG_ENTRY")
