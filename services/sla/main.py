"""The SLA process: SlaService, the slicer, and the storer of slices.

Composition root: it makes the parts and puts them together, and decides nothing else.
"""

import asyncio
import random
import sys
from contextlib import AsyncExitStack
from functools import partial

from services.common.retry import RetryPolicy, retry
from services.common.run import run_service
from services.common.settings import Settings

SERVICE = "sla"
_FOR_EVER = RetryPolicy(deadline_s=10 * 365 * 86_400.0)


async def serve_sla(settings: Settings) -> None:
    """Connect, serve and work until cancelled."""
    # After the TLS recipe of the settings: gRPC must not be imported before it.
    from services.common.clickhouse import Database
    from services.common.clock import SystemClock
    from services.common.config_feed import ConfigFeed
    from services.common.grpc_health import HealthRegistry
    from services.common.grpc_server import serve
    from services.common.log import StreamsConfig, connect_nats
    from services.sla import kernels
    from services.sla.assembly import assemble, build_sla_server, telemetry_of
    from services.sla.config import SlaConfig
    from services.sla.figure_redis import RedisFigureCache
    from services.sla.reports.config import ReportsConfig
    from services.sla.servicer import SERVICE_NAME
    from services.sla.slice_assembly import remaining_s

    config, clock, telemetry = SlaConfig.from_settings(settings), SystemClock(), telemetry_of(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, telemetry.shutdown)
        warming = asyncio.create_task(asyncio.to_thread(kernels.warm))
        database = Database(config.clickhouse)
        database.measured_by(telemetry.clickhouse)
        stack.push_async_callback(database.close)
        # Never waited for: without Redis figures are computed again.
        cache = RedisFigureCache(config.redis_url)
        stack.push_async_callback(cache.close)
        engine = await connect_nats(config.nats_url, clock=clock)
        stack.push_async_callback(engine.close)
        streams = StreamsConfig.from_settings(settings)
        declare = partial(engine.ensure_streams, streams)
        await retry(declare, policy=_FOR_EVER, clock=clock, rng=random.Random())
        feed = ConfigFeed(engine.log, clock)
        await feed.start()
        stack.push_async_callback(feed.stop)
        parts = assemble(
            database=database,
            log=engine.log,
            kv=engine.kv,
            feed=feed,
            clock=clock,
            region=config.region,
            holder=config.holder,
            counters=telemetry.counters,
            cache=cache,
            shards=config.shards,
            reports=ReportsConfig.of(settings.environment),
        )
        telemetry.gauges("sla.backfill.remaining", partial(remaining_s, parts.slicer))
        telemetry.gauge("sla.objectives.failing", lambda: float(len(parts.slicer.failing)))
        health = HealthRegistry(clock)
        # Watches end before they are cut off.
        health.on_drain(parts.changes.drain)
        health.add_probe("log", engine.probe)
        # Without ClickHouse there are no figures, but the process stays up and waits.
        health.add_probe("clickhouse", database.ping, required_for=[SERVICE_NAME])
        # Of some objectives only: the service answers for all others.
        health.add_probe("slicer", parts.slicer.probe, required_for=[])
        server = build_sla_server(
            settings, config, feed=feed, health=health, servicer=parts.servicer, telemetry=telemetry
        )
        await warming
        await serve(
            server,
            drain_s=config.drain_s,
            health=health,
            background={
                "slicer": parts.slicer.run,
                "storer": parts.storer.run,
                "storer of reports": parts.reports.storer.run,
                "reports": parts.reports.worker.run,
            },
        )


def main() -> int:
    """The process; its exit code."""
    return run_service(serve_sla, name=SERVICE)


if __name__ == "__main__":
    sys.exit(main())
