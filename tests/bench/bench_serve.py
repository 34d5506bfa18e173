"""GetSlaStatus of 50 tenants with 30 days of ten-second slices: cold, warm, and 1,000 callers at once.

Wall time over gRPC against one service process, real ClickHouse (embedded) and Redis; the load comes from
this process, on the same cores, so figures of a machine that does other things as well are the sum of both:
the rows of CPU time beside them are not.

Cold: nothing of the answer was computed before, as each call asks for a window that nobody asked for; neither
the service nor Redis keeps anything that it could use, and the service keeps no rows. Processes run, kernels
are compiled, connections are open; what ClickHouse and the system cache of files is as it is after a month
was stored and merged. Warm: the objective's own window again, as dashboards do; each call still asks
ClickHouse whether the data moved. From Redis: another process has computed it, before a restart.

One after the other is the time of one question. All at once is mostly waiting for the others: 50 questions
that come together share two cores, and the last one has waited for all; its duty is that of the callers.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.migrations import load_migrations, migrate
from tests.bench.processes import cpu_s
from tests.bench.report import Row
from tests.bench.serve_process import MONTH_MS, TENANTS
from tests.engines_given import clickhouse_server, redis_server
from threenines.sla.v1 import sla_service_pb2, sla_service_pb2_grpc

DUTY_WARM_MS, DUTY_COLD_MS, DUTY_CROWD_S = 20.0, 200.0, 2.0
_DATABASE = "bench_serve"
_STEP_MS = 10_000
_COLD_ROUNDS, _WARM_ROUNDS = 4, 20
_CALLERS, _CALLS = 1000, 5
_MERGED_S = 180

_FILL = """
INSERT INTO {table} (tenant, objective, slice_start, length_ns, good, total, up_ns, down_ns, distribution,
    scale, offset, counts, sealed, revision, known_at, seq)
SELECT {{tenant:String}}, {{objective:String}},
    fromUnixTimestamp64Milli({{first:Int64}} + toInt64(number) * {{step:Int64}}, 'UTC') AS began,
    {{step:Int64}} * 1000000,
    100 * {{factor:Int64}} - (number % 997 = 0), 100 * {{factor:Int64}}, {{step:Int64}} * 1000000, 0,
    {{kind:Int8}}, 3, -12 - toInt32(number % 3),
    if({{kind:Int8}} = 1, arrayMap(k -> toUInt64((k + number) % 9) * {{factor:UInt64}}, range(12)), []),
    true, 1, began, 1
FROM numbers({{rows:UInt64}})
"""
_HEADS = """
INSERT INTO sli_heads SELECT tenant, objective, {first:Int64}, {end:Int64}, {end:Int64}, {end:Int64}, 1
FROM sli_slices WHERE slice_start = fromUnixTimestamp64Milli({first:Int64}, 'UTC')
"""


@dataclass(frozen=True, slots=True)
class _Service:
    address: str
    token: str
    pid: int


def run() -> list[Row]:
    """The rows."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_run(Path(directory)))


async def _run(directory: Path) -> list[Row]:
    redis = redis_server(directory / "redis")
    await redis.start()
    try:
        with clickhouse_server(directory / "clickhouse") as server:
            database = Database(ClickHouseConfig.from_url(server.url, server.database(_DATABASE)))
            await migrate(database, load_migrations(), ManualClock())
            begun = time.monotonic()
            await _fill(database)
            filled = time.monotonic() - begun
            await _merged(database)
            await database.close()
            rows = [Row("filling 50 x 2 objectives x 259,200 slices and their hours", filled, "s")]
            with _service(server.url, redis.url) as service:
                rows += await _one_by_one(service, getattr(server, "pid", None))
                rows += await _crowd(service)
            with _service(server.url, redis.url) as service:
                rows += await _redis_only(service)
            return rows
    finally:
        await redis.stop()


async def _fill(database: Database) -> None:
    end = int(time.time() * 1000) // 3_600_000 * 3_600_000
    end -= 2_370_000  # in the middle of an hour
    first = (end - 31 * 86_400_000) // 3_600_000 * 3_600_000
    jobs = []
    for tenant in TENANTS:
        for objective, kind in (("gold/availability", 0), ("gold/latency", 1)):
            for table, step in (("sli_slices", _STEP_MS), ("sli_hours", 3_600_000)):
                values = {
                    "tenant": tenant,
                    "objective": objective,
                    "kind": kind,
                    "first": first,
                    "step": step,
                    "factor": step // _STEP_MS,
                    "rows": (end - first) // step,
                }
                jobs.append((_FILL.format(table=table), values))
    for statement, values in jobs:
        await database.command(statement, values)
    await database.command(_HEADS, {"first": first, "end": end})


async def _merged(database: Database) -> None:
    """A month that was stored in two minutes is merged for some time after: that is not what is measured."""
    until = time.monotonic() + _MERGED_S
    while time.monotonic() < until:
        if (await database.rows("SELECT count() FROM system.merges"))[0][0] == 0:
            return
        await asyncio.sleep(1)


