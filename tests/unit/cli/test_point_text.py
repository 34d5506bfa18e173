"""Points as people see them arrive, and the moments that people type."""

import asyncio

import pytest
import typer
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.cli.commands.tail import arriving
from services.cli.point_text import lines_of
from services.cli.times import parse_pairs, parse_time
from services.collector.model import LoggedRequest
from services.collector.record import encode_requests, encode_tick, request_id
from services.common.clock import ManualClock
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from tests.otlp_requests import attribute

_TIME = 1_790_000_000_123_456_789
_CLOCK = "14:13:20.123"


def request() -> ExportMetricsServiceRequest:
    """A point of every kind of text."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add()
    resource.resource.attributes.append(attribute("service.name", "shop"))
    scope = resource.scope_metrics.add()
    gauge = scope.metrics.add(name="temperature").gauge
    gauge.data_points.add(time_unix_nano=_TIME, as_int=2**63 - 1).attributes.extend(
        [attribute("zone", 3), attribute("a", "[red]x[/]")]
    )
    gauge.data_points.add(time_unix_nano=_TIME, as_double=0.25)
    gauge.data_points.add(time_unix_nano=_TIME, flags=1)
    histogram = scope.metrics.add(name="duration").histogram
    histogram.data_points.add(time_unix_nano=_TIME, count=3, sum=1.5)
    exponential = scope.metrics.add(name="duration").exponential_histogram
    exponential.data_points.add(time_unix_nano=_TIME, count=1, min=0.0, max=2.0)
    summary = scope.metrics.add(name="quantiles").summary.data_points.add(time_unix_nano=_TIME, count=2)
    summary.quantile_values.add(quantile=0.5, value=7)
    return made


def test_every_type_of_point_has_its_line() -> None:
    assert list(lines_of(request(), [False] * 6)) == [
        f"{_CLOCK}  shop  temperature{{a=[red]x[/], zone=3}}  9223372036854775807",
        f"{_CLOCK}  shop  temperature  0.25",
        f"{_CLOCK}  shop  temperature  no recorded value",
        f"{_CLOCK}  shop  duration  count=3 sum=1.5",
        f"{_CLOCK}  shop  duration  count=1 min=0 max=2",
        f"{_CLOCK}  shop  quantiles  count=2 sum=0 q0.5=7",
    ]


def test_refused_points_and_other_metrics_are_left_out() -> None:
    refused = [True, False, False, True, False, False]

    assert [line.split("  ")[-1] for line in lines_of(request(), refused, metric="duration")] == [
        "count=1 min=0 max=2"
    ]


async def test_only_the_tenants_points_arrive_from_the_asked_sequence_on() -> None:
    clock = ManualClock(now_ns=_TIME)
    log = MemoryLog(clock)
    raw = request().SerializeToString()

    async def append(tenant: str, rejected: bytes = b"") -> None:
        logged = LoggedRequest(request_id(tenant, raw), raw, 6, rejected)
        data = encode_requests(tenant, [logged])
        await log.append(OTLP, f"otlp.0.{tenant}", data, msg_id=f"{tenant}-{rejected.hex()}")

    await append("acme", b"\x3f")
    await append("beta")
    await log.append(OTLP, "otlp.0.tick", encode_tick(), msg_id="tick")
    await append("acme", b"\x1f")

    lines = arriving(log, "acme", from_seq=1)
    async with asyncio.timeout(5):
        assert (await anext(lines)).endswith("q0.5=7")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", _TIME - 90 * 60 * 10**9),
        ("0s", _TIME),
        ("2026-11-01T08:00:00Z", 1_793_520_000 * 10**9),
        ("2026-11-01T09:00:00+01:00", 1_793_520_000 * 10**9),
        ("2026-11-01T08:00:00.25", 1_793_520_000 * 10**9 + 250_000_000),
    ],
)
def test_moments_are_rfc_3339_or_how_long_ago(text: str, expected: int) -> None:
    assert parse_time(text, now_ns=_TIME, option="--start") == expected


def test_what_is_no_moment_and_no_pair_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter):
        parse_time("yesterday", now_ns=_TIME, option="--start")
    with pytest.raises(typer.BadParameter):
        parse_pairs(["a"], option="--attribute")
    assert parse_pairs(["a=b=c", "d="], option="--attribute") == {"a": "b=c", "d": ""}
