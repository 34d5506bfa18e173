"""The use cases of `servicer_outcomes`, put together over given engines."""

from services.common.auth import confirm_principal
from services.common.streams import CONFIG
from services.sla.clickhouse_health import ClickHouseOwnMetrics
from services.sla.credits.serve import CreditCalculator
from services.sla.downtime import DowntimeList
from services.sla.downtime_stores import ClickHouseRunReader
from services.sla.engines import Engines
from services.sla.incidents.clickhouse import ClickHouseIncidents
from services.sla.platform_health import HealthOfPlatform
from services.sla.ports import SliceStore
from services.sla.serve import Contracts
from services.sla.servicer_outcomes import Outcomes
from services.sla.watch import Changes, StatusSource, Watches


def build_outcomes(
    engines: Engines,
    *,
    contracts: Contracts,
    slices: SliceStore,
    figures: StatusSource,
    changes: Changes,
) -> Outcomes:
    """Everything behind the RPCs; nothing runs."""
    database, clock = engines.database, engines.clock
    probes = {"clickhouse": database.ping, "log": lambda: engines.log.stream_info(CONFIG)}
    return Outcomes(
        downtime=DowntimeList(contracts=contracts, slices=slices, runs=ClickHouseRunReader(database)),
        watches=Watches(figures=figures, changes=changes, clock=clock, confirm=confirm_principal),
        credits=CreditCalculator(
            contracts=contracts, slices=slices, clock=clock, incidents=ClickHouseIncidents(database)
        ),
        health=HealthOfPlatform(
            metrics=ClickHouseOwnMetrics(database), probes=probes, clock=clock, region=engines.region
        ),
    )
