"""One SlaService for `bench_serve`: real ClickHouse and Redis, contracts of many tenants, no slicer.

`python -m tests.bench.serve_process CLICKHOUSE_URL DATABASE REDIS_URL`; prints its address and a token
when it serves.
"""

import asyncio
import secrets
import sys
from fractions import Fraction

from services.common.allocator import collect_rarely
from services.common.auth import PLATFORM_TENANT, Authenticator, Role
from services.common.auth_tokens import TokenRecord, TokenTable, mint_token, sha256_hex
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.log_memory import MemoryLog
from services.common.settings import ServerConfig
from services.common.telemetry import Counters
from services.sla import kernels
from services.sla.clickhouse import ClickHouseSliceStore
from services.sla.figure_redis import RedisFigureCache
from services.sla.kept_figures import KeptFigures
from services.sla.maintenance.manage import Maintenance
from services.sla.model import Contract, Objective, ObjectiveKind
from services.sla.serve import SlaFigures
from services.sla.servicer import SERVICE_NAME, SlaServicer
from threenines.sla.v1 import sla_service_pb2_grpc

TENANTS = [f"tenant-{k:02d}" for k in range(50)]
MONTH_MS = 30 * 86_400_000
METRIC = "http.server.request.duration"


def contract(tenant: str) -> Contract:
    """Availability and a p95, over 30 days."""
    availability = Objective(
        tenant, "gold", "availability", ObjectiveKind.AVAILABILITY, Fraction(999, 1000), MONTH_MS, METRIC
    )
    latency = Objective(
        tenant,
        "gold",
        "latency",
        ObjectiveKind.LATENCY,
        Fraction(95, 100),
        MONTH_MS,
        METRIC,
        threshold_s=Fraction(2),
    )
    return Contract(tenant, "gold", 1, "UTC", 0, (availability, latency))


class Contracts:
    """The same two promises to every tenant."""

    def __init__(self) -> None:
        self._held = {tenant: contract(tenant) for tenant in TENANTS}

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        """See the protocol."""
        return list(self._held.values()) if tenant is None else [self._held[tenant]]

    def versions(self, tenant: str | None = None) -> list[Contract]:
        """See the protocol."""
        return self.contracts(tenant)

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        """See the protocol."""
        return tuple(one for one in self._held[tenant].objectives if one.key == key)


async def serve(clickhouse_url: str, database_name: str, redis_url: str) -> None:
    """Serve until the input ends."""
    kernels.warm()
    clock, counters = SystemClock(), Counters()
    database = Database(ClickHouseConfig.from_url(clickhouse_url, database_name))
    contracts, log = Contracts(), MemoryLog(clock)
    figures = SlaFigures(
        contracts=contracts,
        slices=ClickHouseSliceStore(database),
        clock=clock,
        kept=KeptFigures(clock, counters, RedisFigureCache(redis_url)),
    )
    maintenance = Maintenance(
        log=log, feed=ConfigFeed(log, clock), clock=clock, contracts=contracts, random_bytes=bytes
    )
    token = mint_token(secrets.token_bytes)
    table = TokenTable([TokenRecord(token.token_id, PLATFORM_TENANT, Role.ADMIN, token.sha256)])
    server = build_server(
        config=ServerConfig(listen="127.0.0.1:0"),
        authenticator=Authenticator("token", table, sha256_hex("unused")),
        health=HealthRegistry(clock),
        service_names=[SERVICE_NAME],
    )
    servicer = SlaServicer(figures, maintenance)
    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(servicer, server)
    collect_rarely()
    await server.start()
    sys.stdout.write(f"127.0.0.1:{bound_port(server)} {token.text}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)
    await database.close()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
