"""The collector's process: OTLP in, the log, the writer, the ticker, and the administration."""

import argparse
import asyncio
import random
import sys
from dataclasses import replace
from functools import partial

from services.collector import kernels
from services.collector.assembly import Collector
from services.collector.config import CollectorConfig
from services.common.allocator import collect_rarely, keep_large_blocks
from services.common.auth import TokenTable
from services.common.clickhouse import Database
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed
from services.common.documents_platform import TokenSpec
from services.common.environment import process_environment
from services.common.log import connect_nats
from services.common.retry import RetryPolicy, retry
from services.common.run import run_service
from services.common.settings import MOST_WORKERS, Settings

_VARIABLE = "THREENINES_COLLECTOR_WORKERS"
_FOR_EVER = RetryPolicy(deadline_s=10 * 365 * 86_400.0)


async def collect(settings: Settings, *, workers: int | None = None) -> None:
    """Build everything and serve until told to stop; `workers` overrides the setting."""
    if workers is not None:
        settings = replace(settings, collector_workers=workers)
    warming = asyncio.create_task(asyncio.to_thread(kernels.warm))
    config, clock = CollectorConfig.from_settings(settings), SystemClock()
    engine = await connect_nats(settings.nats_url, clock=clock)
    feed, tokens = ConfigFeed(engine.log, clock), TokenTable()
    feed.on_change(lambda: tokens.replace_from_specs(each.spec for each in feed.specs(TokenSpec)))
    database = Database(config.clickhouse)
    try:
        await retry(
            lambda: engine.ensure_streams(config.streams), policy=_FOR_EVER, clock=clock, rng=random.Random()
        )
        await feed.start()
        await warming
        collect_rarely()
        environ = process_environment()
        await Collector(config, clock, engine, feed, tokens, database, environ).serve()
    finally:
        await feed.stop()
        await database.close()
        await engine.close()


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_WORKERS}")
    return int(text)


def main() -> int:
    """Entry point."""
    keep_large_blocks()
    parser = argparse.ArgumentParser(prog="threenines-collector", description=__doc__)
    parser.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help=f"processes that receive on the OTLP ports, 1 to {MOST_WORKERS}; overrides {_VARIABLE}",
    )
    return run_service(partial(collect, workers=parser.parse_args().workers), name="collector")


if __name__ == "__main__":
    sys.exit(main())
