"""What `threenines up` starts: the engines from the wheels, then the four services.

An engine whose URL the configuration gives is not started. Builds command lines, environments
and probes; starts nothing itself.
"""

import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import grpc.aio
import httpx
import redis.asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.child import ChildSpec
from services.common.clock import SystemClock
from services.embedded import nats as nats_engine
from services.embedded import redis as redis_engine
from services.embedded.layout import HOST, DataDir, Ports
from services.embedded.own_metrics import own_metrics_environment, own_metrics_wanted
from services.embedded.supervisor import Plan

_WORKERS = "THREENINES_COLLECTOR_WORKERS"


@dataclass(frozen=True, slots=True)
class Platform:
    """What the `kind: Platform` document may say; empty means the embedded engine.

    `auth` is `token` or `none`; `none` makes every caller tenant `default` and is for a laptop.
    """

    nats_url: str | None = None
    clickhouse_url: str | None = None
    redis_url: str | None = None
    auth: str = "token"
    region: str = "local"
    environment: str = "laptop"
    collector_workers: int | None = None
    """Processes that receive; None leaves it to THREENINES_COLLECTOR_WORKERS."""


def build_plan(platform: Platform, data_dir: DataDir, ports: Ports, *, environ: Mapping[str, str]) -> Plan:
    """The children, in order of start."""
    engines: list[ChildSpec] = []
    own_ports: list[str] = []
    nats_url, redis_url, clickhouse_url = platform.nats_url, platform.redis_url, platform.clickhouse_url
    if nats_url is None:
        spec, nats_url = _nats(data_dir, ports, environ)
        engines.append(spec)
        own_ports += ["nats", "nats_monitor"]
    if redis_url is None:
        spec, redis_url = _redis(data_dir, ports, environ)
        engines.append(spec)
        own_ports.append("redis")
    if clickhouse_url is None:
        spec, clickhouse_url = _clickhouse(data_dir, ports, environ)
        engines.append(spec)
        own_ports.append("clickhouse")
    urls = {"NATS": nats_url, "CLICKHOUSE": clickhouse_url, "REDIS": redis_url}
    env = _services_environment(platform, data_dir, ports, urls=urls, environ=environ)
    services = tuple(
        _service(name, title, data_dir=data_dir, ports=ports, env=env)
        for name, title in (
            ("collector", _collector_title(env)),
            ("sla", "SLA"),
            ("alerting", "alerting"),
            ("dr", "disaster recovery"),
        )
    )
    listeners = ("otlp", "otlp_http", "collector", "sla", "alerting", "dr")
    connect = {name: ports.address(name) for name in listeners}
    connect |= {"nats": nats_url, "clickhouse": clickhouse_url, "redis": redis_url}
    return Plan(
        engines=tuple(engines),
        services=services,
        connect=connect,
        own_ports=(*own_ports, *listeners),
    )


def _services_environment(
    platform: Platform,
    data_dir: DataDir,
    ports: Ports,
    *,
    urls: Mapping[str, str],
    environ: Mapping[str, str],
) -> dict[str, str]:
    """What every service of this start reads; `urls` by engine."""
    env = {
        **environ,
        **{f"THREENINES_{engine}_URL": url for engine, url in urls.items()},
        "THREENINES_ENVIRONMENT": platform.environment,
        "THREENINES_REGION": platform.region,
        "THREENINES_AUTH": platform.auth,
        "THREENINES_ADMIN_TOKEN_SHA256": data_dir.admin_token_sha256(),
        "THREENINES_DATA_DIR": str(data_dir.root),
        "THREENINES_BACKUPS_DIR": str(data_dir.backups),
        "THREENINES_OTLP_LISTEN": ports.address("otlp"),
        "THREENINES_OTLP_HTTP_LISTEN": ports.address("otlp_http"),
        "THREENINES_COLLECTOR_LISTEN": ports.address("collector"),
        "THREENINES_SLA_LISTEN": ports.address("sla"),
        "THREENINES_ALERTING_LISTEN": ports.address("alerting"),
        "THREENINES_DR_LISTEN": ports.address("dr"),
    }
    if platform.collector_workers is not None:
        env[_WORKERS] = str(platform.collector_workers)
    if own_metrics_wanted(environ, auth=platform.auth):
        env |= own_metrics_environment(ports.address("otlp"), data_dir.own_metrics_token(), environ)
    return env


