"""`ReportStore` in memory, with the promises of the real one."""

from collections.abc import Sequence
from dataclasses import replace

from services.sla.reports.ledger import DeliveryRecord, ReportRecord, ReportState


class MemoryReports:
    """See `ReportStore`."""

    def __init__(self) -> None:
        self._steps: dict[int, ReportRecord] = {}
        self._deliveries: dict[int, DeliveryRecord] = {}

    async def store(self, records: Sequence[ReportRecord | DeliveryRecord]) -> None:
        """See `ReportStore.store`."""
        for record in records:
            if isinstance(record, ReportRecord):
                self._steps[record.seq] = record
            else:
                self._deliveries[record.seq] = record

    async def report(self, tenant: str, report: str) -> ReportRecord | None:
        """See `ReportStore.report`."""
        return self._latest().get((tenant, report))

    async def reports(self, tenant: str, contract: str | None = None) -> list[ReportRecord]:
        """See `ReportStore.reports`."""
        found = [one for one in self._latest().values() if one.tenant == tenant]
        return [_bare(one) for one in reversed(_sorted(found)) if contract in (None, one.contract)]

    async def asked(self, tenant: str, request_id: str, *, since_ms: int) -> ReportRecord | None:
        """See `ReportStore.asked`."""
        for _, one in sorted(self._steps.items()):
            if (one.tenant, one.request_id) == (tenant, request_id) and one.created_ms >= since_ms:
                return _bare(one)
        return None

    async def unfinished(self) -> list[ReportRecord]:
        """See `ReportStore.unfinished`."""
        return _sorted([one for one in self._latest().values() if one.state is ReportState.GENERATING])

    async def deliveries(self, tenant: str, report: str) -> list[DeliveryRecord]:
        """See `ReportStore.deliveries`."""
        found = sorted(self._deliveries.items())
        return [one for _, one in found if (one.tenant, one.report) == (tenant, report)]

    async def to_deliver(self, *, since_ms: int) -> list[ReportRecord]:
        """See `ReportStore.to_deliver`."""
        done = (ReportState.ISSUED, ReportState.UNCHANGED)
        found = [one for one in self._latest().values() if one.state in done]
        return [_bare(one) for one in _sorted(found) if one.recipients.names and one.at_ms >= since_ms]

    def _latest(self) -> dict[tuple[str, str], ReportRecord]:
        return {(one.tenant, one.report): one for _, one in sorted(self._steps.items())}


def _sorted(records: list[ReportRecord]) -> list[ReportRecord]:
    return sorted(records, key=lambda one: one.seq)


def _bare(record: ReportRecord) -> ReportRecord:
    return replace(record, content=b"")
