"""OTLP/HTTP of the collector as a process: over real NATS, through a restart, and while it stops."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest

from tests.collector_process import CollectorProcess
from tests.engines_given import nats_server
from tests.engines_nats import free_port
from tests.otlp_json_writer import otlp_json
from tests.otlp_requests import RequestMaker, rows_of
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_PROTOBUF = {"content-type": "application/x-protobuf"}

pytestmark = pytest.mark.engines


@contextlib.asynccontextmanager
async def collector(path: Path, **environ: str) -> AsyncIterator[CollectorProcess]:
    """A collector that believes everybody; there is no ClickHouse."""
    nats = nats_server(path / "nats")
    await nats.start()
    process = CollectorProcess(
        nats.url, f"http://127.0.0.1:{free_port()}", path / "collector", environ=environ or None
    )
    process.start()
    try:
        await process.wait_serving()
        yield process
    finally:
        await asyncio.to_thread(process.stop)
        await nats.stop()


async def counts(process: CollectorProcess) -> collector_pb2.PointCounts:
    """Points as the collector counted them."""
    async with grpc.aio.insecure_channel(process.admin_address) as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        return (await stub.GetStatus(collector_service_pb2.GetStatusRequest(), timeout=20)).streams[0].points


async def test_what_was_under_way_at_the_signal_is_acknowledged_and_kept(tmp_path: Path) -> None:
    """Sent before, during and after a stop: the same points in the status of the next process."""
    requests = [RequestMaker(seed, now_ns=time.time_ns()).request() for seed in range(3)]
    raw = [request.SerializeToString() for request in requests]
    expected = sum(rows_of("default", one).points for one in raw)
    async with (
        # Below the time after which `stop` kills, and longer than the rest of a request can take to come.
        collector(tmp_path, THREENINES_DRAIN_S="12") as process,
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
    ):
        json = {"content-type": "application/json"}
        sent = await client.post(process.otlp_http_url, content=otlp_json(requests[0]), headers=json)
        assert (sent.status_code, sent.json()) == (200, {})

        reader, writer = await asyncio.open_connection("127.0.0.1", process.otlp_http_port)
        head = (
            f"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: {_PROTOBUF['content-type']}\r\n"
            f"Content-Length: {len(raw[1])}\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        stopping = asyncio.create_task(asyncio.to_thread(process.stop))
        await asyncio.sleep(0.5)
        writer.write(raw[1])
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        assert await stopping == 0

        process.start()
        await process.wait_serving()
        assert (
            await client.post(process.otlp_http_url, content=raw[2], headers=_PROTOBUF)
        ).status_code == 200
        async with asyncio.timeout(60):
            while (await counts(process)).acknowledged_count < expected:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        found = await counts(process)

    assert (found.received_count, found.acknowledged_count, found.rejected_count) == (expected, expected, 0)


async def test_the_memory_for_requests_is_a_setting(tmp_path: Path) -> None:
    async with (
        collector(tmp_path, THREENINES_RECEIVE_MEMORY_BYTES=str(1 << 20)) as process,
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
    ):
        url = process.otlp_http_url
        assert (await client.post(url, content=bytes(1 << 21), headers=_PROTOBUF)).status_code == 413
        assert (await client.post(url, content=b"", headers=_PROTOBUF)).status_code == 200
