"""The contract's messages and our model, in pairs. Pure."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.collector.model import (
    PointCounts,
    StatusReport,
    StreamReport,
    TenantInfo,
    TenantReport,
    TokenInfo,
    TokenPage,
)
from services.common.auth import Role
from services.common.errors import InvalidArgument, NotBuilt
from threenines.collector.v1 import collector_pb2, collector_service_pb2

_ROLES = {
    collector_pb2.TOKEN_ROLE_WRITER: Role.WRITER,
    collector_pb2.TOKEN_ROLE_READER: Role.READER,
    collector_pb2.TOKEN_ROLE_OPERATOR: Role.OPERATOR,
    collector_pb2.TOKEN_ROLE_AUDITOR: Role.AUDITOR,
    collector_pb2.TOKEN_ROLE_ADMIN: Role.ADMIN,
}
_ROLE_CODES = {role: code for code, role in _ROLES.items()}


def tenant_from_proto(request: collector_service_pb2.CreateTenantRequest) -> TenantInfo:
    """The tenant that is asked for.

    Raises:
        NotBuilt: a residency class: saying yes would promise a placement that nobody makes.
    """
    if request.tenant.residency_class:
        raise NotBuilt("residency classes are not built yet", reason="RESIDENCY_NOT_BUILT")
    return TenantInfo(request.tenant_id, request.tenant.display_name)


def role_from_proto(token: collector_pb2.Token) -> str:
    """The role of the token that is asked for; the empty text when it is not given or not known.

    Raises:
        NotBuilt: an expiry: a token that does not expire would not be what was asked for.
    """
    if token.HasField("expire_time"):
        raise NotBuilt("expiring tokens are not built yet", reason="TOKEN_EXPIRY_NOT_BUILT")
    found = _ROLES.get(token.role)
    return "" if found is None else found.value


def tenant_from_name(name: str, *, field: str) -> str:
    """`{tenant}` of `tenants/{tenant}`.

    Raises:
        InvalidArgument: another shape.
    """
    head, _, tenant = name.partition("/")
    if head != "tenants" or not tenant or "/" in tenant:
        raise InvalidArgument("must be `tenants/{tenant}`", field=field)
    return tenant


def token_from_name(name: str) -> tuple[str, str]:
    """(tenant, token id) of `tenants/{tenant}/tokens/{token}`.

    Raises:
        InvalidArgument: another shape.
    """
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "tenants" or parts[2] != "tokens" or not parts[1] or not parts[3]:
        raise InvalidArgument("must be `tenants/{tenant}/tokens/{token}`", field="name")
    return parts[1], parts[3]


def tenant_to_proto(tenant: TenantInfo) -> collector_pb2.Tenant:
    """A tenant."""
    return collector_pb2.Tenant(
        name=f"tenants/{tenant.tenant}",
        display_name=tenant.display_name,
        create_time=timestamp(tenant.created_ns),
    )


def token_to_proto(token: TokenInfo) -> collector_pb2.Token:
    """A token. Its creation time is known as long as it is not revoked."""
    return collector_pb2.Token(
        name=f"tenants/{token.tenant}/tokens/{token.token_id}",
        role=_ROLE_CODES[Role(token.role)],
        create_time=None if token.revoked else timestamp(token.changed_ns),
        revoke_time=timestamp(token.changed_ns) if token.revoked else None,
        secret=token.secret,
    )


def token_page_to_proto(page: TokenPage) -> collector_service_pb2.ListTokensResponse:
    """A page of tokens."""
    return collector_service_pb2.ListTokensResponse(
        tokens=[token_to_proto(token) for token in page.tokens], next_page_token=page.next_page or ""
    )


def status_to_proto(report: StatusReport) -> collector_service_pb2.GetStatusResponse:
    """The status of ingestion."""
    return collector_service_pb2.GetStatusResponse(
        region=f"regions/{report.region}",
        read_time=timestamp(report.read_ns),
        count_start_time=timestamp(report.since_ns),
        streams=[_stream_to_proto(report.stream)],
        tenants=[_tenant_status_to_proto(tenant) for tenant in report.tenants],
        store_reachable=report.store_reachable,
    )


def timestamp(time_ns: int | None) -> Timestamp | None:
    """Unix nanoseconds as a Timestamp; None stays absent."""
    if time_ns is None:
        return None
    return Timestamp(seconds=time_ns // 1_000_000_000, nanos=time_ns % 1_000_000_000)


def duration(length_ns: int) -> Duration:
    """Nanoseconds (not negative) as a Duration."""
    return Duration(seconds=length_ns // 1_000_000_000, nanos=length_ns % 1_000_000_000)


def _counts_to_proto(counts: PointCounts) -> collector_pb2.PointCounts:
    return collector_pb2.PointCounts(
        received_count=counts.received,
        rejected_count=counts.rejected,
        acknowledged_count=counts.acknowledged,
        logged_count=counts.logged,
        written_count=counts.written,
        duplicate_count=counts.duplicate,
        dead_lettered_count=counts.dead_lettered,
    )


def _stream_to_proto(stream: StreamReport) -> collector_pb2.StreamStatus:
    return collector_pb2.StreamStatus(
        stream=stream.stream,
        incarnation=str(stream.incarnation),
        log_last_sequence=stream.log_last_seq,
        written_sequence=stream.written_seq,
        lag_record_count=max(0, stream.log_last_seq - stream.written_seq),
        lag=duration(stream.lag_ns),
        log_time=timestamp(stream.log_time_ns),
        watermark_time=timestamp(stream.watermark_ns),
        stored_bytes=stream.stored_bytes,
        limit_bytes=stream.limit_bytes,
        points=None if stream.points is None else _counts_to_proto(stream.points),
        dead_letter_count=stream.dead_letters,
        series_collision_count=stream.series_collisions,
    )


def _tenant_status_to_proto(tenant: TenantReport) -> collector_pb2.TenantStatus:
    return collector_pb2.TenantStatus(
        tenant=f"tenants/{tenant.tenant}",
        points=_counts_to_proto(tenant.points),
        rejections=[
            collector_pb2.RejectionCount(reason=reason, point_count=count)
            for reason, count in tenant.rejections
        ],
        lag=duration(tenant.lag_ns),
        last_append_time=timestamp(tenant.last_append_ns),
    )
