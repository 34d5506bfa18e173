"""Puts the REPORTS stream into this region's ClickHouse (`stream_storer.py`).

A restored database starts from the beginning, so issued reports come back byte for byte.
"""

import logging
from collections.abc import Sequence
from typing import Unpack

from services.common.errors import Unavailable
from services.common.log_port import Entry
from services.common.streams import REPORTS
from services.sla.reports.ports import ReportStore
from services.sla.reports.records import AnyRecord, decode
from services.sla.stream_storer import StorerParts, StreamStorer

_logger = logging.getLogger(__name__)
_LOOK_S = 0.02
_PATIENCE_S = 10.0


class ReportStorer(StreamStorer):
    """Follows REPORTS."""

    def __init__(self, *, store: ReportStore, **parts: Unpack[StorerParts]) -> None:
        super().__init__(REPORTS, **parts)
        self._store = store

    async def wait_for(self, seq: int) -> None:
        """Return when the record at `seq` is stored.

        Raises:
            Unavailable: REPORTS_BEHIND, not within 10 s.
        """
        end_ns = self._clock.monotonic_ns() + round(_PATIENCE_S * 1e9)
        while self._seq < seq:
            if self._clock.monotonic_ns() >= end_ns:
                raise Unavailable(
                    f"reports are stored up to {self._seq} of {seq}",
                    reason="REPORTS_BEHIND",
                    retry_after_s=1.0,
                )
            await self._clock.sleep(_LOOK_S)

    async def _put(self, entries: Sequence[Entry]) -> None:
        await self._store.store(_records(entries))


def _records(entries: Sequence[Entry]) -> list[AnyRecord]:
    found = []
    for entry in entries:
        try:
            found.append(decode(entry.data, seq=entry.seq))
        except ValueError:
            _logger.exception("REPORTS record %d cannot be read and is skipped", entry.seq)
    return found
