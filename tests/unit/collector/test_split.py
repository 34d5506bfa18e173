"""Large requests become parts that are valid by themselves and hold every point once, in order."""

import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.errors import PointTooLarge
from services.collector.split import split_request
from tests.otlp_requests import Ledger, RequestMaker, attribute, rows_of


@pytest.mark.parametrize("limit", [1500, 4000, 10**9])
def test_parts_hold_every_point_in_order(limit: int) -> None:
    raw = RequestMaker(3, now_ns=time.time_ns()).request(60).SerializeToString()

    parts = split_request(raw, lambda part: len(part) <= limit)

    found = Ledger()
    for part in parts:
        assert len(part) <= limit
        found.add(rows_of("acme", part))
    assert repr(found) == repr(rows_of("acme", raw))
    assert (len(parts) == 1) == (limit >= len(raw))


def test_a_request_that_fits_stays_as_it_came() -> None:
    raw = RequestMaker(4, now_ns=time.time_ns()).request(5).SerializeToString() + b"\x98\x06\x01"

    assert split_request(raw, lambda part: len(part) <= len(raw)) == [raw]


def test_the_same_bytes_give_the_same_parts() -> None:
    raw = RequestMaker(5, now_ns=time.time_ns()).request(40).SerializeToString()

    first, second = (split_request(raw, lambda part: len(part) <= 2000) for _ in range(2))
    assert first == second


def test_one_point_over_the_limit_is_refused() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(as_int=1)
    metric.gauge.data_points.add(as_int=2).attributes.append(attribute("big", "x" * 5000))

    with pytest.raises(PointTooLarge) as caught:
        split_request(request.SerializeToString(), lambda part: len(part) <= 1000)
    assert caught.value.reason == "POINT_TOO_LARGE"
