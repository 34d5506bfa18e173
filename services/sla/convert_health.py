"""Platform health to protobuf. Pure."""

from services.sla.convert_values import duration
from services.sla.platform_health_model import Component, ComponentState, Indicator, Measure, PlatformHealth
from threenines.sla.v1 import sla_pb2, sla_service_pb2

_STATES = {
    ComponentState.UNKNOWN: sla_pb2.COMPONENT_STATE_UNSPECIFIED,
    ComponentState.HEALTHY: sla_pb2.COMPONENT_STATE_HEALTHY,
    ComponentState.DEGRADED: sla_pb2.COMPONENT_STATE_DEGRADED,
    ComponentState.DOWN: sla_pb2.COMPONENT_STATE_DOWN,
}
_MEASURES = {
    Measure.RESPONSE_TIME: sla_pb2.HEALTH_MEASURE_RESPONSE_TIME,
    Measure.ERROR_RATE: sla_pb2.HEALTH_MEASURE_ERROR_RATE,
    Measure.THROUGHPUT: sla_pb2.HEALTH_MEASURE_THROUGHPUT,
    Measure.DATABASE_TIME: sla_pb2.HEALTH_MEASURE_DATABASE_TIME,
    Measure.LAG: sla_pb2.HEALTH_MEASURE_LAG,
}


def health_to_proto(health: PlatformHealth) -> sla_service_pb2.GetPlatformHealthResponse:
    """The whole answer."""
    return sla_service_pb2.GetPlatformHealthResponse(
        state=_STATES[health.state],
        components=[_component(one) for one in health.components],
        region=f"regions/{health.region}",
    )


def _component(one: Component) -> sla_pb2.ComponentHealth:
    out = sla_pb2.ComponentHealth(
        component=one.name,
        state=_STATES[one.state],
        message=one.message,
        indicators=[_indicator(each) for each in one.indicators],
    )
    out.probe_time.FromNanoseconds(one.probed_ns)
    if one.lag_ms is not None:
        out.lag.CopyFrom(duration(one.lag_ms))
    return out


def _indicator(one: Indicator) -> sla_pb2.HealthIndicator:
    return sla_pb2.HealthIndicator(
        name=one.name,
        measure=_MEASURES[one.measure],
        current=one.current,
        baseline=one.baseline,
        deviation=one.deviation,
        limit=one.limit,
        samples=one.samples,
        state=_STATES[one.state],
        reason=one.reason,
    )
