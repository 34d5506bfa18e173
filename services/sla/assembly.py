"""The parts of the SLA service, put together over given engines: what the process and the tests share."""

from dataclasses import dataclass
from secrets import token_bytes

import grpc

from services.common.auth_feed import build_authenticator
from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.config_feed import ConfigFeed
from services.common.errors import NotFound
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import build_server
from services.common.log_port import KeyValue, Log
from services.common.migrations import load_migrations, migrate
from services.common.settings import Settings
from services.common.telemetry import Counters, Telemetry
from services.sla.back_fills import BackFills
from services.sla.burn_windows import BurnWindows
from services.sla.clickhouse import ClickHousePointReader, ClickHouseSliceStore
from services.sla.config import SlaConfig
from services.sla.figure_cache import FigureCache
from services.sla.incidents.clickhouse import ClickHouseIncidents
from services.sla.kept_figures import KeptFigures
from services.sla.maintenance.manage import Maintenance
from services.sla.objectives import Catalogue
from services.sla.outcomes import build_outcomes
from services.sla.reports.assembly import assemble_reports
from services.sla.reports.config import ReportsConfig
from services.sla.reports.parts import ReportParts
from services.sla.serve import SlaFigures
from services.sla.servicer import SERVICE_NAME, SlaServicer
from services.sla.slice_assembly import build_slicers, sliced_by
from services.sla.slice_pool import SlicerPool
from services.sla.store_slices import SliceStorer
from services.sla.watch import Changes
from threenines.sla.v1 import sla_service_pb2_grpc


class ReadyDatabase:
    """The identity of the database, its schema brought up to this release first."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._migrated = False

    async def identity(self) -> str:
        """UUID of the database.

        Raises:
            Unavailable: ClickHouse is away. NotFound: the database has gone.
        """
        if not self._migrated:
            await migrate(self._database, load_migrations(), self._clock)
            self._migrated = True
        try:
            return await self._database.database_uuid()
        except NotFound:
            self._migrated = False
            raise


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process runs."""

    servicer: SlaServicer
    slicer: SlicerPool
    storer: SliceStorer
    changes: Changes
    reports: ReportParts


def build_sla_server(
    settings: Settings,
    config: SlaConfig,
    *,
    feed: ConfigFeed,
    health: HealthRegistry,
    servicer: SlaServicer,
    telemetry: Telemetry | None = None,
) -> grpc.aio.Server:
    """A server that is bound and not started; tokens follow the configuration."""
    server = build_server(
        config=config.server,
        authenticator=build_authenticator(settings, feed),
        health=health,
        service_names=[SERVICE_NAME],
        telemetry=telemetry,
    )
    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(servicer, server)
    return server


def telemetry_of(settings: Settings) -> Telemetry:
    """This process's own metrics."""
    return Telemetry(
        "threenines-sla",
        endpoint=settings.otlp_endpoint,
        export_interval_ms=settings.otlp_export_interval_ms,
        region=settings.region,
    )


def assemble(
    *,
    database: Database,
    log: Log,
    kv: KeyValue,
    feed: ConfigFeed,
    clock: Clock,
    region: str,
    holder: str,
    counters: Counters,
    cache: FigureCache | None = None,
    shards: int = 1,
    reports: ReportsConfig | None = None,
) -> Parts:
    """Everything behind the server; nothing runs yet. `cache`: figures shared with other processes."""
    reader, slices = ClickHousePointReader(database), ClickHouseSliceStore(database)
    catalogue = Catalogue(feed, clock)
    ready = ReadyDatabase(database, clock)
    changes = Changes()
    feed.on_change(changes.everything)
    storer = SliceStorer(
        log=log,
        kv=kv,
        clock=clock,
        store=slices,
        database_id=ready.identity,
        region=region,
        counters=counters,
        stored=changes.stored,
    )
    pool = build_slicers(
        log=log,
        kv=kv,
        clock=clock,
        reader=reader,
        store=slices,
        storer=storer,
        configuration=sliced_by(catalogue, feed, clock),
        region=region,
        holder=holder,
        shards=shards,
        counters=counters,
    )
    figures = SlaFigures(
        contracts=catalogue,
        slices=slices,
        clock=clock,
        incidents=ClickHouseIncidents(database),
        kept=KeptFigures(clock, counters, cache),
        burn_windows=BurnWindows(feed).of,
        back_fills=BackFills(kv, clock),
    )
    maintenance = Maintenance(log=log, feed=feed, clock=clock, contracts=catalogue, random_bytes=token_bytes)
    outcomes = build_outcomes(
        database=database,
        log=log,
        clock=clock,
        region=region,
        contracts=catalogue,
        slices=slices,
        figures=figures,
        changes=changes,
    )
    made = assemble_reports(
        database=database,
        log=log,
        kv=kv,
        feed=feed,
        clock=clock,
        catalogue=catalogue,
        slices=slices,
        database_id=ready.identity,
        region=region,
        holder=holder,
        counters=counters,
        config=reports or ReportsConfig(),
    )
    servicer = SlaServicer(figures, maintenance, reports=made.reports, outcomes=outcomes)
    return Parts(servicer, pool, storer, changes, made)
