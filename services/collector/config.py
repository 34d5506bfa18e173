"""What the collector takes from the settings, with its own limits."""

from dataclasses import dataclass, field

from services.collector.admission import AdmissionConfig
from services.collector.quota import Quota
from services.collector.receive import ReceiveConfig
from services.collector.write import WriteConfig
from services.common.clickhouse import ClickHouseConfig
from services.common.settings import ServerConfig, Settings
from services.common.streams import OTLP, STREAMS, StreamsConfig


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
    streams: StreamsConfig = field(default_factory=StreamsConfig)
    quota: Quota = field(default_factory=Quota)
    """Of tenants that have none of their own."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "CollectorConfig":
        """Narrow the settings of the suite.

        Raises:
            InvalidArgument: BAD_CLICKHOUSE_URL.
        """
        return cls(
            settings=settings,
            clickhouse=ClickHouseConfig.from_url(settings.clickhouse_url, settings.clickhouse_database),
            otlp=settings.server_config(settings.otlp_listen),
            otlp_http=settings.server_config(settings.otlp_http_listen),
            admin=settings.server_config(settings.collector_listen),
            write=WriteConfig(region=settings.region),
            admission=AdmissionConfig(max_bytes=settings.receive_memory_bytes),
            quota=Quota.from_settings(settings),
        )

    @property
    def log_limit_bytes(self) -> int:
        """Bytes that the stream OTLP may hold."""
        share = next(spec.share for spec in STREAMS if spec.name == OTLP)
        return round(self.streams.total_bytes * share)
