"""Protobuf to model for requests: form is checked here, meaning in the use cases."""

from fractions import Fraction

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.sla.errors import BadWindow
from services.sla.paging import PageRequest
from services.sla.serve import Asked, SliceQuery
from services.sla.windows import Calendar, Custom, Period, Rolling, WindowRequest
from threenines.sla.v1 import sla_pb2, sla_service_pb2

PERIODS_BY_PROTO = {
    sla_pb2.CALENDAR_PERIOD_DAY: Period.DAY,
    sla_pb2.CALENDAR_PERIOD_WEEK: Period.WEEK,
    sla_pb2.CALENDAR_PERIOD_MONTH: Period.MONTH,
    sla_pb2.CALENDAR_PERIOD_QUARTER: Period.QUARTER,
    sla_pb2.CALENDAR_PERIOD_YEAR: Period.YEAR,
}
_LATEST_S = 4_102_444_800
_NS_PER_S = 1_000_000_000

FigureRequest = (
    sla_service_pb2.GetUptimeRequest
    | sla_service_pb2.GetLatencyRequest
    | sla_service_pb2.GetSlaStatusRequest
    | sla_service_pb2.BatchGetSlaStatusRequest
)
ListRequest = (
    sla_service_pb2.ListContractsRequest
    | sla_service_pb2.ListObjectivesRequest
    | sla_service_pb2.ListMaintenanceWindowsRequest
    | sla_service_pb2.QuerySlicesRequest
    | sla_service_pb2.ListSlaReportsRequest
    | sla_service_pb2.ListDowntimeRequest
)


def asked_from_proto(request: FigureRequest) -> Asked:
    """Window and as_of_time of a question about figures.

    Raises:
        BadWindow: not a window.
    """
    window = window_from_proto(request.window) if request.HasField("window") else None
    as_of = milliseconds(request.as_of_time, "as_of_time") if request.HasField("as_of_time") else None
    return Asked(window, as_of)


def window_from_proto(window: sla_pb2.Window) -> WindowRequest | None:
    """The window; None when no kind is set, which means the objective's own. Raises BadWindow."""
    match window.WhichOneof("kind"):
        case "rolling_period":
            return Rolling(_length_ms(window.rolling_period))
        case "calendar":
            period = PERIODS_BY_PROTO.get(window.calendar.period)
            if period is None:
                raise BadWindow("name a calendar period", field="window.calendar.period")
            inside = window.calendar.inside_time if window.calendar.HasField("inside_time") else None
            field = "window.calendar.inside_time"
            return Calendar(period, None if inside is None else milliseconds(inside, field))
        case "custom":
            custom = window.custom
            if not custom.HasField("start_time") or not custom.HasField("end_time"):
                raise BadWindow("needs a start and an end", field="window.custom")
            return Custom(
                milliseconds(custom.start_time, "window.custom.start_time"),
                milliseconds(custom.end_time, "window.custom.end_time"),
            )
        case _:
            return None


def quantile_from_proto(request: sla_service_pb2.GetLatencyRequest) -> Fraction | None:
    """The quantile asked for; None for the objective's own. Raises BadWindow (BAD_QUANTILE)."""
    if not request.HasField("quantile"):
        return None
    if request.quantile.denominator <= 0:
        raise BadWindow("needs a positive denominator", field="quantile", reason="BAD_QUANTILE")
    return Fraction(request.quantile.numerator, request.quantile.denominator)


def slice_query_from_proto(request: sla_service_pb2.QuerySlicesRequest) -> SliceQuery:
    """Which slices. Raises BadWindow."""
    start, end, as_of = (
        milliseconds(getattr(request, name), name) if request.HasField(name) else None
        for name in ("start_time", "end_time", "as_of_time")
    )
    return SliceQuery(start, end, as_of, provisional=request.include_provisional)


def page_from_proto(request: ListRequest) -> PageRequest:
    """Size and token; everything else of the request is what the token belongs to."""
    rest = type(request)()
    rest.CopyFrom(request)  # type: ignore[arg-type]  # the same type on both sides
    rest.ClearField("page_size")
    rest.ClearField("page_token")
    return PageRequest(request.page_size, request.page_token, rest.SerializeToString(deterministic=True))


def _length_ms(period: Duration) -> int:
    if not 0 <= period.seconds <= _LATEST_S or not 0 <= period.nanos < _NS_PER_S:
        raise BadWindow("is not a length of time", field="window.rolling_period")
    nanos = period.seconds * _NS_PER_S + period.nanos
    if nanos % 1_000_000:
        raise BadWindow("must be whole milliseconds", field="window.rolling_period")
    return nanos // 1_000_000


def milliseconds(time: Timestamp, field: str) -> int:
    """Unix milliseconds, floored. Raises BadWindow."""
    if not 0 <= time.seconds <= _LATEST_S or not 0 <= time.nanos < _NS_PER_S:
        raise BadWindow("is not a time between 1970 and 2100", field=field)
    return time.seconds * 1000 + time.nanos // 1_000_000
