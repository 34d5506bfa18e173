"""`kind: Tenant`, `Quota`, `Token` and `Platform`: who is there, and where things run.

Tokens are never written in YAML: they are minted by the collector and only their hash is stored.
"""

from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.common.documents_maintenance import MaintenanceWindowSpec as MaintenanceWindowSpec
from services.common.documents_values import AnyDuration, Duration, Name, Spec, TenantId
from services.common.settings import MOST_WORKERS, AuthMode, Environment

MAX_LIMIT = 10**12
QUOTA_NAME = "quota"


def _address(value: str) -> str:
    parts = urlsplit(value)
    if not parts.scheme or not parts.hostname:
        raise ValueError("must be a URL such as http://host:port")
    if parts.password:
        raise ValueError("must not hold a password; set the THREENINES_*_URL environment variable instead")
    return value


Address = Annotated[str, AfterValidator(_address)]


RetentionTable = Literal["points", "histograms", "exp_histograms", "summaries", "exemplars"]
RETENTION_TABLES: tuple[RetentionTable, ...] = get_args(RetentionTable)
_DAY_NS = 86_400 * 10**9
# Points are accepted up to 7 days late; whatever is accepted must be there for a while.
_MIN_RETENTION_DAYS, _MAX_RETENTION_DAYS = 9, 3650


def _whole_days(value: Duration) -> Duration:
    if value.ns % _DAY_NS or not _MIN_RETENTION_DAYS <= value.ns // _DAY_NS <= _MAX_RETENTION_DAYS:
        raise ValueError(f"must be whole days from {_MIN_RETENTION_DAYS}d to {_MAX_RETENTION_DAYS}d")
    return value


RetentionTime = Annotated[AnyDuration, AfterValidator(_whole_days)]


class TenantSpec(Spec):
    """A client company; `retention` is how long its raw points are kept, `table_retention` that of
    single tables; `timestamps` whether times are kept to the millisecond or to the nanosecond. Both hold
    for what is stored after they are applied."""

    display_name: str = Field(default="", max_length=200)
    retention: RetentionTime | None = None
    table_retention: dict[RetentionTable, RetentionTime] = Field(default_factory=dict)
    timestamps: Literal["ms", "ns"] = "ms"

    def keep_days(self, table: RetentionTable) -> int | None:
        """Days that rows of a table are kept, None where this document does not say."""
        said = self.table_retention.get(table, self.retention)
        return None if said is None else said.ns // _DAY_NS


class QuotaSpec(Spec):
    """How much a tenant may send; 0 is unlimited. A tenant's is named QUOTA_NAME."""

    points_per_second: int = Field(default=0, ge=0, le=MAX_LIMIT)
    burst_points: int = Field(default=0, ge=0, le=MAX_LIMIT)
    """Points at once; 0 is ten seconds of the rate."""
    bytes_per_second: int = Field(default=0, ge=0, le=MAX_LIMIT)
    active_series: int = Field(default=0, ge=0, le=MAX_LIMIT)

    @model_validator(mode="after")
    def _burst_holds_a_second(self) -> "QuotaSpec":
        if 0 < self.burst_points < self.points_per_second:
            raise ValueError("burst_points: must be at least points_per_second, or 0")
        return self


class TokenSpec(Spec):
    """An API token as stored: the hash of its secret, never the secret."""

    token_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    tenant: TenantId | Annotated[str, StringConstraints(pattern=r"^\*$")]
    role: Annotated[str, StringConstraints(pattern=r"^(writer|reader|operator|auditor|admin)$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    revoked: bool = False


class PlatformSpec(Spec):
    """Where engines run when they are not embedded; only `threenines up` reads it."""

    nats_url: Address | None = None
    clickhouse_url: Address | None = None
    redis_url: Address | None = None
    auth: AuthMode = AuthMode.TOKEN
    region: Name = "local"
    environment: Environment = Environment.LAPTOP
    collector_workers: int | None = Field(default=None, ge=1, le=MOST_WORKERS)
    """Processes that receive."""

    @model_validator(mode="after")
    def _safe(self) -> "PlatformSpec":
        if self.auth is AuthMode.NONE and self.environment is Environment.PRODUCTION:
            raise ValueError("auth: none is for the laptop only")
        return self
