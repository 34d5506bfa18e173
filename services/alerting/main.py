"""The alerting process: evaluator, notifier, deliveries, storer and AlertService.

Composition root: it makes the parts and puts them together, and decides nothing else.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from random import Random

from services.alerting.catalog import ConfigCatalog
from services.alerting.clickhouse import ClickHouseHistory
from services.alerting.config import AlertingConfig
from services.alerting.deliver import Deliverer
from services.alerting.evaluate import Evaluator
from services.alerting.list import AlertLists
from services.alerting.notify import STREAM as NOTIFY
from services.alerting.notify import Notifier
from services.alerting.poster import HttpxPoster
from services.alerting.recorder import BufferedRecorder
from services.alerting.run import (
    CONSUMER,
    EVALUATOR_LEASE,
    NOTIFIER_LEASE,
    alerting_lease,
    run_deliveries,
    run_evaluator,
    run_notifier,
)
from services.alerting.serve import build_alerting_server
from services.alerting.store import EventStorer
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import serve
from services.common.log import NatsEngine, StreamsConfig, connect_nats
from services.common.retry import RetryPolicy, retry
from services.common.run import run_service
from services.common.settings import Settings
from services.common.telemetry import Telemetry

SERVICE = "alerting"

_FOR_EVER = RetryPolicy(deadline_s=10 * 365 * 86_400.0)

Work = Callable[[], Awaitable[None]]


async def serve_alerting(settings: Settings) -> None:
    """Connect, serve and work until cancelled; waits for the log, never for ClickHouse."""
    config, clock = AlertingConfig.of(settings), SystemClock()
    async with AsyncExitStack() as stack:
        telemetry = Telemetry(
            "threenines-alerting",
            endpoint=settings.otlp_endpoint,
            export_interval_ms=settings.otlp_export_interval_ms,
            region=settings.region,
        )
        stack.push_async_callback(asyncio.to_thread, telemetry.shutdown)
        database = Database(ClickHouseConfig.from_url(settings.clickhouse_url, settings.clickhouse_database))
        database.measured_by(telemetry.clickhouse)
        stack.push_async_callback(database.close)
        engine = await connect_nats(settings.nats_url, clock=clock)
        stack.push_async_callback(engine.close)
        declare = partial(engine.ensure_streams, StreamsConfig.from_settings(settings))
        await retry(declare, policy=_FOR_EVER, clock=clock, rng=Random())
        feed = ConfigFeed(engine.log, clock)
        await feed.start()
        stack.push_async_callback(feed.stop)
        poster = HttpxPoster(timeout_s=config.post_timeout_s)
        stack.push_async_callback(poster.close)
        history = ClickHouseHistory(database, clock)
        catalog = ConfigCatalog(feed, config.secrets, clock)
        health = HealthRegistry(clock)
        health.add_probe("log", engine.probe)
        # Only ListNotifications needs it, and that says so itself.
        health.add_probe("clickhouse", database.ping, required_for=())
        lists = AlertLists(kv=engine.kv, catalog=catalog, history=history, clock=clock)
        await serve(
            build_alerting_server(settings, feed=feed, health=health, lists=lists, telemetry=telemetry),
            drain_s=settings.drain_s,
            health=health,
            background=await _background(
                config, engine, catalog, poster=poster, history=history, telemetry=telemetry
            ),
        )


async def _background(
    config: AlertingConfig,
    engine: NatsEngine,
    catalog: ConfigCatalog,
    *,
    poster: HttpxPoster,
    history: ClickHouseHistory,
    telemetry: Telemetry,
) -> dict[str, Work]:
    """The loops of the process by name."""
    clock, log, kv, counters = SystemClock(), engine.log, engine.kv, telemetry.counters
    holder = f"{config.settings.region}-{socket.gethostname()}-{os.getpid()}"
    recorder = BufferedRecorder(history, clock, counters=counters)
    queue = await engine.queue(NOTIFY, CONSUMER, ack_wait_s=config.ack_wait_s)
    evaluator = Evaluator(log=log, kv=kv, catalog=catalog, clock=clock, counters=counters)
    notifier = Notifier(log=log, kv=kv, queue=queue, receivers=catalog, recorder=recorder, clock=clock)
    deliverer = Deliverer(
        kv=kv,
        receivers=catalog,
        poster=poster,
        recorder=recorder,
        clock=clock,
        rng=Random(),
        external_url=config.external_url,
    )
    ttl_s = config.takeover_s
    evaluating = alerting_lease(kv, clock, name=EVALUATOR_LEASE, holder=holder, ttl_s=ttl_s)
    notifying = alerting_lease(kv, clock, name=NOTIFIER_LEASE, holder=holder, ttl_s=ttl_s)
    telemetry.gauge("common.lease.held", lambda: float(evaluating.held))
    return {
        "evaluator": lambda: run_evaluator(evaluator, evaluating, log=log, holder=holder),
        "notifier": lambda: run_notifier(notifier, notifying),
        "deliveries": lambda: run_deliveries(deliverer, queue, clock=clock),
        "attempts": recorder.run,
        "events": EventStorer(log, history, clock, counters=counters).run,
    }


def main() -> int:
    """The process; its exit code."""
    return run_service(serve_alerting, name=SERVICE)


if __name__ == "__main__":
    sys.exit(main())
