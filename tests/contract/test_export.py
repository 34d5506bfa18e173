"""What was received can be exported again: every field of OTLP metrics, on both stores.

Compared as messages after `canonical`, and as bytes, since NaN does not equal itself.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    ScopeMetrics,
)

from services.collector.clickhouse import ClickHousePointStore
from services.collector.clickhouse_read import ClickHouseReader
from services.collector.export import export
from services.collector.export_json import to_json
from services.collector.memory import MemoryPointStore
from services.collector.memory_read import MemoryReader
from services.collector.series_model import SeriesFilter
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from tests.collector_store import StoreWriter
from tests.engines_given import clickhouse_server
from tests.otlp_canonical import canonical
from tests.otlp_requests import RequestMaker, attribute

pytestmark = pytest.mark.asyncio(loop_scope="module")

_MS = 1_000_000
_NOW = SystemClock().now_ns()
_TIME = _NOW // _MS * _MS - 3600 * 10**9
_INT64 = (2**63 - 1, -(2**63), 0, -1)
# A quiet NaN with a payload, and one with its sign set.
_NANS = struct.unpack("<2d", struct.pack("<2Q", 0x7FF8_0000_DEAD_BEEF, 0xFFF8_0000_0000_0001))
_DOUBLES = (0.0, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), *_NANS)
_TYPED: dict[str, Any] = {
    "text": "grün\x00",
    "yes": True,
    "no": False,
    "low": -(2**63),
    "real": float("-inf"),
    "raw": b"\xff\x00",
    "list": ["a", 1, [True, {"deep": b"", "a": [1.5]}]],
    "map": {"z": 1, "a": {"inner": ["x"]}},
    "empty": [],
    "nothing": {},
}

Stored = tuple[StoreWriter, MemoryReader | ClickHouseReader]


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["memory", pytest.param("clickhouse", marks=pytest.mark.engines)],
)
async def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stored]:
    """One store for the module: every test has a tenant of its own."""
    if request.param == "memory":
        store = MemoryPointStore()
        yield StoreWriter(store), MemoryReader(store)
        return
    engine = clickhouse_server(tmp_path_factory.mktemp("clickhouse"))
    await asyncio.to_thread(engine.start)
    database = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
    try:
        made = ClickHousePointStore(database, SystemClock())
        await made.database_id()
        yield StoreWriter(made), ClickHouseReader(database)
    finally:
        await database.close()
        await asyncio.to_thread(engine.stop)


async def round_trip(
    stored: Stored,
    tenant: str,
    *requests: ExportMetricsServiceRequest,
    to_the_ns: bool = False,
    **asked: Any,
) -> ExportMetricsServiceRequest:
    """What the export says after these requests were stored."""
    writer, reader = stored
    raws = [each.SerializeToString() for each in requests]
    await writer.write(tenant, raws, now_ns=_NOW, to_the_ns=to_the_ns)
    span = {"start_ms": _NOW // _MS - 86_400_000, "end_ms": _NOW // _MS + 60_000}
    return await export(reader, SeriesFilter(tenant, **{**span, **asked}))


def merged(*requests: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest:
    """All of them as one, in its one form."""
    whole = ExportMetricsServiceRequest()
    for each in requests:
        whole.MergeFrom(each)
    return canonical(whole)


def same(one: ExportMetricsServiceRequest, other: ExportMetricsServiceRequest) -> bool:
    """Equal to the bit."""
    return one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def every_field() -> ExportMetricsServiceRequest:
    """Each field of OTLP's metrics is set somewhere, to a value that a careless store would lose."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add(schema_url="https://resource/1.2")
    resource.resource.attributes.extend(attribute(key, value) for key, value in _TYPED.items())
    resource.resource.attributes.add(key="unset")
    resource.resource.dropped_attributes_count = 2**32 - 1
    resource.resource.entity_refs.add(
        schema_url="https://entity/1", type="host", id_keys=["text"], description_keys=["yes", "no"]
    )
    scope = resource.scope_metrics.add(schema_url="https://scope/3")
    scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "meter", "1.0-β", 5
    scope.scope.attributes.extend([attribute("scope.key", 1.5), attribute("twice", 1)])
    _gauge(scope)
    _sums(scope)
    _histograms(scope)
    _exp_histograms(scope)
    _summary(scope)
    return made


