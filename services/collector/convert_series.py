"""Messages about series and our model, in pairs. Pure."""

from google.protobuf.timestamp_pb2 import Timestamp

from services.collector.convert import timestamp
from services.collector.model import NANOSECONDS_IN_MS, NANOSECONDS_IN_S, MetricType, Temporality
from services.collector.series_model import Extent, SeriesInfo, SeriesPage, SeriesRequest, ValuesPage
from threenines.collector.v1 import collector_pb2, collector_service_pb2

_TYPES = {
    MetricType.GAUGE: collector_pb2.METRIC_TYPE_GAUGE,
    MetricType.SUM: collector_pb2.METRIC_TYPE_SUM,
    MetricType.HISTOGRAM: collector_pb2.METRIC_TYPE_HISTOGRAM,
    MetricType.EXP_HISTOGRAM: collector_pb2.METRIC_TYPE_EXPONENTIAL_HISTOGRAM,
    MetricType.SUMMARY: collector_pb2.METRIC_TYPE_SUMMARY,
}
_TEMPORALITIES = {
    Temporality.UNSPECIFIED: collector_pb2.AGGREGATION_TEMPORALITY_UNSPECIFIED,
    Temporality.DELTA: collector_pb2.AGGREGATION_TEMPORALITY_DELTA,
    Temporality.CUMULATIVE: collector_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE,
}


def request_from_proto(
    request: collector_service_pb2.ListSeriesRequest | collector_service_pb2.ListAttributeValuesRequest,
    tenant: str,
) -> SeriesRequest:
    """What both requests have in common; `tenant` is that of `parent`."""
    return SeriesRequest(
        tenant=tenant,
        metric=request.metric,
        attributes=dict(request.attributes),
        start_ns=_time_ns(request.start_time) if request.HasField("start_time") else None,
        end_ns=_time_ns(request.end_time) if request.HasField("end_time") else None,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def page_to_proto(tenant: str, page: SeriesPage) -> collector_service_pb2.ListSeriesResponse:
    """A page of series."""
    return collector_service_pb2.ListSeriesResponse(
        series=[series_to_proto(tenant, series, extent) for series, extent in page.series],
        next_page_token=page.next_page,
    )


def values_to_proto(page: ValuesPage) -> collector_service_pb2.ListAttributeValuesResponse:
    """A page of values."""
    return collector_service_pb2.ListAttributeValuesResponse(
        values=page.values, next_page_token=page.next_page
    )


def series_to_proto(tenant: str, series: SeriesInfo, extent: Extent) -> collector_pb2.Series:
    """One series."""
    return collector_pb2.Series(
        name=f"tenants/{tenant}/series/{series.place.series_id:016x}",
        metric=series.place.metric,
        unit=series.unit,
        type=_TYPES[series.type],
        temporality=_TEMPORALITIES[series.temporality],
        monotonic=series.monotonic,
        resource_attributes=series.resource_attributes,
        scope_name=series.scope_name,
        scope_version=series.scope_version,
        attributes=series.attributes,
        first_seen_time=timestamp(extent.first_ms * NANOSECONDS_IN_MS),
        last_seen_time=timestamp(extent.last_ms * NANOSECONDS_IN_MS),
    )


def _time_ns(time: Timestamp) -> int:
    return time.seconds * NANOSECONDS_IN_S + time.nanos
