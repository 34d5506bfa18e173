"""The disaster recovery process: BackupService and the worker behind it.

Composition root: it makes the parts and puts them together, and decides nothing else. The worker
runs under the lease `dr.<region>`, so a second process waits instead of taking half-made backups
of the first one for leftovers.
"""

import os
import secrets
import socket
import sys
from contextlib import AsyncExitStack

from services.common.run import run_service
from services.common.settings import Settings

SERVICE = "dr"


async def serve_dr(settings: Settings) -> None:
    """Connect, serve and work until cancelled."""
    # After the TLS recipe of the settings: gRPC must not be imported before it.
    from services.common.auth_feed import build_authenticator
    from services.common.clickhouse import Database
    from services.common.clock import SystemClock
    from services.common.config_feed import ConfigFeed
    from services.common.grpc_health import HealthRegistry
    from services.common.grpc_server import build_server, serve
    from services.common.lease import Lease, run_while_leading
    from services.common.log import StreamsConfig, connect_nats
    from services.dr.assembly import assemble, telemetry_of
    from services.dr.config import DrConfig
    from services.dr.servicer import SERVICE_NAME, SERVICE_NAMES, add_servicers

    config, clock = DrConfig.from_settings(settings), SystemClock()
    telemetry = telemetry_of(settings)
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.shutdown)
        database = Database(config.clickhouse)
        database.measured_by(telemetry.clickhouse)
        stack.push_async_callback(database.close)
        engine = await connect_nats(config.nats_url, clock=clock)
        stack.push_async_callback(engine.close)
        await engine.ensure_streams(StreamsConfig.from_settings(settings))
        feed = ConfigFeed(engine.log, clock)
        await feed.start()
        stack.push_async_callback(feed.stop)
        rng = secrets.token_bytes
        parts = assemble(config, database=database, engine=engine, clock=clock, rng=rng, telemetry=telemetry)
        health = HealthRegistry(clock)
        health.add_probe("log", engine.probe)
        health.add_probe("clickhouse", database.ping, required_for=[SERVICE_NAME])
        server = build_server(
            config=config.server,
            authenticator=build_authenticator(settings, feed),
            health=health,
            service_names=SERVICE_NAMES,
            telemetry=telemetry,
        )
        add_servicers(server, parts.servicer)
        holder = f"{socket.gethostname()}:{os.getpid()}"
        lease = Lease(engine.kv, clock, name=f"dr.{config.region}", holder=holder)
        await serve(
            server,
            drain_s=settings.drain_s,
            health=health,
            background={"worker": lambda: run_while_leading(lease, parts.worker.run)},
        )


def main() -> int:
    """The process; its exit code."""
    return run_service(serve_dr, name=SERVICE)


if __name__ == "__main__":
    sys.exit(main())
