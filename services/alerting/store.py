"""ALERTS into this region's history: every region stores the same transitions from the stream.

Keeps no position of its own: what history holds says where to go on, so that a restored or an
empty database is filled without being told. Knows no SQL.
"""

import logging

from services.alerting import records
from services.alerting.errors import MalformedRecord
from services.alerting.model import Transition
from services.alerting.ports import EventRow, HistoryStore
from services.common.clock import Clock
from services.common.errors import ThreeninesError
from services.common.log_port import Log
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

_BATCH = 1000
_WAIT_S = 1.0
_RETRY_S = 1.0


class EventStorer:
    """Follows ALERTS for ever; any number of them may run beside each other."""

    def __init__(
        self, log: Log, store: HistoryStore, clock: Clock, *, counters: Counters | None = None
    ) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._counters = counters or Counters()
        self._next_seq = 0
        self._incarnation = 0
        self._waiting = False

    async def step(self, *, wait_s: float) -> int:
        """Store one batch; the number of records read. On an error the batch comes again."""
        if self._next_seq == 0:
            self._incarnation = (await self._log.stream_info(records.STREAM)).created_ns
            self._next_seq = await self._store.last_event_seq(self._incarnation) + 1
        entries = await self._log.read(records.STREAM, self._next_seq, max_messages=_BATCH, wait_s=wait_s)
        rows = [
            EventRow(change, entry.seq, self._incarnation)
            for entry in entries
            if (change := _transition(entry.data, entry.seq)) is not None
        ]
        if rows:
            await self._store.store_events(rows)
            self._counters.add("common.records.stored", len(rows), stream=records.STREAM)
        if entries:
            self._next_seq = entries[-1].seq + 1
        return len(entries)

    async def run(self) -> None:
        """Step for ever; after an error look again at what history holds."""
        while True:
            try:
                await self.step(wait_s=_WAIT_S)
                self._waiting = False
            except ThreeninesError as err:
                if not self._waiting:
                    _log.warning("alert events wait for history: %s", err)
                self._waiting = True
                self._next_seq = 0
                await self._clock.sleep(err.retry_after_s or _RETRY_S)


def _transition(data: bytes, seq: int) -> Transition | None:
    try:
        record = records.decode(data)
    except MalformedRecord as err:
        _log.error("ALERTS record %d is passed over: %s", seq, err)
        return None
    return record if isinstance(record, Transition) else None
