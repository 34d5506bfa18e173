"""What figures of incidents need from a store."""

from collections.abc import Sequence
from typing import Protocol

from services.sla.incidents.model import IncidentEvent


class IncidentStore(Protocol):
    """Events of incidents, append only."""

    async def store(self, events: Sequence[IncidentEvent]) -> None:
        """Add events; one that is there already (tenant, incident, at_ms, id) changes nothing.

        Raises:
            Unavailable: the store is down; store them again.
        """
        ...

    async def events(self, tenant: str, *, low_ms: int, high_ms: int) -> list[IncidentEvent]:
        """Every event before `high_ms` of the tenant's incidents to which something happened since `low_ms`,
        or that were not verified by then; by incident, time, seq and id.

        MUST hold everything of an incident or nothing of it, so that its clock can be folded.

        Raises:
            Unavailable: the store is down.
        """
        ...
