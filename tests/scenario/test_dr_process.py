"""The service as its own process: it serves, is killed in the middle of a backup, and comes back."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.log import connect_nats
from services.common.migrations import load_migrations, migrate
from services.common.streams import CONTROL, LEASES, OTLP, POSITIONS
from services.dr.servicer import SERVICE_NAME
from tests.collector_process import QUICK_RECONNECT
from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, NatsLog, nats_server, needs_embedded
from tests.engines_nats import free_port
from tests.scenario.dr_stack import DATABASE, REGION
from threenines.dr.v1 import backup_service_pb2, backup_service_pb2_grpc, dr_pb2

pytestmark = pytest.mark.engines

ROOT = Path(__file__).resolve().parents[2]
pb = backup_service_pb2
_START_S = 120.0
"""Of a wait that a start of the process is in."""


@dataclass
class DrProcess:
    """`python -m services.dr.main`; `start` again after `end`."""

    environ: dict[str, str]
    port: int
    log_file: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; does not wait."""
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}", **self.environ}
        with self.log_file.open("ab") as log:
            argv = [sys.executable, "-m", "services.dr.main"]
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=log, stderr=log)

    def end(self, number: signal.Signals) -> int | None:
        """Signal it and wait; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()  # nobody else knows of it any more
            return process.wait()

    async def serving(self, channel: grpc.aio.Channel, service: str) -> None:
        """Return when health says SERVING."""
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log_file.read_text()
            try:
                if (await stub.Check(request, timeout=2)).status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.05)
        raise AssertionError(self.log_file.read_text())


@asynccontextmanager
async def dr_process(directory: Path) -> AsyncIterator[tuple[DrProcess, NatsLog, EmbeddedClickHouse]]:
    """The process, not started, and its engines, started."""
    needs_embedded(CLICKHOUSE_URL, why="reads a backup's files from the server's disk")
    backups = directory / "backups"
    clickhouse = EmbeddedClickHouse(directory / "ch", options=("--backups-dir", str(backups)))
    nats = nats_server(directory / "nats")
    port = free_port()
    environ = {
        "THREENINES_NATS_URL": nats.url,
        "THREENINES_CLICKHOUSE_URL": clickhouse.url,
        "THREENINES_BACKUPS_DIR": str(backups),
        "THREENINES_DR_LISTEN": f"127.0.0.1:{port}",
        "THREENINES_AUTH": "none",
        "THREENINES_DRAIN_S": "1",
    }
    process = DrProcess(environ, port, directory / "dr.log")
    try:
        await asyncio.to_thread(clickhouse.start)
        await nats.start()
        yield process, nats, clickhouse
    finally:
        process.end(signal.SIGKILL)
        await nats.stop()
        await asyncio.to_thread(clickhouse.stop)


async def test_a_backup_survives_the_kill_of_its_maker_as_failed_and_a_new_one_is_made(
    tmp_path: Path,
) -> None:
    """Killed while it waits for a writer with a batch in flight; the next process cleans up."""
    async with dr_process(tmp_path) as (process, nats, clickhouse):
        engine = await connect_nats(nats.url, clock=SystemClock())
        database = Database(ClickHouseConfig.from_url(clickhouse.url, DATABASE))
        await migrate(database, load_migrations(), SystemClock())
        await database.command(
            "INSERT INTO points (tenant, ts) SELECT 'acme', now64(3, 'UTC') FROM numbers(9)"
        )
        key = f"writer.{REGION}.{await database.database_uuid()}.{OTLP}"
        try:
            process.start()
            address = f"127.0.0.1:{process.port}"
            async with grpc.aio.insecure_channel(address, options=QUICK_RECONNECT) as channel:
                await process.serving(channel, SERVICE_NAME)
                await engine.kv.put(POSITIONS, key, position("inflight"))
                await engine.kv.put(LEASES, f"writer.{REGION}", b"busy")
                stub = backup_service_pb2_grpc.BackupServiceStub(channel)
                killed = await patiently(lambda: stub.CreateBackup(pb.CreateBackupRequest()))
                while await engine.kv.get(CONTROL, f"pause.{REGION}") is None:  # noqa: ASYNC110 - elsewhere
                    await asyncio.sleep(0.02)
                process.end(signal.SIGKILL)
                process.start()
                failed = await ended(stub, killed.name)
                assert failed.state == dr_pb2.BACKUP_STATE_FAILED
                assert failed.failure.reason == "INTERRUPTED"

                await engine.kv.put(POSITIONS, key, position("done"))
                await engine.kv.delete(LEASES, f"writer.{REGION}")
                # The dead process's own pause ends by itself; the cleaning ended it before that.
                again = await patiently(lambda: stub.CreateBackup(pb.CreateBackupRequest(verify=True)))
                made = await ended(stub, again.name)
                assert made.state == dr_pb2.BACKUP_STATE_VERIFIED, made
            assert process.end(signal.SIGTERM) == 0
            rows = await database.rows("SELECT id, state FROM backups FINAL ORDER BY id")
            assert [state for _, state in rows] == ["failed", "verified"]
        finally:
            await database.close()
            await engine.close()


async def ended(stub: backup_service_pb2_grpc.BackupServiceStub, name: str) -> dr_pb2.Backup:
    """The backup when nothing is under way with it; waits also while the service is away."""
    under_way = (dr_pb2.BACKUP_STATE_CREATING, dr_pb2.BACKUP_STATE_VERIFYING)
    async with asyncio.timeout(_START_S):
        while True:
            backup = await patiently(lambda: stub.GetBackup(pb.GetBackupRequest(name=name)))
            if backup.state not in under_way:
                return backup
            await asyncio.sleep(0.1)


async def patiently(call: Callable[[], Awaitable[dr_pb2.Backup]]) -> dr_pb2.Backup:
    """Repeat a call that is answered UNAVAILABLE: the service restarts, or does not lead yet."""
    async with asyncio.timeout(_START_S):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as err:
                if err.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            await asyncio.sleep(0.1)


def position(state: str) -> bytes:
    """A writer's position."""
    return json.dumps({"first": 1, "last": 9, "attempt": 1, "state": state, "incarnation": 7}).encode()
