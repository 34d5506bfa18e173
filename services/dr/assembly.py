"""The parts of disaster recovery over the real engines, put together; also used by tests."""

from collections.abc import Callable
from dataclasses import dataclass

from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.log_port import Engine
from services.common.settings import Settings
from services.common.telemetry import Telemetry
from services.dr.backups import Backups
from services.dr.catalogue import KvCatalogue
from services.dr.clickhouse import ClickHouseBackupStore
from services.dr.config import DrConfig
from services.dr.execute import Executor
from services.dr.files import DirectoryFileStore
from services.dr.gate import KvWriterGate
from services.dr.history import ClickHouseHistory
from services.dr.restores import Restores
from services.dr.servicer import BackupServicer
from services.dr.worker import Worker


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process serves and runs."""

    backups: Backups
    restores: Restores
    worker: Worker
    servicer: BackupServicer


def telemetry_of(settings: Settings) -> Telemetry:
    """The service's own telemetry."""
    return Telemetry(
        "threenines-dr",
        endpoint=settings.otlp_endpoint,
        export_interval_ms=settings.otlp_export_interval_ms,
        region=settings.region,
    )


def assemble(
    config: DrConfig,
    *,
    database: Database,
    engine: Engine,
    clock: Clock,
    rng: Callable[[int], bytes],
    telemetry: Telemetry,
) -> Parts:
    """Adapters, use cases and servicer; nothing is connected or started."""
    region = config.region
    store = ClickHouseBackupStore(database, clock)
    catalogue = KvCatalogue(engine.kv, region)
    gate = KvWriterGate(engine.kv, engine.log, clock, region=region, answer_s=config.answer_s)
    files = DirectoryFileStore(config.backups_dir, region=region)
    executor = Executor(store, files, gate, clock)
    worker = Worker(executor, catalogue, ClickHouseHistory(database, clock), clock, telemetry)
    backups = Backups(catalogue, worker, clock, rng, region=region, database=database.name)
    restores = Restores(catalogue, store, worker, clock, rng, region=region)
    return Parts(backups, restores, worker, BackupServicer(backups, restores))  # type: ignore[abstract]  # in the stubs only
