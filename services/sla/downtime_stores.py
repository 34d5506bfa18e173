"""`RunReader` over ClickHouse, where runs are made by the server, and over any slice store, for tests."""

from services.common.clickhouse import Database
from services.sla.downtime import Run, RunQuery, runs_of
from services.sla.model import Slice
from services.sla.ports import SliceStore
from services.sla.read_columns import sql

_FOREVER_MS = 4_102_444_800_000


class ClickHouseRunReader:
    """Runs of `sli_slices`; rows come back merged, one for each run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runs(self, tenant: str, objective: str, query: RunQuery) -> list[Run]:
        """See `RunReader.runs`."""
        if query.low_ms >= query.high_ms:
            return []
        found = await self._database.rows(
            sql("downtime"),
            {
                "tenant": tenant,
                "objective": objective,
                "low": query.low_ms,
                "high": query.high_ms,
                "before": query.before_ms,
                "as_of": _FOREVER_MS if query.as_of_ms is None else query.as_of_ms,
                "with_degraded": query.degraded,
                "most": query.most,
            },
        )
        return [Run(*(int(number) for number in row)) for row in found]


class SliceRunReader:
    """Runs of a slice store, slice by slice."""

    def __init__(self, slices: SliceStore) -> None:
        self._slices = slices

    async def runs(self, tenant: str, objective: str, query: RunQuery) -> list[Run]:
        """See `RunReader.runs`."""
        revisions = await self._slices.current(
            tenant, objective, low_ms=query.low_ms, high_ms=query.high_ms, as_of_ms=query.as_of_ms
        )
        hit = [
            _alone(one.slice)
            for one in revisions
            if one.slice.down_ns or (query.degraded and one.slice.degraded_ns)
        ]
        runs = [run for run in runs_of(hit) if run.start_ms < query.before_ms]
        return runs[::-1][: query.most]


def _alone(one: Slice) -> Run:
    return Run(
        one.start_ms,
        one.end_ms,
        one.down_ns,
        one.degraded_ns,
        one.excluded_ns,
        one.total - one.good,
        one.total,
        1,
    )
