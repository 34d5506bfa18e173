"""The OpenTelemetry SDK for JavaScript over its three transports: sent is stored, and it has no complaint.

Node is a tool of this test alone. `make node-clients` installs the SDK; the test says why when it skips.
"""

import asyncio
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.collector_stack import CollectorStack, collector_stack

CLIENT = Path(__file__).resolve().parents[1] / "clients" / "js"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(NODE is None, reason="no node on PATH (Debian: apt-get install nodejs npm)"),
    pytest.mark.skipif(
        not (CLIENT / "node_modules" / "@opentelemetry" / "sdk-metrics").is_dir(),
        reason="the SDK for JavaScript is not installed (`make node-clients`; it needs npm and a registry)",
    ),
]

ROUNDS = 8
_SERIES = {"gauge": 4 + 3, "sum": 3 + 3 + 1, "histogram": 3, "exp_histogram": 3}
_VIEWS = {
    "gauge": "otel_metrics_gauge",
    "sum": "otel_metrics_sum",
    "histogram": "otel_metrics_histogram",
    "exp_histogram": "otel_metrics_exp_histogram",
}
EXPORTERS = {"grpc", "grpc-gzip", "protobuf", "protobuf-gzip-delta", "json", "json-gzip-delta"}


def run_client(stack: CollectorStack) -> "subprocess.CompletedProcess[str]":
    """Every exporter, one after the other."""
    asked = {
        "rounds": ROUNDS,
        "grpc": f"http://{stack.collector.otlp_address}",
        "http": stack.collector.otlp_http_url,
    }
    assert NODE is not None
    return subprocess.run(
        [NODE, "client.js", json.dumps(asked)],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def stored_by(stack: CollectorStack, kind: str) -> dict[str, int]:
    """Rows of one kind by exporter."""
    text = f"SELECT ServiceName, count() FROM {_VIEWS[kind]} GROUP BY ServiceName"
    return {name.removeprefix("js-"): int(count) for name, count in await stack.database.rows(text)}


async def test_what_the_javascript_sdk_sent_is_stored(tmp_path: Path) -> None:
    async with collector_stack(tmp_path) as stack:
        ran = await asyncio.to_thread(run_client, stack)
        assert (ran.returncode, ran.stderr) == (0, "")
        told: dict[str, Any] = json.loads(ran.stdout)
        assert told["said"] == []
        sent = {name: Counter(one["sent"]) for name, one in told["ledgers"].items()}
        total = sum(sent.values(), Counter[str]())
        counts = await stack.until_written(total.total())
        stored = {kind: await stored_by(stack, kind) for kind in _VIEWS}
        newest = await stack.database.rows(
            "SELECT ServiceName, sum(last) FROM (SELECT ServiceName, argMax(Value, TimeUnix) AS last "
            "FROM otel_metrics_sum WHERE MetricName = 'requests' AND AggregationTemporality = 2 "
            "GROUP BY ServiceName, Attributes) GROUP BY ServiceName"
        )

    assert set(sent) == EXPORTERS
    assert {name: one["failed"] for name, one in told["ledgers"].items()} == {name: [] for name in EXPORTERS}
    # forceFlush once a round, and shutdown once more.
    assert all(one >= Counter({kind: ROUNDS * n for kind, n in _SERIES.items()}) for one in sent.values())
    assert stored == {kind: {name: one[kind] for name, one in sent.items()} for kind in _VIEWS}
    assert (counts.rejected_count, counts.acknowledged_count) == (0, total.total())
    requests = 3 * sum(range(1, ROUNDS + 1))
    assert {one["requests"] for one in told["ledgers"].values()} == {requests}
    assert {name for name, _ in newest} == {f"js-{name}" for name in EXPORTERS if "delta" not in name}
    assert {float(value) for _, value in newest} == {float(requests)}
