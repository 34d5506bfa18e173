"""A document after its checks: what the rest of the system passes around."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from services.common.documents_alerting import BurnRateRule, OutageRule, ReceiverSpec
from services.common.documents_contract import ContractSpec
from services.common.documents_platform import (
    MaintenanceWindowSpec,
    PlatformSpec,
    QuotaSpec,
    TenantSpec,
    TokenSpec,
)


class Kind(StrEnum):
    """The kinds of documents that this release knows."""

    TENANT = "Tenant"
    CONTRACT = "Contract"
    ALERT_RULE = "AlertRule"
    RECEIVER = "Receiver"
    MAINTENANCE_WINDOW = "MaintenanceWindow"
    PLATFORM = "Platform"
    QUOTA = "Quota"
    TOKEN = "Token"  # noqa: S105 - the name of a kind


DocumentSpec: TypeAlias = (
    TenantSpec
    | ContractSpec
    | OutageRule
    | BurnRateRule
    | ReceiverSpec
    | MaintenanceWindowSpec
    | PlatformSpec
    | QuotaSpec
    | TokenSpec
)


DocumentKey: TypeAlias = tuple[Kind, str | None, str, str]
"""Kind, tenant, name, and the version: the effective date of a contract, empty for other kinds."""


def version_of(spec: DocumentSpec) -> str:
    """What tells documents of one name apart."""
    return spec.effective_from.isoformat() if isinstance(spec, ContractSpec) else ""


@dataclass(frozen=True, slots=True)
class Document:
    """One valid document. `tenant` is None for kinds of the platform, `*` for all tenants."""

    kind: Kind
    tenant: str | None
    name: str
    spec: DocumentSpec

    @property
    def key(self) -> DocumentKey:
        """What makes a document the same one when it is applied again."""
        return (self.kind, self.tenant, self.name, version_of(self.spec))
