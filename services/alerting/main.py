"""The alerting process: evaluator, notifier, deliveries, storer and AlertService.

Composition root: it makes the parts and puts them together, and decides nothing else.
"""

import os
import socket
import sys
from contextlib import AsyncExitStack
from random import Random

from services.common.run import run_service
from services.common.settings import Settings

SERVICE = "alerting"


async def serve_alerting(settings: Settings) -> None:
    """Connect, serve and work until cancelled."""
    # After the TLS recipe of the settings: gRPC must not be imported before it.
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
    from services.alerting.run import ACK_WAIT_S, CONSUMER, run_deliveries, run_evaluator, run_notifier
    from services.alerting.serve import build_alerting_server
    from services.alerting.store import EventStorer
    from services.common.clickhouse import ClickHouseConfig, Database
    from services.common.clock import SystemClock
    from services.common.config_feed import ConfigFeed
    from services.common.grpc_health import HealthRegistry
    from services.common.grpc_server import serve
    from services.common.log import connect_nats

    config = AlertingConfig.of(settings)
    clock, rng = SystemClock(), Random()
    holder = f"{settings.region}-{socket.gethostname()}-{os.getpid()}"
    async with AsyncExitStack() as stack:
        database = Database(ClickHouseConfig.from_url(settings.clickhouse_url, settings.clickhouse_database))
        stack.push_async_callback(database.close)
        history = ClickHouseHistory(database, clock)
        engine = await connect_nats(settings.nats_url, clock=clock)
        stack.push_async_callback(engine.close)
        await engine.ensure_streams()
        feed = ConfigFeed(engine.log, clock)
        await feed.start()
        stack.push_async_callback(feed.stop)
        poster = HttpxPoster(timeout_s=config.post_timeout_s)
        stack.push_async_callback(poster.close)
        queue = await engine.queue(NOTIFY, CONSUMER, ack_wait_s=ACK_WAIT_S)
        catalog = ConfigCatalog(feed, config.secrets)
        recorder = BufferedRecorder(history, clock)
        evaluator = Evaluator(log=engine.log, kv=engine.kv, catalog=catalog, clock=clock)
        notifier = Notifier(
            log=engine.log, kv=engine.kv, queue=queue, receivers=catalog, recorder=recorder, clock=clock
        )
        deliverer = Deliverer(
            kv=engine.kv,
            receivers=catalog,
            poster=poster,
            recorder=recorder,
            clock=clock,
            rng=rng,
            external_url=config.external_url,
        )
        storer = EventStorer(engine.log, history, clock)
        health = HealthRegistry(clock)
        health.add_probe("log", engine.probe)
        health.add_probe("clickhouse", database.ping, required_for=())
        lists = AlertLists(kv=engine.kv, catalog=catalog, history=history, clock=clock)
        server = build_alerting_server(settings, feed=feed, health=health, lists=lists)
        await serve(
            server,
            drain_s=settings.drain_s,
            health=health,
            background={
                "evaluator": lambda: run_evaluator(
                    evaluator, log=engine.log, kv=engine.kv, clock=clock, holder=holder
                ),
                "notifier": lambda: run_notifier(notifier, kv=engine.kv, clock=clock, holder=holder),
                "deliveries": lambda: run_deliveries(deliverer, queue, clock=clock),
                "attempts": recorder.run,
                "events": storer.run,
            },
        )


def main() -> int:
    """The process; its exit code."""
    return run_service(serve_alerting, name=SERVICE)


if __name__ == "__main__":
    sys.exit(main())
