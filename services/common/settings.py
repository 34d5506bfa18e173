"""What every service of the suite is configured with, read once from the environment.

One frozen object, all mistakes reported together, secrets hidden. It must not import gRPC: the
TLS recipe (`tls.py`) has to act before that library is first used. Each service's `config.py`
takes what it needs from here and adds its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from services.common.environment import ConfigurationError as ConfigurationError
from services.common.environment import EnvironmentReader, Secret, redacted

MOST_WORKERS = 64
MOST_SHARDS = 256
_LEAST_RECEIVE_BYTES = 1 << 20


class Environment(StrEnum):
    """How strict the process is about its own safety."""

    LAPTOP = "laptop"
    PRODUCTION = "production"


class AuthMode(StrEnum):
    """How callers prove who they are."""

    TOKEN = "token"  # noqa: S105 - the name of a mode, not a secret
    NONE = "none"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class PortUse(StrEnum):
    """Who else may listen where a server listens."""

    ALONE = "alone"
    """Nobody: a second process is refused."""
    SHARED = "shared"
    """Nobody now, further processes of this user from now on."""
    JOINED = "joined"
    """The process that had it as SHARED does already."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where a server listens and with which certificate.

    Without certificate files the server speaks plaintext, which production refuses.
    """

    listen: str
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    environment: Environment = Environment.LAPTOP
    port_use: PortUse = PortUse.ALONE

    @property
    def tls(self) -> bool:
        """Whether the server speaks TLS."""
        return self.tls_cert_file is not None and self.tls_key_file is not None


@dataclass(frozen=True, slots=True)
class Settings:
    """The suite's settings. `docs/configuration.md` lists the variables."""

    environment: Environment = Environment.LAPTOP
    region: str = "local"
    nats_url: str = field(default="nats://127.0.0.1:4222", repr=False)
    clickhouse_url: str = field(default="http://127.0.0.1:8123", repr=False)
    clickhouse_database: str = "threenines"
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    auth: AuthMode = AuthMode.TOKEN
    admin_token_sha256: Secret | None = None
    data_dir: Path = Path(".threenines")
    backups_dir: Path = Path(".threenines/backups")
    otlp_listen: str = "127.0.0.1:4317"
    otlp_http_listen: str = "127.0.0.1:4318"
    collector_listen: str = "127.0.0.1:7700"
    sla_listen: str = "127.0.0.1:7710"
    alerting_listen: str = "127.0.0.1:7720"
    dr_listen: str = "127.0.0.1:7730"
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    log_bytes: int = 4 << 30
    """Of all streams and buckets of the log together."""
    log_replicas: int = 1
    log_placement_tags: tuple[str, ...] = ()
    drain_s: int = 10
    sla_shards: int = 1
    """Parts into which tenants are divided among slicers; the same in every process of the system."""
    collector_workers: int = 1
    """Processes that receive, the collector's own included."""
    collector_memory_bytes: int = 1 << 30
    """Resident, of each process of a collector."""
    receive_memory_bytes: int = 256 << 20
    """Of all of them together."""
    request_max_points: int = 1_000_000
    quota_points_per_second: int = 1_000_000
    quota_burst_points: int = 0
    quota_bytes_per_second: int = 0
    quota_active_series: int = 1_000_000
    log_level: LogLevel = LogLevel.INFO
    otlp_endpoint: str | None = None
    otlp_export_interval_ms: int = 60_000

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every variable; raises ConfigurationError that names all bad ones."""
        reader = EnvironmentReader(environ)
        settings = _read(reader)
        _check_together(settings, reader)
        reader.finish()
        return settings

    def server_config(self, listen: str) -> ServerConfig:
        """The configuration of one gRPC server of this process."""
        return ServerConfig(
            listen=listen,
            tls_cert_file=self.tls_cert_file,
            tls_key_file=self.tls_key_file,
            tls_client_ca_file=self.tls_client_ca_file,
            environment=self.environment,
        )

    def describe(self) -> str:
        """One line for the log at start, without secrets."""
        return (
            f"environment={self.environment} region={self.region} auth={self.auth}"
            f" nats={_redacted_list(self.nats_url)} clickhouse={redacted(self.clickhouse_url)}"
            f" database={self.clickhouse_database} redis={redacted(self.redis_url)}"
            f" tls={'on' if self.tls_cert_file else 'off'}"
        )


def _read(reader: EnvironmentReader) -> Settings:
    data_dir = reader.path("THREENINES_DATA_DIR", ".threenines") or Path(".threenines")
    return Settings(
        environment=reader.choice("THREENINES_ENVIRONMENT", Environment.LAPTOP),
        region=reader.text("THREENINES_REGION", "local", pattern=r"[a-z0-9-]{1,63}"),
        nats_url=reader.url("THREENINES_NATS_URL", "nats://127.0.0.1:4222", schemes=("nats", "tls")),
        clickhouse_url=reader.url(
            "THREENINES_CLICKHOUSE_URL", "http://127.0.0.1:8123", schemes=("http", "https")
        ),
        clickhouse_database=reader.text(
            "THREENINES_CLICKHOUSE_DATABASE", "threenines", pattern=r"[A-Za-z_][A-Za-z0-9_]{0,62}"
        ),
        redis_url=reader.url(
            "THREENINES_REDIS_URL", "redis://127.0.0.1:6379/0", schemes=("redis", "rediss", "unix")
        ),
        auth=reader.choice("THREENINES_AUTH", AuthMode.TOKEN),
        admin_token_sha256=reader.secret("THREENINES_ADMIN_TOKEN_SHA256", pattern=r"[0-9a-f]{64}"),
        data_dir=data_dir,
        backups_dir=reader.path("THREENINES_BACKUPS_DIR") or data_dir / "backups",
        otlp_listen=reader.listen("THREENINES_OTLP_LISTEN", "127.0.0.1:4317"),
        otlp_http_listen=reader.listen("THREENINES_OTLP_HTTP_LISTEN", "127.0.0.1:4318"),
        collector_listen=reader.listen("THREENINES_COLLECTOR_LISTEN", "127.0.0.1:7700"),
        sla_listen=reader.listen("THREENINES_SLA_LISTEN", "127.0.0.1:7710"),
        alerting_listen=reader.listen("THREENINES_ALERTING_LISTEN", "127.0.0.1:7720"),
        dr_listen=reader.listen("THREENINES_DR_LISTEN", "127.0.0.1:7730"),
        tls_cert_file=reader.readable_file("THREENINES_TLS_CERT_FILE"),
        tls_key_file=reader.readable_file("THREENINES_TLS_KEY_FILE"),
        tls_client_ca_file=reader.readable_file("THREENINES_TLS_CLIENT_CA_FILE"),
        log_bytes=reader.integer("THREENINES_LOG_BYTES", 4 << 30, low=64 << 20, high=1 << 50),
        log_replicas=reader.integer("THREENINES_LOG_REPLICAS", 1, low=1, high=5),
        log_placement_tags=reader.texts("THREENINES_LOG_PLACEMENT_TAGS", pattern=r"[A-Za-z0-9:._-]{1,128}"),
        drain_s=reader.integer("THREENINES_DRAIN_S", 10, low=0, high=600),
        sla_shards=reader.integer("THREENINES_SLA_SHARDS", 1, low=1, high=MOST_SHARDS),
        collector_workers=reader.integer("THREENINES_COLLECTOR_WORKERS", 1, low=1, high=MOST_WORKERS),
        collector_memory_bytes=reader.integer(
            "THREENINES_COLLECTOR_MEMORY_BYTES", 1 << 30, low=512 << 20, high=1 << 40
        ),
        receive_memory_bytes=reader.integer(
            "THREENINES_RECEIVE_MEMORY_BYTES", 256 << 20, low=_LEAST_RECEIVE_BYTES, high=1 << 40
        ),
        request_max_points=reader.integer(
            "THREENINES_REQUEST_MAX_POINTS", 1_000_000, low=1, high=100_000_000
        ),
        quota_points_per_second=_limit(reader, "THREENINES_QUOTA_POINTS_PER_SECOND", 1_000_000),
        quota_burst_points=_limit(reader, "THREENINES_QUOTA_BURST_POINTS", 0),
        quota_bytes_per_second=_limit(reader, "THREENINES_QUOTA_BYTES_PER_SECOND", 0),
        quota_active_series=_limit(reader, "THREENINES_QUOTA_ACTIVE_SERIES", 1_000_000),
        log_level=reader.choice("THREENINES_LOG_LEVEL", LogLevel.INFO),
        otlp_endpoint=reader.text("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
        otlp_export_interval_ms=reader.integer(
            "OTEL_METRIC_EXPORT_INTERVAL", 60_000, low=100, high=3_600_000
        ),
    )


def _limit(reader: EnvironmentReader, name: str, default: int) -> int:
    return reader.integer(name, default, low=0, high=10**12)


def _check_together(settings: Settings, reader: EnvironmentReader) -> None:
    """The rules between variables: a pair that belongs together, and what production demands."""
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        missing = "THREENINES_TLS_KEY_FILE" if settings.tls_cert_file else "THREENINES_TLS_CERT_FILE"
        reader.problem(missing, "certificate and key belong together: set both or neither")
    if settings.tls_client_ca_file is not None and settings.tls_cert_file is None:
        reader.problem("THREENINES_TLS_CLIENT_CA_FILE", "asks for client certificates, which needs TLS")
    if 0 < settings.quota_burst_points < settings.quota_points_per_second:
        reader.problem("THREENINES_QUOTA_BURST_POINTS", "must be at least the points a second, or 0")
    share = settings.receive_memory_bytes // settings.collector_workers
    if share < _LEAST_RECEIVE_BYTES:
        reason = f"leaves each of {settings.collector_workers} workers less than {_LEAST_RECEIVE_BYTES} bytes"
        reader.problem("THREENINES_RECEIVE_MEMORY_BYTES", reason)
    if settings.environment is not Environment.PRODUCTION:
        return
    if settings.auth is AuthMode.NONE:
        reader.problem("THREENINES_AUTH", "none is for the laptop; production needs token")
    if settings.tls_cert_file is None and settings.tls_key_file is None:
        reason = "production needs TLS: set THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE"
        reader.problem("THREENINES_TLS_CERT_FILE", reason)


def _redacted_list(urls: str) -> str:
    return ",".join(redacted(url.strip()) for url in urls.split(","))
