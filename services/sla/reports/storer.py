"""Puts the REPORTS stream into this region's ClickHouse. Storing a record again changes nothing.

The position belongs to the database: a restored one has another identity and starts from the beginning, so
issued reports come back byte for byte.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence

from services.common.clock import Clock
from services.common.errors import NotFound, Unavailable
from services.common.log_port import Entry, KeyValue, Log
from services.common.streams import POSITIONS, REPORTS
from services.common.telemetry import Counters
from services.sla.reports.ports import ReportStore
from services.sla.reports.records import AnyRecord, decode

_logger = logging.getLogger(__name__)
_READ_WAIT_S = 1.0
_RETRY_S = 1.0
_LOOK_S = 0.02
_PATIENCE_S = 10.0


class ReportStorer:
    """Follows REPORTS from the position of the database; `database_id` as for the storer of slices."""

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        clock: Clock,
        store: ReportStore,
        database_id: Callable[[], Awaitable[str]],
        region: str,
        counters: Counters | None = None,
    ) -> None:
        self._log = log
        self._kv = kv
        self._clock = clock
        self._store = store
        self._database_id = database_id
        self._region = region
        self._counters = counters or Counters()
        self._seq = -1

    async def run(self) -> None:
        """Store until cancelled; while ClickHouse or the log is away, wait."""
        while True:
            try:
                await self._follow()
            except (Unavailable, NotFound) as err:
                _logger.warning("the storer of reports waits: %s", err)
                self._seq = -1
                await self._clock.sleep(err.retry_after_s or _RETRY_S)

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

    async def _follow(self) -> None:
        database = await self._database_id()
        key = f"store.{self._region}.{database}.REPORTS"
        entry = await self._kv.get(POSITIONS, key)
        self._seq = 0 if entry is None else int(json.loads(entry.value)["seq"])
        while True:
            entries = await self._log.read(REPORTS, self._seq + 1, wait_s=_READ_WAIT_S)
            if not entries:
                continue
            if await self._database_id() != database:
                return
            await self._store.store(_records(entries))
            await self._kv.put(POSITIONS, key, json.dumps({"seq": entries[-1].seq}).encode())
            self._seq = entries[-1].seq
            self._counters.add("common.records.stored", len(entries), stream=REPORTS)


def _records(entries: Sequence[Entry]) -> list[AnyRecord]:
    found = []
    for entry in entries:
        try:
            found.append(decode(entry.data, seq=entry.seq))
        except ValueError:
            _logger.exception("REPORTS record %d cannot be read and is skipped", entry.seq)
    return found
