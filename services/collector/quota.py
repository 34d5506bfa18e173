"""What a tenant may send: the values of a quota, and the one in force for each tenant.

Values live in CONFIG; what they are applied to lives elsewhere (`rate.py`, `series_gate.py`).
"""

from dataclasses import dataclass

from services.common.config_feed import ConfigFeed
from services.common.documents import Kind
from services.common.documents_platform import QUOTA_NAME, QuotaSpec
from services.common.settings import Settings

_BURST_S = 10
"""Seconds of the rate that may arrive at once, where the quota does not say."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of one tenant; 0 is unlimited."""

    points_per_second: int = 0
    burst_points: int = 0
    bytes_per_second: int = 0
    active_series: int = 0

    @property
    def points_at_once(self) -> int:
        """Capacity of the bucket of points."""
        return self.burst_points or _BURST_S * self.points_per_second

    @property
    def bytes_at_once(self) -> int:
        """Capacity of the bucket of bytes."""
        return _BURST_S * self.bytes_per_second

    @classmethod
    def from_settings(cls, settings: Settings) -> "Quota":
        """The platform's default."""
        return cls(
            points_per_second=settings.quota_points_per_second,
            burst_points=settings.quota_burst_points,
            bytes_per_second=settings.quota_bytes_per_second,
            active_series=settings.quota_active_series,
        )

    @classmethod
    def from_spec(cls, spec: QuotaSpec) -> "Quota":
        """A tenant's own."""
        return cls(spec.points_per_second, spec.burst_points, spec.bytes_per_second, spec.active_series)

    def to_spec(self) -> QuotaSpec:
        """As a document."""
        return QuotaSpec(
            points_per_second=self.points_per_second,
            burst_points=self.burst_points,
            bytes_per_second=self.bytes_per_second,
            active_series=self.active_series,
        )


@dataclass(frozen=True, slots=True)
class QuotaInfo:
    """A quota as it may be shown. `seq` is its place in CONFIG, 0 for the platform's default."""

    tenant: str
    quota: Quota
    seq: int = 0
    changed_ns: int | None = None
    """Unix nanoseconds."""


class QuotasInForce:
    """The quota of each tenant as the configuration feed has it now."""

    def __init__(self, feed: ConfigFeed, default: Quota) -> None:
        self._feed = feed
        self.default = default
        self._quotas: dict[str, Quota] = {}
        self._read()
        feed.on_change(self._read)

    def of(self, tenant: str) -> Quota:
        """The quota that counts for a tenant."""
        return self._quotas.get(tenant, self.default)

    def _read(self) -> None:
        self._quotas = {
            one.tenant: Quota.from_spec(one.spec)
            for one in self._feed.documents(Kind.QUOTA)
            if one.tenant is not None and one.name == QUOTA_NAME and isinstance(one.spec, QuotaSpec)
        }
