"""`ReportStore` over `sla_reports` and `sla_report_deliveries`. Every value is a bound parameter."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from services.common.clickhouse import Database
from services.common.native import Block
from services.sla.read_columns import ints, texts
from services.sla.reports.ledger import DeliveryRecord, ReportRecord, ReportState
from services.sla.reports.records import AnyRecord, from_header, header

_TIME = "DateTime64(3, 'UTC')"
_STATES = "Enum8('generating' = 1, 'issued' = 2, 'failed' = 3, 'cancelled' = 4, 'unchanged' = 5)"
_LATEST = (
    "SELECT meta, '' AS content, seq FROM sla_reports WHERE {where} ORDER BY seq DESC"
    " LIMIT 1 BY tenant, report"
)
_REPORT = (
    "SELECT meta, content, seq FROM sla_reports WHERE tenant = {tenant:String} AND report = {report:String}"
    " ORDER BY seq DESC LIMIT 1"
)
_ASKED = (
    "SELECT meta, '' AS content, seq FROM sla_reports WHERE tenant = {tenant:String}"
    " AND request_id = {request_id:String} AND at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
    " ORDER BY seq LIMIT 1"
)
_WITH_STATE = (
    "SELECT meta, '' AS content, seq FROM"
    " (SELECT meta, state, at, seq FROM sla_reports ORDER BY seq DESC LIMIT 1 BY tenant, report)"
    " WHERE has({states:Array(Int8)}, CAST(state, 'Int8'))"
    " AND at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') ORDER BY seq"
)
_DELIVERIES = (
    "SELECT meta, '' AS content, seq FROM sla_report_deliveries WHERE tenant = {tenant:String}"
    " AND report = {report:String} ORDER BY seq LIMIT 1 BY seq"
)
_NEWEST = (
    "SELECT max(seq) FROM sli_slices WHERE tenant = {tenant:String} AND objective IN {keys:Array(String)}"
    " AND slice_start >= fromUnixTimestamp64Milli({low:Int64}, 'UTC')"
    " AND slice_start < fromUnixTimestamp64Milli({high:Int64}, 'UTC')"
)
_DONE = [int(ReportState.ISSUED), int(ReportState.UNCHANGED)]
_TENANT = "tenant = {tenant:String}"
_CONTRACT = " AND contract = {contract:String}"


class ClickHouseReports:
    """See `ReportStore` and `Changes`. A row that is there twice shows once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, records: Sequence[ReportRecord | DeliveryRecord]) -> None:
        """See `ReportStore.store`."""
        steps = [one for one in records if isinstance(one, ReportRecord)]
        attempts = [one for one in records if isinstance(one, DeliveryRecord)]
        if steps:
            await self._insert("sla_reports", _steps(steps))
        if attempts:
            await self._insert("sla_report_deliveries", _attempts(attempts))

    async def report(self, tenant: str, report: str) -> ReportRecord | None:
        """See `ReportStore.report`."""
        found = await self._steps(_REPORT, tenant=tenant, report=report)
        return found[0] if found else None

    async def reports(self, tenant: str, contract: str | None = None) -> list[ReportRecord]:
        """See `ReportStore.reports`."""
        where = _TENANT if contract is None else _TENANT + _CONTRACT
        return await self._steps(
            _LATEST.replace("{where}", where), tenant=tenant, **({"contract": contract} if contract else {})
        )

    async def asked(self, tenant: str, request_id: str, *, since_ms: int) -> ReportRecord | None:
        """See `ReportStore.asked`."""
        found = await self._steps(_ASKED, tenant=tenant, request_id=request_id, since=since_ms)
        return found[0] if found else None

    async def unfinished(self) -> list[ReportRecord]:
        """See `ReportStore.unfinished`."""
        return await self._steps(_WITH_STATE, states=[int(ReportState.GENERATING)], since=0)

    async def deliveries(self, tenant: str, report: str) -> list[DeliveryRecord]:
        """See `ReportStore.deliveries`."""
        found = await self._records(_DELIVERIES, tenant=tenant, report=report)
        return [one for one in found if isinstance(one, DeliveryRecord)]

    async def to_deliver(self, *, since_ms: int) -> list[ReportRecord]:
        """See `ReportStore.to_deliver`."""
        found = await self._steps(_WITH_STATE, states=_DONE, since=since_ms)
        return [one for one in found if one.recipients.names]

    async def newest(self, tenant: str, keys: Sequence[str], *, low_ms: int, high_ms: int) -> int:
        """See `Changes.newest`."""
        rows = await self._database.rows(
            _NEWEST, {"tenant": tenant, "keys": list(keys), "low": low_ms, "high": high_ms}
        )
        return int(rows[0][0] or 0) if rows else 0

    async def _steps(self, statement: str, **parameters: Any) -> list[ReportRecord]:
        found = await self._records(statement, **parameters)
        return [one for one in found if isinstance(one, ReportRecord)]

    async def _records(self, statement: str, **parameters: Any) -> list[AnyRecord]:
        # By column: strings come as they are stored, whatever their bytes.
        found = await self._database.columns(statement, parameters)
        if not found:
            return []
        rows = zip(texts(found["meta"]), texts(found["content"]), ints(found["seq"]).tolist(), strict=True)
        return [from_header(meta, content, seq=seq) for meta, content, seq in rows]

    async def _insert(self, table: str, block: Block) -> None:
        data = block.to_bytes()
        # Another process may be storing the same now: ClickHouse refuses an id that is running.
        await self._database.insert_native(table, data, block.names, query_id=f"{table}-{uuid4().hex}")


def _steps(records: Sequence[ReportRecord]) -> Block:
    block = Block()
    for name in ("tenant", "report", "contract", "request_id"):
        block.add(name, "String", [getattr(one, name) for one in records])
    block.add("seq", "UInt64", [one.seq for one in records])
    block.add("at", _TIME, [one.at_ms for one in records])
    block.add("state", _STATES, [int(one.state) for one in records])
    block.add("period_kind", "String", [one.period.kind for one in records])
    block.add("period_label", "String", [one.period.label for one in records])
    block.add("period_start", _TIME, [one.period.start_ms for one in records])
    block.add("period_end", _TIME, [one.period.end_ms for one in records])
    block.add("revision", "UInt32", [one.revision for one in records])
    block.add("meta", "String", [header(one) for one in records])
    return block.add("content", "String", [one.content for one in records])


def _attempts(records: Sequence[DeliveryRecord]) -> Block:
    block = Block()
    for name in ("tenant", "report", "recipient", "error"):
        block.add(name, "String", [getattr(one, name) for one in records])
    block.add("attempt", "UInt32", [one.attempt for one in records])
    block.add("seq", "UInt64", [one.seq for one in records])
    block.add("at", _TIME, [one.at_ms for one in records])
    block.add("outcome", "String", [one.outcome.name.lower() for one in records])
    block.add("status_code", "UInt16", [one.status_code for one in records])
    return block.add("meta", "String", [header(one) for one in records])
