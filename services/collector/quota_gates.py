"""The quotas of a collector process, put together: what is in force, who holds it, who changes it.

`Gates` are what every process that receives holds its tenants to; `Quotas` is the rest, in the one that
owns the count of series.
"""

import asyncio
from collections.abc import Awaitable, Callable

from services.collector.census_rebuild import CensusRebuild
from services.collector.clickhouse_usage import ClickHouseUsage
from services.collector.quota import Quota, QuotasInForce
from services.collector.quota_ports import SeriesCensus
from services.collector.rate import RateGate
from services.collector.redis import RedisTokenBuckets
from services.collector.series_census import LocalSeriesCensus
from services.collector.series_gate import SeriesGate
from services.collector.set_quota import QuotaAdministration
from services.collector.status import StatusReporter
from services.collector.usage import UsageReporter
from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.config_feed import ConfigFeed
from services.common.log_port import Log
from services.common.telemetry import Counters


class Gates:
    """What requests pass in one process. It must be closed."""

    def __init__(
        self,
        default: Quota,
        *,
        redis_url: str,
        feed: ConfigFeed,
        census: SeriesCensus,
        clock: Clock,
        counters: Counters,
    ) -> None:
        in_force = QuotasInForce(feed, default)
        self._buckets = RedisTokenBuckets(redis_url)
        self.rate = RateGate(self._buckets, in_force.of, clock, counters)
        self.series = SeriesGate(census, in_force.of, clock, counters)

    async def close(self) -> None:
        """Close the connections."""
        await self._buckets.close()


class Quotas:
    """The owner's part in holding the quotas."""

    def __init__(
        self,
        default: Quota,
        *,
        census: LocalSeriesCensus,
        log: Log,
        feed: ConfigFeed,
        database: Database,
        status: StatusReporter,
        clock: Clock,
        followed: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """`followed` as of `Tenants`."""
        store = ClickHouseUsage(database)
        self.administration = QuotaAdministration(
            log=log, feed=feed, clock=clock, default=default, followed=followed
        )
        self.usage = UsageReporter(
            reader=store, census=census, quotas=self.administration, watermark_ns=status.watermark_ns
        )
        self._rebuild = CensusRebuild(
            census, log=log, history=store, written_seq=status.written_seq, clock=clock
        )

    async def run(self) -> None:
        """Count what was there before, for as long as that takes, and then wait for ever."""
        await self._rebuild.run()
        await asyncio.Event().wait()
