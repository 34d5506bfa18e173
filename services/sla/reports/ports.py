"""What the use cases of reports need: a store of what happened, figures to write down, ways to deliver."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.sla.reports.ledger import DeliveryRecord, ReportPeriod, ReportRecord
from services.sla.reports.model import ReportInput

Progress = Callable[[int], None]
"""Told percent of the work, 0 to 100."""


class ReportStore(Protocol):
    """Records of REPORTS, append only. Every call raises Unavailable while the store is down.

    The latest record of a report is the one with the highest `seq`; all but `report` leave `content` out.
    """

    async def store(self, records: Sequence[ReportRecord | DeliveryRecord]) -> None:
        """Add records; one that is there already changes nothing."""
        ...

    async def report(self, tenant: str, report: str) -> ReportRecord | None:
        """The latest record of one report of a tenant, with its content if it is issued."""
        ...

    async def reports(self, tenant: str, contract: str | None = None) -> list[ReportRecord]:
        """The latest record of every report of a tenant, newest (highest seq) first."""
        ...

    async def asked(self, tenant: str, request_id: str, *, since_ms: int) -> ReportRecord | None:
        """The first record since then that carries this request id."""
        ...

    async def unfinished(self) -> list[ReportRecord]:
        """The latest record of every report of every tenant that is GENERATING, oldest first."""
        ...

    async def deliveries(self, tenant: str, report: str) -> list[DeliveryRecord]:
        """Every attempt to deliver one report, in order of `seq`."""
        ...

    async def to_deliver(self, *, since_ms: int) -> list[ReportRecord]:
        """Reports of every tenant that have recipients and whose latest record, since then, is ISSUED or
        UNCHANGED, oldest first."""
        ...


class Changes(Protocol):
    """How far the data of a period is known."""

    async def newest(self, tenant: str, keys: Sequence[str], *, low_ms: int, high_ms: int) -> int:
        """The highest place in SLICES of any slice of these objectives that starts in the range; 0: none."""
        ...


class ReportSource(Protocol):
    """Everything that a report says, computed from what is known now."""

    async def report_input(
        self, tenant: str, contract: str, period: ReportPeriod, *, progress: Progress
    ) -> ReportInput:
        """The first revision of it.

        Raises:
            ContractNotFound, FailedPrecondition: there is nothing to report on.
            Unavailable: the store is down; ask again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said. code: of HTTP or SMTP, 0 for none; retry_after: the header's text, if any."""

    code: int
    accepted: bool
    text: str = ""
    retry_after: str | None = None
