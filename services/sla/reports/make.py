"""Makes the reports that were asked for: one process in the whole system at a time, by lease.

A kill at any moment loses nothing: the next leader finds what is GENERATING and makes it; the log refuses the
second of two that would issue the same revision.
"""

import asyncio
import logging
from dataclasses import replace

from services.common.clock import Clock
from services.common.errors import Aborted, ThreeninesError, Unavailable
from services.common.telemetry import Counters
from services.sla.model import NS_PER_MS
from services.sla.reports.canonical import canonical_json, content_sha256, read_report
from services.sla.reports.causes import caused
from services.sla.reports.diff import says_the_same
from services.sla.reports.generate import ProgressBoard
from services.sla.reports.history import Histories, History
from services.sla.reports.ledger import Facts, ReportRecord, ReportState
from services.sla.reports.model import Replaced, ReportInput
from services.sla.reports.ports import ReportSource, ReportStore

_logger = logging.getLogger(__name__)
_COMPUTED = 80


class ReportMaker:
    """Takes what is GENERATING to its end."""

    look_s = 30.0

    def __init__(
        self,
        *,
        store: ReportStore,
        histories: Histories,
        source: ReportSource,
        clock: Clock,
        board: ProgressBoard,
        counters: Counters | None = None,
    ) -> None:
        self._store = store
        self._histories = histories
        self._source = source
        self._clock = clock
        self._board = board
        self._counters = counters or Counters()

    async def step(self) -> int:
        """Make all that is asked for now; how many.

        Raises:
            Unavailable: an engine is away; nothing is lost, come again.
        """
        waiting = await self._store.unfinished()
        for record in waiting:
            try:
                await self._make(record)
            except Aborted:
                _logger.info("report %s of %s was decided elsewhere", record.report, record.tenant)
            finally:
                self._board.tell(record.tenant, record.report, 100)
        return len(waiting)

    async def _make(self, asked: ReportRecord) -> None:
        history = await self._histories.of(asked.tenant, asked.contract, asked.period)
        if history.in_the_works is None or history.in_the_works.seq != asked.seq:
            return
        try:
            done = await self._computed(asked, history)
        except Unavailable:
            raise
        except ThreeninesError as err:
            done = self._failed(asked, err.reason, err.message, err.next_step or "")
        # One report that this release cannot make must not keep all others from being made.
        except Exception:
            _logger.exception("report %s of %s could not be made", asked.report, asked.tenant)
            done = self._failed(asked, "INTERNAL", "the report could not be made; see the log", "")
        try:
            await self._histories.append(done, behind=history.last_seq)
        except ThreeninesError as err:
            if err.reason != "RECORD_TOO_LARGE":
                raise
            failed = self._failed(asked, "REPORT_TOO_LARGE", err.message, "Report on a shorter period.")
            await self._histories.append(failed, behind=history.last_seq)
        _logger.info("report %s of %s: %s", done.report, done.tenant, done.state.name)

    async def _computed(self, asked: ReportRecord, history: History) -> ReportRecord:
        def tell(percent: int) -> None:
            self._board.tell(asked.tenant, asked.report, percent * _COMPUTED // 100)

        fresh = await self._source.report_input(asked.tenant, asked.contract, asked.period, progress=tell)
        old = await self._old(history)
        report, content = await asyncio.to_thread(_revised, fresh, asked.revision, old)
        now_ms = self._clock.now_ns() // NS_PER_MS
        revision = report.provenance.data_revision
        if old is not None and says_the_same(old[1], content):
            return replace(
                asked, state=ReportState.UNCHANGED, at_ms=now_ms, data_revision=revision, content=b"", seq=0
            )
        return replace(
            asked,
            state=ReportState.ISSUED,
            at_ms=now_ms,
            data_revision=revision,
            facts=_facts(report, content),
            content=content,
            seq=0,
        )

    async def _old(self, history: History) -> tuple[ReportInput, bytes] | None:
        if history.last_issued is None:
            return None
        record = await self._store.report(history.last_issued.tenant, history.last_issued.report)
        assert record is not None
        return read_report(record.content), record.content

    def _failed(self, asked: ReportRecord, reason: str, message: str, remedy: str) -> ReportRecord:
        return replace(
            asked,
            state=ReportState.FAILED,
            at_ms=self._clock.now_ns() // NS_PER_MS,
            failure_reason=reason,
            failure_message=message,
            failure_remedy=remedy,
            seq=0,
        )


def _revised(
    fresh: ReportInput, revision: int, old: tuple[ReportInput, bytes] | None
) -> tuple[ReportInput, bytes]:
    """The report in its revision, with what differs from the one before, and its bytes."""
    report = replace(fresh, revision=revision, replaces=Replaced())
    content = canonical_json(report)
    if old is None:
        return report, content
    changes, why = caused(old, (report, content))
    replaced = Replaced(old[0].revision, content_sha256(old[1]), why, changes)
    report = replace(report, replaces=replaced)
    return report, canonical_json(report)


def _facts(report: ReportInput, content: bytes) -> Facts:
    return Facts(
        verdict=report.verdict,
        content_sha256=content_sha256(content),
        zone=report.period.zone,
        versions=tuple(one.version for one in report.versions),
        data_end_ms=report.period.data_end_ms,
        watermark_ms=report.provenance.watermark_ms,
        data_revision=report.provenance.data_revision,
        provisional=report.period.provisional,
    )
