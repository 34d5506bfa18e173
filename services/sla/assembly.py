"""The parts of the SLA service, put together over given engines: what the process and the tests share."""

from dataclasses import dataclass

from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.config_feed import ConfigFeed
from services.common.errors import NotFound
from services.common.log_port import KeyValue, Log
from services.common.migrations import load_migrations, migrate
from services.common.telemetry import Counters
from services.sla.clickhouse import ClickHousePointReader, ClickHouseSliceStore
from services.sla.objectives import Catalogue
from services.sla.serve import SlaFigures
from services.sla.servicer import SlaServicer
from services.sla.slice import Slicer
from services.sla.store_slices import SliceStorer


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
    slicer: Slicer
    storer: SliceStorer


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
) -> Parts:
    """Everything behind the server; nothing runs yet."""
    reader, slices = ClickHousePointReader(database), ClickHouseSliceStore(database)
    catalogue = Catalogue(feed)
    ready = ReadyDatabase(database, clock)
    storer = SliceStorer(
        log=log,
        kv=kv,
        clock=clock,
        store=slices,
        database_id=ready.identity,
        region=region,
        counters=counters,
    )
    slicer = Slicer(
        log=log,
        kv=kv,
        clock=clock,
        reader=reader,
        store=slices,
        storer=storer,
        objectives=catalogue.objectives,
        region=region,
        holder=holder,
        counters=counters,
    )
    figures = SlaFigures(contracts=catalogue, slices=slices, clock=clock)
    return Parts(SlaServicer(figures), slicer, storer)  # type: ignore[abstract]  # in the stubs only
