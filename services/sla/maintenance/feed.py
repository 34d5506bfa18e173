"""Maintenance windows as the applied configuration has them: documents into this service's model."""

from services.common.config_feed import AppliedDocument, ConfigFeed
from services.common.documents_maintenance import MaintenanceRecord, MaintenanceWindowSpec
from services.sla.maintenance.model import MaintenanceWindow

_NS_PER_MS = 1_000_000


class MaintenanceBook:
    """The windows in force, read from the configuration feed when asked."""

    def __init__(self, feed: ConfigFeed) -> None:
        self._feed = feed
        self._seq = -1
        self._windows: dict[str, tuple[MaintenanceWindow, ...]] = {}

    def windows(self, tenant: str) -> tuple[MaintenanceWindow, ...]:
        """A tenant's windows, cancelled ones too, in order of announcement."""
        if self._seq != self._feed.seq:
            # Sequences move with every record of the stream, so this is asked often and done rarely.
            self._seq = self._feed.seq
            self._windows = {}
            for document in self._feed.specs(MaintenanceWindowSpec):
                if document.tenant is not None:
                    known = self._windows.get(document.tenant, ())
                    self._windows[document.tenant] = (*known, window_of(document))
        return tuple(sorted(self._windows.get(tenant, ()), key=lambda one: one.seq))


def window_of(document: AppliedDocument[MaintenanceWindowSpec]) -> MaintenanceWindow:
    """One window. Both its announcement and its cancellation are at log time, by the record that said so;
    a file that is applied again with other content is announced again."""
    spec, record = document.spec, document.spec.record or MaintenanceRecord()
    time_ms = document.time_ns // _NS_PER_MS
    return MaintenanceWindow(
        tenant=document.tenant or "",
        name=document.name,
        title=spec.title or document.name,
        objectives=(*spec.contracts, *spec.objectives),
        start_ms=spec.start_ms,
        end_ms=spec.end_ms,
        rule=spec.rule,
        zone=spec.zone or "UTC",
        announced_ms=time_ms if record.announced_ms is None else record.announced_ms,
        creator=record.creator or document.actor,
        cancelled_ms=time_ms if record.cancelled else None,
        reason=record.cancel_reason or spec.reason,
        retroactive=spec.retroactive,
        seq=document.seq,
    )
