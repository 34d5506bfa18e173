"""Quotas and usage: the contract's messages and our model, in pairs. Pure."""

from services.collector.convert import timestamp
from services.collector.model import MetricType
from services.collector.quota import Quota, QuotaInfo
from services.collector.set_quota import FIELDS, PROTO_FIELDS, QuotaChange, etag_of
from services.collector.usage import Usage, UsageRequest
from services.common.errors import InvalidArgument
from threenines.collector.v1 import collector_pb2, collector_service_pb2

_TYPES = {
    MetricType.GAUGE: collector_pb2.METRIC_TYPE_GAUGE,
    MetricType.SUM: collector_pb2.METRIC_TYPE_SUM,
    MetricType.HISTOGRAM: collector_pb2.METRIC_TYPE_HISTOGRAM,
    MetricType.EXP_HISTOGRAM: collector_pb2.METRIC_TYPE_EXPONENTIAL_HISTOGRAM,
    MetricType.SUMMARY: collector_pb2.METRIC_TYPE_SUMMARY,
}
_OUTPUT_ONLY = frozenset({"name", "update_time", "etag"})


def usage_tenant(name: str) -> str:
    """`{tenant}` of `tenants/{tenant}/usage`.

    Raises:
        InvalidArgument: another shape.
    """
    return _tenant_of(name, "usage", field="name")


def quota_from_proto(quota: collector_pb2.TenantQuota) -> Quota:
    """The limits that are asked for."""
    return Quota(
        points_per_second=quota.points_per_second_count,
        burst_points=quota.burst_point_count,
        bytes_per_second=quota.bytes_per_second,
        active_series=quota.active_series_count,
    )


def change_from_proto(request: collector_service_pb2.SetTenantQuotaRequest) -> QuotaChange:
    """What is to change; all fields without a mask.

    Raises:
        InvalidArgument: the name has another shape than `tenants/{tenant}/quota`, or a field that does
            not exist.
    """
    tenant = _tenant_of(request.quota.name, "quota", field="quota.name")
    return QuotaChange(tenant, quota_from_proto(request.quota), _fields(request), request.quota.etag)


def _fields(request: collector_service_pb2.SetTenantQuotaRequest) -> tuple[str, ...]:
    if not request.HasField("update_mask"):
        return FIELDS
    paths = [path for path in request.update_mask.paths if path not in _OUTPUT_ONLY]
    if "*" in paths:
        return FIELDS
    unknown = [path for path in paths if path not in PROTO_FIELDS]
    if unknown:
        raise InvalidArgument(f"a quota has no field {unknown[0]}", field="update_mask")
    return tuple(PROTO_FIELDS[path] for path in paths)


def quota_to_proto(info: QuotaInfo) -> collector_pb2.TenantQuota:
    """A quota."""
    return collector_pb2.TenantQuota(
        name=f"tenants/{info.tenant}/quota",
        points_per_second_count=info.quota.points_per_second,
        burst_point_count=info.quota.burst_points,
        bytes_per_second=info.quota.bytes_per_second,
        active_series_count=info.quota.active_series,
        update_time=timestamp(info.changed_ns),
        etag=etag_of(info),
    )


def usage_from_proto(request: collector_service_pb2.GetTenantUsageRequest, tenant: str) -> UsageRequest:
    """The question."""
    return UsageRequest(
        tenant=tenant,
        start_ns=request.start_time.ToNanoseconds() if request.HasField("start_time") else None,
        end_ns=request.end_time.ToNanoseconds() if request.HasField("end_time") else None,
        top=request.top_count,
    )


def usage_to_proto(usage: Usage) -> collector_pb2.TenantUsage:
    """The answer."""
    stored = usage.stored
    return collector_pb2.TenantUsage(
        name=f"tenants/{usage.tenant}/usage",
        start_time=timestamp(usage.start_ns),
        end_time=timestamp(usage.end_ns),
        series_count=stored.series,
        point_count=sum(count for _, count in stored.points),
        types=[
            collector_pb2.TypeUsage(type=_TYPES[kind], point_count=count) for kind, count in stored.points
        ],
        top_metrics=[
            collector_pb2.MetricCardinality(metric=metric, series_count=series)
            for metric, series in stored.metrics
        ],
        top_attributes=[
            collector_pb2.AttributeCardinality(attribute=key, value_count=values, series_count=series)
            for key, values, series in stored.attributes
        ],
        active_series_count=usage.active_series,
        quota=quota_to_proto(usage.quota),
    )


def _tenant_of(name: str, collection: str, *, field: str) -> str:
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "tenants" or not parts[1] or parts[2] != collection:
        raise InvalidArgument(f"must be `tenants/{{tenant}}/{collection}`", field=field)
    return parts[1]
