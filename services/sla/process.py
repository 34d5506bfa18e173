"""The SLA process over real engines: connected, put together, served.

Composition root: it makes the parts and puts them together, and decides nothing else.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from functools import partial

from services.common.allocator import collect_rarely
from services.common.clickhouse import Database
from services.common.clock import Clock, SystemClock
from services.common.config_feed import ConfigFeed
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import serve
from services.common.log import NatsEngine, StreamsConfig, connect_nats
from services.common.retry import RetryPolicy, retry
from services.common.settings import Settings
from services.common.telemetry import Telemetry
from services.sla import kernels
from services.sla.assembly import Parts, assemble, build_sla_server, telemetry_of
from services.sla.config import SlaConfig
from services.sla.engines import Engines
from services.sla.figure_redis import RedisFigureCache
from services.sla.reports.config import ReportsConfig
from services.sla.servicer import SERVICE_NAME
from services.sla.slice_assembly import remaining_s

_FOR_EVER = RetryPolicy(deadline_s=10 * 365 * 86_400.0)


async def run(settings: Settings) -> None:
    """Connect, serve and work until cancelled."""
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
        log = await _connect(settings, config, clock, stack)
        feed = ConfigFeed(log.log, clock)
        await feed.start()
        stack.push_async_callback(feed.stop)
        engines = Engines(
            log=log.log,
            kv=log.kv,
            clock=clock,
            region=config.region,
            holder=config.holder,
            counters=telemetry.counters,
            database=database,
            feed=feed,
        )
        reports = ReportsConfig.of(settings.environment)
        parts = assemble(engines, cache=cache, shards=config.shards, reports=reports)
        _gauges(telemetry, parts)
        health = _health(engines, log, parts)
        server = build_sla_server(
            settings, config, feed=feed, health=health, servicer=parts.servicer, telemetry=telemetry
        )
        await warming
        # Looking through everything that the kernels brought takes 90 ms, in the middle of somebody's answer.
        collect_rarely()
        await serve(server, drain_s=config.drain_s, health=health, background=parts.background)


async def _connect(settings: Settings, config: SlaConfig, clock: Clock, stack: AsyncExitStack) -> NatsEngine:
    log = await connect_nats(config.nats_url, clock=clock)
    stack.push_async_callback(log.close)
    declare = partial(log.ensure_streams, StreamsConfig.from_settings(settings))
    await retry(declare, policy=_FOR_EVER, clock=clock, rng=random.Random())
    return log


def _gauges(telemetry: Telemetry, parts: Parts) -> None:
    telemetry.gauges("sla.backfill.remaining", partial(remaining_s, parts.slicer))
    telemetry.gauge("sla.objectives.failing", lambda: float(len(parts.slicer.failing)))


def _health(engines: Engines, log: NatsEngine, parts: Parts) -> HealthRegistry:
    health = HealthRegistry(engines.clock)
    # Watches end before they are cut off.
    health.on_drain(parts.changes.drain)
    health.add_probe("log", log.probe)
    # Without ClickHouse there are no figures, but the process stays up and waits.
    health.add_probe("clickhouse", engines.database.ping, required_for=[SERVICE_NAME])
    # Of some objectives only: the service answers for all others.
    health.add_probe("slicer", parts.slicer.probe, required_for=[])
    return health
