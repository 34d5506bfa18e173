"""What the collector takes from the settings, with its own limits."""

from dataclasses import dataclass, field, replace

from services.collector.admission import AdmissionConfig
from services.collector.quota import Quota
from services.collector.receive import ReceiveConfig
from services.collector.validate import AcceptLimits
from services.collector.write import WriteConfig
from services.common.clickhouse import ClickHouseConfig
from services.common.settings import PortUse, ServerConfig, Settings
from services.common.streams import OTLP, STREAMS, StreamsConfig

_POINT_SHARE = 1024
"""Bytes of the memory cap for each point of a batch, which itself takes some 250 of them."""
_SERIES_SHARE = 2048
"""Bytes of the cap for each series that is remembered, in each of the places that do."""
_DIRECTORY_SHARE, _KEPT_SHARE = 16, 8
"""Parts of the cap for a generation of identities, and for requests that wait for the writer decoded."""


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """Everything that the composition root needs."""

    settings: Settings
    clickhouse: ClickHouseConfig
    otlp: ServerConfig
    otlp_http: ServerConfig
    admin: ServerConfig
    write: WriteConfig
    admission: AdmissionConfig = field(default_factory=AdmissionConfig)
    receive: ReceiveConfig = field(default_factory=ReceiveConfig)
    memory_bytes: int = 1 << 30
    """Resident memory under which this process stays."""
    streams: StreamsConfig = field(default_factory=StreamsConfig)
    quota: Quota = field(default_factory=Quota)
    """Of tenants that have none of their own."""

    @classmethod
    def from_settings(cls, settings: Settings, *, joined: bool = False) -> "CollectorConfig":
        """Narrow the settings of the suite; `joined` for a worker, which joins the ports of its collector.

        Every process gets its share of the memory for requests.

        Raises:
            InvalidArgument: BAD_CLICKHOUSE_URL.
        """
        workers = settings.collector_workers
        port_use = PortUse.JOINED if joined else PortUse.SHARED if workers > 1 else PortUse.ALONE
        return cls(
            settings=settings,
            clickhouse=ClickHouseConfig.from_url(settings.clickhouse_url, settings.clickhouse_database),
            otlp=replace(settings.server_config(settings.otlp_listen), port_use=port_use),
            otlp_http=replace(settings.server_config(settings.otlp_http_listen), port_use=port_use),
            admin=settings.server_config(settings.collector_listen),
            write=WriteConfig(
                region=settings.region,
                max_points=settings.collector_memory_bytes // _POINT_SHARE,
                described_series=settings.collector_memory_bytes // _SERIES_SHARE,
            ),
            receive=ReceiveConfig(limits=AcceptLimits(most_points=settings.request_max_points)),
            admission=AdmissionConfig(max_bytes=settings.receive_memory_bytes // workers),
            memory_bytes=settings.collector_memory_bytes,
            streams=StreamsConfig.from_settings(settings),
            quota=Quota.from_settings(settings),
        )

    @property
    def remembered_series(self) -> int:
        """Series that are remembered, wherever that is."""
        return self.memory_bytes // _SERIES_SHARE

    @property
    def directory_bytes(self) -> int:
        """Of a generation of identities."""
        return self.memory_bytes // _DIRECTORY_SHARE

    @property
    def kept_bytes(self) -> int:
        """Of requests that wait for the writer decoded."""
        return self.memory_bytes // _KEPT_SHARE

    @property
    def log_limit_bytes(self) -> int:
        """Bytes that the stream OTLP may hold."""
        share = next(spec.share for spec in STREAMS if spec.name == OTLP)
        return round(self.streams.total_bytes * share)
