"""What Prometheus writes is in the tables that SLAs are computed from, each once, whatever is sent twice."""

import time
from pathlib import Path

import httpx
import pytest

from tests.remote_write_requests import STALE, TARGET, V2, V2_TYPE, add_native, classic, snap
from tests.scenario.collector_stack import collector_stack

pytestmark = pytest.mark.engines


def everything(at_ms: int) -> V2:
    """One of each shape: a counter, a gauge that ends, a classic and two native histograms."""
    request = V2()
    exemplar = ({"trace_id": "0af7651916cd43dd8448eb211c80319c"}, 0.3, at_ms)
    request.add(
        {"__name__": "orders_total", **TARGET}, (17.0, at_ms, at_ms - 60_000), kind=1, exemplars=[exemplar]
    )
    request.add({"__name__": "queue", **TARGET}, (3.0, at_ms), (STALE, at_ms + 1), kind=2)
    for labels, value, time_ms in classic("latency", [3, 0, 5], [0.1, 0.5], at_ms):
        request.add(labels, (value, time_ms), kind=3, unit="seconds")
    native = request.add({"__name__": "size", **TARGET}, kind=3)
    add_native(native, at_ms, schema=3, count_int=4, positive_spans=[(2, 2)], positive_deltas=[1, 2])
    custom = request.add({"__name__": "weight", **TARGET}, kind=3)
    add_native(
        custom,
        at_ms,
        schema=-53,
        count_int=2,
        custom_values=[1.0],
        positive_spans=[(1, 1)],
        positive_deltas=[2],
    )
    return request


async def test_every_shape_is_stored_once_under_its_service(tmp_path: Path) -> None:
    body = snap(everything(time.time_ns() // 1_000_000).raw())
    headers = {"content-type": V2_TYPE, "content-encoding": "snappy"}
    async with collector_stack(tmp_path) as stack:
        url = stack.collector.otlp_http_url.replace("/v1/metrics", "/api/v1/write")
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            # As after an answer that was lost on its way.
            answers = [await client.post(url, content=body, headers=headers) for _ in range(2)]
        await stack.until_written(6)
        numbers = await stack.database.rows(
            "SELECT metric, value_double, bitAnd(flags, 1) FROM points JOIN series USING (tenant, series_id) "
            "GROUP BY ALL ORDER BY ALL"
        )
        histograms = await stack.database.rows(
            "SELECT any(metric), count, bounds, counts FROM histograms JOIN series USING (tenant, series_id) "
            "GROUP BY series_id, ts, count, bounds, counts ORDER BY 1"
        )
        exponential = await stack.database.rows(
            "SELECT scale, count, positive_offset, positive_counts FROM exp_histograms"
        )
        exemplars = await stack.database.rows("SELECT lower(hex(trace_id)) FROM exemplars")
        services = await stack.database.rows("SELECT DISTINCT service FROM series")

    assert [answer.status_code for answer in answers] == [204, 204]
    samples = {answer.headers["x-prometheus-remote-write-samples-written"] for answer in answers}
    assert samples == {"8"}
    assert [tuple(row) for row in numbers] == [
        ("orders_total", 17.0, 0),
        ("queue", 0.0, 1),
        ("queue", 3.0, 0),
    ]
    assert [tuple(row) for row in histograms] == [
        ("latency", 8, [0.1, 0.5], [3, 0, 5]),
        ("weight", 2, [1.0], [0, 2]),
    ]
    assert [tuple(row) for row in exponential] == [(3, 4, 1, [1, 3])]
    assert [tuple(row) for row in exemplars] == [("0af7651916cd43dd8448eb211c80319c",)]
    assert [tuple(row) for row in services] == [("api",)]
