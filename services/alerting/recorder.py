"""Attempts on their way into history: noted at once, stored when ClickHouse answers.

Bounded and in memory: an alert never waits for history. What does not fit is counted and the
oldest goes first.
"""

import logging
from collections import deque

from services.alerting.ports import AttemptRow, HistoryStore
from services.common.clock import Clock
from services.common.errors import ThreeninesError
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

CAPACITY = 50_000
_BATCH = 1000
_RETRY_S = 1.0
_IDLE_S = 0.25


class BufferedRecorder:
    """`AttemptRecorder` that a background task empties into the store."""

    def __init__(
        self,
        store: HistoryStore,
        clock: Clock,
        *,
        capacity: int = CAPACITY,
        counters: Counters | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rows: deque[AttemptRow] = deque()
        self._capacity = capacity
        self._counters = counters or Counters()
        self._waiting = False
        self.lost = 0
        """Rows that did not fit."""

    def record(self, row: AttemptRow) -> None:
        """See `AttemptRecorder.record`."""
        if row.attempt > 0:
            self._counters.add("alerting.notifications", tenant=row.tenant, outcome=row.outcome)
        if len(self._rows) >= self._capacity:
            self._rows.popleft()
            self.lost += 1
        self._rows.append(row)

    async def flush(self) -> int:
        """Store one batch; the rows stored. On an error they stay, and the error is the caller's."""
        batch = [self._rows[i] for i in range(min(_BATCH, len(self._rows)))]
        if not batch:
            return 0
        lost = self.lost
        await self._store.store_attempts(batch)
        # Rows that were pushed out while we waited are gone from the front already.
        for _ in range(len(batch) - (self.lost - lost)):
            self._rows.popleft()
        return len(batch)

    async def run(self) -> None:
        """Flush for ever."""
        while True:
            try:
                stored = await self.flush()
                self._waiting = False
            except ThreeninesError as err:
                if not self._waiting:
                    _log.warning("%d attempts wait for history: %s", len(self._rows), err)
                self._waiting = True
                await self._clock.sleep(_RETRY_S)
                continue
            if stored == 0:
                await self._clock.sleep(_IDLE_S)
