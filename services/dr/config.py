"""What disaster recovery takes from the suite's settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.common.clickhouse import ClickHouseConfig
from services.common.settings import ServerConfig, Settings

# BACKUP, RESTORE and the hashes of large tables are single statements that take as long as they take.
_STATEMENT_TIMEOUT_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class DrConfig:
    """`backups_dir` is where ClickHouse may write backups, under the same path here; `answer_s` how
    long a backup waits for the writer to answer its pause."""

    region: str
    nats_url: str
    clickhouse: ClickHouseConfig
    backups_dir: Path
    server: ServerConfig
    answer_s: float = 10.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Narrow the settings.

        Raises:
            InvalidArgument: BAD_CLICKHOUSE_URL.
        """
        url = ClickHouseConfig.from_url(settings.clickhouse_url, settings.clickhouse_database)
        clickhouse = ClickHouseConfig(
            host=url.host,
            port=url.port,
            secure=url.secure,
            user=url.user,
            password=url.password,
            database=url.database,
            request_timeout_s=_STATEMENT_TIMEOUT_S,
        )
        return cls(
            region=settings.region,
            nats_url=settings.nats_url,
            clickhouse=clickhouse,
            backups_dir=settings.backups_dir,
            server=settings.server_config(settings.dr_listen),
        )
