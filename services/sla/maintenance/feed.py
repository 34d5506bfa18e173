"""Maintenance windows as the applied configuration has them: documents into this service's model.

What was in force counts as well: a document that is replaced or deleted is cancelled then, and keeps what had
happened. Otherwise editing a file would change figures of the past.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.common.config_feed import AppliedDocument, ConfigFeed
from services.common.documents_maintenance import MaintenanceRecord, MaintenanceWindowSpec
from services.sla.maintenance.model import MaintenanceWindow

_NS_PER_MS = 1_000_000

Document = AppliedDocument[MaintenanceWindowSpec]
_Name = tuple[str, str]
_Step = tuple[Document, int | None, bool]
"""A document, until when it was in force (None: it is) and whether it was deleted then."""


class MaintenanceBook:
    """The windows that count, read from the configuration feed when asked."""

    def __init__(self, feed: ConfigFeed) -> None:
        self._feed = feed
        self._seq = -1
        self._counting: dict[str, tuple[MaintenanceWindow, ...]] = {}
        self._applied: dict[str, tuple[MaintenanceWindow, ...]] = {}

    def windows(self, tenant: str) -> tuple[MaintenanceWindow, ...]:
        """All that may exclude time of a tenant, in order of announcement: cancelled ones too, and what was
        in force before it was replaced or deleted."""
        self._read()
        return self._counting.get(tenant, ())

    def applied(self, tenant: str) -> tuple[MaintenanceWindow, ...]:
        """A tenant's windows as they are in the configuration now, cancelled ones too, in order."""
        self._read()
        return self._applied.get(tenant, ())

    def _read(self) -> None:
        if self._seq == self._feed.seq:
            return
        # Sequences move with every record of the stream, so this is asked often and done rarely.
        self._seq = self._feed.seq
        steps: dict[_Name, list[_Step]] = {}
        for former in self._feed.former(MaintenanceWindowSpec):
            until_ms = former.until_ns // _NS_PER_MS
            steps.setdefault(_name(former.document), []).append((former.document, until_ms, former.deleted))
        for document in self._feed.specs(MaintenanceWindowSpec):
            steps.setdefault(_name(document), []).append((document, None, False))
        self._counting, self._applied = {}, {}
        for (tenant, _), found in steps.items():
            if tenant:
                windows = _history(found)
                self._counting[tenant] = (*self._counting.get(tenant, ()), *windows)
                now = windows[-1:] if found[-1][1] is None else []
                self._applied[tenant] = (*self._applied.get(tenant, ()), *now)
        for held in (self._counting, self._applied):
            held.update({tenant: tuple(sorted(one, key=lambda w: w.seq)) for tenant, one in held.items()})


def window_of(document: Document) -> MaintenanceWindow:
    """One window. Both its announcement and its cancellation are at log time, by the record that said so;
    a file that is applied again with other times is announced again."""
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
        reason=spec.reason,
        cancel_reason=record.cancel_reason,
        retroactive=spec.retroactive,
        seq=document.seq,
    )


def _history(steps: Sequence[_Step]) -> list[MaintenanceWindow]:
    """The windows that documents of one name were, in order; the last one is that of the last document."""
    found: list[MaintenanceWindow] = []
    announced_ms: int | None = None
    for place, (document, until_ms, deleted) in enumerate(steps):
        window = window_of(document)
        if announced_ms is not None:
            window = replace(window, announced_ms=announced_ms)
        announced_ms = None
        if until_ms is None:
            found.append(window)
            continue
        following = None if deleted or place + 1 == len(steps) else window_of(steps[place + 1][0])
        if following is not None and window.cancelled_ms is None and _times(window) == _times(following):
            # Another title, or a cancellation: the same maintenance, announced when it was.
            announced_ms = window.announced_ms
        elif window.start_ms < until_ms:
            ended_ms = until_ms if window.cancelled_ms is None else window.cancelled_ms
            found.append(replace(window, cancelled_ms=min(ended_ms, until_ms)))
    return found


def _times(window: MaintenanceWindow) -> tuple[object, ...]:
    """What says which time of whom a window excludes."""
    when = (window.start_ms, window.end_ms, window.rule, window.zone)
    return (*when, window.objectives, window.retroactive)


def _name(document: Document) -> _Name:
    return (document.tenant or "", document.name)
