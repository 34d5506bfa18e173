"""The parts of the SLA service, put together over given engines: what the process and the tests share."""

from collections.abc import Awaitable, Callable
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
from services.common.migrations import load_migrations, migrate
from services.common.settings import Settings
from services.common.telemetry import Telemetry
from services.sla.back_fills import BackFills
from services.sla.burn_windows import BurnWindows
from services.sla.clickhouse import ClickHousePointReader, ClickHouseSliceStore
from services.sla.config import SlaConfig
from services.sla.engines import Engines
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

    @property
    def background(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What works beside the server, by name."""
        return {
            "slicer": self.slicer.run,
            "storer": self.storer.run,
            "storer of reports": self.reports.storer.run,
            "reports": self.reports.worker.run,
        }


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
    engines: Engines,
    *,
    cache: FigureCache | None = None,
    shards: int = 1,
    reports: ReportsConfig | None = None,
) -> Parts:
    """Everything behind the server; nothing runs yet. `cache`: figures shared with other processes."""
    feed, clock = engines.feed, engines.clock
    slices, catalogue = ClickHouseSliceStore(engines.database), Catalogue(feed, clock)
    ready, changes = ReadyDatabase(engines.database, clock), Changes()
    feed.on_change(changes.everything)
    storer = _storer(engines, slices, ready, changes)
    pool = build_slicers(
        engines,
        reader=ClickHousePointReader(engines.database),
        store=slices,
        storer=storer,
        configuration=sliced_by(catalogue, feed, clock),
        shards=shards,
    )
    figures = _figures(engines, slices, catalogue, cache)
    made = assemble_reports(
        engines,
        catalogue=catalogue,
        slices=slices,
        database_id=ready.identity,
        config=reports or ReportsConfig(),
    )
    servicer = SlaServicer(
        figures,
        Maintenance(log=engines.log, feed=feed, clock=clock, contracts=catalogue, random_bytes=token_bytes),
        reports=made.reports,
        outcomes=build_outcomes(
            engines, contracts=catalogue, slices=slices, figures=figures, changes=changes
        ),
    )
    return Parts(servicer, pool, storer, changes, made)


def _storer(
    engines: Engines, slices: ClickHouseSliceStore, ready: ReadyDatabase, changes: Changes
) -> SliceStorer:
    return SliceStorer(
        log=engines.log,
        kv=engines.kv,
        clock=engines.clock,
        store=slices,
        database_id=ready.identity,
        region=engines.region,
        counters=engines.counters,
        stored=changes.stored,
    )


def _figures(
    engines: Engines, slices: ClickHouseSliceStore, catalogue: Catalogue, cache: FigureCache | None
) -> SlaFigures:
    return SlaFigures(
        contracts=catalogue,
        slices=slices,
        clock=engines.clock,
        incidents=ClickHouseIncidents(engines.database),
        kept=KeptFigures(engines.clock, engines.counters, cache),
        burn_windows=BurnWindows(engines.feed).of,
        back_fills=BackFills(engines.kv, engines.clock),
    )
