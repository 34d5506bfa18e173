"""The tables of the kernels against the descriptors of the package that the oracle comes from."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from services.collector.kernels import schema
from services.collector.model import MetricType, ValueKind

MESSAGES = {
    schema.RESOURCE: Resource.DESCRIPTOR,
    schema.ENTITY_REF: EntityRef.DESCRIPTOR,
    schema.SCOPE: InstrumentationScope.DESCRIPTOR,
    schema.KEY_VALUE: KeyValue.DESCRIPTOR,
    schema.ANY_VALUE: AnyValue.DESCRIPTOR,
    schema.ARRAY: ArrayValue.DESCRIPTOR,
    schema.KEY_VALUES: KeyValueList.DESCRIPTOR,
    schema.RESOURCE_METRICS: ResourceMetrics.DESCRIPTOR,
    schema.SCOPE_METRICS: ScopeMetrics.DESCRIPTOR,
    schema.METRIC: Metric.DESCRIPTOR,
    schema.EXEMPLAR: Exemplar.DESCRIPTOR,
    schema.QUANTILE: SummaryDataPoint.ValueAtQuantile.DESCRIPTOR,
}
DATA = {"Gauge", "Sum", "Histogram", "ExponentialHistogram", "Summary"}


def _content(field: FieldDescriptor, kinds: dict[str, int]) -> int:
    if field.type == FieldDescriptor.TYPE_STRING:
        return schema.STRING
    if field.message_type is None or field.message_type.name in DATA:
        return schema.OPAQUE
    return kinds[field.message_type.full_name]


def test_every_field_is_looked_into_as_its_descriptor_says() -> None:
    kinds = {descriptor.full_name: kind for kind, descriptor in MESSAGES.items()}
    for kind, descriptor in MESSAGES.items():
        wanted = [schema.OPAQUE] * schema.FIELD_LIMIT
        for field in descriptor.fields:
            wanted[field.number] = _content(field, kinds)

        assert schema.FIELDS[kind].tolist() == wanted, descriptor.name


def test_no_message_of_otlp_is_missing() -> None:
    seen: set[str] = set()

    def visit(descriptor: Descriptor) -> None:
        if descriptor.name not in seen:
            seen.add(descriptor.name)
            for field in descriptor.fields:
                if field.message_type is not None:
                    visit(field.message_type)

    visit(ExportMetricsServiceRequest.DESCRIPTOR)
    points = {f"{name}DataPoint" for name in ("Number", "Histogram", "ExponentialHistogram", "Summary")}
    own_kernels = DATA | points | {"Buckets", "ExportMetricsServiceRequest"}

    assert seen == {descriptor.name for descriptor in MESSAGES.values()} | own_kernels


def test_types_and_kinds_have_the_codes_of_the_columns() -> None:
    types = [schema.GAUGE, schema.SUM, schema.HISTOGRAM, schema.EXP_HISTOGRAM, schema.SUMMARY]

    assert types == list(MetricType)
    assert list(ValueKind) == [schema.VALUE_NONE, schema.VALUE_INT, schema.VALUE_DOUBLE]


def test_data_and_exemplar_tags_are_those_of_the_descriptors() -> None:
    tags = [
        schema.TAG_GAUGE,
        schema.TAG_SUM,
        schema.TAG_HISTOGRAM,
        schema.TAG_EXP_HISTOGRAM,
        schema.TAG_SUMMARY,
    ]
    fields = Metric.DESCRIPTOR.oneofs_by_name["data"].fields

    assert tags == [field.number << 3 | 2 for field in fields]
    for field, tag in zip(fields, schema.TAG_EXEMPLAR[1:], strict=True):
        point = field.message_type.fields_by_name["data_points"].message_type
        exemplars = point.fields_by_name.get("exemplars")
        assert tag == (exemplars.number << 3 | 2 if exemplars else 0)
    assert NumberDataPoint.DESCRIPTOR.fields_by_name["attributes"].number == 7
