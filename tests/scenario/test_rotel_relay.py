"""Rotel's agent as a relay, OTLP in and OTLP out to the collector: what was sent to it is stored, row by row.

Its wheel is a development dependency on Linux and x86-64; elsewhere the test says that it is not there.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.bench.rival_rotel import agent
from tests.collector_process import EXPORT_METHOD
from tests.collector_rows import comparable, stored_rows
from tests.engines_nats import free_port
from tests.otlp_requests import TABLES, Ledger, RequestMaker, rows_of
from tests.scenario.collector_stack import CollectorStack, collector_stack

ROTEL = agent()
REQUESTS = 40

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(ROTEL is None, reason="no rotel-agent here (the wheel `rotel`, Linux on x86-64 only)"),
]


def options(stack: CollectorStack, protocol: str, compression: str, address: str) -> dict[str, str]:
    """The agent's command line."""
    to = {
        "grpc": f"http://{stack.collector.otlp_address}",
        "http": stack.collector.otlp_http_url.removesuffix("/v1/metrics"),
    }
    return {
        "otlp-grpc-endpoint": address,
        "otlp-http-endpoint": f"127.0.0.1:{free_port()}",
        "exporter": "otlp",
        "otlp-exporter-endpoint": to[protocol],
        "otlp-exporter-protocol": protocol,
        "otlp-exporter-compression": compression,
    }


def spawn(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a process that writes into a file."""
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent)


@contextlib.asynccontextmanager
async def relay(stack: CollectorStack, protocol: str, compression: str, log: Path) -> AsyncIterator[str]:
    """A running agent; the address it receives OTLP/gRPC at. Fails when it ends with an error."""
    address = f"127.0.0.1:{free_port()}"
    given = options(stack, protocol, compression, address)
    arguments = [part for name, value in given.items() for part in (f"--{name}", value)]
    process = spawn([str(ROTEL), "start", *arguments], log)
    try:
        yield address
        # It hands on what it still has before it ends.
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 0, complaints(log)
    finally:
        process.kill()
        process.wait()


async def send(address: str, raws: list[bytes]) -> None:
    """One after the other, each accepted in full."""
    async with grpc.aio.insecure_channel(address) as channel:
        export: Any = channel.unary_unary(EXPORT_METHOD)
        for raw in raws:
            assert await export(raw, timeout=10, wait_for_ready=True) == b""


def complaints(log: Path) -> list[str]:
    """Lines of the agent that are more than information."""
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if any(word in line for word in ("ERROR", "WARN", "panic", "rror:"))]


async def test_what_rotel_relays_is_stored(tmp_path: Path) -> None:
    sent, logs = Ledger(), []
    async with collector_stack(tmp_path) as stack:
        for number, (protocol, compression) in enumerate([("grpc", "gzip"), ("http", "none")]):
            maker = RequestMaker(number, now_ns=time.time_ns(), service=f"{protocol}-shop")
            raws = list(maker.requests(REQUESTS, points=25))
            logs.append(tmp_path / f"rotel-{protocol}.log")
            async with relay(stack, protocol, compression, logs[-1]) as address:
                await send(address, raws)
            for raw in raws:
                sent.add(rows_of("default", raw))
        counts = await stack.until_written(sent.points)
        stored = {table: comparable(await stored_rows(stack.database, table)) for table in TABLES}

    assert {log.name: complaints(log) for log in logs} == {log.name: [] for log in logs}
    assert (counts.received_count, counts.rejected_count) == (sent.points, 0)
    assert {table: len(rows) for table, rows in stored.items()} == {
        table: len(rows) for table, rows in sent.rows.items()
    }
    assert stored == {table: comparable(rows) for table, rows in sent.rows.items()}
