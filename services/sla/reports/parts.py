"""The parts of reports, put together over given stores: what the process and the tests share."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from services.common.clock import Clock
from services.common.log_port import KeyValue, Log
from services.common.telemetry import Counters
from services.sla.reports.generate import Contracts, ProgressBoard, Reports
from services.sla.reports.history import Histories
from services.sla.reports.make import ReportMaker
from services.sla.reports.ports import ReportSource, ReportStore
from services.sla.reports.storer import ReportStorer
from services.sla.reports.work import Part, ReportWorker


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What a process runs for reports: `storer.run` and `worker.run`; `reports` answers callers."""

    reports: Reports
    histories: Histories
    storer: ReportStorer
    worker: ReportWorker


def build_reports(
    *,
    log: Log,
    kv: KeyValue,
    clock: Clock,
    store: ReportStore,
    source: ReportSource,
    contracts: Contracts,
    database_id: Callable[[], Awaitable[str]],
    region: str,
    holder: str,
    counters: Counters | None = None,
    more: Callable[[Reports, Histories], Sequence[Part]] | None = None,
) -> ReportParts:
    """Nothing runs yet. `more`: further work of whoever leads, such as schedule and delivery."""
    storer = ReportStorer(
        log=log, kv=kv, clock=clock, store=store, database_id=database_id, region=region, counters=counters
    )
    histories = Histories(log=log, store=store, stored=storer.wait_for)
    board = ProgressBoard()
    reports = Reports(contracts=contracts, store=store, histories=histories, clock=clock, board=board)
    maker = ReportMaker(
        store=store, histories=histories, source=source, clock=clock, board=board, counters=counters
    )
    others = () if more is None else more(reports, histories)
    worker = ReportWorker(
        log=log, kv=kv, clock=clock, stored=storer.wait_for, parts=(maker, *others), holder=holder
    )
    return ReportParts(reports, histories, storer, worker)
