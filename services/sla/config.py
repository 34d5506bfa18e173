"""What the SLA service takes from the suite's settings. The only module of it that knows them."""

import os
import socket
from dataclasses import dataclass

from services.common.clickhouse import ClickHouseConfig
from services.common.settings import ServerConfig, Settings


@dataclass(frozen=True, slots=True)
class SlaConfig:
    """Where the engines are, where to listen, and who we are in leases."""

    clickhouse: ClickHouseConfig
    nats_url: str
    redis_url: str
    server: ServerConfig
    region: str
    holder: str
    drain_s: int
    shards: int = 1

    @classmethod
    def from_settings(cls, settings: Settings) -> "SlaConfig":
        """Narrow the settings of the suite.

        Raises:
            InvalidArgument: BAD_CLICKHOUSE_URL.
        """
        return cls(
            clickhouse=ClickHouseConfig.from_url(settings.clickhouse_url, settings.clickhouse_database),
            nats_url=settings.nats_url,
            redis_url=settings.redis_url,
            server=settings.server_config(settings.sla_listen),
            region=settings.region,
            holder=f"{settings.region}:{socket.gethostname()}:{os.getpid()}",
            drain_s=settings.drain_s,
            shards=settings.sla_shards,
        )