def _described(scope: ScopeMetrics, name: str) -> Any:
    metric = scope.metrics.add(name=name, description=f"what {name} means", unit="By{x}")
    metric.metadata.extend([attribute("prometheus.type", "gauge"), attribute("nested", {"b": [1], "a": 2})])
    return metric


def _point(data: Any, place: int, *, start: bool = True) -> Any:
    point = data.data_points.add(time_unix_nano=_TIME + place * _MS)
    if start:
        point.start_time_unix_nano = _TIME - 10 * _MS
    point.attributes.extend([attribute("place", place % 3), attribute("map", {"k": [None is None]})])
    return point


def _exemplars(point: Any) -> None:
    typed = point.exemplars.add(time_unix_nano=_TIME - 3 * _MS, as_int=-(2**63))
    typed.trace_id, typed.span_id = bytes(range(16)), bytes(range(8))
    typed.filtered_attributes.extend(attribute(key, value) for key, value in _TYPED.items())
    point.exemplars.add(as_double=_NANS[0])
    point.exemplars.add(time_unix_nano=_TIME + 7 * _MS, as_double=-0.0, trace_id=b"\x00" * 16)


def _gauge(scope: ScopeMetrics) -> None:
    data = _described(scope, "numbers").gauge
    for place, number in enumerate(_INT64):
        _point(data, place).as_int = number
    for place, value in enumerate(_DOUBLES, start=len(_INT64)):
        _point(data, place, start=False).as_double = value
    stale = _point(data, 30)
    stale.flags = 1
    flagged = _point(data, 31)
    flagged.flags, flagged.as_int = 2**32 - 1, 7
    _exemplars(flagged)


def _sums(scope: ScopeMetrics) -> None:
    shapes = ((True, 1), (True, 2), (False, 1), (False, 2), (False, 0))
    for place, (monotonic, temporality) in enumerate(shapes):
        data = _described(scope, f"sum.{place}").sum
        data.is_monotonic, data.aggregation_temporality = monotonic, temporality
        point = _point(data, place)
        point.as_double = 1e-300
        point.start_time_unix_nano = point.time_unix_nano if place else 1 * _MS


def _histograms(scope: ScopeMetrics) -> None:
    data = _described(scope, "histogram").histogram
    data.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA
    full = _point(data, 0)
    full.count, full.sum, full.min, full.max = 2**64 - 1, -1.5, float("-inf"), _NANS[1]
    full.bucket_counts.extend([2**64 - 2, 0, 1])
    full.explicit_bounds.extend([-1e300, 5e-324])
    _exemplars(full)
    _point(data, 1).count = 3
    zeros = _point(data, 2)
    zeros.sum, zeros.min, zeros.max = 0.0, -0.0, 0.0
    zeros.bucket_counts.append(0)
    _point(data, 3).flags = 1


def _exp_histograms(scope: ScopeMetrics) -> None:
    data = _described(scope, "exponential").exponential_histogram
    data.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    full = _point(data, 0)
    full.count, full.sum, full.min, full.max, full.scale = 2**63 + 6, 1.25, -9.0, 9.0, -10
    full.zero_count, full.zero_threshold, full.flags = 1, 5e-324, 4
    full.positive.offset, full.negative.offset = -1, 0
    full.positive.bucket_counts.extend([2**63, 0])
    full.negative.bucket_counts.extend([5])
    _exemplars(full)
    offset = _point(data, 1, start=False)
    offset.scale, offset.negative.offset = 20, 2**31 - 1
    zeros = _point(data, 2)
    zeros.sum, zeros.min, zeros.max = 0.0, 0.0, -0.0