@contextmanager
def _service(clickhouse_url: str, redis_url: str) -> Iterator["_Service"]:
    command = [sys.executable, "-m", "tests.bench.serve_process", clickhouse_url, _DATABASE, redis_url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address, token = process.stdout.readline().split()
        yield _Service(address, token, process.pid)
    finally:
        process.stdin.close()
        process.wait(30)


async def _call(stub: Any, token: str, tenant: str, shorter_ms: int | None = None) -> float:
    """Milliseconds."""
    request = sla_service_pb2.GetSlaStatusRequest(name=f"tenants/{tenant}/slaStatus")
    if shorter_ms is not None:
        request.window.rolling_period.FromMilliseconds(MONTH_MS - shorter_ms)
    begun = time.perf_counter()
    answer = await stub.GetSlaStatus(request, timeout=60, metadata=(("authorization", f"Bearer {token}"),))
    spent = time.perf_counter() - begun
    assert [one.WhichOneof("figures") for one in answer.objectives] == ["uptime", "latency"]
    assert all(one.verdict for one in answer.objectives)
    return 1000 * spent


async def _one_by_one(service: _Service, clickhouse_pid: int | None) -> list[Row]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)

        async def ask(tenant: str, shorter_ms: int | None = None) -> float:
            return await _call(stub, service.token, tenant, shorter_ms)

        await ask(TENANTS[0], 9 * 86_400_000)
        pids = {"the service": service.pid, "ClickHouse": clickhouse_pid}
        before = _cpu(pids)
        cold = [await ask(tenant, k * _STEP_MS) for k in range(_COLD_ROUNDS) for tenant in TENANTS]
        cold_cpu = _cpu_rows(before, _cpu(pids), len(cold))
        begun = time.monotonic()
        together = await asyncio.gather(*(ask(tenant, 90 * _STEP_MS) for tenant in TENANTS))
        took = time.monotonic() - begun
        for tenant in TENANTS:
            await ask(tenant)
        before = _cpu(pids)
        warm = [await ask(tenant) for _ in range(_WARM_ROUNDS) for tenant in TENANTS]
        warm_cpu = _cpu_rows(before, _cpu(pids), len(warm))
    return [
        Row("GetSlaStatus cold, one after the other, p50", _at(cold, 0.5), "ms"),
        Row(
            f"GetSlaStatus cold, one after the other, p99 of {len(cold)}",
            _at(cold, 0.99),
            "ms",
            at_most=DUTY_COLD_MS,
        ),
        *cold_cpu,
        Row("GetSlaStatus cold, 50 at once (queueing), p50", _at(together, 0.5), "ms"),
        Row("GetSlaStatus cold, 50 at once (queueing), p99", _at(together, 0.99), "ms"),
        Row("  answers", len(together) / took, "1/s"),
        Row("GetSlaStatus warm, one after the other, p50", _at(warm, 0.5), "ms"),
        Row(
            f"GetSlaStatus warm, one after the other, p99 of {len(warm):,}",
            _at(warm, 0.99),
            "ms",
            at_most=DUTY_WARM_MS,
        ),
        *warm_cpu,
    ]


def _cpu(pids: dict[str, int | None]) -> dict[str, float]:
    return {name: cpu_s(pid) for name, pid in pids.items() if pid is not None}


def _cpu_rows(before: dict[str, float], after: dict[str, float], calls: int) -> list[Row]:
    return [
        Row(f"  CPU of {name}, a question", 1000 * (after[name] - before[name]) / calls, "CPU-ms")
        for name in before
    ]


async def _redis_only(service: _Service) -> list[Row]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        await _call(stub, service.token, TENANTS[0], 9 * 86_400_000)
        found = [await _call(stub, service.token, tenant) for tenant in TENANTS]
    return [
        Row("GetSlaStatus from Redis after a restart, one after the other, p99 of 50", _at(found, 0.99), "ms")
    ]


async def _crowd(service: _Service) -> list[Row]:
    """1,000 callers, each asking again as soon as it is answered."""
    # One connection for each of a few dozens of them: a thousand handshakes are not what is measured.
    channels = [
        grpc.aio.insecure_channel(service.address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(20)
    ]
    spent: list[float] = []

    async def caller(k: int) -> None:
        stub = sla_service_pb2_grpc.SlaServiceStub(channels[k % len(channels)])
        spent.extend(
            [await _call(stub, service.token, TENANTS[(k + n) % len(TENANTS)]) for n in range(_CALLS)]
        )

    used, begun = cpu_s(service.pid), time.monotonic()
    await asyncio.gather(*(caller(k) for k in range(_CALLERS)))
    took = time.monotonic() - begun
    used = cpu_s(service.pid) - used
    for channel in channels:
        await channel.close()
    return [
        Row(f"{_CALLERS:,} callers at once (warm), p95", _at(spent, 0.95) / 1000, "s", at_most=DUTY_CROWD_S),
        Row("  answers", len(spent) / took, "1/s"),
        Row("  answers for a CPU-second of the service", len(spent) / used, "1/CPU-s"),
    ]


def _at(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
