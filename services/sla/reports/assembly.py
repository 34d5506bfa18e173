"""The parts of reports over real engines; nothing runs yet."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.config_feed import ConfigFeed
from services.common.documents import Kind
from services.sla.engines import Engines
from services.sla.incidents.clickhouse import ClickHouseIncidents
from services.sla.maintenance.feed import MaintenanceBook
from services.sla.model import NS_PER_MS, Contract
from services.sla.objectives import Catalogue
from services.sla.ports import SliceStore
from services.sla.reports.config import ReportsConfig
from services.sla.reports.deliver import EMAIL, ReportDelivery
from services.sla.reports.generate import Reports
from services.sla.reports.history import Histories
from services.sla.reports.parts import ReportParts, build_reports
from services.sla.reports.receivers import receivers_of
from services.sla.reports.schedule import ReportSchedule
from services.sla.reports.send import Hooks, Mailer, Way
from services.sla.reports.source import FigureReports
from services.sla.reports.store_clickhouse import ClickHouseReports
from services.sla.reports.work import Part


def assemble_reports(
    engines: Engines,
    *,
    catalogue: Catalogue,
    slices: SliceStore,
    database_id: Callable[[], Awaitable[str]],
    config: ReportsConfig,
) -> ReportParts:
    """What generates, schedules and delivers, and what answers callers."""
    database, feed, clock = engines.database, engines.feed, engines.clock
    store, ways = ClickHouseReports(database), _ways(feed, clock, config)

    def more(reports: Reports, histories: Histories) -> Sequence[Part]:
        schedule = _schedule(reports, store, feed, clock=clock, catalogue=catalogue, slices=slices)
        return schedule, ReportDelivery(store=store, histories=histories, ways=ways, clock=clock)

    return build_reports(
        log=engines.log,
        kv=engines.kv,
        clock=clock,
        store=store,
        source=_source(database, feed, clock, catalogue, slices),
        contracts=catalogue,
        database_id=database_id,
        region=engines.region,
        holder=engines.holder,
        counters=engines.counters,
        more=more,
    )


def _schedule(
    reports: Reports,
    store: ClickHouseReports,
    feed: ConfigFeed,
    *,
    clock: Clock,
    catalogue: Catalogue,
    slices: SliceStore,
) -> ReportSchedule:
    return ReportSchedule(
        contracts=catalogue,
        reports=reports,
        store=store,
        changes=store,
        heads=slices,
        clock=clock,
        applied_ms=partial(_applied_ms, feed),
    )


def _ways(feed: ConfigFeed, clock: Clock, config: ReportsConfig) -> dict[str, Way]:
    return {EMAIL: Mailer(config.smtp), "webhook": Hooks(receivers_of(feed, config.secrets), clock)}


def _source(
    database: Database, feed: ConfigFeed, clock: Clock, catalogue: Catalogue, slices: SliceStore
) -> FigureReports:
    return FigureReports(
        contracts=catalogue,
        slices=slices,
        incidents=ClickHouseIncidents(database),
        windows=MaintenanceBook(feed).windows,
        clock=clock,
    )


def _applied_ms(feed: ConfigFeed, contract: Contract) -> int:
    """When this version of a contract was put into the log."""
    for one in feed.documents(Kind.CONTRACT, contract.tenant):
        if one.seq == contract.version:
            return one.time_ns // NS_PER_MS
    return 0