def _summary(scope: ScopeMetrics) -> None:
    data = _described(scope, "summary").summary
    full = _point(data, 0)
    full.count, full.sum, full.flags = 2**64 - 1, float("inf"), 2
    for quantile, value in ((0.0, -0.0), (0.5, _NANS[0]), (0.5, 1.0), (1.0, float("inf"))):
        full.quantile_values.add(quantile=quantile, value=value)
    _point(data, 1, start=False)


async def test_every_field_comes_back_as_it_was_sent(stored: Stored) -> None:
    sent = every_field()

    found = await round_trip(stored, "every-field", sent)

    assert same(canonical(found), canonical(sent))


async def test_every_field_of_the_protocol_is_in_that_request() -> None:
    """So that the test above cannot pass for want of a field. Profiles own the *_strindex fields."""
    missing: list[str] = []
    seen: dict[str, set[str]] = {}
    waiting: list[Any] = [every_field()]
    while waiting:
        message = waiting.pop()
        known = seen.setdefault(message.DESCRIPTOR.full_name, set())
        for field, value in message.ListFields():
            known.add(field.name)
            if field.message_type is not None:
                waiting += list(value) if field.is_repeated else [value]
        for field in message.DESCRIPTOR.fields:
            if field.message_type is not None:
                seen.setdefault(field.message_type.full_name, set())
    pool = every_field().DESCRIPTOR.file.pool
    for name, known in seen.items():
        fields = {field.name for field in pool.FindMessageTypeByName(name).fields}
        missing += [f"{name}.{one}" for one in sorted(fields - known) if "strindex" not in one]

    assert missing == []


async def test_the_export_has_an_order_of_its_own(stored: Stored) -> None:
    """Sent in pieces and in another order, the same points give the same bytes."""
    made = RequestMaker(9, now_ns=_NOW)
    pieces = [made.request(30) for _ in range(4)]

    forward = await round_trip(stored, "forward", *pieces)
    for piece in reversed(pieces):
        backward = await round_trip(stored, "backward", piece)

    assert forward.SerializeToString() == backward.SerializeToString()


@pytest.mark.parametrize("seed", range(5))
async def test_random_requests_come_back(stored: Stored, seed: int) -> None:
    made = RequestMaker(seed, now_ns=_NOW)
    sent = [made.request(80) for _ in range(5)]

    found = await round_trip(stored, f"random-{seed}", *sent)

    assert same(canonical(found), merged(*sent))


async def test_nanoseconds_are_the_one_thing_that_is_rounded(stored: Stored) -> None:
    sent = ExportMetricsServiceRequest()
    metric = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="fine")
    point = metric.gauge.data_points.add(time_unix_nano=_TIME + 999_999, start_time_unix_nano=_TIME - 1)
    point.as_int = 3

    found = await round_trip(stored, "fine", sent)

    (stored_point,) = found.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert stored_point.time_unix_nano == _TIME
    assert stored_point.start_time_unix_nano == _TIME - _MS


async def test_a_tenant_that_asks_for_it_gets_every_field_back_to_the_nanosecond(stored: Stored) -> None:
    sent = between_milliseconds(every_field())
    more = [between_milliseconds(RequestMaker(7, now_ns=_NOW).request(80))]

    found = await round_trip(stored, "every-ns", sent, *more, to_the_ns=True)

    whole = ExportMetricsServiceRequest()
    for each in (sent, *more):
        whole.MergeFrom(each)
    assert same(canonical(found, to_the_ns=True), canonical(whole, to_the_ns=True))


