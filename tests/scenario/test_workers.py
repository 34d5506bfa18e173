"""Several processes behind one port count, refuse and store as one would.

THREENINES_KILLS says how often a worker is killed: half as often as the others, since one that dies
often waits ever longer before it comes back.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from tests.collector_process import EXPORT_METHOD
from tests.scenario.kill_stack import KILLS, KILLS_TIMEOUT_S, random_moment
from tests.scenario.ledger import Load, seeded
from tests.scenario.worker_stack import WorkerStack, worker_stack

pytestmark = [pytest.mark.engines, pytest.mark.timeout(KILLS_TIMEOUT_S)]

_KILLS = (KILLS + 1) // 2
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def _request(names: Sequence[str]) -> bytes:
    """One gauge point of each of these series."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    for name in names:
        point = metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=1)
        point.attributes.add(key="path").value.string_value = name
    return request.SerializeToString()


async def _send(stack: WorkerStack, requests: Sequence[bytes]) -> list[int]:
    """Send over a connection of one's own; the refused points of each."""
    refused = []
    address = stack.collector.otlp_address
    async with grpc.aio.insecure_channel(address, options=_OWN_CONNECTION) as channel:
        export: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        for raw in requests:
            answer = ExportMetricsServiceResponse.FromString(await export(raw, timeout=20))
            refused.append(answer.partial_success.rejected_data_points)
    return refused


async def _spread(stack: WorkerStack, port: int, connect: list[asyncio.Task[None]]) -> int:
    """Over how many processes the connections to a port are spread, once there are so many."""
    async with asyncio.timeout(20):
        while (found := stack.connections(port)).total() < len(connect):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.05)
    return len(found)


async def test_points_land_on_several_processes_and_the_counts_add_up_at_once(tmp_path: Path) -> None:
    async with worker_stack(tmp_path, 3) as stack:
        workers = stack.workers()
        assert len(workers) == 2
        everyone = {stack.collector.pid, *(one.pid for one in workers)}
        for port in (stack.collector.otlp_port, stack.collector.otlp_http_port):
            assert stack.listeners(port) == everyone, "serving means that all of them do"
        hold = asyncio.Event()

        async def grpc_client(number: int) -> None:
            address = stack.collector.otlp_address
            async with grpc.aio.insecure_channel(address, options=_OWN_CONNECTION) as channel:
                export: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
                for place in range(5):
                    assert await export(_request([f"{number}-{place}"] * 10), timeout=20) == b""
                await hold.wait()

        async def http_client(number: int) -> None:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                raw = _request([f"http-{number}"] * 10)
                headers = {"content-type": "application/x-protobuf"}
                answer = await client.post(stack.collector.otlp_http_url, content=raw, headers=headers)
                assert answer.status_code == httpx.codes.OK
                await hold.wait()

        async with asyncio.TaskGroup() as group:
            over_grpc = [group.create_task(grpc_client(number)) for number in range(12)]
            over_http = [group.create_task(http_client(number)) for number in range(12)]
            assert await _spread(stack, stack.collector.otlp_port, over_grpc) > 1
            assert await _spread(stack, stack.collector.otlp_http_port, over_http) > 1
            hold.set()
        sent = 12 * 5 * 10 + 12 * 10
        points = await stack.status()
        assert [points.received_count, points.acknowledged_count, points.rejected_count] == [sent, sent, 0]
        await stack.caught_up()
        assert await stack.database.rows("SELECT count() FROM points") == [(sent,)]

        assert await asyncio.to_thread(stack.collector.stop) == 0, stack.collector.log[-4000:]
        assert psutil.wait_procs(workers, timeout=0)[1] == []
        assert "Traceback" not in stack.collector.log
        assert "did not drain" not in stack.collector.log


async def test_the_cap_of_series_is_exact_over_all_processes(tmp_path: Path) -> None:
    limit, clients, requests, kinds = 50, 12, 8, 120
    with seeded() as rng:
        async with worker_stack(tmp_path, 3, {"THREENINES_QUOTA_ACTIVE_SERIES": str(limit)}) as stack:
            async with asyncio.timeout(30):
                while await stack.active_series() is None:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
            names = [[_some(rng, kinds) for _ in range(requests)] for _ in range(clients)]
            answers = await asyncio.gather(*(_send(stack, [_request(one) for one in each]) for each in names))
            await stack.caught_up()
            sql = "SELECT DISTINCT attributes['path'] FROM series WHERE metric = 'requests'"
            taken = {str(name) for (name,) in await stack.database.rows(sql)}

            assert len(taken) == limit == await stack.active_series()
            expected = [[sum(name not in taken for name in one) for one in each] for each in names]
            assert answers == expected
            points, sent = await stack.status(), sum(len(one) for each in names for one in each)
            refused = sum(map(sum, expected))
            assert [points.received_count, points.rejected_count] == [sent, refused]
            assert points.acknowledged_count == sent - refused
            assert await stack.database.rows("SELECT count() FROM points") == [(sent - refused,)]


async def test_kills_of_a_worker_lose_and_double_nothing_and_it_comes_back(tmp_path: Path) -> None:
    with seeded() as rng:
        async with worker_stack(tmp_path, 3) as stack:
            load = Load(stack.collector.otlp_address, rng, clients=8, pause_s=0.01, own_connections=True)
            async with load:
                for _ in range(_KILLS):
                    await random_moment(load, rng)
                    before = {one.pid for one in stack.workers()}
                    victim = _busiest(stack, before)
                    os.kill(victim, signal.SIGKILL)
                    await _replaced(stack, before, victim)
                    await stack.collector.wait_serving()
            await stack.caught_up()
            await load.ledger.check(stack.database)
            assert stack.collector.log.count("died (signal SIGKILL)") == _KILLS

            left = stack.workers()
            await asyncio.to_thread(stack.collector.kill9)
            _, alive = await asyncio.to_thread(psutil.wait_procs, left, 10)
            assert len(left) == 2
            assert alive == [], "they die with it"


def _busiest(stack: WorkerStack, workers: set[int]) -> int:
    """The worker with the most connections."""
    served = stack.connections(stack.collector.otlp_port)
    return max(workers, key=lambda pid: served[pid])


async def _replaced(stack: WorkerStack, before: set[int], victim: int) -> None:
    """Return when another process has the victim's place."""
    async with asyncio.timeout(30):
        while True:
            now = {one.pid for one in stack.workers()}
            if len(now) == len(before) and victim not in now:
                return
            await asyncio.sleep(0.05)


def _some(rng: random.Random, kinds: int) -> list[str]:
    return [f"path-{number}" for number in rng.sample(range(kinds), 10)]
