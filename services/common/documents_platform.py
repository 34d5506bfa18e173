"""`kind: Tenant`, `MaintenanceWindow`, `Token` and `Platform`: who is there, and where things run.

Tokens are never written in YAML: they are minted by the collector and only their hash is stored.
"""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from services.common.documents_values import Name, Spec, TenantId


def _address(value: str) -> str:
    parts = urlsplit(value)
    if not parts.scheme or not parts.hostname:
        raise ValueError("must be a URL such as http://host:port")
    if parts.password:
        raise ValueError("must not hold a password; set the THREENINES_*_URL environment variable instead")
    return value


Address = Annotated[str, AfterValidator(_address)]


class TenantSpec(Spec):
    """A client company."""

    display_name: str = Field(default="", max_length=200)


class MaintenanceWindowSpec(Spec):
    """Announced downtime, half open, of all contracts of the tenant or of the named ones."""

    start: AwareDatetime
    end: AwareDatetime
    contracts: tuple[Name, ...] = ()
    reason: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> "MaintenanceWindowSpec":
        if self.end <= self.start:
            raise ValueError("end: must be after start")
        return self


class TokenSpec(Spec):
    """An API token as stored: the hash of its secret, never the secret."""

    token_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    tenant: TenantId | Annotated[str, StringConstraints(pattern=r"^\*$")]
    role: Annotated[str, StringConstraints(pattern=r"^(writer|reader|operator|auditor|admin)$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    revoked: bool = False


class AuthMode(StrEnum):
    """Whether callers must show a token."""

    TOKEN = "token"  # noqa: S105 - the name of a mode
    NONE = "none"


class PlatformEnvironment(StrEnum):
    """A laptop may do without tokens and TLS, production may not."""

    LAPTOP = "laptop"
    PRODUCTION = "production"


class PlatformSpec(Spec):
    """Where engines run when they are not embedded; only `threenines up` reads it."""

    nats_url: Address | None = None
    clickhouse_url: Address | None = None
    redis_url: Address | None = None
    auth: AuthMode = AuthMode.TOKEN
    region: Name = "local"
    environment: PlatformEnvironment = PlatformEnvironment.LAPTOP

    @model_validator(mode="after")
    def _safe(self) -> "PlatformSpec":
        if self.auth is AuthMode.NONE and self.environment is PlatformEnvironment.PRODUCTION:
            raise ValueError("auth: none is for the laptop only")
        return self