async def test_points_of_one_millisecond_have_their_own_exemplars_to_the_nanosecond(stored: Stored) -> None:
    sent = ExportMetricsServiceRequest()
    metric = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="close")
    for place in range(3):
        point = metric.gauge.data_points.add(time_unix_nano=_TIME + place, as_int=place)
        point.exemplars.add(time_unix_nano=_TIME - place, as_int=place)

    found = await round_trip(stored, "close-ns", sent, to_the_ns=True)

    assert same(canonical(found, to_the_ns=True), canonical(sent, to_the_ns=True))


def between_milliseconds(message: Any) -> Any:
    """The same message with times that no millisecond holds; equal ones stay equal, absent ones absent."""
    for field, value in message.ListFields():
        if field.name in ("time_unix_nano", "start_time_unix_nano"):
            setattr(message, field.name, value + 1 + value % 999_983)
        elif field.message_type is not None:
            for one in list(value) if field.is_repeated else [value]:
                between_milliseconds(one)
    return message


async def test_points_of_one_millisecond_keep_their_exemplars_once(stored: Stored) -> None:
    sent = ExportMetricsServiceRequest()
    data = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="busy").gauge
    for place in range(2):
        point = data.data_points.add(time_unix_nano=_TIME + place, as_int=place)
        point.exemplars.add(time_unix_nano=_TIME, as_int=place)

    found = await round_trip(stored, "busy", sent)

    points = found.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert [one.as_int for one in points] == [0, 1]
    assert sorted(each.as_int for one in points for each in one.exemplars) == [0, 1]


async def test_metric_range_and_tenant_narrow_the_export(stored: Stored) -> None:
    sent = every_field()
    await round_trip(stored, "wide", sent)

    one = await round_trip(stored, "wide", metric="histogram")
    early = await round_trip(stored, "wide", metric="numbers", end_ms=_TIME // _MS + 2)
    nothing = await round_trip(stored, "wide", metric="unheard.of")

    assert [metric.name for metric in one.resource_metrics[0].scope_metrics[0].metrics] == ["histogram"]
    points = early.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert [point.as_int for point in points] == list(_INT64[:2])
    assert nothing == ExportMetricsServiceRequest()
    assert await round_trip(stored, "nobody") == ExportMetricsServiceRequest()


async def test_a_tenant_is_exported_without_the_points_of_others(stored: Stored) -> None:
    """Both send the same series at the same times."""
    for tenant, value in (("left", 1), ("right", 2)):
        sent = ExportMetricsServiceRequest()
        data = sent.resource_metrics.add().scope_metrics.add().metrics.add(name="shared").gauge
        data.data_points.add(time_unix_nano=_TIME, as_int=value).exemplars.add(as_int=value)
        await round_trip(stored, tenant, sent)

    found = await round_trip(stored, "left")

    (point,) = found.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert (point.as_int, [each.as_int for each in point.exemplars]) == (1, [1])


async def test_the_json_is_otlps_own() -> None:
    """Hexadecimal ids, numbers for enums, text for 64-bit integers and NaN; and it reads back."""
    plain = json.loads(to_json(every_field()))
    metrics = plain["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    points = metrics[0]["gauge"]["dataPoints"]

    assert points[0]["asInt"] == str(2**63 - 1)
    assert [point.get("asDouble") for point in points[8:12]] == ["Infinity", "-Infinity", "NaN", "NaN"]
    assert points[-1]["exemplars"][0]["traceId"] == bytes(range(16)).hex()
    assert points[-1]["exemplars"][0]["spanId"] == bytes(range(8)).hex()
    assert metrics[1]["sum"]["aggregationTemporality"] == 1

    for exemplar in _each_exemplar(plain):
        for name in exemplar.keys() & {"traceId", "spanId"}:
            exemplar.pop(name)
    json_format.ParseDict(plain, ExportMetricsServiceRequest())


def _each_exemplar(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for one in value for found in _each_exemplar(one)]
    if not isinstance(value, dict):
        return []
    own: list[dict[str, Any]] = value.get("exemplars", [])
    return own + [found for one in value.values() for found in _each_exemplar(one)]
