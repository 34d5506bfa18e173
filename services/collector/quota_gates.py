"""The quotas of a collector process, put together: what is in force, who holds it, who changes it."""

import asyncio

from services.collector.census_rebuild import CensusRebuild
from services.collector.clickhouse_usage import ClickHouseUsage
from services.collector.quota import Quota, QuotasInForce
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


class Quotas:
    """One process's part in holding the quotas. It must be closed."""

    def __init__(
        self,
        default: Quota,
        *,
        redis_url: str,
        log: Log,
        feed: ConfigFeed,
        database: Database,
        status: StatusReporter,
        clock: Clock,
        counters: Counters,
    ) -> None:
        store = ClickHouseUsage(database)
        in_force = QuotasInForce(feed, default)
        self._buckets = RedisTokenBuckets(redis_url)
        self.census = LocalSeriesCensus(clock)
        self.rate = RateGate(self._buckets, in_force.of, clock, counters)
        self.series = SeriesGate(self.census, in_force.of, clock, counters)
        self.administration = QuotaAdministration(log=log, feed=feed, clock=clock, default=default)
        self.usage = UsageReporter(
            reader=store,
            census=self.census,
            quotas=self.administration,
            watermark_ns=status.watermark_ns,
        )
        self._rebuild = CensusRebuild(
            self.census, log=log, history=store, written_seq=status.written_seq, clock=clock
        )

    async def run(self) -> None:
        """Count what was there before, for as long as that takes, and then wait for ever."""
        await self._rebuild.run()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the connections."""
        await self._buckets.close()
