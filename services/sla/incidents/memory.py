"""`IncidentStore` in a dictionary, with the promises of the real one."""

from collections.abc import Sequence

from services.sla.incidents.clock import by_incident
from services.sla.incidents.model import IncidentEvent, IncidentEventKind

_TURNS = frozenset(
    {
        IncidentEventKind.OPENED,
        IncidentEventKind.RESOLVED,
        IncidentEventKind.VERIFIED,
        IncidentEventKind.REOPENED,
    }
)


class MemoryIncidents:
    """See `IncidentStore`."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, int, str], IncidentEvent] = {}

    async def store(self, events: Sequence[IncidentEvent]) -> None:
        """See `IncidentStore.store`."""
        for event in events:
            self._held[event.tenant, event.incident, event.at_ms, event.id] = event

    async def events(self, tenant: str, *, low_ms: int, high_ms: int) -> list[IncidentEvent]:
        """See `IncidentStore.events`."""
        ordered = sorted(self._held.values(), key=lambda one: (one.incident, one.at_ms, one.seq, one.id))
        known = [one for one in ordered if one.tenant == tenant and one.at_ms < high_ms]
        found: list[IncidentEvent] = []
        for history in by_incident(known).values():
            turns = [one.kind for one in history if one.kind in _TURNS]
            if history[-1].at_ms >= low_ms or turns[-1:] != [IncidentEventKind.VERIFIED]:
                found += history
        return found
