"""`IncidentStore` over `incident_events`. The statement is in sql/; every value is a bound parameter."""

from collections.abc import Sequence
from importlib.resources import files
from uuid import uuid4

from services.common.clickhouse import Database
from services.common.native import Block
from services.sla.incidents.model import IncidentEvent, IncidentEventKind

_TEXTS = ("tenant", "incident", "id", "severity", "title", "actor", "note")


class ClickHouseIncidents:
    """See `IncidentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, events: Sequence[IncidentEvent]) -> None:
        """See `IncidentStore.store`."""
        if not events:
            return
        block = _block(events)
        data = block.to_bytes()
        # Another process may be storing the same now: ClickHouse refuses an id that is running.
        await self._database.insert_native(
            "incident_events", data, block.names, query_id=f"incident-events-{uuid4().hex}"
        )

    async def events(self, tenant: str, *, low_ms: int, high_ms: int) -> list[IncidentEvent]:
        """See `IncidentStore.events`."""
        statement = (files("services.sla") / "sql" / "incident_events.sql").read_text()
        rows = await self._database.rows(statement, {"tenant": tenant, "low": low_ms, "high": high_ms})
        return [
            IncidentEvent(
                tenant=tenant,
                incident=incident,
                at_ms=int(at_ms),
                id=event_id,
                kind=IncidentEventKind(kind),
                severity=severity,
                title=title,
                actor=actor,
                note=note,
                seq=int(seq),
            )
            for incident, at_ms, event_id, kind, severity, title, actor, note, seq in rows
        ]


def _block(events: Sequence[IncidentEvent]) -> Block:
    ordered = sorted(events, key=lambda one: (one.tenant, one.incident, one.at_ms, one.id))
    block = Block()
    for name in _TEXTS:
        block.add(name, "String", [getattr(one, name) for one in ordered])
    block.add("at", "DateTime64(3, 'UTC')", [one.at_ms for one in ordered])
    block.add("kind", "String", [one.kind.value for one in ordered])
    return block.add("seq", "UInt64", [one.seq for one in ordered])
