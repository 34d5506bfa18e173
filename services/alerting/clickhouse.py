"""`HistoryStore` in ClickHouse: alert_events and notification_attempts.

Rows carry their identity, the tables replace repeats, and reads use FINAL: storing twice shows
once. Makes the schema itself when it is missing. The only module of alerting that knows SQL.
"""

from collections.abc import Sequence
from datetime import datetime
from json import dumps
from typing import Any
from uuid import uuid4

from services.alerting.ports import AttemptRow, EventRow
from services.common.clickhouse import Database
from services.common.clock import Clock
from services.common.migrations import load_migrations, migrate
from services.common.native import Block
from services.common.native_columns import Maps

_MS_NS = 1_000_000
_TIME = "DateTime64(3, 'UTC')"
_MAP = "Map(String, String)"

_LAST_EVENT = "SELECT max(seq) FROM alert_events WHERE incarnation = {incarnation:UInt64}"
_ATTEMPT_COLUMNS = (
    "tenant, decided_at, id, attempt, receiver, group_key, fingerprint, rule, status, outcome,"
    " reason, at, alerts_seq, status_code, error, duration_ms, retry_after_ms"
)
_ATTEMPTS = f"""
SELECT {_ATTEMPT_COLUMNS} FROM notification_attempts FINAL
WHERE (tenant = {{tenant:String}} OR {{every:UInt8}} = 1)
  AND decided_at >= fromUnixTimestamp64Milli({{from_ms:Int64}}, 'UTC')
  AND decided_at < fromUnixTimestamp64Milli({{to_ms:Int64}}, 'UTC')
ORDER BY decided_at DESC, id, attempt
"""


class ClickHouseHistory:
    """`HistoryStore` over one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._migrated = False

    async def ready(self) -> None:
        """Make the schema once; Unavailable while ClickHouse is away."""
        if not self._migrated:
            await migrate(self._database, load_migrations(), self._clock)
            self._migrated = True

    async def store_events(self, rows: Sequence[EventRow]) -> None:
        """See `HistoryStore.store_events`."""
        await self._insert("alert_events", _events_block(rows))

    async def last_event_seq(self, incarnation: int) -> int:
        """See `HistoryStore.last_event_seq`."""
        await self.ready()
        found = await self._database.rows(_LAST_EVENT, {"incarnation": incarnation})
        return int(found[0][0])

    async def store_attempts(self, rows: Sequence[AttemptRow]) -> None:
        """See `HistoryStore.store_attempts`."""
        await self._insert("notification_attempts", _attempts_block(rows))

    async def attempts(self, tenant: str | None, *, from_ns: int, to_ns: int) -> list[AttemptRow]:
        """See `HistoryStore.attempts`."""
        await self.ready()
        parameters = {
            "tenant": tenant or "",
            "every": int(tenant is None),
            "from_ms": -(-from_ns // _MS_NS),
            "to_ms": -(-to_ns // _MS_NS),
        }
        return [_attempt(row) for row in await self._database.rows(_ATTEMPTS, parameters)]

    async def _insert(self, table: str, block: Block) -> None:
        await self.ready()
        await self._database.insert_native(
            table, block.to_bytes(), block.names, query_id=f"{table}-{uuid4().hex}"
        )


def _events_block(rows: Sequence[EventRow]) -> Block:
    changes = [row.change for row in rows]
    block = Block()
    for name in ("tenant", "id", "rule", "objective", "severity", "fingerprint"):
        block.add(name, "String", [getattr(change, name) for change in changes])
    block.add("at", _TIME, [change.at_ns // _MS_NS for change in changes])
    block.add("from_state", "String", [change.old.state.value for change in changes])
    block.add("to_state", "String", [change.new.state.value for change in changes])
    block.add("active", "UInt8", [int(change.new.active) for change in changes])
    block.add("started_at", _TIME, [change.started_ns // _MS_NS for change in changes])
    block.add("cause", "String", [change.cause.value for change in changes])
    block.add("reason", "String", [change.finding.reason for change in changes])
    block.add("labels", _MAP, Maps.of([change.labels for change in changes]))
    block.add("annotations", _MAP, Maps.of([change.annotations for change in changes]))
    block.add("value", "String", [dumps(dict(change.finding.value), sort_keys=True) for change in changes])
    block.add("slices_seq", "UInt64", [change.slices_seq for change in changes])
    block.add("seq", "UInt64", [row.seq for row in rows])
    block.add("incarnation", "UInt64", [row.incarnation for row in rows])
    return block


def _attempts_block(rows: Sequence[AttemptRow]) -> Block:
    block = Block()
    texts = (
        "tenant",
        "id",
        "receiver",
        "group_key",
        "fingerprint",
        "rule",
        "status",
        "outcome",
        "reason",
        "error",
    )
    for name in texts:
        block.add(name, "String", [getattr(row, name) for row in rows])
    block.add("decided_at", _TIME, [row.decided_ns // _MS_NS for row in rows])
    block.add("at", _TIME, [row.at_ns // _MS_NS for row in rows])
    for name in ("attempt", "duration_ms"):
        block.add(name, "UInt32", [getattr(row, name) for row in rows])
    block.add("status_code", "UInt16", [row.status_code for row in rows])
    for name in ("retry_after_ms", "alerts_seq"):
        block.add(name, "UInt64", [getattr(row, name) for row in rows])
    return block


def _attempt(row: Sequence[Any]) -> AttemptRow:
    names = [name.strip() for name in _ATTEMPT_COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    return AttemptRow(
        decided_ns=_ns(values.pop("decided_at")),
        at_ns=_ns(values.pop("at")),
        **values,
    )


def _ns(moment: datetime) -> int:
    """Exact: the table keeps milliseconds."""
    return round(moment.timestamp() * 1000) * _MS_NS
