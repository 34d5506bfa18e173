"""Changing a tenant's quota: a document of the CONFIG stream, on top of the one that was read."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

from services.collector.quota import Quota, QuotaInfo
from services.common.auth import Role, current_principal, require_platform
from services.common.clock import Clock
from services.common.config_entries import decode, subject_for
from services.common.config_feed import ConfigFeed, put_document
from services.common.documents import Document, Kind
from services.common.documents_platform import MAX_LIMIT, QUOTA_NAME, QuotaSpec
from services.common.errors import Aborted, InvalidArgument, NotFound, ThreeninesError
from services.common.log_port import Log
from services.common.streams import CONFIG

FIELDS = ("points_per_second", "burst_points", "bytes_per_second", "active_series")


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """The `fields` of `wish` for a tenant; an `etag` that is not empty must be the current one."""

    tenant: str
    wish: Quota
    fields: Collection[str]
    etag: str = ""


class QuotaAdministration:
    """The use cases; each checks who asks. `default` is the quota of who has none of its own."""

    def __init__(
        self,
        *,
        log: Log,
        feed: ConfigFeed,
        clock: Clock,
        default: Quota,
        followed: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """`followed` as of `Tenants`."""
        self._followed = followed or feed.wait_for
        self._log = log
        self._feed = feed
        self._clock = clock
        self._default = default

    async def set_quota(self, change: QuotaChange) -> QuotaInfo:
        """Change fields of a tenant's quota and return it as it is in force then.

        Raises:
            PermissionDenied: only the platform says what a tenant may send.
            InvalidArgument: a limit that cannot be.
            NotFound: TENANT_UNKNOWN.
            Aborted: ETAG_MISMATCH, or FENCED when somebody changed it at the same time.
        """
        require_platform(Role.ADMIN)
        tenant = change.tenant
        if self._feed.get(Kind.TENANT, None, tenant) is None and tenant != current_principal().tenant:
            raise NotFound(f"tenant {tenant} does not exist", reason="TENANT_UNKNOWN")
        before = await self.read(tenant)
        if change.etag and change.etag != etag_of(before):
            raise Aborted(
                "the quota changed since it was read",
                reason="ETAG_MISMATCH",
                next_step="Read it again with GetTenantUsage.",
            )
        after = replace(before.quota, **{name: getattr(change.wish, name) for name in change.fields})
        _check(after)
        document = Document(Kind.QUOTA, tenant, QUOTA_NAME, after.to_spec())
        applied = await put_document(
            self._log,
            document,
            actor=current_principal().token_id,
            clock=self._clock,
            expected_seq=before.seq,
        )
        await self._followed(applied.seq)
        return await self.read(tenant)

    async def read(self, tenant: str) -> QuotaInfo:
        """The quota of a tenant as the log has it. Checks no rights.

        Raises:
            Unavailable: the log does not answer.
        """
        entry = await self._log.last_entry(CONFIG, subject_for(Kind.QUOTA, tenant, QUOTA_NAME))
        if entry is None:
            return QuotaInfo(tenant, self._default)
        try:
            document = decode(entry.subject, entry.data).document
        except ThreeninesError:
            # The feed passes over a record that this release cannot read as well.
            return QuotaInfo(tenant, self._default, entry.seq, entry.time_ns)
        if document is None or not isinstance(document.spec, QuotaSpec):
            return QuotaInfo(tenant, self._default, entry.seq)
        return QuotaInfo(tenant, Quota.from_spec(document.spec), entry.seq, entry.time_ns)


def etag_of(info: QuotaInfo) -> str:
    """Changes with each update."""
    return f"q{info.seq}"


def _check(quota: Quota) -> None:
    for name in FIELDS:
        if not 0 <= getattr(quota, name) <= MAX_LIMIT:
            raise InvalidArgument(f"{name}: a limit is 0 to {MAX_LIMIT}", field=f"quota.{_PROTO[name]}")
    if 0 < quota.burst_points < quota.points_per_second:
        raise InvalidArgument(
            "the burst must hold a second of the rate, or be 0", field="quota.burst_point_count"
        )


_PROTO = {
    "points_per_second": "points_per_second_count",
    "burst_points": "burst_point_count",
    "bytes_per_second": "bytes_per_second",
    "active_series": "active_series_count",
}
PROTO_FIELDS = {proto: name for name, proto in _PROTO.items()}
"""Our names by those of the contract's TenantQuota."""