def _collector_title(env: Mapping[str, str]) -> str:
    workers = env.get(_WORKERS) or "1"
    return "collector (OTLP in)" if workers == "1" else f"collector ({workers} workers)"


def _nats(data_dir: DataDir, ports: Ports, environ: Mapping[str, str]) -> tuple[ChildSpec, str]:
    server = nats_engine.NatsServer(
        data_dir=data_dir.engine("nats"),
        port=ports["nats"],
        monitor_port=ports["nats_monitor"],
        host=HOST,
        max_file_bytes=_share_of_free_space(data_dir.root),
        token=data_dir.nats_token(),
    )
    nats_engine.write_config(server)
    spec = ChildSpec(
        name="nats",
        title="NATS JetStream (log)",
        address=ports.address("nats"),
        argv=tuple(nats_engine.build_argv(server)),
        env=environ,
        log_file=data_dir.log_file("nats"),
        probe=_nats_ok(server),
    )
    return spec, server.url


def _redis(data_dir: DataDir, ports: Ports, environ: Mapping[str, str]) -> tuple[ChildSpec, str]:
    server = redis_engine.RedisServer(
        data_dir=data_dir.engine("redis"),
        port=ports["redis"],
        host=HOST,
        password=data_dir.redis_password(),
    )
    redis_engine.write_config(server)
    spec = ChildSpec(
        name="redis",
        title="Redis (cache)",
        address=ports.address("redis"),
        argv=tuple(redis_engine.build_argv(server)),
        env=environ,
        log_file=data_dir.log_file("redis"),
        probe=_redis_ok(server.url),
    )
    return spec, server.url


def _clickhouse(data_dir: DataDir, ports: Ports, environ: Mapping[str, str]) -> tuple[ChildSpec, str]:
    password = data_dir.clickhouse_password()
    argv = (
        sys.executable,
        "-m",
        "services.embedded.clickhouse",
        "--data-dir",
        str(data_dir.engine("clickhouse")),
        "--host",
        HOST,
        "--port",
        str(ports["clickhouse"]),
        "--password-file",
        str(data_dir.clickhouse_password_file),
        "--backups-dir",
        str(data_dir.backups),
    )
    spec = ChildSpec(
        name="clickhouse",
        title="ClickHouse (history)",
        address=ports.address("clickhouse"),
        argv=argv,
        env=environ,
        log_file=data_dir.log_file("clickhouse"),
        probe=_http_ok(f"http://{ports.address('clickhouse')}/ping"),
    )
    return spec, f"http://default:{quote(password, safe='')}@{ports.address('clickhouse')}"


def _service(name: str, title: str, *, data_dir: DataDir, ports: Ports, env: Mapping[str, str]) -> ChildSpec:
    address = ports.address(name)
    shown = address
    if name == "collector":
        shown = f"{ports.address('otlp')}, {ports.address('otlp_http')}, {address}"
    return ChildSpec(
        name=name,
        title=title,
        address=shown,
        argv=(sys.executable, "-m", f"services.{name}.main"),
        env=env,
        log_file=data_dir.log_file(name),
        probe=grpc_serving(address),
    )


def grpc_serving(address: str) -> Callable[[], Awaitable[bool]]:
    """A probe: gRPC health of the whole server says SERVING."""

    async def probe() -> bool:
        async with grpc.aio.insecure_channel(address) as channel:
            response = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=1.5
            )
            return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    return probe


def _nats_ok(server: nats_engine.NatsServer) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        # Not only healthy: it must also sync every message, or it is no log.
        await nats_engine.wait_ready(server, SystemClock(), timeout_s=1.0)
        return True

    return probe


def _http_ok(url: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
            return (await client.get(url)).status_code == httpx.codes.OK

    return probe


def _redis_ok(url: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        client = redis.asyncio.Redis.from_url(url)
        try:
            return bool(await client.ping())
        finally:
            await client.aclose()

    return probe


def _share_of_free_space(root: Path) -> int:
    """What the log may take: at most 80 % of the volume's free space, and 20 GB on a laptop."""
    return min(shutil.disk_usage(root).free * 8 // 10, 20 << 30)
