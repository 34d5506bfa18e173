"""The slicers put together over given engines: every shard's, and what divides them among processes."""

from services.common.clock import Clock
from services.common.config_feed import ConfigFeed
from services.common.lease import TTL_S
from services.common.telemetry import Labels
from services.sla.engines import Replica
from services.sla.maintenance.feed import MaintenanceBook
from services.sla.model import NS_PER_MS, Objective
from services.sla.objectives import Catalogue
from services.sla.ports import PointReader, SliceStore
from services.sla.slice import Slicer
from services.sla.slice_engine import REACH_MS, Configuration
from services.sla.slice_pool import SlicerPool
from services.sla.slice_shards import Shard, ShardLayout
from services.sla.slice_sources import Sources
from services.sla.slice_terms import exclusions_from
from services.sla.store_slices import SliceStorer


def sliced_by(catalogue: Catalogue, feed: ConfigFeed, clock: Clock) -> Configuration:
    """What the slicers slice: everything that has slices and is in force, or was until lately."""

    def objectives() -> list[Objective]:
        now_ms = clock.now_ns() // NS_PER_MS
        found = {
            (one.tenant, one.key): one
            for one in catalogue.sliced_versions()
            if one.from_ms <= now_ms and (one.until_ms is None or one.until_ms > now_ms - REACH_MS)
        }
        return list(found.values())

    return Configuration(
        objectives=objectives,
        timeline=catalogue.timeline,
        exclusions=exclusions_from(MaintenanceBook(feed).windows),
        changed=lambda: feed.seq,
    )


def build_slicers(
    replica: Replica,
    *,
    reader: PointReader,
    store: SliceStore,
    storer: SliceStorer,
    configuration: Configuration,
    shards: int,
    lease_ttl_s: int = TTL_S,
) -> SlicerPool:
    """A slicer for each shard, and what divides them among processes."""
    log, kv, clock, holder = replica.log, replica.kv, replica.clock, replica.holder
    layout, source = ShardLayout(log, kv, shards=shards), Sources(reader, replica.counters)
    slicers = [
        Slicer(
            log=log,
            kv=kv,
            clock=clock,
            source=source,
            store=store,
            storer=storer,
            configuration=configuration,
            region=replica.region,
            holder=holder,
            shard=Shard(number, shards),
            layout=layout,
            lease_ttl_s=lease_ttl_s,
            counters=replica.counters,
        )
        for number in range(shards)
    ]
    return SlicerPool(slicers, kv=kv, clock=clock, layout=layout, holder=holder, lease_ttl_s=lease_ttl_s)


def remaining_s(pool: SlicerPool) -> dict[Labels, float]:
    """Seconds of the past that are left, by objective: the gauge `sla.backfill.remaining`."""
    return {
        (("objective", objective), ("tenant", tenant)): work.remaining_ms / 1000
        for (tenant, objective), work in pool.works.items()
    }
