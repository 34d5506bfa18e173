"""What every part of the SLA service stands on: given once, handed down whole. Knows no part of it."""

from dataclasses import dataclass, field

from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.config_feed import ConfigFeed
from services.common.log_port import KeyValue, Log
from services.common.telemetry import Counters


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process among several: the log that they share, and who it is to them.

    Args:
        region: the region whose database it works for; positions are kept for each.
        holder: this process in leases; no two that run have the same.
    """

    log: Log
    kv: KeyValue
    clock: Clock
    region: str
    holder: str
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines(Replica):
    """A process with its database and its configuration."""

    database: Database
    feed: ConfigFeed
